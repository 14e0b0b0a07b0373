//! What an operator drops by hand.

use std::time::Duration;

use filters::cache::invalidate::Reach;
use filters::cache::key::Key;
use redis::pipe;
use tokio::time::timeout;

use crate::cache::redis::connection::Connection;
use crate::cache::redis::{Error, Redis, value};
use crate::kv;

/// How many keys are looked through in one step of a flush, and how long it may take.
const FLUSH_STEP: usize = 1_000;
const FLUSH_STEP_BUDGET: Duration = Duration::from_secs(1);
const FLUSH_BUDGET: Duration = Duration::from_secs(60);

impl Redis {
    /// Drops one entry, on all instances. `false` if there is none.
    ///
    /// # Errors
    /// If Redis is not used or fails.
    pub async fn remove(&self, key: &Key) -> Result<bool, Error> {
        let connection = self.circuit.connection()?;
        let mut question = pipe();
        question.cmd("GET").arg(self.names.entry(key));
        let asked = connection.ask(&question, self.timeout).await;
        let asked = asked.map_err(Error::from);
        let (value,): (Option<Vec<u8>>,) =
            asked.inspect_err(|error| self.failed(&connection, error))?;
        let Some(value) = value else {
            return Ok(false);
        };
        if let Some(server) = value::server(&value) {
            self.invalidate(&server, &Reach::Key(*key)).await;
        }
        Ok(true)
    }

    /// Drops all entries here, and keeps whatever is being fetched from being stored. How many there
    /// were. Memory is not touched.
    ///
    /// # Errors
    /// If Redis is not used, fails, or has too many keys.
    pub async fn flush(&self) -> Result<u64, Error> {
        let connection = self.circuit.connection()?;
        let flushed = timeout(FLUSH_BUDGET, self.flush_all(&connection)).await;
        flushed
            .unwrap_or(Err(kv::Error::TimedOut))
            .map_err(Error::from)
            .inspect_err(|error| self.failed(&connection, error))
    }

    async fn flush_all(&self, connection: &Connection) -> Result<u64, kv::Error> {
        let (mut cursor, mut n_entries) = ("0".to_owned(), 0);
        loop {
            let mut question = pipe();
            let scan = question.cmd("SCAN").arg(&cursor);
            scan.arg("MATCH").arg(self.names.pattern());
            scan.arg("COUNT").arg(FLUSH_STEP);
            let ((next, keys),): ((String, Vec<Vec<u8>>),) =
                connection.ask(&question, FLUSH_STEP_BUDGET).await?;
            if !keys.is_empty() {
                let mut question = pipe();
                // Versions go as well: what is stored by older ones is refused.
                question.cmd("UNLINK").arg(&keys).ignore();
                let () = connection.ask(&question, FLUSH_STEP_BUDGET).await?;
            }
            let entries = keys.iter().filter(|key| self.names.is_entry(key));
            n_entries += entries.count() as u64;
            if next == "0" {
                return Ok(n_entries);
            }
            cursor = next;
        }
    }
}
