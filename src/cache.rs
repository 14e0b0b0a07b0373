//! The shared cache: results of servers, given again to callers that ask for the same.
//!
//! Nothing here decides what may be cached or for whom: that is `filters::cache`. Nothing here asks
//! a server either: that is the gateway. Here stand the results, in two tiers, and the fetches that
//! callers wait for together.

pub mod entry;
pub mod flight;
pub mod hints;
pub mod memory;
pub mod redis;
pub mod unsettled;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;
use filters::cache::freshness::Freshness;
use filters::cache::invalidate::Reach;
use filters::cache::key::Key;
use filters::cache::policy::Policy;
use filters::mcp::revision::Era;
use filters::refusal::Refusal;
use pingora::http::ResponseHeader;

use crate::cache::entry::{Entry, Origin};
use crate::cache::flight::Flights;
use crate::cache::hints::Hints;
use crate::cache::memory::{Limits, Memory, Stamp};
use crate::cache::redis::{Invalidated, Redis};
use crate::cache::unsettled::Unsettled;
use crate::telemetry::metrics::cache::Cache as Metrics;

/// What the cache knows of one server.
#[derive(Default)]
pub struct Server {
    /// What its operator allows.
    pub policy: Policy,
    /// What its answers were like lately.
    pub hints: Hints,
}

impl Server {
    /// A server of which nothing is stored yet.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            ..Self::default()
        }
    }
}

/// Both tiers, and what is being fetched.
pub struct Cache {
    /// Whether anything is cached at all.
    pub is_enabled: bool,
    /// The first tier.
    pub memory: Arc<Memory>,
    /// The second tier, where there is one.
    pub redis: Option<Arc<Redis>>,
    /// What is being fetched.
    pub flights: Arc<Flights<Landed>>,
    /// Writes that may not be over.
    pub unsettled: Unsettled,
    counts: Counts,
    n_joined: AtomicU64,
}

/// What a fetch brought to all who waited for it.
#[derive(Clone, Debug)]
pub enum Landed {
    /// A result.
    Result {
        /// The result.
        entry: Arc<Entry>,
        /// Where it comes from, and what became of it.
        fate: Fate,
    },
    /// The server's error: the JSON-RPC error object.
    Error {
        /// The era that it is of.
        era: Era,
        /// The HTTP status that it came with.
        status: u16,
        /// The error object, JSON text.
        error: Arc<str>,
        /// The head that it came with, where that refuses, too.
        head: Option<Arc<ResponseHeader>>,
    },
    /// The server refused without a word of MCP.
    Refused(Arc<Page>),
    /// The server could not be asked.
    Failed {
        /// What callers are told.
        refusal: Refusal,
        /// What the operator is.
        error: Arc<str>,
    },
    /// It failed for a reason that is the first caller's own: whoever else waits may fetch anew.
    Again,
    /// What came can be given to nobody but whoever asks for it alone.
    Alone,
}

impl Landed {
    /// Whether the server is down rather than unwilling: what is old is better than that.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        match self {
            // What a server takes from the gateway, it takes from what is stored, too.
            Self::Failed { refusal, .. } => !matches!(refusal, Refusal::UpstreamCredential { .. }),
            Self::Error { status, .. } => *status >= 500,
            Self::Refused(page) => page.head.status.is_server_error(),
            Self::Result { .. } | Self::Again | Self::Alone => false,
        }
    }
}

/// What a server refuses with that says nothing of MCP.
#[derive(Debug)]
pub struct Page {
    /// Its head, ready for a client.
    pub head: Box<ResponseHeader>,
    /// Its text.
    pub text: Bytes,
    /// Whether it was asked in a session.
    pub is_in_session: bool,
}

/// What became of a result that was fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was in the second tier.
    Found,
    /// It was there and is old, and there is no newer one.
    Old,
    /// It was stored.
    Stored,
    /// It is an error that a tool reports: it is given to those who waited, and not stored.
    ToolError,
    /// It is given to those who waited, and not stored.
    Unstored,
    /// It is only for the caller that it was fetched for.
    Unshared,
}

/// How often the cache was asked, and what it had.
#[derive(Default)]
struct Counts {
    hits: AtomicU64,
    misses: AtomicU64,
    skips: AtomicU64,
}

/// What the cache had for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A result.
    Hit,
    /// None.
    Miss,
    /// It was not asked.
    Skip,
}

/// How often the cache was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Answered from the cache.
    pub hits: u64,
    /// Answered by a server.
    pub misses: u64,
    /// Calls that no cache is for.
    pub skips: u64,
}

