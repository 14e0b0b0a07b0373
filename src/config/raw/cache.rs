//! `cache` as it is written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Caching of tool results.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Cache {
    /// Whether results are cached at all. Which ones is decided by `servers[].cache` and by what
    /// servers say about their tools.
    pub enabled: bool,
    /// The cache in the gateway's memory.
    pub l1: L1,
    /// A second cache in Redis, shared by several gateways.
    pub l2: Option<L2>,
}

/// The cache in the gateway's memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct L1 {
    /// How many results are kept; the least recently used goes first.
    #[schemars(range(min = 1, max = 100000000))]
    pub max_entries: u32,
    /// Results larger than this are not kept.
    #[schemars(range(min = 1, max = 1048576))]
    pub max_entry_size_kb: u32,
}

/// A second cache in Redis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct L2 {
    /// Whether it is used. Writing the section switches it on.
    pub enabled: bool,
    /// Where Redis is, such as `redis://localhost:6379`. `CONDUIT_REDIS_URL` overrides it.
    #[schemars(extend("writeOnly" = true))]
    pub redis_url: Option<String>,
    /// How many times longer than in memory a result is kept in Redis.
    #[schemars(range(min = 1, max = 1000000))]
    pub default_ttl_multiplier: f64,
    /// What Redis keys begin with.
    pub key_prefix: String,
    /// Results larger than this are not kept in Redis.
    #[schemars(range(min = 1, max = 524288))]
    pub max_entry_size_kb: u32,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            enabled: true,
            l1: L1::default(),
            l2: None,
        }
    }
}

impl Default for L1 {
    fn default() -> Self {
        Self {
            max_entries: 10_000,
            max_entry_size_kb: 64,
        }
    }
}

impl Default for L2 {
    fn default() -> Self {
        Self {
            enabled: true,
            redis_url: None,
            default_ttl_multiplier: 3.0,
            key_prefix: "conduit:cache:".to_owned(),
            max_entry_size_kb: 512,
        }
    }
}
