//! What guardrails did.

use prometheus::{IntCounterVec, Opts, Registry};

use crate::telemetry::metrics::sanitize;

/// The metrics of guardrails.
pub struct Guard {
    actions: IntCounterVec,
    webhooks: IntCounterVec,
}

impl Guard {
    /// Registers them.
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let metric = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(metric.clone()))?;
            Ok::<_, prometheus::Error>(metric)
        };
        Ok(Self {
            actions: counter(
                "conduit_guardrail_actions_total",
                "What guardrails did, by rule; `shadow_…` is what they would have done",
                &["rule", "action", "tool"],
            )?,
            webhooks: counter(
                "conduit_guardrail_webhooks_total",
                "Webhooks of guardrails by what became of them: delivered, failed, dropped",
                &["result"],
            )?,
        })
    }

    /// Counts what a rule did. A tool that its server does not list counts as `_other`.
    pub fn count(&self, rule: &str, action: &'static str, tool: Option<&str>) {
        let tool = tool.map_or_else(|| "_other".to_owned(), sanitize);
        let labels = [&*sanitize(rule), action, &tool];
        self.actions.with_label_values(&labels).inc();
    }

    /// Counts a webhook: `delivered`, `failed` or `dropped`.
    pub fn count_webhook(&self, result: &'static str) {
        self.webhooks.with_label_values(&[result]).inc();
    }
}
