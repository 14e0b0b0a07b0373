//! `rate_limits` as it is written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::choice::LimitBackend;
use crate::config::choice::OnBackendError;

/// How often clients may call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RateLimits {
    /// Whether limits are enforced.
    pub enabled: bool,
    /// Where the counters live: `memory` of one gateway, or `redis` for several.
    pub backend: LimitBackend,
    /// With `redis`: where it is. `CONDUIT_REDIS_URL` overrides it.
    #[schemars(extend("writeOnly" = true))]
    pub redis_url: Option<String>,
    /// What the names of keys in Redis begin with. Gateways that share counters have the same.
    #[schemars(length(min = 1))]
    pub key_prefix: String,
    /// What happens to calls while Redis does not answer within 50 ms: `allow` lets them pass,
    /// uncounted; `deny` refuses them with 503.
    pub on_backend_error: OnBackendError,
    /// The limit of all clients together.
    pub global: Limit,
    /// The limit of each client.
    pub per_client: Limit,
    /// Limits for single servers and tools.
    pub overrides: Vec<LimitOverride>,
    /// Lets calls over the limit wait instead of refusing them at once.
    pub queue: Queue,
}

/// How many calls fit into a span of time. Several may be given; all hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limit {
    /// Calls in any minute.
    #[schemars(range(min = 1, max = 4294967295_u64))]
    pub requests_per_minute: Option<u32>,
    /// Calls in any hour.
    #[schemars(range(min = 1, max = 4294967295_u64))]
    pub requests_per_hour: Option<u32>,
    /// Calls in any day.
    #[schemars(range(min = 1, max = 4294967295_u64))]
    pub requests_per_day: Option<u32>,
    /// Calls in any `window_seconds`.
    #[schemars(range(min = 1, max = 4294967295_u64))]
    pub requests: Option<u32>,
    /// The span of time for `requests`. Absent means 60.
    #[schemars(range(min = 1, max = 31536000))]
    pub window_seconds: Option<u32>,
}

/// Limits of one server and its tools.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["server"]))]
pub struct LimitOverride {
    /// The server's id.
    #[schemars(length(min = 1))]
    pub server: String,
    /// Calls in any minute.
    #[schemars(range(min = 1, max = 4294967295_u64))]
    pub requests_per_minute: Option<u32>,
    /// Calls in any hour.
    #[schemars(range(min = 1, max = 4294967295_u64))]
    pub requests_per_hour: Option<u32>,
    /// Calls in any day.
    #[schemars(range(min = 1, max = 4294967295_u64))]
    pub requests_per_day: Option<u32>,
    /// Calls in any `window_seconds`.
    #[schemars(range(min = 1, max = 4294967295_u64))]
    pub requests: Option<u32>,
    /// The span of time for `requests`. Absent means 60.
    #[schemars(range(min = 1, max = 31536000))]
    pub window_seconds: Option<u32>,
    /// Limits for single tools, by tool name, of all clients together.
    pub per_tool: BTreeMap<String, Limit>,
    /// Limits of each client at single tools, by tool name.
    pub per_client_tool: BTreeMap<String, Limit>,
}

/// Lets calls over the limit wait.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Queue {
    /// Whether calls wait.
    pub enabled: bool,
    /// How long a call waits before it is refused.
    #[schemars(range(max = 2147483647))]
    pub max_wait_ms: u32,
    /// How many calls may wait at once.
    #[schemars(range(min = 1, max = 1000000))]
    pub max_queue_size: u32,
}

impl Default for RateLimits {
    fn default() -> Self {
        Self {
            enabled: false,
            backend: LimitBackend::default(),
            redis_url: None,
            key_prefix: "conduit:limits:".to_owned(),
            on_backend_error: OnBackendError::default(),
            global: Limit::default(),
            per_client: Limit::default(),
            overrides: Vec::new(),
            queue: Queue::default(),
        }
    }
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            enabled: false,
            max_wait_ms: 5_000,
            max_queue_size: 100,
        }
    }
}
