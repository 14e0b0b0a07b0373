//! `cache`.
//!
//! **Invariant:** one entry fits: `l1_entry_bytes_max` is at most `l1_bytes_max`.

use std::time::Duration;

use crate::config::model::Secret;

/// Caching of what servers answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Cache {
    /// Whether anything is cached at all.
    pub enabled: bool,
    /// How many results memory holds.
    pub l1_max_entries: usize,
    /// The largest result kept in memory, in bytes.
    pub l1_entry_bytes_max: usize,
    /// How many bytes all results in memory may take together.
    pub l1_bytes_max: usize,
    /// The second cache, if switched on.
    pub l2: Option<L2>,
}

/// A second cache in Redis.
#[derive(Debug, Clone, PartialEq)]
pub struct L2 {
    /// Where Redis is.
    pub redis_url: Secret,
    /// For how many times its time to live a result is kept, unless the server gave that time.
    pub ttl_multiplier: f64,
    /// What keys begin with.
    pub key_prefix: String,
    /// The largest result kept, in bytes.
    pub entry_bytes_max: usize,
    /// How long a lookup may wait for Redis.
    pub timeout: Duration,
    /// How long a gateway waits for what another one fetches; `None` means that each fetches for
    /// itself.
    pub lease: Option<Duration>,
}
