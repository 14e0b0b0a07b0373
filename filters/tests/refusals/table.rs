//! The table.
#![expect(
    clippy::too_many_lines,
    reason = "a table has as many lines as it has rows"
)]

use filters::acl::denial::{self as denied, Act};
use filters::acl::explain::List;
use filters::guard::dialog::Notice;
use filters::identity::denial::Denial;
use filters::lock::refused::{Cause, Locked};
use filters::refusal::{Approval, Asked, Lack, Phase, Refusal};

/// How one refusal is told.
pub(crate) struct Row {
    pub(crate) refusal: Refusal,
    /// The HTTP status.
    pub(crate) status: u16,
    /// The HTTP status with `compat.always_200: true`.
    pub(crate) always_200: u16,
    /// The JSON-RPC code up to 2025-11-25.
    pub(crate) legacy: i32,
    /// The JSON-RPC code from 2026-07-28 on.
    pub(crate) modern: i32,
    /// `Retry-After`, in seconds.
    pub(crate) retry: Option<u32>,
    /// The label of metrics and logs.
    pub(crate) label: &'static str,
    /// What the client reads.
    pub(crate) message: &'static str,
}

type Told = (u16, u16, i32, &'static str, &'static str);

fn row(refusal: Refusal, (status, always_200, code, label, message): Told) -> Row {
    Row {
        refusal,
        status,
        always_200,
        legacy: code,
        modern: code,
        retry: None,
        label,
        message,
    }
}

impl Row {
    fn retry(mut self, seconds: u32) -> Self {
        self.retry = Some(seconds);
        self
    }

    fn legacy(mut self, code: i32) -> Self {
        self.legacy = code;
        self
    }
}

