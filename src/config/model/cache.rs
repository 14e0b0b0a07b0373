//! `cache`.

use crate::config::model::Secret;

/// Caching of tool results.
#[derive(Debug, Clone, PartialEq)]
pub struct Cache {
    /// Whether results are cached at all.
    pub enabled: bool,
    /// How many results memory holds.
    pub l1_max_entries: usize,
    /// The largest result kept in memory, in bytes.
    pub l1_entry_bytes_max: usize,
    /// The second cache, if switched on.
    pub l2: Option<L2>,
}

/// A second cache in Redis.
#[derive(Debug, Clone, PartialEq)]
pub struct L2 {
    /// Where Redis is.
    pub redis_url: Secret,
    /// How many times longer than in memory a result is kept.
    pub ttl_multiplier: f64,
    /// What keys begin with.
    pub key_prefix: String,
    /// The largest result kept, in bytes.
    pub entry_bytes_max: usize,
}
