//! One connection to Redis, as it is shared by all who ask.
//!
//! **Invariant:** every question ends within its budget, and at once when the connection is given up.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, FromRedisValue, Pipeline, RedisResult, cmd, pipe};
use tokio::select;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::cache::redis::Error;
use crate::cache::redis::script::Script;

/// How long making a connection may take, and each question that is asked before it is used.
pub(super) const SETUP_BUDGET: Duration = Duration::from_secs(1);

/// A connection, with what was learnt when it was made.
pub(super) struct Connection {
    commands: MultiplexedConnection,
    /// Which run of Redis it leads to: another one after a restart or a failover.
    pub(super) run: String,
    scripts: [String; Script::ALL.len()],
    lost: CancellationToken,
}

impl Connection {
    /// Connects, and sees that Redis takes writes.
    ///
    /// # Errors
    /// If it does not, or not in time.
    pub(super) async fn open(client: &Client, probe: &str) -> Result<Self, Error> {
        let commands = connect(client, AsyncConnectionConfig::new()).await?;
        let mut questions = pipe();
        questions.cmd("INFO").arg("server");
        // A full Redis still takes this; a replica, or one that is loading, does not.
        questions.cmd("DEL").arg(probe).ignore();
        for script in Script::ALL {
            questions.cmd("SCRIPT").arg("LOAD").arg(script.text());
        }
        let mut connection = Self {
            commands,
            run: String::new(),
            scripts: [const { String::new() }; Script::ALL.len()],
            lost: CancellationToken::new(),
        };
        let (about, look_up, store, bump, release): (String, _, _, _, _) =
            connection.ask(&questions, SETUP_BUDGET).await?;
        connection.run = run(&about).to_owned();
        connection.scripts = [look_up, store, bump, release];
        Ok(connection)
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
        let mut commands = self.commands.clone();
        select! {
            biased;
            () = self.lost.cancelled() => Err(Error::Unused),
            answer = timeout(budget, question.query_async(&mut commands)) => in_time(answer),
        }
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

    /// Ends all questions: nobody waits for a connection that is given up.
    pub(super) fn give_up(&self) {
        self.lost.cancel();
    }

    /// Waits until it is given up.
    pub(super) async fn given_up(&self) {
        self.lost.cancelled().await;
    }
}

/// A connection that nobody else uses.
///
/// # Errors
/// If there is none in time.
pub(super) async fn connect(
    client: &Client,
    config: AsyncConnectionConfig,
) -> Result<MultiplexedConnection, Error> {
    // Each question watches its own time.
    let config = config
        .set_connection_timeout(None)
        .set_response_timeout(None);
    let made = client.get_multiplexed_async_connection_with_config(&config);
    match timeout(SETUP_BUDGET, made).await {
        Ok(made) => made.map_err(|error| Error::Connect(Arc::new(error))),
        Err(_) => Err(Error::TimedOut),
    }
}

/// What came within its budget.
pub(super) fn in_time<T, E>(answer: Result<RedisResult<T>, E>) -> Result<T, Error> {
    match answer {
        Ok(answer) => answer.map_err(|error| Error::Command(Arc::new(error))),
        Err(_) => Err(Error::TimedOut),
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
