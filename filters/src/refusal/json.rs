//! A refusal as a JSON-RPC error.

use crate::mcp::revision::{Era, Revision};
use crate::refusal::message::excerpt;
use crate::refusal::{Approval, Refusal};
use crate::rpc::parse::Id;
use crate::rpc::write::{self, Failure};

impl Refusal {
    /// The JSON-RPC answer, where nothing is known of who reads it.
    #[must_use]
    pub fn to_json(&self, id: Option<Id<'_>>) -> String {
        self.to_json_in(None, id)
    }

    /// The JSON-RPC answer to a client of `era`, if that is known: an error, but for what is a question.
    #[must_use]
    pub fn to_json_in(&self, era: Option<Era>, id: Option<Id<'_>>) -> String {
        if let (Self::ApprovalAsked(asked), Some(id)) = (self, id) {
            return write::result(id, &asked.notice.to_result(&asked.state));
        }
        let data = if let Self::VersionUnsupported { requested } = self {
            let mut data = format!(
                r#"{{"supported":{},"requested":"#,
                Revision::SUPPORTED_MODERN_JSON
            );
            write::push_string(&mut data, excerpt(requested));
            data.push('}');
            Some(data)
        } else if let Self::CapabilityMissing { required } = self {
            Some(format!(r#"{{"requiredCapabilities":{required}}}"#))
        } else if let Self::ApprovalRequired(approval) = self {
            Some(approval.to_json())
        } else {
            None
        };
        let message = self.message();
        write::error(
            id,
            &Failure {
                code: self.code_in(era),
                message: &message,
                data: data.as_deref(),
            },
        )
    }
}

impl Approval {
    pub(super) fn text(&self) -> String {
        let (message, status) = (&self.message, self.status);
        let what_to_do = if self.is_open {
            "send it again with X-Conduit-Approval-Id once it is approved"
        } else {
            "send it anew, without this request for approval, to ask once more"
        };
        format!("{message}: needs an approval ({status}); {what_to_do}")
    }

    fn to_json(&self) -> String {
        let mut data = String::from(r#"{"approval_request_id":"#);
        write::push_string(&mut data, &self.request);
        data.push_str(r#","status":""#);
        data.push_str(self.status);
        data.push_str(r#"","rule":"#);
        write::push_string(&mut data, &self.rule);
        data.push_str(r#","approval_header":"X-Conduit-Approval-Id","expires_at":"#);
        write::push_string(&mut data, &self.expires_at);
        data.push('}');
        data
    }
}
