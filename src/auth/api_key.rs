//! API keys.
//!
//! **Invariant:** keys are held and compared as SHA-256 digests only. How long a look-up takes says
//! something about digests, from which nothing can be learned of a key.

use std::collections::HashMap;
use std::net::IpAddr;

use filters::identity::Identity;
use sha2::{Digest, Sha256};

use crate::auth::places::Places;

/// The SHA-256 digest of a key.
pub type Fingerprint = [u8; 32];

/// The keys that are accepted.
#[derive(Default)]
pub struct Keys {
    keys: HashMap<Fingerprint, (Key, Places)>,
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

/// A key that was found.
pub struct Found<'k> {
    key: &'k Key,
    places: &'k Places,
}

impl Keys {
    /// Keys by their fingerprints.
    #[must_use]
    pub fn new(keys: impl IntoIterator<Item = (Fingerprint, Key)>) -> Self {
        let keys = keys.into_iter();
        Self {
            keys: keys
                .map(|(print, key)| (print, (key, Places::default())))
                .collect(),
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
        let (key, places) = self.keys.get(&fingerprint(text))?;
        Some(Found { key, places })
    }
}

impl Found<'_> {
    /// Whether the key was accepted from there before, not too many other places ago.
    #[must_use]
    pub fn is_known_from(&self, source: Option<IpAddr>) -> bool {
        self.places.holds(source)
    }

    /// Whose key it is, unless its time is over. Where it was used from is remembered.
    #[must_use]
    pub fn accept(&self, source: Option<IpAddr>, now: u64) -> Option<Identity> {
        if self.key.is_over(now) {
            return None;
        }
        self.places.note(source);
        Some(self.key.identity.clone())
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
}
