//! The configuration as the rest of the program reads it: defaults applied, units in the types,
//! dialects gone, addresses and names parsed.
//!
//! **Invariant:** a model that [`crate::config::load`] returned obeys every rule of
//! `docs/CONFIGURATION.md`; nobody checks again.
//! **Invariant:** `Debug` shows nothing of the fields that are made to hold secrets.

use std::fmt;

pub mod access;
pub mod cache;
pub mod connect;
pub mod extend;
pub mod gateway;
pub mod governance;
pub mod guard;
pub mod limit;
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
