//! `observability` and `metrics` as they are written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Request log, redaction and tracing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Observability {
    /// Whether the request log holds the arguments of tool calls. `CONDUIT_LOG_ARGS` overrides it.
    pub log_args: bool,
    /// Whether the request log holds results.
    pub log_responses: bool,
    /// Names of arguments whose values are replaced by `[REDACTED]`, at any depth.
    pub redact_fields: Vec<String>,
    /// How long the request log is kept.
    #[schemars(range(min = 1, max = 36500))]
    pub retention_days: u32,
    /// The file of the request log. `CONDUIT_DB_PATH` overrides it.
    #[schemars(length(min = 1))]
    pub db_path: String,
    /// Export of traces.
    pub opentelemetry: Option<OpenTelemetry>,
}

/// Export of traces over OTLP/HTTP.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OpenTelemetry {
    /// Whether traces are exported.
    pub enabled: bool,
    /// The collector's URL, such as `http://otel-collector:4318/v1/traces`.
    pub endpoint: Option<String>,
    /// The name under which traces appear.
    pub service_name: String,
    /// The share of requests that are traced.
    #[schemars(range(min = 0, max = 1))]
    pub sample_rate: f64,
}

/// The Prometheus listener.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    /// Whether the listener is open. `/conduit/metrics` on the gateway's port works without it.
    pub enabled: bool,
    /// The TCP port to listen on; not the gateway's. `CONDUIT_METRICS_PORT` overrides it.
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
    /// The address to listen on. Anything but a loopback address needs `metrics.require_auth: true`,
    /// or `metrics.allow_unauthenticated: true`.
    #[schemars(length(min = 1))]
    pub host: String,
    /// Whether reading metrics needs `admin.key`.
    pub require_auth: bool,
    /// Accepts that everybody can read the metrics who can reach a non-loopback `metrics.host`. Where
    /// there is no `admin.key`, `/conduit/metrics` is theirs to read, too.
    pub allow_unauthenticated: bool,
}

impl Default for Observability {
    fn default() -> Self {
        let redact_fields = [
            "ssn",
            "password",
            "api_key",
            "apikey",
            "token",
            "secret",
            "authorization",
            "bearer",
            "private_key",
            "privatekey",
        ];
        Self {
            log_args: true,
            log_responses: false,
            redact_fields: redact_fields.map(str::to_owned).to_vec(),
            retention_days: 30,
            db_path: "./conduit-logs.db".to_owned(),
            opentelemetry: None,
        }
    }
}

impl Default for OpenTelemetry {
    fn default() -> Self {
        Self {
            enabled: false,
            endpoint: None,
            service_name: "mcp-conduit".to_owned(),
            sample_rate: 1.0,
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            enabled: true,
            port: 9090,
            host: "127.0.0.1".to_owned(),
            require_auth: false,
            allow_unauthenticated: false,
        }
    }
}
