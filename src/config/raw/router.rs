//! `router` as it is written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::choice::{LoadBalancing, NamespaceStrategy, Separator};

/// How calls find a server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Router {
    /// How tools are named where several servers share an endpoint: `prefix` gives
    /// `github.list_repos`; `none` keeps bare names and refuses two servers with the same tool.
    pub namespace_strategy: NamespaceStrategy,
    /// With `prefix`: what stands between the server's id and the tool's own name. With `"-"`
    /// (write the quotes), no id may be another one followed by a dash.
    pub namespace_separator: Separator,
    /// The longest tool or prompt name that clients are given on an aggregated endpoint; `off`
    /// shortens nothing. With a limit, names consist of letters, digits, `_` and `-`; whatever
    /// does not fit ends in a digest of the whole name. Some clients refuse names above 64 or 60.
    pub name_limit: NameLimit,
    /// How long one server may take to give its lists of tools, prompts and resources; when it
    /// takes longer, its last good lists are served.
    #[schemars(range(min = 1, max = 2147483647))]
    pub list_timeout_ms: u32,
    /// How long an aggregated list may take as a whole; not less than `list_timeout_ms`.
    #[schemars(range(min = 1, max = 2147483647))]
    pub list_deadline_ms: u32,
    /// The time after which a server's lists are read again although it announced no change; it
    /// varies a little, so that not all servers are asked at once.
    #[schemars(range(min = 1, max = 31536000))]
    pub list_refresh_seconds: u32,
    /// How long the last good lists of a server that does not answer are served; 0 serves none.
    #[schemars(range(max = 31536000))]
    pub list_stale_seconds: u32,
    /// How many items a page of an aggregated list holds.
    #[schemars(range(min = 1, max = 100000))]
    pub list_page_size: u32,
    /// How calls are spread over the replicas of a server.
    pub load_balancing: LoadBalancing,
    /// Periodic checks that a server still answers.
    pub health_check: HealthCheck,
    /// Stops calling a replica that keeps failing. Absent means off.
    pub circuit_breaker: Option<CircuitBreaker>,
}

/// A length that names are fitted to, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum NameLimit {
    /// None.
    Off(Off),
    /// So many characters.
    Length(#[schemars(range(min = 16, max = 128))] u32),
}

/// The word for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Off {
    /// No limit.
    Off,
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

impl Default for Router {
    fn default() -> Self {
        Self {
            namespace_strategy: NamespaceStrategy::default(),
            namespace_separator: Separator::default(),
            name_limit: NameLimit::Off(Off::Off),
            list_timeout_ms: 3_000,
            list_deadline_ms: 10_000,
            list_refresh_seconds: 300,
            list_stale_seconds: 86_400,
            list_page_size: 1_000,
            load_balancing: LoadBalancing::default(),
            health_check: HealthCheck::default(),
            circuit_breaker: None,
        }
    }
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
