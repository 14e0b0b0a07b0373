//! The Prometheus metrics, under mcp-conduit's names.
//!
//! **Invariant:** every label is a closed set or a name from the configuration. A tool's name is a
//! client's invention until its server has answered a call to it with a result, and only so many
//! are told apart.

pub mod cache;
pub mod connection;
pub mod denials;
pub mod guard;
pub mod limit;
pub mod lock;
mod series;

use std::collections::HashSet;

use parking_lot::Mutex;
use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

use crate::telemetry::metrics::cache::Cache;
use crate::telemetry::metrics::connection::Connections;
use crate::telemetry::metrics::denials::Denials;
use crate::telemetry::metrics::guard::Guard;
use crate::telemetry::metrics::limit::Limits;
use crate::telemetry::metrics::lock::ToolLock;
use crate::telemetry::metrics::series::{One, Series};
use crate::telemetry::outcome::{Outcome, Status};

/// Most tool names told apart over all servers; the rest count as `_other`.
const TOOL_LABELS_MAX: usize = 1000;
/// Longest label value, as mcp-conduit has it.
const LABEL_CHARS_MAX: usize = 64;

const DURATION_BUCKETS_SECONDS: [f64; 8] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0];

/// All metrics of the data plane.
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    durations: HistogramVec,
    errors: IntCounterVec,
    active: IntGaugeVec,
    /// 1 while a replica of the server is healthy.
    pub backend_health: IntGaugeVec,
    /// Requests in flight, by server and replica.
    pub backend_active: IntGaugeVec,
    /// Sessions of legacy clients.
    pub sessions: IntGauge,
    /// Calls that wait for their clients.
    pub parked: IntGauge,
    upstream_sessions: IntGaugeVec,
    partial: IntCounterVec,
    auth_failures: IntCounterVec,
    credential_renewals: IntCounterVec,
    /// What guardrails did.
    pub guard: Guard,
    /// What the cache did, and how full it is.
    pub cache: Cache,
    /// What rate limits did.
    pub limits: Limits,
    /// How clients' connections stand.
    pub connections: Connections,
    /// What the tool lock found.
    pub tool_lock: ToolLock,
    /// What the access rules denied.
    pub denials: Denials,
    tools: Mutex<HashSet<String>>,
    series: Series,
}