/// All of them, in the order of the page.
pub(crate) fn rows() -> Vec<Row> {
    [
        transport(),
        message(),
        sessions(),
        callers(),
        policy(),
        targets(),
        servers(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn transport() -> Vec<Row> {
    vec![
        row(
            Refusal::HostForbidden,
            (
                421,
                421,
                -31421,
                "host_forbidden",
                "misdirected request: this Host is not in gateway.allowed_hosts; use a name that is, or have an operator add it",
            ),
        ),
        row(
            Refusal::OriginForbidden,
            (
                403,
                403,
                -31403,
                "origin_forbidden",
                "forbidden: this Origin is not in gateway.allowed_origins; an operator can add it there",
            ),
        ),
        row(
            Refusal::HeadTooLarge {
                lines_max: 100,
                bytes_max: 65536,
            },
            (
                431,
                431,
                -32600,
                "head_too_large",
                "the request has more than 100 headers, or more than 65536 bytes of them; send fewer or shorter ones",
            ),
        ),
        row(
            Refusal::PathUnknown,
            (
                404,
                404,
                -32601,
                "path_unknown",
                "not found: MCP is at /mcp, /mcp/{server} and /mcp/profile/{profile}",
            ),
        ),
        row(
            Refusal::HttpMethod {
                allow: "GET, POST, DELETE",
            },
            (
                405,
                405,
                -32600,
                "http_method",
                "method not allowed: this endpoint answers GET, POST, DELETE",
            ),
        ),
        row(
            Refusal::BodyTooLarge { max: 10_485_760 },
            (
                413,
                413,
                -32600,
                "body_too_large",
                "request body too large: at most 10485760 bytes are accepted (gateway.max_body_bytes); send less",
            ),
        ),
        row(
            Refusal::BodyTimeout,
            (
                408,
                408,
                -32600,
                "body_timeout",
                "the request body did not arrive in time (gateway.connections.body_timeout_ms); send it again, without pauses",
            ),
        ),
    ]
}

fn message() -> Vec<Row> {
    let header = || "Mcp-Name".into();
    vec![
        row(
            Refusal::ClientJson,
            (
                400,
                400,
                -32700,
                "parse_error",
                "JSON parse error: the body is not valid UTF-8 JSON; send one JSON-RPC message",
            ),
        ),
        row(
            Refusal::ClientDepth,
            (
                400,
                400,
                -32600,
                "too_deep",
                "invalid request: the body is nested too deeply (128); send a flatter one",
            ),
        ),
        row(
            Refusal::ClientShape("`jsonrpc` must be \"2.0\""),
            (
                400,
                400,
                -32600,
                "invalid_request",
                "invalid request: `jsonrpc` must be \"2.0\"",
            ),
        ),
        row(
            Refusal::ClientBatch,
            (
                400,
                400,
                -32600,
                "batch_unsupported",
                "invalid request: JSON-RPC batches exist only in revisions up to 2025-03-26; send the messages one by one",
            ),
        ),
        row(
            Refusal::ClientIdMissing {
                method: "tools/call".into(),
            },
            (
                400,
                400,
                -32600,
                "id_missing",
                "invalid request: tools/call is a request and has no `id`; send it with one",
            ),
        ),
        row(
            Refusal::EnvelopeInvalid {
                member: "clientCapabilities",
            },
            (
                400,
                400,
                -32602,
                "envelope_invalid",
                "invalid params: _meta[\"io.modelcontextprotocol/clientCapabilities\"] is missing or invalid; 2026-07-28 needs it in each request",
            ),
        ),
        row(
            Refusal::HeaderRepeated {
                header: "X-Conduit-Approval-Id",
            },
            (
                400,
                400,
                -32600,
                "header_repeated",
                "invalid request: X-Conduit-Approval-Id stands more than once; send it once",
            ),
        ),
        row(
            Refusal::VersionUnsupported {
                requested: "1999-01-01".into(),
            },
            (
                400,
                400,
                -32022,
                "version_unsupported",
                "unsupported protocol version: 1999-01-01; use 2026-07-28, 2025-11-25, 2025-06-18, 2025-03-26 or 2024-11-05",
            ),
        ),
        row(
            Refusal::HeaderMissing { header: header() },
            (
                400,
                400,
                -32020,
                "header_missing",
                "header mismatch: Mcp-Name is missing; send what the body says",
            ),
        ),
        row(
            Refusal::HeaderMismatch { header: header() },
            (
                400,
                400,
                -32020,
                "header_mismatch",
                "header mismatch: Mcp-Name does not match the body; send the same in both",
            ),
        ),
        row(
            Refusal::HeaderMalformed { header: header() },
            (
                400,
                400,
                -32020,
                "header_malformed",
                "header mismatch: Mcp-Name is not valid base64 or too long; send it once, as plain text or =?base64?...?=",
            ),
        ),
        row(
            Refusal::MethodNotFound {
                method: "tools/sing".into(),
            },
            (
                404,
                404,
                -32601,
                "method_not_found",
                "method not found: tools/sing; it is not offered here in this protocol version",
            ),
        ),
        row(
            Refusal::ParamsInvalid {
                what: "`name` is missing",
            },
            (
                200,
                200,
                -32602,
                "params_invalid",
                "invalid params: `name` is missing",
            ),
        ),
        row(
            Refusal::CursorInvalid,
            (
                200,
                200,
                -32602,
                "cursor_invalid",
                "invalid params: the cursor is not valid here; list again without one",
            ),
        ),
        row(
            Refusal::StateInvalid,
            (
                200,
                200,
                -32602,
                "state_invalid",
                "invalid params: the requestState is not valid here, was used, or is too old; make the request again without one",
            ),
        ),
        row(
            Refusal::CapabilityMissing {
                required: "{\"sampling\":{}}",
            },
            (
                400,
                400,
                -32021,
                "capability_missing",
                "the server needs a capability that the client did not declare; declare what data.requiredCapabilities names",
            ),
        ),
        row(
            Refusal::ClientSilent,
            (
                200,
                200,
                -31408,
                "client_silent",
                "the client did not answer what it was asked in time; make the request again, and answer",
            ),
        ),
    ]
}

fn sessions() -> Vec<Row> {
    vec![
        row(
            Refusal::SessionMissing,
            (
                400,
                400,
                -32600,
                "session_missing",
                "invalid request: Mcp-Session-Id is missing: initialize a session first",
            ),
        ),
        row(
            Refusal::SessionMalformed,
            (
                400,
                400,
                -32600,
                "session_malformed",
                "invalid request: Mcp-Session-Id is malformed; send it as `initialize` gave it",
            ),
        ),
        row(
            Refusal::SessionUnknown,
            (
                404,
                404,
                -31404,
                "session_unknown",
                "session not found: initialize a new one",
            ),
        ),
        row(
            Refusal::SessionsFull,
            (
                503,
                503,
                -31503,
                "sessions_full",
                "too many sessions: end one, or try again later",
            ),
        )
        .retry(1),
    ]
}

fn callers() -> Vec<Row> {
    let mut rows: Vec<Row> = denials()
        .into_iter()
        .map(|(denial, label, message)| {
            let refusal = Refusal::Unauthenticated(denial);
            row(refusal, (401, 200, -31401, label, message))
        })
        .collect();
    rows.extend([
        row(
            Refusal::AuthThrottled { seconds: 42 },
            (
                429,
                200,
                -31429,
                "auth_throttled",
                "too many wrong credentials came from this address: try again in 42 seconds",
            ),
        )
        .retry(42),
        row(
            Refusal::AuthUnavailable,
            (
                503,
                503,
                -31503,
                "auth_unavailable",
                "the identity provider's keys are not to be had: try again later",
            ),
        )
        .retry(1),
        row(
            Refusal::ScopeInsufficient {
                required: "mcp:read mcp:call".into(),
            },
            (
                403,
                200,
                -31403,
                "auth_scope",
                "insufficient scope: this needs mcp:read mcp:call; get a token with all of it",
            ),
        ),
    ]);
    rows
}

fn denials() -> [(Denial, &'static str, &'static str); 19] {
    [
        (
            Denial::Missing,
            "auth_missing",
            "Authentication failed: no credential: send `Authorization: Bearer <credential>` or `X-API-Key`",
        ),
        (
            Denial::Duplicate,
            "auth_duplicate",
            "Authentication failed: a header with a credential stands twice; send it once",
        ),
        (
            Denial::Conflict,
            "auth_conflict",
            "Authentication failed: Authorization and X-API-Key carry different credentials; send one",
        ),
        (
            Denial::Scheme,
            "auth_scheme",
            "Authentication failed: Authorization must be `Bearer <credential>`",
        ),
        (
            Denial::Malformed,
            "auth_malformed",
            "Authentication failed: the credential is empty, too long or not plain text; send it as it was issued",
        ),
        (
            Denial::KeyUnknown,
            "auth_key_unknown",
            "Authentication failed: the credential is not known; send one that the gateway was given",
        ),
        (
            Denial::KeyExpired,
            "auth_key_expired",
            "Authentication failed: the API key has expired; get a new one",
        ),
        (
            Denial::TokenMalformed,
            "auth_token_malformed",
            "Authentication failed: the token is not a signed JWT; send the access token as it was issued",
        ),
        (
            Denial::Algorithm,
            "auth_algorithm",
            "Authentication failed: the token's signature algorithm is not accepted; have it signed with RS, PS, ES or EdDSA",
        ),
        (
            Denial::KeyIdUnknown,
            "auth_kid_unknown",
            "Authentication failed: the token's signing key is not known; get a new token",
        ),
        (
            Denial::Signature,
            "auth_signature",
            "Authentication failed: the token's signature is not valid; send the token as it was issued",
        ),
        (
            Denial::Issuer,
            "auth_issuer",
            "Authentication failed: the token's issuer is not accepted; get a token of the issuer that the gateway trusts",
        ),
        (
            Denial::Audience,
            "auth_audience",
            "Authentication failed: the token was issued for another audience; get one for this endpoint",
        ),
        (
            Denial::Expired,
            "auth_token_expired",
            "Authentication failed: the token has expired; get a new one",
        ),
        (
            Denial::NotYetValid,
            "auth_token_not_yet_valid",
            "Authentication failed: the token is not valid yet; wait, or check the clocks",
        ),
        (
            Denial::Claims,
            "auth_claims",
            "Authentication failed: the token lacks a claim that is required, or one is not valid; ask the gateway's operator which",
        ),
        (
            Denial::CertificateMissing,
            "auth_certificate_missing",
            "Authentication failed: no client certificate: connect with one that the gateway's authority issued",
        ),
        (
            Denial::CertificateExpired,
            "auth_certificate_expired",
            "Authentication failed: the client certificate has expired; connect again with a new one",
        ),
        (
            Denial::CertificateName,
            "auth_certificate_name",
            "Authentication failed: the client certificate does not name exactly one client that is accepted; connect with one that does",
        ),
    ]
}

fn policy() -> Vec<Row> {
    vec![
        row(
            Refusal::AccessDenied(Box::new(denied::Denial {
                client: "alice".into(),
                server: "s".into(),
                act: Act::Call,
                name: "drop".into(),
                policy: Some("staff".into()),
                cause: denied::Cause::Rule(List::Deny, 0),
            })),
            (200, 200, -32000, "acl_denied", "Access denied: client 'alice' is not allowed to call 'drop' on server 's' (policy 'staff', deny[0])"),
        ),
        row(
            Refusal::Guardrail { message: "ask in #ops (guardrail \"no-etc\")".into() },
            (200, 200, -32000, "guardrail_block", "ask in #ops (guardrail \"no-etc\")"),
        ),
        row(
            Refusal::ApprovalRequired(Box::new(Approval {
                rule: "deploys".into(),
                message: "guardrail \"deploys\" applies to \"deploy\"".into(),
                request: "0f".into(),
                status: "pending",
                is_open: true,
                expires_at: "2026-11-24T00:00:00Z".into(),
            })),
            (200, 200, -32011, "approval_required", "guardrail \"deploys\" applies to \"deploy\": needs an approval (pending); send it again with X-Conduit-Approval-Id once it is approved"),
        ),
        row(
            Refusal::ApprovalAsked(Box::new(Asked {
                notice: Notice {
                    message: "guardrail \"deploys\" applies to \"deploy\"".into(),
                    approval: "0f".into(),
                    is_approved: false,
                    age_seconds: 5,
                    expires_at: "2026-11-24T00:00:00Z".into(),
                },
                state: "sealed".into(),
            })),
            (200, 200, -32011, "approval_asked", "guardrail \"deploys\" applies to \"deploy\". Request for approval 0f is pending: it was made 5 seconds ago and ends at 2026-11-24T00:00:00Z. It is somebody else's to approve. Accept to try again once that is done, or decline to withdraw the request"),
        ),
        row(
            Refusal::ApprovalsFull,
            (503, 503, -31503, "approvals_full", "too many requests for approval are pending: try again later"),
        )
        .retry(1),
        row(
            Refusal::RateLimited { label: "client/minute".into(), limit: 10, retry_after: 42 },
            (429, 200, -32000, "rate_limited", "Rate limit exceeded: client/minute. Retry after 42 seconds"),
        )
        .retry(42),
        row(
            Refusal::LimitsUnavailable,
            (503, 503, -31503, "limits_unavailable", "rate limits cannot be checked at the moment: try again later"),
        )
        .retry(1),
        locked(Cause::Changed, "the tool lock refuses tool \"t\" of server \"s\": it is not what was approved any more; an operator can look at it with `conduit lock diff --server s` and accept it with `conduit lock approve`"),
        locked(Cause::Added, "the tool lock refuses tool \"t\" of server \"s\": nobody approved it; an operator can look at it with `conduit lock diff --server s` and accept it with `conduit lock approve`"),
        locked(Cause::Removed, "the tool lock refuses tool \"t\" of server \"s\": the server does not list it any more; list the tools again, and if that is meant to be, an operator accepts it with `conduit lock approve`"),
        locked(Cause::Unclear, "the tool lock refuses tool \"t\" of server \"s\": its definition can be read in several ways, which `conduit lock approve` never accepts; its server has to be repaired"),
        row(
            Refusal::ToolLocked(Box::new(Locked::new("s", "t", Cause::Unread))),
            (503, 503, -31503, "tool_locked", "the tool lock refuses tool \"t\" of server \"s\": the server's tools cannot be listed now, so that nobody knows whether they are what `conduit lock approve` accepted; try again later"),
        )
        .retry(1),
    ]
}

fn locked(cause: Cause, message: &'static str) -> Row {
    let refusal = Refusal::ToolLocked(Box::new(Locked::new("s", "t", cause)));
    row(refusal, (200, 200, -31403, "tool_locked", message))
}

fn targets() -> Vec<Row> {
    vec![
        row(
            Refusal::ServerUnknown {
                server: "nowhere".into(),
            },
            (
                404,
                404,
                -32601,
                "server_unknown",
                "unknown server: nowhere; use /mcp/{server} with one that you may use",
            ),
        ),
        row(
            Refusal::ProfileUnknown {
                profile: "nothing".into(),
            },
            (
                404,
                404,
                -32601,
                "profile_unknown",
                "unknown profile: nothing; use /mcp/profile/{profile} with one that you may use",
            ),
        ),
        row(
            Refusal::TargetUnknown {
                kind: "tool",
                name: "s.lost".into(),
            },
            (
                200,
                200,
                -32602,
                "target_unknown",
                "unknown tool: s.lost; list the tools again",
            ),
        ),
        row(
            Refusal::TargetUnknown {
                kind: "resource",
                name: "s+file:///lost".into(),
            },
            (
                200,
                200,
                -32602,
                "target_unknown",
                "unknown resource: s+file:///lost; list the resources again",
            ),
        )
        .legacy(-32002),
        row(
            Refusal::TargetAmbiguous {
                name: "echo".into(),
                servers: ["a".into(), "b".into()],
            },
            (
                200,
                200,
                -32602,
                "target_ambiguous",
                "echo is ambiguous: servers a and b both have it; use /mcp/{server}",
            ),
        ),
    ]
}

fn servers() -> Vec<Row> {
    let server = || "s".to_owned();
    let timeout = |phase, message| {
        let refusal = Refusal::UpstreamTimeout {
            server: server(),
            phase,
        };
        row(refusal, (504, 504, -31504, "upstream_timeout", message))
    };
    vec![
        row(
            Refusal::UpstreamUnavailable { server: server() },
            (
                503,
                503,
                -31503,
                "upstream_unavailable",
                "server s is unavailable: none of its replicas can take this now; try again later",
            ),
        )
        .retry(1),
        row(
            Refusal::UpstreamMoved { server: server() },
            (
                503,
                503,
                -31503,
                "upstream_moved",
                "server s speaks another transport than it was said to: try again",
            ),
        )
        .retry(1),
        row(
            Refusal::UpstreamConnect { server: server() },
            (
                502,
                502,
                -31502,
                "upstream_connect",
                "server s is unreachable; try again later",
            ),
        ),
        row(
            Refusal::UpstreamBroken {
                server: server(),
                what: "closed the connection without answering",
            },
            (
                502,
                502,
                -31502,
                "upstream_broken",
                "server s closed the connection without answering; what was asked may be done all the same: look before you ask again",
            ),
        ),
        row(
            Refusal::UpstreamCredential {
                server: server(),
                lack: Lack::Refused,
            },
            (
                502,
                502,
                -31502,
                "upstream_credential",
                "server s cannot be used: the gateway's credential was refused (HTTP 401); its operator has to look at servers[].upstream_auth",
            ),
        ),
        row(
            Refusal::UpstreamCredential {
                server: server(),
                lack: Lack::Wanted,
            },
            (
                502,
                502,
                -31502,
                "upstream_credential",
                "server s cannot be used: it wants a credential, and the gateway has none for it (HTTP 401); the gateway's operator has to set servers[].upstream_auth or servers[].forward_authorization",
            ),
        ),
        row(
            Refusal::UpstreamCredential {
                server: server(),
                lack: Lack::Forbidden,
            },
            (
                502,
                502,
                -31502,
                "upstream_credential",
                "server s cannot be used: it forbids this to the gateway, which has no credential for it (HTTP 403); the gateway's operator has to set servers[].upstream_auth or servers[].forward_authorization",
            ),
        ),
        timeout(
            Phase::Connect,
            "server s did not accept a connection in time; try again later",
        ),
        timeout(
            Phase::Header,
            "server s did not answer in time; what was asked may be done all the same: look before you ask again",
        ),
        timeout(
            Phase::Idle,
            "server s stopped sending its answer; what was asked may be done all the same: look before you ask again",
        ),
        timeout(
            Phase::Total,
            "server s took longer than the longest allowed call; what was asked may be done all the same: look before you ask again",
        ),
        row(
            Refusal::RoundsExceeded { server: server() },
            (
                200,
                200,
                -31508,
                "rounds_exceeded",
                "server s asked for input too many times; its operator has to look at it",
            ),
        ),
        row(
            Refusal::Internal,
            (
                500,
                500,
                -32603,
                "internal",
                "internal error; the gateway's log has it under the trace id in X-Conduit-Trace-Id",
            ),
        ),
    ]
}
