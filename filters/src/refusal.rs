//! Every "no" that a client can be told, and how it is told.
//!
//! **Invariant:** one variant, one HTTP status, one JSON-RPC code, one metric label: each is one
//! exhaustive match in a file of its own, so a new refusal cannot be half defined. No variant carries an
//! inner error's text: what went wrong inside is for the operator's log.

mod code;
mod effect;
mod json;
mod label;
mod message;
mod status;

use std::borrow::Cow;

use crate::acl;
use crate::guard::dialog::Notice;
use crate::identity::denial;
use crate::lock::refused::Locked;
use crate::rpc::parse::Invalid;

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
    /// A method that is a request comes without an id.
    ClientIdMissing {
        /// The method's name.
        method: String,
    },
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
    /// A header stands more than once, and two readers could pick different ones.
    HeaderRepeated {
        /// The header.
        header: &'static str,
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
    /// A guardrail says no.
    Guardrail {
        /// What the client is told.
        message: String,
    },
    /// A guardrail holds it until somebody approves.
    ApprovalRequired(Box<Approval>),
    /// So it does, and its client is asked whether to go on waiting: the one refusal that is told as a
    /// result, `input_required`.
    ApprovalAsked(Box<Asked>),
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
        /// What is wrong with it.
        lack: Lack,
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
    /// What became of it: `pending`, `approved`, `rejected`, `withdrawn`, `expired`, `used` or `mismatch`.
    pub status: &'static str,
    /// Whether `request` can still be made use of, now or once somebody says yes.
    pub is_open: bool,
    /// Until when it is good (RFC 3339).
    pub expires_at: String,
}

/// What the client of a held call is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// What its user is told.
    pub notice: Notice,
    /// What it comes back with, sealed.
    pub state: String,
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

/// What is wrong with the gateway's credential at a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// The server does not accept it (401).
    Refused,
    /// It does not suffice for what was asked (403).
    Insufficient,
    /// It is configured, and cannot be had.
    Missing,
    /// The server wants one (401), and none is configured.
    Wanted,
    /// The server forbids what was asked (403) to who has none.
    Forbidden,
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

impl Refusal {
    /// Whether its sender is told in a batch although the message has no id: it cannot have meant it so.
    #[must_use]
    pub fn is_for_want_of_an_id(&self) -> bool {
        matches!(self, Self::ClientIdMissing { .. })
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

#[cfg(test)]
mod tests;
