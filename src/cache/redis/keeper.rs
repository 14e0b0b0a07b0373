//! Keeps a connection to Redis: makes it, pays what is owed, watches it, and makes it anew.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::pipe;

use filters::cache::invalidate::Reach;

use crate::cache::redis::connection::Connection;
use crate::cache::redis::script::Script;
use crate::cache::redis::versions::{Bump, FIELDS_MAX};
use crate::cache::redis::{Error, Redis};
use crate::kv::SETUP_BUDGET;
use crate::kv::pause::Pause;

impl Redis {
    /// Keeps a connection, for ever.
    pub(super) async fn keep(&self) {
        let mut pause = Pause::default();
        loop {
            match self.connect().await {
                Ok(connection) => {
                    let since = Instant::now();
                    if let Err(error) = connection.watch().await {
                        self.failed(&connection, &error.into());
                    }
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
            connection.ping(self.timeout).await?;
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