impl Metrics {
    /// Registers every metric in a registry of its own.
    ///
    /// # Errors
    /// Where two metrics share a name: a programming error that a test would show.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let counter = |name, help, labels: &[_]| counter(&registry, name, help, labels);
        let gauge = |name, help, labels: &[_]| gauge(&registry, name, help, labels);
        let plain = |name, help| plain(&registry, name, help);
        let durations = durations(&registry)?;
        Ok(Self {
            requests: counter(
                "conduit_requests_total",
                "Requests by how they ended",
                &["server", "method", "tool", "status", "cache_status"],
            )?,
            durations,
            errors: counter(
                "conduit_errors_total",
                "Requests refused or broken off, by reason",
                &["server", "type"],
            )?,
            active: gauge(
                "conduit_active_connections",
                "Requests in flight",
                &["server"],
            )?,
            backend_health: gauge(
                "conduit_backend_health",
                "1 while at least one replica of the server is healthy",
                &["server"],
            )?,
            backend_active: gauge(
                "conduit_backend_active_connections",
                "Requests in flight, by replica",
                &["server", "replica"],
            )?,
            sessions: plain("conduit_sessions", "Sessions of legacy clients")?,
            parked: plain(
                "conduit_parked_calls",
                "Calls that wait for an answer of their client",
            )?,
            upstream_sessions: gauge(
                "conduit_upstream_sessions",
                "Sessions with the server on behalf of clients that have none of their own",
                &["server"],
            )?,
            partial: counter(
                "conduit_list_partial_total",
                "Aggregated lists given with old items of the server, or without any",
                &["server", "list", "status"],
            )?,
            auth_failures: counter(
                "conduit_auth_failures_total",
                "Requests whose caller was not believed or let in, by reason",
                &["reason"],
            )?,
            credential_renewals: counter(
                "conduit_upstream_credential_renewals_total",
                "Renewals of the gateway's credential at the server, by how they ended",
                &["server", "outcome"],
            )?,
            guard: Guard::new(&registry)?,
            cache: Cache::new(&registry)?,
            limits: Limits::new(&registry)?,
            connections: Connections::new(&registry)?,
            tool_lock: ToolLock::new(&registry)?,
            denials: Denials::new(&registry)?,
            tools: Mutex::new(HashSet::new()),
            series: Series::default(),
            registry,
        })
    }

    /// Counts a request of `server` as in flight for as long as the guard lives.
    #[must_use]
    pub fn track(&self, server: &str) -> Active {
        let gauge = self.active.with_label_values(&[server]);
        gauge.inc();
        Active(gauge)
    }

    /// Notes how many sessions there are with `server` on behalf of callers that have none.
    pub fn upstream_sessions(&self, server: &str, count: usize) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.upstream_sessions
            .with_label_values(&[server])
            .set(count);
    }

    /// Forgets how a server stands that is gone; what was counted stays.
    pub fn forget(&self, server: &str, n_replicas: usize) {
        // Where nothing was ever noted there is nothing to forget.
        self.backend_health.remove_label_values(&[server]).ok();
        self.upstream_sessions.remove_label_values(&[server]).ok();
        for index in 0..n_replicas {
            let labels = [server, &index.to_string()];
            self.backend_active.remove_label_values(&labels).ok();
        }
    }

    /// Counts a list that was given without fresh items of `server`.
    pub fn count_partial(&self, server: &str, list: &'static str, status: &'static str) {
        self.partial
            .with_label_values(&[server, list, status])
            .inc();
    }

    /// Counts a caller that was not believed or let in.
    pub fn count_auth_failure(&self, reason: &'static str) {
        self.auth_failures.with_label_values(&[reason]).inc();
    }

    /// Counts a refusal that is not what became of a whole request: of an entry of a batch.
    pub fn count_refusal(&self, server: &str, reason: &'static str) {
        self.errors.with_label_values(&[server, reason]).inc();
    }

    /// Counts a renewal of the gateway's credential at `server`.
    pub fn count_credential_renewal(&self, server: &str, outcome: &'static str) {
        let labels = [server, outcome];
        self.credential_renewals.with_label_values(&labels).inc();
    }

    /// Counts a finished request.
    pub fn count(&self, outcome: &Outcome) {
        if self.series.count(outcome) {
            return;
        }
        let server = outcome.server_label();
        let method = outcome.method_label();
        let tool = self.tool_label(outcome);
        let cache = outcome.cache_status.map_or("none", |status| status.label());
        let status = outcome.status.label();
        let requests = self
            .requests
            .with_label_values(&[&server, method, &tool, status, cache]);
        requests.inc();
        let durations = self.durations.with_label_values(&[&server, method, &tool]);
        durations.observe(outcome.duration.as_secs_f64());
        self.cache.count(outcome, &server, &tool);
        if outcome.status == Status::Error {
            let reason = outcome.reason.unwrap_or("upstream_error");
            self.errors.with_label_values(&[&server, reason]).inc();
        }
        if let Some(method) = outcome.method {
            self.series.learn(outcome, &tool, || One {
                method,
                cache_status: outcome.cache_status,
                requests,
                durations,
                cache: self.cache.found(outcome, &server, &tool),
            });
        }
    }

    /// The exposition text.
    ///
    /// # Errors
    /// Where a metric cannot be encoded.
    pub fn encode(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }

    fn tool_label(&self, outcome: &Outcome) -> String {
        let is_call = outcome.method == Some(filters::mcp::method::Method::ToolsCall);
        let Some(target) = outcome.target.as_deref().filter(|_| is_call) else {
            return String::new();
        };
        let label = sanitize(target);
        let mut tools = self.tools.lock();
        if tools.contains(&label) {
            return label;
        }
        if outcome.status == Status::Success && tools.len() < TOOL_LABELS_MAX {
            tools.insert(label.clone());
            return label;
        }
        "_other".to_owned()
    }
}

