//! What was found out about how a server is reached, against what its configuration says: told to
//! whoever builds its parts, which then are replaced.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// How long the parts of a server may take to be replaced.
const SWITCH_MAX: Duration = Duration::from_secs(5);

/// The dialect of HTTP that a server without `transport: sse` speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// Streamable HTTP, as its configuration says.
    #[default]
    Streamable,
    /// The HTTP+SSE transport of 2024-11-05.
    HttpSse,
}

/// Something that was found out.
#[derive(Debug)]
pub struct Found {
    /// The number of the parts that it was found with.
    pub parts: u64,
    /// What the server speaks.
    pub dialect: Dialect,
    /// Told whether the parts were replaced.
    pub done: oneshot::Sender<bool>,
}

/// Tells of it, on behalf of one server's parts.
#[derive(Clone, Debug)]
pub struct Finder {
    found: mpsc::Sender<Found>,
    parts: u64,
    is_replaced: Arc<AtomicBool>,
}

impl Finder {
    /// A finder for the parts of that number.
    #[must_use]
    pub fn new(found: mpsc::Sender<Found>, parts: u64) -> Self {
        Self {
            found,
            parts,
            is_replaced: Arc::default(),
        }
    }

    /// Tells what the server speaks, and waits until its parts are replaced; whether they are.
    pub async fn tell(&self, dialect: Dialect) -> bool {
        let Some(done) = self.send(dialect) else {
            return false;
        };
        let is_replaced = timeout(SWITCH_MAX, done)
            .await
            .is_ok_and(|done| done == Ok(true));
        if is_replaced {
            self.is_replaced.store(true, Ordering::Release);
        }
        is_replaced
    }

    /// Tells what the server may speak by now, and waits for nothing.
    pub fn hint(&self, dialect: Dialect) {
        drop(self.send(dialect));
    }

    /// Whether what was found has had the parts replaced: a request that failed here is served there.
    #[must_use]
    pub fn is_replaced(&self) -> bool {
        self.is_replaced.load(Ordering::Acquire)
    }

    /// Where too much waits already, the next one who finds it tells it.
    fn send(&self, dialect: Dialect) -> Option<oneshot::Receiver<bool>> {
        let (done, receiver) = oneshot::channel();
        let found = Found {
            parts: self.parts,
            dialect,
            done,
        };
        self.found.try_send(found).ok()?;
        Some(receiver)
    }
}
