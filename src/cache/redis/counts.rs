//! What the second tier did, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};

/// What was done, since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Look-ups that found something.
    pub hits: u64,
    /// Look-ups that found nothing.
    pub misses: u64,
    /// Entries that were stored.
    pub writes: u64,
    /// Entries that were not, because a newer one of the same key was.
    pub writes_coalesced: u64,
    /// Entries that were not, because there was no room in the queue or no Redis.
    pub writes_dropped: u64,
    /// Questions that failed.
    pub errors: u64,
    /// Whether Redis is used.
    pub connected: bool,
}

/// The same, while it counts.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) hits: AtomicU64,
    pub(super) misses: AtomicU64,
    pub(super) writes: AtomicU64,
    pub(super) writes_coalesced: AtomicU64,
    pub(super) writes_dropped: AtomicU64,
    pub(super) errors: AtomicU64,
}

impl Counts {
    pub(super) fn read(&self, connected: bool) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            hits: read(&self.hits),
            misses: read(&self.misses),
            writes: read(&self.writes),
            writes_coalesced: read(&self.writes_coalesced),
            writes_dropped: read(&self.writes_dropped),
            errors: read(&self.errors),
            connected,
        }
    }
}

/// Counts one.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
