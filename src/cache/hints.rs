//! What the answers of one server were like lately, so that those who ask need not find out each
//! for itself.
//!
//! Hints make nothing right or wrong: they save a wait for what will not be shared, or a second
//! fetch of what will.

use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use filters::cache::key::Key;
use filters::mcp::method::Method;
use lru::LruCache;
use parking_lot::Mutex;

/// How long it is believed that something is never stored.
const NEVER_FOR: Duration = Duration::from_secs(10);
/// How long it is believed that something is longer than a fetch for several may be.
const LARGE_FOR: Duration = Duration::from_secs(600);
/// Most keys that this is known of.
const NEVER_MAX: usize = 4096;

/// Most cursors that are known to have been given out.
const CURSORS_MAX: usize = 1024;

/// The hints of one server.
pub struct Hints {
    never: Mutex<LruCache<Key, Instant>>,
    public: Mutex<Vec<Method>>,
    /// Digests of cursors, with their lists and whom they were given to.
    cursors: Mutex<LruCache<u64, ()>>,
    digest: RandomState,
}

impl Default for Hints {
    fn default() -> Self {
        let max = NonZeroUsize::new(NEVER_MAX).unwrap_or(NonZeroUsize::MIN);
        Self {
            never: Mutex::new(LruCache::new(max)),
            public: Mutex::default(),
            cursors: Mutex::new(LruCache::new(
                NonZeroUsize::new(CURSORS_MAX).unwrap_or(NonZeroUsize::MIN),
            )),
            digest: RandomState::new(),
        }
    }
}

impl Hints {
    /// Notes that what came for one caller, by the key that is its alone, could not be stored.
    pub fn note_never(&self, key: Key, now: Instant) {
        self.never.lock().put(key, now + NEVER_FOR);
    }

    /// Notes that what came, for whomever, is longer than a fetch for several may be.
    pub fn note_large(&self, keys: impl IntoIterator<Item = Key>, now: Instant) {
        let mut never = self.never.lock();
        for key in keys {
            never.put(key, now + LARGE_FOR);
        }
    }

    /// Whether what comes can hardly be stored.
    #[must_use]
    pub fn is_never(&self, key: &Key, now: Instant) -> bool {
        let mut never = self.never.lock();
        match never.get(key) {
            Some(until) if now < *until => true,
            Some(_) => {
                never.pop(key);
                false
            }
            None => false,
        }
    }

    /// Notes that a page of a list that is held gives out a cursor: to everybody, or to `whom`.
    pub fn note_cursor(&self, list: Method, whom: Option<&str>, cursor: &str) {
        let digest = self.digest.hash_one((list, whom, cursor));
        self.cursors.lock().put(digest, ());
    }

    /// Whether such a page gave `whom` this cursor; it is forgotten then.
    #[must_use]
    pub fn take_cursor(&self, list: Method, whom: &str, cursor: &str) -> bool {
        let mut cursors = self.cursors.lock();
        let mut was_given = false;
        for whom in [None, Some(whom)] {
            let digest = self.digest.hash_one((list, whom, cursor));
            was_given |= cursors.pop(&digest).is_some();
        }
        was_given
    }

    /// Notes whether everybody may have what came.
    pub fn note(&self, method: Method, is_public: bool) {
        let mut public = self.public.lock();
        public.retain(|known| *known != method);
        if is_public {
            public.push(method);
        }
    }

    /// Whether everybody could have what came last.
    #[must_use]
    pub fn is_public(&self, method: Method) -> bool {
        self.public.lock().contains(&method)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_known_to_whom_it_was_given_and_once() {
        let hints = Hints::default();
        let list = Method::ToolsList;
        hints.note_cursor(list, Some("alice"), "a");
        hints.note_cursor(list, None, "b");
        assert!(!hints.take_cursor(list, "bob", "a"));
        assert!(!hints.take_cursor(Method::PromptsList, "alice", "a"));
        assert!(hints.take_cursor(list, "alice", "a"));
        assert!(!hints.take_cursor(list, "alice", "a"));
        assert!(hints.take_cursor(list, "bob", "b"));
    }

    #[test]
    fn as_many_cursors_are_known_as_there_is_room_for() {
        let hints = Hints::default();
        let list = Method::ToolsList;
        for n in 0..=CURSORS_MAX {
            hints.note_cursor(list, None, &n.to_string());
        }
        assert!(!hints.take_cursor(list, "", "0"));
        assert!(hints.take_cursor(list, "", "1"));
    }
}
