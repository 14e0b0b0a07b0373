//! Keeps a connection to Redis: makes it, pays what is owed, watches it, and makes it anew.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::pipe;
use tokio::time::{MissedTickBehavior, interval, sleep};

use filters::cache::invalidate::Reach;

use crate::cache::redis::connection::{Connection, SETUP_BUDGET};
use crate::cache::redis::script::Script;
use crate::cache::redis::versions::{Bump, FIELDS_MAX};
use crate::cache::redis::{Error, Redis};

/// How often Redis is asked whether it is there.
pub(super) const PROBE_EVERY: Duration = Duration::from_secs(1);
/// A connection that lasted this long was good: the next one is made at once.
const STEADY: Duration = Duration::from_secs(5);

/// The time between two attempts to connect: longer each time, and never the same on two instances.
pub(super) struct Pause(Duration);

impl Redis {
    /// Keeps a connection, for ever.
    pub(super) async fn keep(&self) {
        let mut pause = Pause::default();
        loop {
            match self.connect().await {
                Ok(connection) => {
                    let since = Instant::now();
                    self.watch(&connection).await;
                    pause.reset_after(since.elapsed());
                }
                Err(error) => self.circuit.report(&error),
            }
            pause.wait().await;
        }
    }

    /// Connects, and tells Redis what it was not told, before anybody looks anything up.
    async fn connect(&self) -> Result<Arc<Connection>, Error> {
        let connection = Arc::new(Connection::open(&self.client, &self.names.probe()).await?);
        loop {
            // One that is too slow for requests is not used.
            ping(&connection, self.timeout).await?;
            let owed = self.circuit.close(&connection);
            if owed.is_empty() {
                return Ok(connection);
            }
            for (n_told, (server, reach)) in owed.iter().enumerate() {
                let told = self.bump(&connection, server, reach, "", SETUP_BUDGET);
                if let Err(error) = told.await {
                    self.circuit.owe_again(owed.iter().skip(n_told));
                    return Err(error);
                }
            }
        }
    }

    /// Returns when the connection was given up.
    async fn watch(&self, connection: &Arc<Connection>) {
        let mut probes = interval(PROBE_EVERY);
        probes.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let probe = async {
            loop {
                probes.tick().await;
                if let Err(error) = ping(connection, SETUP_BUDGET).await {
                    self.failed(connection, &error);
                    return;
                }
            }
        };
        tokio::select! {
            () = connection.given_up() => {}
            () = probe => {}
        }
    }

    /// Gives new versions to what is invalid, and tells all instances; how many there are.
    pub(super) async fn bump(
        &self,
        connection: &Connection,
        server: &Arc<str>,
        reach: &Reach,
        id: &str,
        budget: Duration,
    ) -> Result<usize, Error> {
        let versions = self.names.versions(server);
        let mut bump = Bump::of(reach);
        if bump.needs_names() {
            let mut question = pipe();
            question.cmd("HKEYS").arg(&versions);
            // Who looks a name up after this fetches what is true after the write.
            let (fields,): (Vec<Vec<u8>>,) = connection.ask(&question, budget).await?;
            let fields = fields.into_iter();
            bump.cover(fields.filter_map(|field| String::from_utf8(field).ok()));
        }
        let entries = bump.keys.iter().map(|key| self.names.entry(key));
        let keys: Vec<String> = std::iter::once(versions).chain(entries).collect();
        let mut command = connection.call(Script::Bump, &keys);
        command
            .arg(&connection.run)
            .arg(self.token())
            .arg(FIELDS_MAX)
            .arg(u8::from(bump.is_whole))
            .arg(self.names.invalidations())
            .arg(self.ear.message(server, reach, id));
        if !bump.is_whole {
            command.arg(bump.fields.into_iter().collect::<Vec<_>>());
        }
        let mut question = pipe();
        question.add_command(command);
        let (n_told,) = connection.ask(&question, budget).await?;
        Ok(n_told)
    }
}

async fn ping(connection: &Connection, budget: Duration) -> Result<(), Error> {
    let mut question = pipe();
    question.cmd("PING").ignore();
    connection.ask(&question, budget).await
}

// === impl Pause ===

impl Default for Pause {
    fn default() -> Self {
        Self(Self::FIRST)
    }
}

impl Pause {
    const FIRST: Duration = Duration::from_millis(25);
    const LAST: Duration = Duration::from_secs(2);

    /// Begins again with a short one after something that lasted.
    pub(super) fn reset_after(&mut self, lasted: Duration) {
        if lasted > STEADY {
            self.0 = Self::FIRST;
        }
    }

    /// Waits.
    pub(super) async fn wait(&mut self) {
        sleep(self.0.mul_f64(0.75 + fastrand::f64() / 2.0)).await;
        self.0 = (self.0 * 2).min(Self::LAST);
    }
}
