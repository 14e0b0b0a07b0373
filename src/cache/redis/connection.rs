//! One connection to Redis, with what is learnt when it is made.

use std::time::Duration;

use redis::{Client, FromRedisValue, Pipeline, cmd, pipe};

use crate::cache::redis::script::Script;
use crate::kv::{self, Error, SETUP_BUDGET};

/// A connection, as it is shared by all who ask.
pub(super) struct Connection {
    shared: kv::Connection,
    /// Which run of Redis it leads to: another one after a restart or a failover.
    pub(super) run: String,
    scripts: [String; Script::ALL.len()],
}

impl Connection {
    /// Connects, and sees that Redis takes writes.
    ///
    /// # Errors
    /// If it does not, or not in time.
    pub(super) async fn open(client: &Client, probe: &str) -> Result<Self, Error> {
        let shared = kv::Connection::open(client, probe).await?;
        let mut questions = pipe();
        questions.cmd("INFO").arg("server");
        for script in Script::ALL {
            questions.cmd("SCRIPT").arg("LOAD").arg(script.text());
        }
        let (about, look_up, store, bump, release): (String, _, _, _, _) =
            shared.ask(&questions, SETUP_BUDGET).await?;
        Ok(Self {
            shared,
            run: run(&about).to_owned(),
            scripts: [look_up, store, bump, release],
        })
    }

    /// Asks something.
    ///
    /// # Errors
    /// If Redis refuses or does not answer in time, or if another question showed that it does not.
    pub(super) async fn ask<T: FromRedisValue>(
        &self,
        question: &Pipeline,
        budget: Duration,
    ) -> Result<T, Error> {
        self.shared.ask(question, budget).await
    }

    /// A question that begins with a script; its arguments are added by the caller.
    pub(super) fn call(&self, script: Script, keys: &[String]) -> redis::Cmd {
        let [look_up, store, bump, release] = &self.scripts;
        let digest = match script {
            Script::LookUp => look_up,
            Script::Store => store,
            Script::Bump => bump,
            Script::Release => release,
        };
        let mut call = cmd("EVALSHA");
        call.arg(digest).arg(keys.len()).arg(keys);
        call
    }

    /// Sees that it answers.
    ///
    /// # Errors
    /// If it does not, or not in time.
    pub(super) async fn ping(&self, budget: Duration) -> Result<(), Error> {
        self.shared.ping(budget).await
    }

    /// Returns when it is given up.
    ///
    /// # Errors
    /// If it does not answer any more, or not in time.
    pub(super) async fn watch(&self) -> Result<(), Error> {
        self.shared.watch().await
    }

    /// Ends all questions: nobody waits for a connection that is given up.
    pub(super) fn give_up(&self) {
        self.shared.give_up();
    }
}

/// The id of the run, from what Redis tells of itself. All runs of one that tells none are alike:
/// what it holds is then trusted also after a restart.
fn run(about: &str) -> &str {
    about
        .lines()
        .find_map(|line| line.trim_end().strip_prefix("run_id:"))
        .unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_run_is_read_from_what_redis_tells() {
        assert_eq!(
            run("# Server\r\nredis_mode:standalone\r\nrun_id:0a1b\r\ntcp_port:1\r\n"),
            "0a1b"
        );
        assert_eq!(run(""), "unknown");
    }
}
