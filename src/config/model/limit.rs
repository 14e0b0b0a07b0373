//! `rate_limits`.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::choice::OnBackendError;
use crate::config::model::Secret;

/// How often clients may call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RateLimits {
    /// Whether limits are enforced.
    pub enabled: bool,
    /// Where the counters live.
    pub store: Store,
    /// What happens to calls while that does not answer.
    pub on_backend_error: OnBackendError,
    /// The limit of all clients together.
    pub global: Vec<Limit>,
    /// The limit of each client.
    pub per_client: Vec<Limit>,
    /// Limits of single servers.
    pub overrides: Vec<Override>,
    /// Lets calls wait, if switched on.
    pub queue: Option<Queue>,
}

/// Where counters live.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Store {
    /// In this process.
    #[default]
    Memory,
    /// In Redis.
    Redis {
        /// Its URL.
        url: Secret,
        /// What keys begin with.
        key_prefix: String,
    },
}

/// So many calls in any span of this length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// How many calls.
    pub n_calls: u32,
    /// In which time.
    pub window: Duration,
}

/// Limits of one server and its tools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// The server's id.
    pub server: String,
    /// Its limits.
    pub limits: Vec<Limit>,
    /// Those of its tools, by name.
    pub per_tool: BTreeMap<String, Vec<Limit>>,
    /// Those of each client at its tools, by name.
    pub per_client_tool: BTreeMap<String, Vec<Limit>>,
}

/// Lets calls over the limit wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queue {
    /// How long.
    pub max_wait: Duration,
    /// How many at once.
    pub n_calls_max: usize,
}

impl RateLimits {
    /// Whether there is anything to enforce.
    #[must_use]
    pub fn has_limits(&self) -> bool {
        !(self.global.is_empty() && self.per_client.is_empty() && self.overrides.is_empty())
    }
}
