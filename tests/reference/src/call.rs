//! One `tools/call` as a tool sees it, and the short ways to read its arguments and to answer.

use rmcp::{
    ErrorData, RoleServer,
    model::{
        CallToolResponse, CallToolResult, ClientCapabilities, ContentBlock, InputResponses,
        JsonObject, LoggingLevel, LoggingMessageNotificationParam, ProgressNotificationParam,
        ProtocolVersion,
    },
    service::RequestContext,
};
use serde_json::Value;

use crate::world::{Session, World};

/// What every tool returns.
pub(crate) type Answer = Result<CallToolResponse, ErrorData>;

/// A call under way.
pub(crate) struct Call<'a> {
    pub(crate) world: &'a World,
    pub(crate) session: &'a Session,
    pub(crate) tool: String,
    pub(crate) arguments: JsonObject,
    /// Answers to what an earlier round of the same call asked (SEP-2322).
    pub(crate) responses: InputResponses,
    /// The state an earlier round handed out.
    pub(crate) state: Option<String>,
    pub(crate) context: RequestContext<RoleServer>,
}

impl Call<'_> {
    /// The text argument `name`, or -32602.
    pub(crate) fn text(&self, name: &str) -> Result<&str, ErrorData> {
        self.arguments
            .get(name)
            .and_then(Value::as_str)
            .ok_or_else(|| invalid(format!("argument `{name}` must be a string")))
    }

    /// The number argument `name`, or -32602.
    pub(crate) fn number(&self, name: &str) -> Result<f64, ErrorData> {
        self.arguments
            .get(name)
            .and_then(Value::as_f64)
            .ok_or_else(|| invalid(format!("argument `{name}` must be a number")))
    }

    /// The whole-number argument `name` up to `max`, `default` if absent, or -32602.
    pub(crate) fn count(&self, name: &str, default: u64, max: u64) -> Result<u64, ErrorData> {
        match self.arguments.get(name) {
            None => Ok(default),
            Some(value) => value
                .as_u64()
                .filter(|count| *count <= max)
                .ok_or_else(|| invalid(format!("argument `{name}` must be a number up to {max}"))),
        }
    }

    /// Speaks the caller the 2026-07-28 revision or a later one?
    pub(crate) fn is_modern(&self) -> bool {
        self.context
            .protocol_version()
            .is_some_and(|version| version >= ProtocolVersion::V_2026_07_28)
    }

    pub(crate) fn capabilities(&self) -> ClientCapabilities {
        self.context.client_capabilities().unwrap_or_default()
    }

    /// Sends a progress notification, if the caller asked for progress.
    pub(crate) async fn progress(&self, done: f64, total: f64, message: &str) {
        let Some(token) = self.context.meta.get_progress_token() else {
            return;
        };
        let progress = ProgressNotificationParam::new(token, done)
            .with_total(total)
            .with_message(message);
        // A client that has gone does not want to know.
        self.context.peer.notify_progress(progress).await.ok();
    }

    /// Sends a log message, if the caller wants this level: by `logging/setLevel` in the legacy
    /// era, by `_meta` of this very request in the modern one.
    pub(crate) async fn log(&self, level: LoggingLevel, text: &str) {
        let wanted = if self.is_modern() {
            self.context.meta.log_level()
        } else {
            Some(*self.session.level.lock())
        };
        // The protocol numbers its levels in the order rmcp declares them.
        if wanted.is_none_or(|least| (level as u8) < least as u8) {
            return;
        }
        let message = LoggingMessageNotificationParam::new(level, Value::from(text))
            .with_logger("reference-server");
        self.context.peer.notify_logging_message(message).await.ok();
    }
}

/// A result of one text block.
pub(crate) fn text(text: impl Into<String>) -> Answer {
    Ok(CallToolResult::success(vec![ContentBlock::text(text)]).into())
}

/// A result that says the tool failed.
pub(crate) fn failure(text: impl Into<String>) -> Answer {
    Ok(CallToolResult::error(vec![ContentBlock::text(text)]).into())
}

/// -32602
pub(crate) fn invalid(message: String) -> ErrorData {
    ErrorData::invalid_params(message, None)
}
