//! What a refusal says to a human.
//!
//! **Invariant:** of a stranger's text no more is repeated than an excerpt.

use std::borrow::Cow;

use crate::mcp::revision::Revision;
use crate::refusal::{Lack, Phase, Refusal};

/// What is said where it is not known what a server did.
const MAY_BE_DONE: &str = "what was asked may be done all the same: look before you ask again";

impl Refusal {
    /// For a human: first the thing, then what to do.
    #[must_use]
    #[expect(
        clippy::too_many_lines,
        reason = "one exhaustive match tells every refusal"
    )]
    pub fn message(&self) -> Cow<'static, str> {
        match self {
            Self::ClientJson => "JSON parse error: the body is not valid UTF-8 JSON; send one \
                 JSON-RPC message"
                .into(),
            Self::ClientDepth => {
                "invalid request: the body is nested too deeply (128); send a flatter one".into()
            }
            Self::ClientShape(reason) => format!("invalid request: {reason}").into(),
            Self::ClientBatch => "invalid request: JSON-RPC batches exist only in revisions up to \
                 2025-03-26; send the messages one by one"
                .into(),
            Self::ClientIdMissing { method } => format!(
                "invalid request: {} is a request and has no `id`; send it with one",
                excerpt(method)
            )
            .into(),
            Self::BodyTooLarge { max } => format!(
                "request body too large: at most {max} bytes are accepted \
                 (gateway.max_body_bytes); send less"
            )
            .into(),
            Self::BodyTimeout => "the request body did not arrive in time \
                 (gateway.connections.body_timeout_ms); send it again, without pauses"
                .into(),
            Self::HeadTooLarge {
                lines_max,
                bytes_max,
            } => format!(
                "the request has more than {lines_max} headers, or more than {bytes_max} bytes of them; \
                 send fewer or shorter ones"
            )
            .into(),
            Self::OriginForbidden => "forbidden: this Origin is not in gateway.allowed_origins; an \
                 operator can add it there"
                .into(),
            Self::HostForbidden => "misdirected request: this Host is not in \
                 gateway.allowed_hosts; use a name that is, or have an operator add it"
                .into(),
            Self::ServerUnknown { server } => format!(
                "unknown server: {}; use /mcp/{{server}} with one that you may use",
                excerpt(server)
            )
            .into(),
            Self::PathUnknown => {
                "not found: MCP is at /mcp, /mcp/{server} and /mcp/profile/{profile}".into()
            }
            Self::HttpMethod { allow } => {
                format!("method not allowed: this endpoint answers {allow}").into()
            }
            Self::EnvelopeInvalid { member } => format!(
                "invalid params: _meta[\"io.modelcontextprotocol/{member}\"] is missing or invalid; \
                 2026-07-28 needs it in each request"
            )
            .into(),
            Self::HeaderMissing { header } => {
                format!("header mismatch: {header} is missing; send what the body says").into()
            }
            Self::HeaderMismatch { header } => format!(
                "header mismatch: {header} does not match the body; send the same in both"
            )
            .into(),
            Self::HeaderMalformed { header } => format!(
                "header mismatch: {header} is not valid base64 or too long; send it once, as plain \
                 text or =?base64?...?="
            )
            .into(),
            Self::HeaderRepeated { header } => {
                format!("invalid request: {header} stands more than once; send it once").into()
            }
            Self::VersionUnsupported { requested } => format!(
                "unsupported protocol version: {}; use {}",
                excerpt(requested),
                Revision::SUPPORTED
            )
            .into(),
            Self::MethodNotFound { method } => format!(
                "method not found: {}; it is not offered here in this protocol version",
                excerpt(method)
            )
            .into(),
            Self::SessionMalformed => "invalid request: Mcp-Session-Id is malformed; send it as \
                 `initialize` gave it"
                .into(),
            Self::SessionMissing => {
                "invalid request: Mcp-Session-Id is missing: initialize a session first".into()
            }
            Self::SessionUnknown => "session not found: initialize a new one".into(),
            Self::SessionsFull => "too many sessions: end one, or try again later".into(),
            Self::ProfileUnknown { profile } => format!(
                "unknown profile: {}; use /mcp/profile/{{profile}} with one that you may use",
                excerpt(profile)
            )
            .into(),
            Self::TargetUnknown { kind, name } => format!(
                "unknown {kind}: {}; list the {kind}s again",
                excerpt(name)
            )
            .into(),
            Self::TargetAmbiguous {
                name,
                servers: [one, other],
            } => format!(
                "{} is ambiguous: servers {one} and {other} both have it; use /mcp/{{server}}",
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
            Self::CapabilityMissing { .. } => "the server needs a capability that the client did \
                 not declare; declare what data.requiredCapabilities names"
                .into(),
            Self::ClientSilent => "the client did not answer what it was asked in time; make the \
                 request again, and answer"
                .into(),
            Self::RoundsExceeded { server } => format!(
                "server {server} asked for input too many times; its operator has to look at it"
            )
            .into(),
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
            Self::ScopeInsufficient { required } => format!(
                "insufficient scope: this needs {required}; get a token with all of it"
            )
            .into(),
            Self::Guardrail { message } => message.clone().into(),
            Self::ApprovalRequired(approval) => approval.text().into(),
            Self::ApprovalAsked(asked) => asked.notice.text().into(),
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
            Self::UpstreamUnavailable { server } => format!(
                "server {server} is unavailable: none of its replicas can take this now; try again later"
            )
            .into(),
            Self::UpstreamConnect { server } => {
                format!("server {server} is unreachable; try again later").into()
            }
            Self::UpstreamBroken { server, what } => {
                format!("server {server} {what}; {MAY_BE_DONE}").into()
            }
            Self::UpstreamCredential { server, lack } => {
                format!("server {server} cannot be used: {}", lack.describe()).into()
            }
            Self::UpstreamTimeout { server, phase } => {
                let advice = match phase {
                    Phase::Connect => "try again later",
                    Phase::Header | Phase::Idle | Phase::Total => MAY_BE_DONE,
                };
                format!("server {server} {}; {advice}", phase.describe()).into()
            }
            Self::Internal => "internal error; the gateway's log has it under the trace id in \
                 X-Conduit-Trace-Id"
                .into(),
        }
    }
}

impl Lack {
    /// How a client is told, and what the gateway's operator has to do.
    fn describe(self) -> &'static str {
        match self {
            Self::Refused => {
                "the gateway's credential was refused (HTTP 401); its operator has to look at \
                 servers[].upstream_auth"
            }
            Self::Insufficient => {
                "the gateway's credential does not suffice (HTTP 403); its operator has to look at \
                 servers[].upstream_auth"
            }
            Self::Missing => {
                "the gateway's credential is not to be had; its operator has to look at \
                 servers[].upstream_auth"
            }
            Self::Wanted => {
                "it wants a credential, and the gateway has none for it (HTTP 401); the gateway's \
                 operator has to set servers[].upstream_auth or servers[].forward_authorization"
            }
            Self::Forbidden => {
                "it forbids this to the gateway, which has no credential for it (HTTP 403); the \
                 gateway's operator has to set servers[].upstream_auth or \
                 servers[].forward_authorization"
            }
        }
    }
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

/// As much of a stranger's text as an error repeats.
pub(super) fn excerpt(text: &str) -> &str {
    const CHARS_MAX: usize = 64;
    text.char_indices()
        .nth(CHARS_MAX)
        .map_or(text, |(at, _)| text.split_at(at).0)
}
