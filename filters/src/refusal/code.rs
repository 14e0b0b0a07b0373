//! Which JSON-RPC code a refusal is told with.
//!
//! **Invariant:** one exhaustive match, and what an era has a code of its own for.

use crate::lock::refused::Cause;
use crate::mcp::revision::Era;
use crate::refusal::Refusal;

/// "Resource not found" up to 2025-11-25; later revisions use -32602 (2026-07-28, "Error Codes").
const RESOURCE_NOT_FOUND: i32 = -32002;

impl Refusal {
    /// The JSON-RPC code that a client of `era` is told, if that is known.
    #[must_use]
    pub fn code_in(&self, era: Option<Era>) -> i32 {
        let is_resource = matches!(
            self,
            Self::TargetUnknown {
                kind: "resource",
                ..
            }
        );
        match era {
            Some(Era::Legacy) if is_resource => RESOURCE_NOT_FOUND,
            Some(Era::Legacy | Era::Modern) | None => self.code(),
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
            | Self::HeaderRepeated { .. }
            | Self::ClientBatch
            | Self::ClientIdMissing { .. }
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
            Self::OriginForbidden | Self::ScopeInsufficient { .. } | Self::ToolLocked(_) => -31403,
            Self::AuthThrottled { .. } => -31429,
            Self::HostForbidden => -31421,
            Self::UpstreamConnect { .. }
            | Self::UpstreamBroken { .. }
            | Self::UpstreamCredential { .. } => -31502,
            // As mcp-conduit has them: its clients know these codes.
            Self::Guardrail { .. } | Self::RateLimited { .. } => -32000,
            Self::ApprovalRequired(_) | Self::ApprovalAsked(_) => -32011,
            Self::AuthUnavailable
            | Self::UpstreamUnavailable { .. }
            | Self::UpstreamMoved { .. }
            | Self::LimitsUnavailable
            | Self::ApprovalsFull
            | Self::SessionsFull => -31503,
            Self::UpstreamTimeout { .. } => -31504,
        }
    }
}