impl Cache {
    /// An empty cache.
    #[must_use]
    pub fn new(is_enabled: bool, limits: Limits, redis: Option<Arc<Redis>>) -> Self {
        Self {
            is_enabled,
            memory: Arc::new(Memory::new(limits)),
            redis,
            flights: Arc::default(),
            unsettled: Unsettled::default(),
            counts: Counts::default(),
            n_joined: AtomicU64::new(0),
        }
    }

    /// The first fresh entry of `keys`, or else the first that is good for anything.
    #[must_use]
    pub fn find(
        &self,
        keys: impl IntoIterator<Item = Key>,
        now: Instant,
    ) -> Option<(Arc<Entry>, Freshness)> {
        let mut stale = None;
        for key in keys {
            match self.memory.find(&key, now) {
                Some((entry, freshness @ Freshness::Fresh { .. })) => {
                    return Some((entry, freshness));
                }
                Some(found) => stale = stale.or(Some(found)),
                None => {}
            }
        }
        stale
    }

    /// Drops all that `reach` covers of a server. Whoever asks after this gets nothing older.
    pub async fn invalidate(&self, server: &Arc<str>, reach: &Reach) -> usize {
        let dropped = self.memory.invalidate(server, reach);
        if let Some(redis) = &self.redis {
            let told = redis.invalidate(server, reach).await;
            if told != Invalidated::Everywhere {
                tracing::debug!(server.id = %server, ?told, "Not every instance is known to have heard");
            }
            // What was found in the second tier meanwhile may be old.
            self.memory.invalidate(server, reach);
        }
        dropped
    }

    /// Drops the result of one key, whichever of these servers it is of.
    pub async fn remove(&self, key: &Key, servers: &[Arc<str>]) -> bool {
        let is_here = self.memory.remove(key, servers.iter());
        let Some(redis) = &self.redis else {
            return is_here;
        };
        let is_there = redis.remove(key).await.unwrap_or_else(|error| {
            tracing::debug!(%error, "Result could not be removed from Redis");
            false
        });
        let mut is_again = false;
        for server in servers {
            // Other instances may have it in memory alone.
            is_again |= self.invalidate(server, &Reach::Key(*key)).await > 0;
        }
        is_here || is_there || is_again
    }

    /// As [`Self::invalidate`], at once as far as this instance goes. What is left to be done is for
    /// a task: the others are told.
    pub fn invalidate_here(
        self: &Arc<Self>,
        server: &Arc<str>,
        reach: Reach,
    ) -> Option<impl Future<Output = ()> + Send + 'static + use<>> {
        self.memory.invalidate(server, &reach);
        self.redis.as_ref()?;
        let (cache, server) = (Arc::clone(self), Arc::clone(server));
        Some(async move {
            cache.invalidate(&server, &reach).await;
        })
    }

    /// Whether nothing that concerns `origin` was invalidated since `stamp`.
    #[must_use]
    pub fn is_current(&self, origin: &Origin, key: &Key, stamp: Stamp) -> bool {
        self.memory.is_current(origin, key, stamp)
    }

    /// Shows how full it is.
    pub fn show(&self, metrics: &Metrics) {
        let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        metrics.entries.set(gauge(self.memory.count()));
        metrics.bytes.set(gauge(self.memory.bytes()));
        metrics.fetches.set(gauge(self.flights.count()));
        let new = self
            .memory
            .evicted()
            .saturating_sub(metrics.evictions.get());
        metrics.evictions.inc_by(new);
    }

    /// Counts a caller that waits for another's fetch.
    pub fn count_joined(&self) {
        self.n_joined.fetch_add(1, Ordering::Relaxed);
    }

    /// Callers that waited for another's fetch.
    #[must_use]
    pub fn joined(&self) -> u64 {
        self.n_joined.load(Ordering::Relaxed)
    }

    /// Counts what the cache had for a call.
    pub fn count(&self, found: Found) {
        let counter = match found {
            Found::Hit => &self.counts.hits,
            Found::Miss => &self.counts.misses,
            Found::Skip => &self.counts.skips,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// How often it was asked.
    #[must_use]
    pub fn asked(&self) -> Asked {
        Asked {
            hits: self.counts.hits.load(Ordering::Relaxed),
            misses: self.counts.misses.load(Ordering::Relaxed),
            skips: self.counts.skips.load(Ordering::Relaxed),
        }
    }
}
