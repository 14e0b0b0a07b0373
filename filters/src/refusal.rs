//! Every "no" that a client can be told, and how it is told.
//!
//! **Invariant:** one variant, one HTTP status, one JSON-RPC code, one metric label: each is one
//! exhaustive match in this file, so a new refusal cannot be half defined. No variant carries an
//! inner error's text: what went wrong inside is for the operator's log.

use std::borrow::Cow;

use crate::acl;
use crate::identity::denial;
use crate::lock::refused::{Cause, Locked};
use crate::mcp::revision::Revision;
use crate::rpc::parse::{Id, Invalid};
use crate::rpc::write::{self, Failure};

/// Why a request is not served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The body is not UTF-8 JSON.
    ClientJson,
    /// The body nests deeper than the bound.
    ClientDepth,
    /// The body is JSON but no JSON-RPC message.
    ClientShape(&'static str),
    /// A batch where the revision has none.
    ClientBatch,
    /// The body is larger than the configured bound, in bytes.
    BodyTooLarge {
        /// The bound, in bytes.
        max: usize,
    },
    /// The client stopped sending its body.
    BodyTimeout,
    /// The request's head has more or longer headers than is allowed.
    HeadTooLarge {
        /// Most headers.
        lines_max: usize,
        /// Most bytes of names and values.
        bytes_max: usize,
    },
    /// `Origin` is not allowed.
    OriginForbidden,
    /// `Host` is not allowed.
    HostForbidden,
    /// The path names no server.
    ServerUnknown {
        /// The id in the path.
        server: String,
    },
    /// The path is no endpoint.
    PathUnknown,
    /// The endpoint has no such HTTP method.
    HttpMethod {
        /// The `Allow` header's value.
        allow: &'static str,
    },
    /// A member of the modern `_meta` envelope is missing or of the wrong type.
    EnvelopeInvalid {
        /// The member, without its prefix.
        member: &'static str,
    },
    /// A mirrored header is missing.
    HeaderMissing {
        /// The header.
        header: Cow<'static, str>,
    },
    /// A mirrored header and the body disagree.
    HeaderMismatch {
        /// The header.
        header: Cow<'static, str>,
    },
    /// A mirrored header's value cannot be decoded.
    HeaderMalformed {
        /// The header.
        header: Cow<'static, str>,
    },
    /// The protocol version is not served.
    VersionUnsupported {
        /// What was asked for.
        requested: String,
    },
    /// The method does not exist in the request's revision.
    MethodNotFound {
        /// The method's name.
        method: String,
    },
    /// The session id is no session id (visible ASCII, bounded).
    SessionMalformed,
    /// A message that belongs to a session names none.
    SessionMissing,
    /// The session does not exist, not any more, or not for this caller.
    SessionUnknown,
    /// There are as many sessions as there may be.
    SessionsFull,
    /// The profile does not exist.
    ProfileUnknown {
        /// The id in the path.
        profile: String,
    },
    /// No server behind the endpoint has what is named.
    TargetUnknown {
        /// What kind of thing: `tool`, `prompt`, `resource`, `task`.
        kind: &'static str,
        /// Its name as the client sent it.
        name: String,
    },
    /// Several servers have what is named.
    TargetAmbiguous {
        /// Its name as the client sent it.
        name: String,
        /// Two of the servers that have it.
        servers: [String; 2],
    },
    /// A member of the params is missing or invalid.
    ParamsInvalid {
        /// Which, and what is wrong with it.
        what: &'static str,
    },
    /// The cursor is none that the gateway gave to this caller for this list.
    CursorInvalid,
    /// The `requestState` is none that the gateway gave to this caller for this request, or it was
    /// used, or it is too old.
    StateInvalid,
    /// The server needs something of the client that the client did not say it can do.
    CapabilityMissing {
        /// The `ClientCapabilities` that are needed, JSON text.
        required: &'static str,
    },
    /// A client did not answer what it was asked.
    ClientSilent,
    /// A server asked again and again.
    RoundsExceeded {
        /// The server's id.
        server: String,
    },
    /// The caller did not prove who it is.
    Unauthenticated(denial::Denial),
    /// Too many wrong credentials came from where the request comes from.
    AuthThrottled {
        /// When they count no more.
        seconds: u32,
    },
    /// Nobody can be believed: the identity provider's keys are not to be had.
    AuthUnavailable,
    /// The caller's credential was not issued for this.
    ScopeInsufficient {
        /// All scopes that are needed, divided by spaces.
        required: String,
    },
    /// The caller may not do this.
    Forbidden,
    /// A guardrail says no.
    Guardrail {
        /// What the client is told.
        message: String,
    },
    /// A guardrail holds it until somebody approves.
    ApprovalRequired(Box<Approval>),
    /// As many requests for approval are pending as there may be.
    ApprovalsFull,
    /// A limit is used up, and the caller may try again later.
    RateLimited {
        /// The limit: `client/minute`.
        label: Box<str>,
        /// How many calls it allows.
        limit: u32,
        /// In how many seconds a call fits again.
        retry_after: u32,
    },
    /// Whether a limit is used up cannot be found out, and nothing passes then.
    LimitsUnavailable,
    /// The tool is not what an operator approved.
    ToolLocked(Box<Locked>),
    /// The access rules deny it.
    AccessDenied(Box<acl::denial::Denial>),
    /// The server turned out to be reached otherwise: it is from now on.
    UpstreamMoved {
        /// The server's id.
        server: String,
    },
    /// No replica of the server can take the request.
    UpstreamUnavailable {
        /// The server's id.
        server: String,
    },
    /// No connection to any replica.
    UpstreamConnect {
        /// The server's id.
        server: String,
    },
    /// The upstream broke off, or answered what is not HTTP or not MCP.
    UpstreamBroken {
        /// The server's id.
        server: String,
        /// What it did, in a few words of ours.
        what: &'static str,
    },
    /// The server did not accept the gateway's own credential, or there is none to send. Nothing of
    /// its challenge is for the client (E19).
    UpstreamCredential {
        /// The server's id.
        server: String,
        /// What became of the credential, in a few words of ours.
        what: &'static str,
    },
    /// The upstream took longer than it may.
    UpstreamTimeout {
        /// The server's id.
        server: String,
        /// Which bound was reached.
        phase: Phase,
    },
    /// Ours.
    Internal,
}

