//! Writes to Redis what waits in the queue, off the path of requests.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use redis::{RedisError, RedisResult, pipe};
use tracing::{info, warn};

use crate::cache::redis::connection::Connection;
use crate::cache::redis::counts::count;
use crate::cache::redis::queue::{Hold, Store, Write};
use crate::cache::redis::script::Script;
use crate::cache::redis::versions::{key_field, method_field, target_field};
use crate::cache::redis::{Error, Redis, VERSIONS_KEPT, value};
use crate::kv;

/// How long one batch may take. Nobody waits for it.
const WRITE_BUDGET: Duration = Duration::from_secs(1);

/// Whether Redis has room, as far as is known.
#[derive(Default)]
pub(super) struct Room(AtomicBool);

impl Redis {
    /// Writes what comes, for ever.
    pub(super) async fn write(&self) {
        loop {
            let batch = self.queue.take().await;
            let n_stores = batch
                .iter()
                .filter(|write| matches!(write, Write::Store(_)))
                .count() as u64;
            match self.circuit.connection() {
                Ok(connection) => {
                    if let Err(error) = self.write_batch(&connection, batch).await {
                        self.failed(&connection, &error);
                    }
                }
                Err(_) => {
                    self.counts
                        .writes_dropped
                        .fetch_add(n_stores, Ordering::Relaxed);
                }
            }
        }
    }

    async fn write_batch(&self, connection: &Connection, batch: Vec<Write>) -> Result<(), Error> {
        let mut commands = pipe();
        for write in batch {
            match write {
                Write::Store(store) => {
                    if let Some(command) = self.store_command(connection, &store) {
                        commands.add_command(command);
                    }
                }
                Write::Release(Hold { key, owner }) => {
                    let mut command = connection.call(Script::Release, &[self.names.lease(&key)]);
                    command.arg(owner);
                    commands.add_command(command).ignore();
                }
            }
        }
        if commands.is_empty() {
            return Ok(());
        }
        let written: Vec<RedisResult<u64>> = connection
            .ask(commands.ignore_errors(), WRITE_BUDGET)
            .await?;
        for written in written {
            match written {
                Ok(n_written) => {
                    self.counts.writes.fetch_add(n_written, Ordering::Relaxed);
                    self.room.found(None);
                }
                Err(error) if is_full(&error) => {
                    count(&self.counts.errors);
                    self.room.found(Some(&error));
                }
                Err(error) => return Err(kv::Error::Command(error.into()).into()),
            }
        }
        Ok(())
    }

    fn store_command(&self, connection: &Connection, store: &Store) -> Option<redis::Cmd> {
        let Store {
            entry,
            stamp,
            clock,
        } = store;
        let written = value::write(entry, stamp, self.multiplier, Instant::now())?;
        let keys = [
            self.names.versions(&entry.origin.server),
            self.names.entry(&entry.key),
        ];
        let mut command = connection.call(Script::Store, &keys);
        command
            .arg(&connection.run)
            .arg(&**stamp)
            .arg(value::milliseconds(VERSIONS_KEPT))
            .arg(method_field(entry.origin.method))
            .arg(target_field(&entry.origin))
            .arg(key_field(&entry.key))
            .arg(clock.at(written.until))
            .arg(written.value)
            .arg(value::milliseconds(written.kept));
        Some(command)
    }
}

impl Room {
    /// Notes what a write showed, and says it when it is new.
    fn found(&self, full: Option<&RedisError>) {
        let was_full = self.0.swap(full.is_some(), Ordering::Relaxed);
        match full {
            Some(error) if !was_full => {
                warn!(%error, "Redis is full: it holds no new results");
            }
            None if was_full => info!("Redis has room for results again"),
            Some(_) | None => {}
        }
    }
}

/// Whether there is no room. That is no reason to stop reading.
fn is_full(error: &RedisError) -> bool {
    error.code() == Some("OOM") || error.detail().is_some_and(|detail| detail.contains("OOM"))
}
