//! `observability` and `metrics`.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::model::url::HttpUrl;

/// Request log, redaction and tracing.
#[derive(Debug, Clone, PartialEq)]
pub struct Observability {
    /// Whether the log holds arguments.
    pub log_args: bool,
    /// Whether it holds results.
    pub log_responses: bool,
    /// Names whose values are redacted.
    pub redact_fields: Vec<String>,
    /// How long it is kept.
    pub retention: Duration,
    /// Its file.
    pub db_path: PathBuf,
    /// Export of traces, if switched on.
    pub opentelemetry: Option<OpenTelemetry>,
}

/// Export of traces.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenTelemetry {
    /// The collector.
    pub endpoint: HttpUrl,
    /// The name of this service.
    pub service_name: String,
    /// The share of requests traced, 0 to 1.
    pub sample_rate: f64,
}

/// The Prometheus listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metrics {
    /// Whether it is open.
    pub enabled: bool,
    /// The TCP port.
    pub port: u16,
    /// The address: an IP address (IPv6 without brackets) or a name.
    pub host: String,
    /// Whether reading needs the admin key.
    pub require_auth: bool,
    /// Whether open metrics on a public address were accepted.
    pub allow_unauthenticated: bool,
}