/// A request for approval, as its client is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// The name of the rule that holds the call.
    pub rule: String,
    /// What the rule says.
    pub message: String,
    /// The id of the request for approval.
    pub request: String,
    /// What became of it: `pending`, `rejected`, `expired`, `used` or `mismatch`.
    pub status: &'static str,
    /// Until when it is good (RFC 3339).
    pub expires_at: String,
}

/// How refusals of policy are told over HTTP: of authentication, access rules and limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Statuses {
    /// Each with the status that HTTP and MCP have for it.
    #[default]
    Own,
    /// With 200, as mcp-conduit does; what is wrong stands in the JSON-RPC error.
    Always200,
}

/// Which time bound of an upstream call was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// No connection within `connect_timeout_ms`.
    Connect,
    /// No response header within `timeout_ms`.
    Header,
    /// No byte of the answer within `idle_timeout_ms`.
    Idle,
    /// The whole call exceeded `max_duration_ms`.
    Total,
}

impl Phase {
    /// How a client is told.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Connect => "did not accept a connection in time",
            Self::Header => "did not answer in time",
            Self::Idle => "stopped sending its answer",
            Self::Total => "took longer than the longest allowed call",
        }
    }
}

impl From<Invalid> for Refusal {
    fn from(invalid: Invalid) -> Self {
        match invalid {
            Invalid::Syntax => Self::ClientJson,
            Invalid::Depth => Self::ClientDepth,
            Invalid::Shape(reason) => Self::ClientShape(reason),
        }
    }
}

impl Refusal {
    /// Whether the request may have reached its server nevertheless, and done there what it says.
    #[must_use]
    pub fn may_have_been_sent(&self) -> bool {
        matches!(
            self,
            Self::UpstreamBroken { .. }
                | Self::UpstreamTimeout {
                    phase: Phase::Header | Phase::Idle | Phase::Total,
                    ..
                }
                | Self::RoundsExceeded { .. }
                | Self::CapabilityMissing { .. }
                | Self::ClientSilent
                | Self::Internal
        )
    }

