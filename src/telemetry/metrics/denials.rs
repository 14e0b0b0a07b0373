//! What the access rules denied.
//!
//! **Invariant:** series are bounded: a tool's name is told only where its server has such a tool,
//! and only so many are told apart.

use std::collections::HashSet;

use parking_lot::Mutex;
use prometheus::{IntCounterVec, Opts, Registry};

use crate::telemetry::metrics::sanitize;

/// Most combinations of client, server and tool told apart; the rest count under `_other`.
const SERIES_MAX: usize = 4096;

/// What was denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// A tool that its server has.
    Tool(&'a str),
    /// A tool of which nobody knows.
    UnknownTool,
    /// No tool.
    Other,
}

/// What the access rules denied.
pub struct Denials {
    enforced: IntCounterVec,
    shadowed: IntCounterVec,
    unclear: IntCounterVec,
    known: Mutex<HashSet<[String; 3]>>,
}

impl Denials {
    /// Registers them.
    ///
    /// # Errors
    /// Where two metrics share a name.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let labels = ["client", "server", "tool"];
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let metric = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(metric.clone()))?;
            Ok::<_, prometheus::Error>(metric)
        };
        Ok(Self {
            enforced: counter(
                "conduit_acl_denials_total",
                "Requests that the access rules denied",
                &labels,
            )?,
            shadowed: counter(
                "conduit_acl_shadow_denials_total",
                "Requests that the access rules would have denied, were they enforced",
                &labels,
            )?,
            unclear: counter(
                "conduit_acl_unclear_messages_total",
                "What servers said and clients from whom something is hidden were not shown, because \
                 it cannot be read in one way only",
                &["server"],
            )?,
            known: Mutex::default(),
        })
    }

    /// Counts what was denied.
    pub fn count(&self, client: &str, server: &str, target: Target<'_>) {
        let labels = self.labels(client, server, target);
        self.enforced.with_label_values(&labels).inc();
    }

    /// Counts what would have been denied.
    pub fn count_shadowed(&self, client: &str, server: &str, target: Target<'_>) {
        let labels = self.labels(client, server, target);
        self.shadowed.with_label_values(&labels).inc();
    }

    /// Counts what a server said that was not shown because it cannot be read in one way only.
    pub fn count_unclear(&self, server: &str) {
        self.unclear.with_label_values(&[server]).inc();
    }

    fn labels(&self, client: &str, server: &str, target: Target<'_>) -> [String; 3] {
        let tool = match target {
            Target::Tool(name) => sanitize(name),
            Target::UnknownTool => "_other".to_owned(),
            Target::Other => String::new(),
        };
        let labels = [sanitize(client), server.to_owned(), tool];
        let mut known = self.known.lock();
        if known.contains(&labels) {
            return labels;
        }
        if known.len() < SERIES_MAX {
            known.insert(labels.clone());
            return labels;
        }
        let [_, server, _] = labels;
        ["_other".to_owned(), server, "_other".to_owned()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invented_tool_has_no_series_and_series_are_bounded() {
        let denials = Denials::new(&Registry::new()).unwrap();
        let label = |client: &str, target| denials.labels(client, "s", target);
        assert_eq!(label("c", Target::UnknownTool), ["c", "s", "_other"]);
        assert_eq!(label("c", Target::Tool("a b")), ["c", "s", "a_b"]);
        assert_eq!(label("c", Target::Other), ["c", "s", ""]);
        for n in 0..SERIES_MAX {
            label(&format!("c{n}"), Target::Other);
        }
        assert_eq!(label("late", Target::Tool("t")), ["_other", "s", "_other"]);
        assert_eq!(label("c", Target::Tool("a b")), ["c", "s", "a_b"]);
        assert_eq!(denials.known.lock().len(), SERIES_MAX);
    }
}
