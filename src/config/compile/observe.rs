//! `observability` and `metrics`.

use std::path::PathBuf;
use std::time::Duration;

use filters::problem::Problems;

use crate::config::compile::listen_host;
use crate::config::compile::server::http_url;
use crate::config::model::observe::{Metrics, Observability, OpenTelemetry};
use crate::config::path::Path;
use crate::config::raw::observe as raw;

/// `observability`.
pub fn compile(raw: raw::Observability, problems: &mut Problems) -> Observability {
    let traces = raw.opentelemetry.filter(|traces| traces.enabled);
    Observability {
        log_args: raw.log_args,
        log_responses: raw.log_responses,
        redact_fields: raw.redact_fields,
        retention: Duration::from_secs(u64::from(raw.retention_days).saturating_mul(86_400)),
        db_path: PathBuf::from(raw.db_path),
        opentelemetry: traces.and_then(|traces| compile_traces(traces, problems)),
    }
}

fn compile_traces(raw: raw::OpenTelemetry, problems: &mut Problems) -> Option<OpenTelemetry> {
    let path = Path::root()
        .key("observability")
        .key("opentelemetry")
        .key("endpoint");
    let Some(text) = raw.endpoint.filter(|endpoint| !endpoint.is_empty()) else {
        problems.error(path, "is required when opentelemetry is enabled");
        return None;
    };
    Some(OpenTelemetry {
        endpoint: http_url(&path, &text, problems)?,
        service_name: raw.service_name,
        sample_rate: raw.sample_rate,
    })
}

/// `metrics`.
pub fn compile_metrics(raw: raw::Metrics, problems: &mut Problems) -> Metrics {
    Metrics {
        enabled: raw.enabled,
        port: raw.port,
        host: listen_host("metrics.host", &raw.host, problems),
        require_auth: raw.require_auth,
        allow_unauthenticated: raw.allow_unauthenticated,
    }
}
