//! `router`.

use std::time::Duration;

use crate::config::choice::{LoadBalancing, NamespaceStrategy};

/// How calls find a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Router {
    /// How tools of several servers are named.
    pub namespace_strategy: NamespaceStrategy,
    /// How calls are spread over replicas.
    pub load_balancing: LoadBalancing,
    /// Periodic checks, if switched on.
    pub health_check: Option<HealthCheck>,
    /// The circuit breaker, if switched on.
    pub circuit_breaker: Option<CircuitBreaker>,
}

/// Periodic checks that a server still answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthCheck {
    /// The time between two checks.
    pub interval: Duration,
    /// How long one may take.
    pub timeout: Duration,
    /// Failures in a row that take a replica out.
    pub unhealthy_threshold: usize,
    /// Successes in a row that take it back.
    pub healthy_threshold: usize,
}

/// Stops calling a replica that keeps failing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CircuitBreaker {
    /// Failures in a row that open the circuit.
    pub failure_threshold: u32,
    /// How long it stays open.
    pub reset_timeout: Duration,
    /// Trial calls in flight at once.
    pub half_open_max_requests: u32,
    /// Trial calls that must succeed.
    pub success_threshold: u32,
}
