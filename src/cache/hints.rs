//! What the answers of one server were like lately, so that those who ask need not find out each
//! for itself.
//!
//! Hints make nothing right or wrong: they save a wait for what will not be shared, or a second
//! fetch of what will.

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

/// The hints of one server.
pub struct Hints {
    never: Mutex<LruCache<Key, Instant>>,
    public: Mutex<Vec<Method>>,
}

impl Default for Hints {
    fn default() -> Self {
        let max = NonZeroUsize::new(NEVER_MAX).unwrap_or(NonZeroUsize::MIN);
        Self {
            never: Mutex::new(LruCache::new(max)),
            public: Mutex::default(),
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
