//! `sessions` as it is written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::choice::SessionBackend;

/// The sessions of clients that speak a revision with sessions, and calls that wait for a client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sessions {
    /// Where sessions live: `memory` of one gateway, or `redis`, so that any of several gateways
    /// serves any session.
    pub backend: SessionBackend,
    /// With `redis`: where it is. `CONDUIT_REDIS_URL` overrides it if the file has `sessions`.
    /// Absent means `rate_limits.redis_url`, else `cache.l2.redis_url`. It must not evict keys
    /// (`maxmemory-policy noeviction`): a session, or the mark that something was used up, would
    /// be lost.
    #[schemars(extend("writeOnly" = true))]
    pub redis_url: Option<String>,
    /// With `redis`: what its keys begin with. Gateways that share sessions have the same.
    #[schemars(length(min = 1, max = 256))]
    pub key_prefix: String,
    /// The secret, of at least 32 bytes, that seals what clients and Redis keep for Conduit.
    /// Gateways that share sessions have the same. Absent means a random one; with `redis` the
    /// gateways share that one through Redis, and whoever can read Redis can then open the seals.
    #[schemars(extend("writeOnly" = true))]
    pub secret: Option<String>,
    /// How many sessions are kept; a further one is refused.
    #[schemars(range(min = 1, max = 10000000))]
    pub max_sessions: u32,
    /// How many of them one client may have. Without `auth` all clients count as one.
    #[schemars(range(min = 1, max = 10000000))]
    pub max_per_client: u32,
    /// How long a session may be unused before it ends.
    #[schemars(range(min = 1, max = 31536000))]
    pub idle_seconds: u32,
    /// How long a call waits for the client's answer to a server's question (elicitation, sampling
    /// or roots) before the server is told that there is none.
    #[schemars(range(min = 1, max = 86400))]
    pub parked_ttl_seconds: u32,
    /// How many calls may wait so; the question of a further one is answered at once with an error.
    #[schemars(range(min = 1, max = 1000000))]
    pub max_parked: u32,
    /// How many of them may be one client's. Without `auth` all clients count as one.
    #[schemars(range(min = 1, max = 1000000))]
    pub max_parked_per_client: u32,
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            backend: SessionBackend::Memory,
            redis_url: None,
            key_prefix: "conduit:session:".to_owned(),
            secret: None,
            max_sessions: 100_000,
            max_per_client: 10_000,
            idle_seconds: 1_800,
            parked_ttl_seconds: 300,
            max_parked: 10_000,
            max_parked_per_client: 100,
        }
    }
}
