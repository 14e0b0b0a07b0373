//! One list of a server's, whole.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use filters::cache::policy::Annotations;
use filters::mcp::mirror::Mirrors;

/// One list, whole.
#[derive(Debug)]
pub struct Listing {
    /// The items, JSON text each, in the server's order.
    pub items: Vec<String>,
    /// When it was read.
    pub read: Instant,
    /// How long it is good, as the server said.
    pub ttl: Option<Duration>,
    /// How long it is good by anybody's word, the operator's, too.
    pub(super) promise: Duration,
    /// Whether the server lets anybody share it.
    pub is_public: bool,
    pub(super) places: HashMap<String, usize>,
    /// The tools of which some arguments stand in headers, too.
    pub(super) mirrored: HashMap<String, Arc<Mirrors>>,
    /// What tools do, as their server says.
    pub(super) annotations: HashMap<String, Annotations>,
}

impl Listing {
    /// Whether somebody's word for how long it is good still holds.
    pub(super) fn is_promised(&self) -> bool {
        self.read.elapsed() < self.promise
    }

    /// Which arguments of a tool stand in headers, too; nothing where none do.
    #[must_use]
    pub fn mirrors(&self, tool: &str) -> Option<Arc<Mirrors>> {
        self.mirrored.get(tool).map(Arc::clone)
    }

    /// What a tool does, as its server says; nothing where it is not in the list.
    #[must_use]
    pub fn annotations(&self, tool: &str) -> Option<Annotations> {
        self.annotations.get(tool).copied()
    }

    /// The item of that name or URI.
    #[must_use]
    pub fn find(&self, key: &str) -> Option<&str> {
        self.places
            .get(key)
            .and_then(|&at| self.items.get(at))
            .map(String::as_str)
    }
}

/// A list as it is given, and how good it is.
#[derive(Clone, Debug, Default)]
pub struct Listed {
    /// The last good list; nothing where there never was one, or it is too old.
    pub listing: Option<Arc<Listing>>,
    /// Why it is not a fresh one.
    pub failure: Option<Arc<str>>,
}