    /// The HTTP status that clients of `statuses` are told.
    #[must_use]
    pub fn status_in(&self, statuses: Statuses) -> u16 {
        match (statuses, self.status()) {
            (Statuses::Always200, 401 | 429) => 200,
            // A browser's page is no client of mcp-conduit's.
            (Statuses::Always200, 403) if *self != Self::OriginForbidden => 200,
            (_, status) => status,
        }
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::ToolLocked(locked) if locked.cause == Cause::Unread => 503,
            Self::ClientJson
            | Self::ClientDepth
            | Self::ClientShape(_)
            | Self::ClientBatch
            | Self::EnvelopeInvalid { .. }
            | Self::HeaderMissing { .. }
            | Self::HeaderMismatch { .. }
            | Self::HeaderMalformed { .. }
            | Self::VersionUnsupported { .. }
            | Self::CapabilityMissing { .. }
            | Self::SessionMissing
            | Self::SessionMalformed => 400,
            Self::TargetUnknown { .. }
            | Self::TargetAmbiguous { .. }
            | Self::ParamsInvalid { .. }
            | Self::CursorInvalid
            | Self::StateInvalid
            | Self::ClientSilent
            | Self::ToolLocked(_)
            | Self::AccessDenied(_)
            | Self::RoundsExceeded { .. }
            // The agent is to read why.
            | Self::Guardrail { .. }
            | Self::ApprovalRequired(_) => 200,
            Self::Unauthenticated(_) => 401,
            Self::OriginForbidden | Self::ScopeInsufficient { .. } | Self::Forbidden => 403,
            Self::ServerUnknown { .. }
            | Self::ProfileUnknown { .. }
            | Self::PathUnknown
            | Self::SessionUnknown
            | Self::MethodNotFound { .. } => 404,
            Self::HttpMethod { .. } => 405,
            Self::BodyTimeout => 408,
            Self::BodyTooLarge { .. } => 413,
            Self::HeadTooLarge { .. } => 431,
            Self::HostForbidden => 421,
            Self::RateLimited { .. } | Self::AuthThrottled { .. } => 429,
            Self::Internal => 500,
            Self::UpstreamConnect { .. }
            | Self::UpstreamBroken { .. }
            | Self::UpstreamCredential { .. } => 502,
            Self::AuthUnavailable
            | Self::UpstreamUnavailable { .. }
            | Self::UpstreamMoved { .. }
            | Self::LimitsUnavailable
            | Self::ApprovalsFull
            | Self::SessionsFull => 503,
            Self::UpstreamTimeout { .. } => 504,
        }
    }

    /// The JSON-RPC code. Ours lie outside -32768…-32000, which JSON-RPC and MCP reserve (E12):
    /// -31000 less the HTTP status. A used-up limit keeps mcp-conduit's -32000.
    #[must_use]
    pub fn code(&self) -> i32 {
        match self {
            Self::ClientJson => -32700,
            Self::ClientDepth
            | Self::ClientShape(_)
            | Self::ClientBatch
            | Self::BodyTooLarge { .. }
            | Self::BodyTimeout
            | Self::HeadTooLarge { .. }
            | Self::HttpMethod { .. }
            | Self::SessionMissing
            | Self::SessionMalformed => -32600,
            Self::ServerUnknown { .. }
            | Self::ProfileUnknown { .. }
            | Self::PathUnknown
            | Self::MethodNotFound { .. } => -32601,
            Self::EnvelopeInvalid { .. }
            | Self::TargetUnknown { .. }
            | Self::TargetAmbiguous { .. }
            | Self::ParamsInvalid { .. }
            | Self::CursorInvalid
            | Self::StateInvalid => -32602,
            Self::CapabilityMissing { .. } => -32021,
            // As mcp-conduit has it.
            Self::AccessDenied(_) => -32000,
            Self::SessionUnknown => -31404,
            Self::ClientSilent => -31408,
            Self::RoundsExceeded { .. } => -31508,
            Self::Internal => -32603,
            Self::HeaderMissing { .. }
            | Self::HeaderMismatch { .. }
            | Self::HeaderMalformed { .. } => -32020,
            Self::VersionUnsupported { .. } => -32022,
            Self::Unauthenticated(_) => -31401,
            Self::ToolLocked(locked) if locked.cause == Cause::Unread => -31503,
            Self::OriginForbidden
            | Self::ScopeInsufficient { .. }
            | Self::ToolLocked(_)
            | Self::Forbidden => -31403,
            Self::AuthThrottled { .. } => -31429,
            Self::HostForbidden => -31421,
            Self::UpstreamConnect { .. }
            | Self::UpstreamBroken { .. }
            | Self::UpstreamCredential { .. } => -31502,
            // As mcp-conduit has them: its clients know these codes.
            Self::Guardrail { .. } | Self::RateLimited { .. } => -32000,
            Self::ApprovalRequired(_) => -32011,
            Self::AuthUnavailable
            | Self::UpstreamUnavailable { .. }
            | Self::UpstreamMoved { .. }
            | Self::LimitsUnavailable
            | Self::ApprovalsFull
            | Self::SessionsFull => -31503,
            Self::UpstreamTimeout { .. } => -31504,
        }
    }

    /// The metric label and log reason: a closed set.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::ClientJson => "parse_error",
            Self::ClientDepth => "too_deep",
            Self::ClientShape(_) => "invalid_request",
            Self::ClientBatch => "batch_unsupported",
            Self::BodyTooLarge { .. } => "body_too_large",
            Self::BodyTimeout => "body_timeout",
            Self::HeadTooLarge { .. } => "head_too_large",
            Self::OriginForbidden => "origin_forbidden",
            Self::HostForbidden => "host_forbidden",
            Self::ServerUnknown { .. } => "server_unknown",
            Self::PathUnknown => "path_unknown",
            Self::HttpMethod { .. } => "http_method",
            Self::EnvelopeInvalid { .. } => "envelope_invalid",
            Self::HeaderMissing { .. } => "header_missing",
            Self::HeaderMismatch { .. } => "header_mismatch",
            Self::HeaderMalformed { .. } => "header_malformed",
            Self::VersionUnsupported { .. } => "version_unsupported",
            Self::MethodNotFound { .. } => "method_not_found",
            Self::SessionMalformed => "session_malformed",
            Self::SessionMissing => "session_missing",
            Self::SessionUnknown => "session_unknown",
            Self::SessionsFull => "sessions_full",
            Self::ProfileUnknown { .. } => "profile_unknown",
            Self::TargetUnknown { .. } => "target_unknown",
            Self::TargetAmbiguous { .. } => "target_ambiguous",
            Self::ParamsInvalid { .. } => "params_invalid",
            Self::CursorInvalid => "cursor_invalid",
            Self::StateInvalid => "state_invalid",
            Self::CapabilityMissing { .. } => "capability_missing",
            Self::ClientSilent => "client_silent",
            Self::RoundsExceeded { .. } => "rounds_exceeded",
            Self::Unauthenticated(denial) => denial.label(),
            Self::AuthThrottled { .. } => "auth_throttled",
            Self::AuthUnavailable => "auth_unavailable",
            Self::ScopeInsufficient { .. } => "auth_scope",
            Self::Forbidden => "forbidden",
            Self::Guardrail { .. } => "guardrail_block",
            Self::ApprovalRequired(_) => "approval_required",
            Self::ApprovalsFull => "approvals_full",
            Self::RateLimited { .. } => "rate_limited",
            Self::LimitsUnavailable => "limits_unavailable",
            Self::ToolLocked(_) => "tool_locked",
            Self::AccessDenied(_) => "acl_denied",
            Self::UpstreamMoved { .. } => "upstream_moved",
            Self::UpstreamUnavailable { .. } => "upstream_unavailable",
            Self::UpstreamConnect { .. } => "upstream_connect",
            Self::UpstreamBroken { .. } => "upstream_broken",
            Self::UpstreamCredential { .. } => "upstream_credential",
            Self::UpstreamTimeout { .. } => "upstream_timeout",
            Self::Internal => "internal",
        }
    }

    /// Seconds for `Retry-After`, where trying again makes sense.
    #[must_use]
    pub fn retry_after_seconds(&self) -> Option<u32> {
        if let Self::RateLimited {
            retry_after: seconds,
            ..
        }
        | Self::AuthThrottled { seconds } = self
        {
            return Some(*seconds);
        }
        (self.status() == 503).then_some(1)
    }

    /// For a human, naming the thing and what to do.
    #[must_use]
    #[expect(
        clippy::too_many_lines,
        reason = "one exhaustive match tells every refusal"
    )]
    pub fn message(&self) -> Cow<'static, str> {
        match self {
            Self::ClientJson => "JSON parse error: the body is not valid UTF-8 JSON".into(),
            Self::ClientDepth => "invalid request: the body is nested too deeply (128)".into(),
            Self::ClientShape(reason) => format!("invalid request: {reason}").into(),
            Self::ClientBatch => "invalid request: JSON-RPC batches exist only in revisions up to \
                 2025-03-26; send the messages one by one"
                .into(),
            Self::BodyTooLarge { max } => {
                format!("request body too large: at most {max} bytes are accepted").into()
            }
            Self::BodyTimeout => "the request body did not arrive in time".into(),
            Self::HeadTooLarge {
                lines_max,
                bytes_max,
            } => format!(
                "the request has more than {lines_max} headers, or more than {bytes_max} bytes of them; \
                 send fewer or shorter ones"
            )
            .into(),
            Self::OriginForbidden => {
                "forbidden: this Origin is not in gateway.allowed_origins".into()
            }
            Self::HostForbidden => {
                "misdirected request: this Host is not in gateway.allowed_hosts".into()
            }
            Self::ServerUnknown { server } => format!("unknown server: {}", excerpt(server)).into(),
            Self::PathUnknown => {
                "not found: MCP is at /mcp, /mcp/{server} and /mcp/profile/{profile}".into()
            }
            Self::HttpMethod { allow } => {
                format!("method not allowed: this endpoint answers {allow}").into()
            }
            Self::EnvelopeInvalid { member } => format!(
                "invalid params: _meta[\"io.modelcontextprotocol/{member}\"] is missing or invalid"
            )
            .into(),
            Self::HeaderMissing { header } => {
                format!("header mismatch: {header} is missing").into()
            }
            Self::HeaderMismatch { header } => {
                format!("header mismatch: {header} does not match the body").into()
            }
            Self::HeaderMalformed { header } => {
                format!("header mismatch: {header} is not valid base64 or too long").into()
            }
            Self::VersionUnsupported { requested } => {
                format!("unsupported protocol version: {}", excerpt(requested)).into()
            }
            Self::MethodNotFound { method } => {
                format!("method not found: {}", excerpt(method)).into()
            }
            Self::SessionMalformed => "invalid request: Mcp-Session-Id is malformed".into(),
            Self::SessionMissing => {
                "invalid request: Mcp-Session-Id is missing: initialize a session first".into()
            }
            Self::SessionUnknown => "session not found: initialize a new one".into(),
            Self::SessionsFull => "too many sessions: end one, or try again later".into(),
            Self::ProfileUnknown { profile } => {
                format!("unknown profile: {}", excerpt(profile)).into()
            }
            Self::TargetUnknown { kind, name } => {
                format!("unknown {kind}: {}", excerpt(name)).into()
            }
            Self::TargetAmbiguous {
                name,
                servers: [one, other],
            } => format!(
                "{} is ambiguous: servers {one} and {other} both have it",
                excerpt(name)
            )
            .into(),
            Self::ParamsInvalid { what } => format!("invalid params: {what}").into(),
            Self::CursorInvalid => "invalid params: the cursor is not valid here; list again \
                 without one"
                .into(),
            Self::StateInvalid => "invalid params: the requestState is not valid here, was used, \
                 or is too old; make the request again without one"
                .into(),
            Self::CapabilityMissing { .. } => {
                "the server needs a capability that the client did not declare".into()
            }
            Self::ClientSilent => "the client did not answer what it was asked in time".into(),
            Self::RoundsExceeded { server } => {
                format!("server {server} asked for input too many times").into()
            }
            // The words of mcp-conduit, which clients may know.
            Self::Unauthenticated(denial) => {
                format!("Authentication failed: {}", denial.message()).into()
            }
            Self::AuthThrottled { seconds } => format!(
                "too many wrong credentials came from this address: try again in {seconds} seconds"
            )
            .into(),
            Self::AuthUnavailable => {
                "the identity provider's keys are not to be had: try again later".into()
            }
            Self::ScopeInsufficient { required } => {
                format!("insufficient scope: this needs {required}").into()
            }
            Self::Forbidden => "forbidden".into(),
            Self::Guardrail { message } => message.clone().into(),
            Self::ApprovalRequired(approval) => format!(
                "{}: needs an approval ({}); send it again with X-Conduit-Approval-Id once it \
                 is approved",
                approval.message, approval.status
            )
            .into(),
            Self::ApprovalsFull => {
                "too many requests for approval are pending: try again later".into()
            }
            // The words of mcp-conduit, which clients may know.
            Self::RateLimited {
                label, retry_after, ..
            } => format!("Rate limit exceeded: {label}. Retry after {retry_after} seconds").into(),
            Self::LimitsUnavailable => {
                "rate limits cannot be checked at the moment: try again later".into()
            }
            Self::ToolLocked(locked) => locked.to_string().into(),
            Self::AccessDenied(denial) => denial.to_string().into(),
            Self::UpstreamMoved { server } => {
                format!("server {server} speaks another transport than it was said to: try again")
                    .into()
            }
            Self::UpstreamUnavailable { server } => {
                format!("server {server} is unavailable: no healthy replica").into()
            }
            Self::UpstreamConnect { server } => format!("server {server} is unreachable").into(),
            Self::UpstreamBroken { server, what } => format!("server {server} {what}").into(),
            Self::UpstreamCredential { server, what } => format!(
                "server {server} cannot be used: the gateway's credential {what}; its operator has to \
                 look at servers[].upstream_auth"
            )
            .into(),
            Self::UpstreamTimeout { server, phase } => {
                format!("server {server} {}", phase.describe()).into()
            }
            Self::Internal => "internal error".into(),
        }
    }

    /// The JSON-RPC error answer.
    #[must_use]
    pub fn to_json(&self, id: Option<Id<'_>>) -> String {
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
                code: self.code(),
                message: &message,
                data: data.as_deref(),
            },
        )
    }
}

