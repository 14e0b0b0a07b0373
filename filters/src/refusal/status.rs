//! With which HTTP status a refusal is told, and when trying again makes sense.
//!
//! **Invariant:** one exhaustive match; no refusal has two statuses of its own.

use crate::lock::refused::Cause;
use crate::refusal::{Refusal, Statuses};

impl Refusal {
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
            | Self::HeaderRepeated { .. }
            | Self::ClientBatch
            | Self::ClientIdMissing { .. }
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
            | Self::ApprovalRequired(_)
            | Self::ApprovalAsked(_) => 200,
            Self::Unauthenticated(_) => 401,
            Self::OriginForbidden | Self::ScopeInsufficient { .. } => 403,
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
}
