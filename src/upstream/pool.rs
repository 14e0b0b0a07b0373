//! The idle connections of one replica, newest first.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::upstream::connection::{Connection, Idle};

/// Most idle connections kept for one replica.
const IDLE_MAX: usize = 256;

/// How long a connection may have been idle and still carry a request that must not be repeated.
/// Servers that close after five seconds without saying so are common; a fresh connection costs
/// less than an unanswerable call.
const UNREPEATABLE_IDLE_MAX: Duration = Duration::from_secs(4);

/// A replica's idle connections.
#[derive(Debug, Default)]
pub struct Pool {
    idle: Mutex<Vec<Idle>>,
}

impl Pool {
    /// Takes the connection used last that is still open, dropping those that are not.
    pub fn take(&self, is_repeatable: bool) -> Option<Connection> {
        let mut idle = self.idle.lock();
        let newest = idle.last()?;
        let now = Instant::now();
        if !is_repeatable && now.duration_since(newest.since) > UNREPEATABLE_IDLE_MAX {
            return None;
        }
        while let Some(mut candidate) = idle.pop() {
            if candidate.is_fresh(now) && candidate.connection.is_quiet() {
                return Some(candidate.connection);
            }
        }
        None
    }

    /// Puts a connection aside; beyond the bound it is closed.
    pub fn put(&self, mut connection: Connection, keep: Duration) {
        if !connection.rest() {
            return;
        }
        let mut idle = self.idle.lock();
        if idle.len() < IDLE_MAX {
            idle.push(Idle {
                connection,
                since: Instant::now(),
                keep,
            });
        }
    }

    /// Closes what has been idle too long or was closed by the other side.
    pub fn sweep(&self) {
        let now = Instant::now();
        self.idle
            .lock()
            .retain_mut(|idle| idle.is_fresh(now) && idle.connection.is_quiet());
    }
}