impl Approval {
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

/// As much of a stranger's text as an error repeats.
fn excerpt(text: &str) -> &str {
    const CHARS_MAX: usize = 64;
    text.char_indices()
        .nth(CHARS_MAX)
        .map_or(text, |(at, _)| text.split_at(at).0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_codes_stay_out_of_the_reserved_range() {
        let own = Refusal::UpstreamUnavailable { server: "s".into() };
        assert!(!(-32768..=-32000).contains(&own.code()));
    }

    #[test]
    fn mcp_conduits_clients_are_told_of_policy_with_200_and_of_all_else_as_ever() {
        let unauthenticated = Refusal::Unauthenticated(denial::Denial::Missing);
        let throttled = Refusal::AuthThrottled { seconds: 7 };
        let rows = [
            (&unauthenticated, 401, 200),
            (&throttled, 429, 200),
            (&Refusal::Forbidden, 403, 200),
            (&Refusal::OriginForbidden, 403, 403),
            (&Refusal::SessionUnknown, 404, 404),
            (&Refusal::AuthUnavailable, 503, 503),
        ];
        for (refusal, own, compatible) in rows {
            assert_eq!(refusal.status_in(Statuses::Own), own, "{refusal:?}");
            assert_eq!(refusal.status_in(Statuses::Always200), compatible);
        }
        assert_eq!(throttled.retry_after_seconds(), Some(7));
    }

    #[test]
    fn an_unsupported_version_names_what_is_supported_and_what_was_asked() {
        let refusal = Refusal::VersionUnsupported {
            requested: "1999-01-01\"".into(),
        };
        assert_eq!(
            refusal.to_json(Id::from_json("7")),
            r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32022,"message":"unsupported protocol version: 1999-01-01\"","data":{"supported":["2026-07-28"],"requested":"1999-01-01\""}}}"#
        );
    }

