//! The metrics of the tool lock.

use prometheus::{IntCounterVec, Opts, Registry};

/// What the tool lock found and refused.
pub struct ToolLock {
    changes: IntCounterVec,
    refusals: IntCounterVec,
}

impl ToolLock {
    /// Registers them.
    ///
    /// # Errors
    /// Where two metrics share a name.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str, label: &str| {
            let metric = IntCounterVec::new(Opts::new(name, help), &["server", label])?;
            registry.register(Box::new(metric.clone()))?;
            Ok::<_, prometheus::Error>(metric)
        };
        Ok(Self {
            changes: counter(
                "conduit_tool_lock_changes_total",
                "Definitions of tools that were seen for the first time and are not approved",
                "change",
            )?,
            refusals: counter(
                "conduit_tool_lock_refusals_total",
                "Calls that the tool lock refused, or would have refused with tool_lock: block",
                "cause",
            )?,
        })
    }

    /// Counts a definition that nobody approved.
    pub fn count_change(&self, server: &str, change: &'static str) {
        self.changes.with_label_values(&[server, change]).inc();
    }

    /// Counts a call of a tool that is not as it was approved.
    pub fn count_refusal(&self, server: &str, cause: &'static str) {
        self.refusals.with_label_values(&[server, cause]).inc();
    }
}
