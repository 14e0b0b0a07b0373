//! `cache` as it is written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Caching of what servers answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Cache {
    /// Whether anything is cached at all. What, and for how long, is decided by `servers[].cache`
    /// and by what servers say about their tools and results.
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
    /// How many results are kept; one that was not used lately goes first.
    #[schemars(range(min = 1, max = 100000000))]
    pub max_entries: u32,
    /// Results larger than this are not kept. Not more than `max_size_mb`.
    #[schemars(range(min = 1, max = 1048576))]
    pub max_entry_size_kb: u32,
    /// How much memory all results may take together; those not used lately go first.
    #[schemars(range(min = 1, max = 1048576))]
    pub max_size_mb: u32,
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
    /// For how many times its own time to live a result is kept in Redis. What is cached by the
    /// operator's word (`default_ttl`, `ttl` or `list_ttl` of a server) may so be given from Redis
    /// for that time multiplied by this number; with 1 it is not given any longer than from memory.
    /// What is cached by a `ttlMs` that its server gave is kept for that time and no longer.
    #[schemars(range(min = 1, max = 1000000))]
    pub default_ttl_multiplier: f64,
    /// What Redis keys begin with.
    pub key_prefix: String,
    /// Results larger than this are not kept in Redis.
    #[schemars(range(min = 1, max = 524288))]
    pub max_entry_size_kb: u32,
    /// How long a lookup may wait for Redis; after that it goes on as if Redis had nothing.
    #[schemars(range(min = 1, max = 10000))]
    pub timeout_ms: u32,
    /// Lets the gateways that share this Redis take turns: what none of them has is fetched by one,
    /// and the others wait this long for it before they fetch it themselves; 0 means that each
    /// fetches for itself.
    #[schemars(range(max = 60000))]
    pub lease_ms: u32,
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
            max_size_mb: 256,
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
            timeout_ms: 50,
            lease_ms: 0,
        }
    }
}
