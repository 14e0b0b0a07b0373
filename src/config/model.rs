//! The configuration as the rest of the program reads it: defaults applied, units in the types,
//! dialects gone, addresses and names parsed.
//!
//! **Invariant:** a model that [`crate::config::load`] returned obeys every rule of
//! `docs/CONFIGURATION.md`; nobody checks again.
//! **Invariant:** `Debug` shows nothing of the fields that are made to hold secrets, and serialised
//! they are digests.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

pub mod access;
pub mod acl;
pub mod cache;
pub mod connect;
pub mod credential;
pub mod extend;
pub mod gateway;
pub mod governance;
pub mod guard;
pub mod limit;
pub mod lock;
pub mod observe;
pub mod router;
pub mod runtime;
pub mod server;
pub mod session;
pub mod url;

/// A text that must not be shown.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself, for whoever has to compare or send it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret(…)")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&digest(self.0.as_bytes()))
    }
}

/// The SHA-256 digest of a value that must not be shown, as text.
fn digest(value: &[u8]) -> String {
    STANDARD_NO_PAD.encode(Sha256::digest(value))
}
