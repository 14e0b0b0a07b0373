//! `router` as it is written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::choice::{LoadBalancing, NamespaceStrategy};

/// How calls find a server.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Router {
    /// How tools are named where several servers share an endpoint: `prefix` gives
    /// `github.list_repos`; `none` keeps bare names and refuses two servers with the same tool.
    pub namespace_strategy: NamespaceStrategy,
    /// How calls are spread over the replicas of a server.
    pub load_balancing: LoadBalancing,
    /// Periodic checks that a server still answers.
    pub health_check: HealthCheck,
    /// Stops calling a replica that keeps failing. Absent means off.
    pub circuit_breaker: Option<CircuitBreaker>,
}

/// Periodic checks that a server still answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HealthCheck {
    /// Whether servers are checked at all.
    pub enabled: bool,
    /// The time between two checks.
    #[schemars(range(min = 1, max = 31536000))]
    pub interval_seconds: u32,
    /// How long one check may take.
    #[schemars(range(min = 1, max = 2147483647))]
    pub timeout_ms: u32,
    /// How many checks in a row must fail before a replica is taken out.
    #[schemars(range(min = 1, max = 1000000))]
    pub unhealthy_threshold: u32,
    /// How many checks in a row must succeed before a replica is taken back.
    #[schemars(range(min = 1, max = 1000000))]
    pub healthy_threshold: u32,
}

/// Stops calling a replica that keeps failing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CircuitBreaker {
    /// Whether the breaker works.
    pub enabled: bool,
    /// How many failures in a row open the circuit.
    #[schemars(range(min = 1, max = 1000000))]
    pub failure_threshold: u32,
    /// How long the circuit stays open before trial calls are let through.
    #[schemars(range(min = 1, max = 2147483647))]
    pub reset_timeout_ms: u32,
    /// How many trial calls may be in flight at once.
    #[schemars(range(min = 1, max = 1000000))]
    pub half_open_max_requests: u32,
    /// How many trial calls must succeed to close the circuit.
    #[schemars(range(min = 1, max = 1000000))]
    pub success_threshold: u32,
}

impl Default for HealthCheck {
    fn default() -> Self {
        Self {
            enabled: true,
            interval_seconds: 30,
            timeout_ms: 5_000,
            unhealthy_threshold: 3,
            healthy_threshold: 1,
        }
    }
}

impl Default for CircuitBreaker {
    fn default() -> Self {
        Self {
            enabled: false,
            failure_threshold: 5,
            reset_timeout_ms: 30_000,
            half_open_max_requests: 1,
            success_threshold: 2,
        }
    }
}