    #[test]
    fn a_used_up_limit_is_told_in_the_words_of_mcp_conduit() {
        let refusal = Refusal::RateLimited {
            label: "client/minute".into(),
            limit: 10,
            retry_after: 42,
        };
        assert_eq!(refusal.status(), 429);
        assert_eq!(refusal.retry_after_seconds(), Some(42));
        assert_eq!(
            refusal.to_json(Id::from_json("7")),
            r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32000,"message":"Rate limit exceeded: client/minute. Retry after 42 seconds"}}"#
        );
    }

    #[test]
    fn a_locked_tool_is_told_with_its_server_and_what_to_do() {
        let refusal = |cause| Refusal::ToolLocked(Box::new(Locked::new("s", "t\u{1b}", cause)));
        for cause in [
            Cause::Changed,
            Cause::Added,
            Cause::Removed,
            Cause::Unclear,
            Cause::Unread,
        ] {
            let message = refusal(cause).message();
            for part in [r#"tool "t\u{1b}" of server "s""#, "`conduit lock approve"] {
                assert!(message.contains(part), "{message}");
            }
        }
        assert_eq!(refusal(Cause::Changed).status(), 200);
        assert_eq!(refusal(Cause::Changed).code(), -31403);
        assert_eq!(refusal(Cause::Unread).status(), 503);
        assert_eq!(refusal(Cause::Unread).code(), -31503);
    }

    #[test]
    fn a_strangers_text_is_repeated_in_part_only() {
        let refusal = Refusal::MethodNotFound {
            method: "é".repeat(10_000),
        };
        assert_eq!(refusal.message().chars().filter(|&c| c == 'é').count(), 64);
    }
}
