//! What is kept of a result.

use std::mem::size_of;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use filters::cache::freshness::{Freshness, Lifetime};
use filters::cache::key::Key;
use filters::mcp::method::Method;
use filters::mcp::revision::Era;

/// One result of one server, as the server gave it.
#[derive(Debug)]
pub struct Entry {
    /// What it is found by.
    pub key: Key,
    /// What it is a result of.
    pub origin: Origin,
    /// The era that its text is of.
    pub era: Era,
    /// The result, JSON text.
    pub text: Box<str>,
    /// Where the number of its `ttlMs` stands in the text, if it has one.
    pub ttl_span: Option<Range<usize>>,
    /// How long it is good, as its server said.
    pub ttl: Option<Duration>,
    /// Whether its lifetime is the operator's word, not its server's.
    pub is_operators: bool,
    /// Who may be given it.
    pub share: Share,
    /// When it was fetched, or when it would have been where another instance did.
    pub fetched: Instant,
    /// How long it is used, and how.
    pub lifetime: Lifetime,
}

/// What a result is a result of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The server's id.
    pub server: Arc<str>,
    /// The method.
    pub method: Method,
    /// The tool or the URI, as the server spells it; nothing for lists.
    pub target: Option<Arc<str>>,
}

/// Who is given a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// The caller it was fetched for.
    Private,
    /// That caller's tenant.
    Tenant,
    /// Everybody.
    Public,
}

impl Share {
    /// Its name.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Tenant => "tenant",
            Self::Public => "public",
        }
    }

    /// The share of that name.
    #[must_use]
    pub fn parse(label: &str) -> Option<Self> {
        [Self::Private, Self::Tenant, Self::Public]
            .into_iter()
            .find(|share| share.label() == label)
    }
}

impl Entry {
    /// How old it is.
    #[must_use]
    pub fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.fetched)
    }

    /// What it is still good for.
    #[must_use]
    pub fn freshness(&self, now: Instant) -> Freshness {
        self.lifetime.judge(self.age(now))
    }

    /// How long a client may take it as it is: what is left of the server's own promise.
    #[must_use]
    pub fn ttl_left(&self, now: Instant) -> Duration {
        let promised = self.ttl.unwrap_or_default();
        promised.saturating_sub(self.age(now))
    }

    /// About how much memory it takes, in bytes, with what finds it.
    #[must_use]
    pub fn weight(&self) -> usize {
        let target = self.origin.target.as_ref().map_or(0, |target| target.len());
        size_of::<Self>() + self.text.len() + target + OVERHEAD_BYTES
    }
}

/// What maps, the order of use and the allocator take for an entry, measured (see docs/BENCHMARKS.md).
const OVERHEAD_BYTES: usize = 200;
