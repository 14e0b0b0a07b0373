//! Where a key was used from: who guesses keys does so from elsewhere than who has one.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::auth::throttle;

/// How many of the places that a key was used from last are remembered.
const PLACES_MAX: usize = 8;

/// Digests of the places that a key was used from last.
#[derive(Default)]
pub struct Places {
    seen: [AtomicU64; PLACES_MAX],
    next: AtomicUsize,
    hasher: RandomState,
}

impl Places {
    /// Whether the key was used from there, not too many other places ago.
    #[must_use]
    pub fn holds(&self, source: Option<IpAddr>) -> bool {
        let place = self.place(source);
        let mut seen = self.seen.iter();
        seen.any(|one| one.load(Ordering::Relaxed) == place)
    }

    /// Remembers that the key was used from there.
    pub fn note(&self, source: Option<IpAddr>) {
        if self.holds(source) {
            return;
        }
        let next = self.next.fetch_add(1, Ordering::Relaxed) % PLACES_MAX;
        if let Some(slot) = self.seen.get(next) {
            slot.store(self.place(source), Ordering::Relaxed);
        }
    }

    /// Never 0, which stands for nothing.
    fn place(&self, source: Option<IpAddr>) -> u64 {
        self.hasher.hash_one(source.map(throttle::network)) | 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_from_the_places_it_was_used_from_last() {
        let places = Places::default();
        let at = |n: u8| Some(IpAddr::from([192, 0, 2, n]));
        assert!(!places.holds(at(0)));
        places.note(at(0));
        assert!(places.holds(at(0)) && !places.holds(at(1)));
        for n in 1..=u8::try_from(PLACES_MAX).unwrap() {
            places.note(at(n));
            places.note(at(n));
        }
        assert!(!places.holds(at(0)), "others came after it");
        assert!(places.holds(at(1)));
    }
}