fn counter(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Result<IntCounterVec, prometheus::Error> {
    let metric = IntCounterVec::new(Opts::new(name, help), labels)?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn gauge(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Result<IntGaugeVec, prometheus::Error> {
    let metric = IntGaugeVec::new(Opts::new(name, help), labels)?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn plain(registry: &Registry, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
    let metric = IntGauge::new(name, help)?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn durations(registry: &Registry) -> Result<HistogramVec, prometheus::Error> {
    let options = HistogramOpts::new(
        "conduit_request_duration_seconds",
        "Time from a request's head to its answer's last byte",
    );
    let durations = HistogramVec::new(
        options.buckets(DURATION_BUCKETS_SECONDS.to_vec()),
        &["server", "method", "tool"],
    )?;
    registry.register(Box::new(durations.clone()))?;
    Ok(durations)
}

/// A request in flight.
pub struct Active(IntGauge);

impl Drop for Active {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Replaces what mcp-conduit replaces in a label, and cuts it to its length.
fn sanitize(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._/:-".contains(c);
    let mut label: String = text
        .chars()
        .take(LABEL_CHARS_MAX)
        .map(|c| if is_plain(c) { c } else { '_' })
        .collect();
    if text.chars().nth(LABEL_CHARS_MAX).is_some() {
        label.push_str("_trunc");
    }
    label
}

#[cfg(test)]
mod tests {
    use super::*;
    use filters::cache::status::Status as CacheStatus;
    use filters::mcp::method::Method;

    fn call(tool: &str, status: Status) -> Outcome {
        let mut outcome = Outcome::begin("c".into());
        outcome.server = Some("s".into());
        outcome.method = Some(Method::ToolsCall);
        outcome.target = Some(tool.to_owned());
        outcome.status = status;
        outcome
    }

    #[test]
    fn an_invented_tool_gets_no_label_of_its_own() {
        let metrics = Metrics::new().unwrap();
        metrics.count(&call("invented", Status::Error));
        metrics.count(&call("real tool", Status::Success));
        metrics.count(&call("real tool", Status::Error));
        let text = String::from_utf8(metrics.encode().unwrap()).unwrap();
        assert!(!text.contains("invented"));
        assert!(text.contains(r#"tool="real_tool""#));
        assert!(text.contains(r#"tool="_other""#));
    }

    #[test]
    fn each_request_counts_once_whether_or_not_its_like_came_before() {
        let metrics = Metrics::new().unwrap();
        let mut hit = call("t", Status::Success);
        hit.cache_status = Some(CacheStatus::Hit);
        let mut list = call("t", Status::Success);
        list.method = Some(Method::ToolsList);
        for _ in 0..3 {
            for one in [
                &hit,
                &list,
                &call("t", Status::Success),
                &call("two words", Status::Success),
            ] {
                metrics.count(one);
            }
            metrics.count(&call("t", Status::Error));
        }
        let text = String::from_utf8(metrics.encode().unwrap()).unwrap();
        for line in [
            r#"conduit_requests_total{cache_status="HIT",method="tools/call",server="s",status="success",tool="t"} 3"#,
            r#"conduit_requests_total{cache_status="none",method="tools/call",server="s",status="success",tool="t"} 3"#,
            r#"conduit_requests_total{cache_status="none",method="tools/call",server="s",status="error",tool="t"} 3"#,
            r#"conduit_requests_total{cache_status="none",method="tools/call",server="s",status="success",tool="two_words"} 3"#,
            r#"conduit_requests_total{cache_status="none",method="tools/list",server="s",status="success",tool=""} 3"#,
            r#"conduit_request_duration_seconds_count{method="tools/call",server="s",tool="t"} 9"#,
            r#"conduit_cache_hits_total{server="s",tool="t"} 3"#,
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }

    #[test]
    fn tool_labels_are_bounded() {
        let metrics = Metrics::new().unwrap();
        for n in 0..=TOOL_LABELS_MAX {
            metrics.count(&call(&format!("t{n}"), Status::Success));
        }
        assert_eq!(metrics.tools.lock().len(), TOOL_LABELS_MAX);
    }

    #[test]
    fn a_long_label_is_cut_and_says_so() {
        assert_eq!(sanitize(&"a".repeat(64)), "a".repeat(64));
        assert_eq!(
            sanitize(&"é".repeat(65)),
            format!("{}_trunc", "_".repeat(64))
        );
    }
}
