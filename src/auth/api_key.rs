//! API keys.
//!
//! **Invariant:** keys are held and compared as SHA-256 digests only. How long a look-up takes says
//! something about digests, from which nothing can be learned of a key.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use filters::identity::Identity;
use sha2::{Digest, Sha256};

use crate::auth::throttle;

/// The SHA-256 digest of a key.
pub type Fingerprint = [u8; 32];

/// How many of the places that a key was used from last are remembered.
const SOURCES_MAX: usize = 8;

/// The keys that are accepted.
#[derive(Default)]
pub struct Keys {
    keys: HashMap<Fingerprint, (Key, Sources)>,
    hasher: RandomState,
}

/// One key.
#[derive(Clone, Debug)]
pub struct Key {
    /// Whose it is.
    pub identity: Identity,
    /// When it expires, in seconds since 1970.
    pub expires: Option<u64>,
}

impl Key {
    /// Whether its time is over.
    #[must_use]
    pub fn is_over(&self, now: u64) -> bool {
        self.expires.is_some_and(|at| now >= at)
    }
}

/// Digests of the places that a key was used from last.
#[derive(Default)]
struct Sources {
    seen: [AtomicU64; SOURCES_MAX],
    next: AtomicUsize,
}

/// A key that was found.
pub struct Found<'k> {
    key: &'k Key,
    sources: &'k Sources,
    hasher: &'k RandomState,
}

impl Keys {
    /// Keys by their fingerprints.
    #[must_use]
    pub fn new(keys: impl IntoIterator<Item = (Fingerprint, Key)>) -> Self {
        let keys = keys.into_iter();
        Self {
            keys: keys
                .map(|(print, key)| (print, (key, Sources::default())))
                .collect(),
            hasher: RandomState::new(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The key that a text is, whether or not its time is over.
    #[must_use]
    pub fn find(&self, text: &str) -> Option<Found<'_>> {
        if self.keys.is_empty() {
            return None;
        }
        let (key, sources) = self.keys.get(&fingerprint(text))?;
        Some(Found {
            key,
            sources,
            hasher: &self.hasher,
        })
    }
}

impl Found<'_> {
    /// Whether the key was accepted from there before, not too many other places ago.
    #[must_use]
    pub fn is_known_from(&self, source: Option<IpAddr>) -> bool {
        let place = self.place(source);
        let mut seen = self.sources.seen.iter();
        seen.any(|one| one.load(Ordering::Relaxed) == place)
    }

    /// Whose key it is, unless its time is over. Where it was used from is remembered.
    #[must_use]
    pub fn accept(&self, source: Option<IpAddr>, now: u64) -> Option<Identity> {
        if self.key.is_over(now) {
            return None;
        }
        self.note(source);
        Some(self.key.identity.clone())
    }

    fn note(&self, source: Option<IpAddr>) {
        if self.is_known_from(source) {
            return;
        }
        let next = self.sources.next.fetch_add(1, Ordering::Relaxed) % SOURCES_MAX;
        if let Some(slot) = self.sources.seen.get(next) {
            slot.store(self.place(source), Ordering::Relaxed);
        }
    }

    /// Never 0, which stands for nothing.
    fn place(&self, source: Option<IpAddr>) -> u64 {
        self.hasher.hash_one(source.map(throttle::network)) | 1
    }
}

/// The fingerprint of a key.
#[must_use]
pub fn fingerprint(key: &str) -> Fingerprint {
    Sha256::digest(key).into()
}

#[cfg(test)]
mod tests {
    use filters::identity::{Principal, Proof};

    use super::*;

    fn keys() -> Keys {
        let key = Key {
            identity: Identity::new(Principal {
                proof: Proof::ApiKey,
                ..Principal::anonymous()
            }),
            expires: Some(100),
        };
        Keys::new([(fingerprint("secret"), key)])
    }

    #[test]
    fn a_key_that_is_nearly_right_is_wrong() {
        let keys = keys();
        assert!(keys.find("secret").is_some());
        for text in ["", "secre", "secretx", "Secret", "secret ", "se cret"] {
            assert!(keys.find(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn a_key_ends_at_its_time() {
        let keys = keys();
        let found = keys.find("secret").unwrap();
        assert!(found.accept(None, 99).is_some() && found.accept(None, 100).is_none());
    }

    #[test]
    fn a_key_is_known_from_the_places_it_was_used_from_last() {
        let keys = keys();
        let found = keys.find("secret").unwrap();
        let at = |n: u8| Some(IpAddr::from([192, 0, 2, n]));
        assert!(!found.is_known_from(at(0)));
        found.note(at(0));
        assert!(found.is_known_from(at(0)) && !found.is_known_from(at(1)));
        for n in 1..=u8::try_from(SOURCES_MAX).unwrap() {
            found.note(at(n));
            found.note(at(n));
        }
        assert!(!found.is_known_from(at(0)), "others came after it");
        assert!(found.is_known_from(at(1)));
    }
}
