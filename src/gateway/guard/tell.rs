//! What operators hear of it when a rule decides: counts, a log line, a webhook.
//!
//! **Invariant:** only names are told here, never values; a webhook's are redacted where it is written.

use std::sync::Arc;

use filters::guard::scope::Kind;
use filters::guard::spec::Severity;
use filters::guard::verdict::Decision;
use filters::mcp::list::Kind as ListKind;

use crate::gateway::guard::watch::{DEFAULT, Watch};
use crate::gateway::guard::webhook::{self, Event};
use crate::state::guard::Deed;

impl Watch {
    /// Counts and logs what a rule did to a value, or would have done.
    pub(super) fn tell(&self, kind: Kind, decision: &Decision<'_>, value: Option<Option<&str>>) {
        let is_rehearsed = value.is_none();
        let rule = decision.rule();
        let name = rule.map_or_else(|| DEFAULT.into(), |rule| Arc::clone(&rule.name));
        let label = match (decision.label(), is_rehearsed) {
            (label, false) => label,
            ("block", true) => "shadow_block",
            ("alert", true) => "shadow_alert",
            ("transform", true) => "shadow_transform",
            ("require_approval", true) => "shadow_require_approval",
            (_, true) => "shadow_allow",
        };
        self.live.guard.count(&name, deed(decision, is_rehearsed));
        let tool = self.target.as_deref().filter(|tool| self.is_listed(tool));
        self.live.metrics.guard.count(&name, label, tool);
        let severity = rule.map_or(Severity::Medium, |rule| rule.severity);
        tracing::warn!(
            guardrail.rule = %name,
            guardrail.action = label,
            guardrail.subject = kind.label(),
            severity = severity.label(),
            server.id = %self.server.id,
            tool.name = tool.unwrap_or("_other"),
            client.id = %self.client,
            trace.id = %self.trace_id,
            "Guardrail matched"
        );
        if let (Some(rule), Some(value)) = (rule, value)
            && let Some(url) = &rule.webhook
        {
            let event = Event {
                url,
                rule: &rule.name,
                severity: severity.label(),
                action: label,
                target: self.target(),
                message: rule.message(self.target()),
                value,
            };
            webhook::tell(self, &event);
        }
    }

    /// Whether the server lists a tool of that name: others are a client's invention.
    fn is_listed(&self, tool: &str) -> bool {
        let known = self.server.catalogs.plain().known(ListKind::Tools);
        known.is_some_and(|listing| listing.annotations(tool).is_some())
    }
}

fn deed(decision: &Decision<'_>, is_rehearsed: bool) -> Deed {
    match decision {
        _ if is_rehearsed => Deed::Rehearsal,
        Decision::Pass | Decision::Bypass(_) | Decision::Alert(_) => Deed::Alert,
        Decision::Rewrite(..) => Deed::Transform,
        Decision::Hold(_) => Deed::Hold,
        Decision::Block(_) => Deed::Block,
    }
}
