//! `router`.

use std::time::Duration;

use crate::config::choice::{LoadBalancing, NamespaceStrategy, Separator};

/// How calls find a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Router {
    /// How tools of several servers are named.
    pub namespace_strategy: NamespaceStrategy,
    /// What stands between a server's id and a tool's own name.
    pub namespace_separator: Separator,
    /// The longest name clients are given, in characters; `None` shortens nothing.
    pub name_limit: Option<usize>,
    /// Bounds of the lists that servers give.
    pub lists: Lists,
    /// How calls are spread over replicas.
    pub load_balancing: LoadBalancing,
    /// Periodic checks, if switched on.
    pub health_check: Option<HealthCheck>,
    /// The circuit breaker, if switched on.
    pub circuit_breaker: Option<CircuitBreaker>,
}

/// How long lists of tools, prompts and resources may take, and how long they hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lists {
    /// How long one server may take.
    pub timeout: Duration,
    /// How long an aggregated list may take as a whole; at least `timeout`.
    pub deadline: Duration,
    /// The time after which lists are read again, before jitter.
    pub refresh: Duration,
    /// How long the last good lists of a server that does not answer are served; zero serves none.
    pub stale_max: Duration,
    /// Items a page of an aggregated list.
    pub page_size: usize,
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
