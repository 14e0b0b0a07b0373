//! What the tool lock finds, told to whoever looks after the gateway.

use filters::lock::screen::Seen;
use filters::lock::{Verdict, visible};

use crate::state::live::Live;

impl Live {
    /// Notes a tool that its server was seen to have, and tells once of what is not approved; whether
    /// that was told now.
    pub fn note_tool(&self, server: &str, seen: &Seen<'_>) -> bool {
        if seen.verdict == Verdict::Approved || !self.lock.note(server, seen) {
            return false;
        }
        let change = seen.verdict.label();
        self.metrics.tool_lock.count_change(server, change);
        let digest = seen.definition.ok().map(|one| one.digest.to_string());
        tracing::warn!(
            server.id = %server,
            tool.name = %visible::line(seen.name),
            change,
            digest,
            "Tool is not as it was approved"
        );
        true
    }
}
