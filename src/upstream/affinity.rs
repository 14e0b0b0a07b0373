//! Which replica holds which legacy session.
//!
//! **Invariant:** bounded in count and in time; forgetting an entry costs a session its place, never
//! its safety: another replica answers 404 and the client starts anew.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use lru::LruCache;
use parking_lot::Mutex;

/// The sessions of one cluster.
#[derive(Debug)]
pub struct Affinity {
    sessions: Mutex<LruCache<Box<str>, Held>>,
    idle: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    replica: usize,
    used: Instant,
}

impl Affinity {
    /// Remembers up to `max` sessions, each for `idle` after its last use.
    #[must_use]
    pub fn new(max: usize, idle: Duration) -> Self {
        let max = NonZeroUsize::new(max).unwrap_or(NonZeroUsize::MIN);
        Self {
            sessions: Mutex::new(LruCache::new(max)),
            idle,
        }
    }

    /// Notes that `replica` holds `session`.
    pub fn remember(&self, session: &str, replica: usize) {
        self.sessions.lock().put(
            session.into(),
            Held {
                replica,
                used: Instant::now(),
            },
        );
    }

    /// The replica that holds `session`, if it was used lately.
    pub fn find(&self, session: &str) -> Option<usize> {
        let mut sessions = self.sessions.lock();
        let held = sessions.get_mut(session)?;
        if held.used.elapsed() < self.idle {
            held.used = Instant::now();
            return Some(held.replica);
        }
        sessions.pop(session);
        None
    }

    /// Drops `session`.
    pub fn forget(&self, session: &str) {
        self.sessions.lock().pop(session);
    }

    /// Drops every session that was not used lately.
    pub fn sweep(&self) {
        let mut sessions = self.sessions.lock();
        while sessions
            .peek_lru()
            .is_some_and(|(_, held)| held.used.elapsed() >= self.idle)
        {
            sessions.pop_lru();
        }
    }

    /// How many sessions are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sessions.lock().len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_session_makes_room() {
        let affinity = Affinity::new(2, Duration::from_secs(60));
        affinity.remember("a", 0);
        affinity.remember("b", 1);
        assert_eq!(affinity.find("a"), Some(0));
        affinity.remember("c", 2);
        assert_eq!((affinity.find("a"), affinity.find("b")), (Some(0), None));
        assert_eq!(affinity.len(), 2);
    }

    #[test]
    fn an_expired_or_forgotten_session_is_gone() {
        let expired = Affinity::new(2, Duration::ZERO);
        expired.remember("a", 0);
        assert_eq!(expired.find("a"), None);
        expired.remember("b", 0);
        expired.sweep();
        assert!(expired.is_empty());
        let kept = Affinity::new(2, Duration::from_secs(60));
        kept.remember("a", 0);
        kept.forget("a");
        assert!(kept.is_empty());
    }
}
