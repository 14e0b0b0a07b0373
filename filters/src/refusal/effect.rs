//! Whether what is refused may have done something nevertheless.
//!
//! **Invariant:** one exhaustive match: what the cache keeps of a server rests on it.

use crate::refusal::{Phase, Refusal};

impl Refusal {
    /// Whether the request may have reached its server nevertheless, and done there what it says.
    #[must_use]
    pub fn may_have_been_sent(&self) -> bool {
        match self {
            Self::UpstreamBroken { .. }
            | Self::RoundsExceeded { .. }
            | Self::CapabilityMissing { .. }
            | Self::ClientSilent
            | Self::Internal => true,
            Self::UpstreamTimeout { phase, .. } => match phase {
                Phase::Header | Phase::Idle | Phase::Total => true,
                Phase::Connect => false,
            },
            Self::ClientJson
            | Self::ClientDepth
            | Self::ClientShape(_)
            | Self::HeaderRepeated { .. }
            | Self::ClientBatch
            | Self::ClientIdMissing { .. }
            | Self::BodyTooLarge { .. }
            | Self::BodyTimeout
            | Self::HeadTooLarge { .. }
            | Self::OriginForbidden
            | Self::HostForbidden
            | Self::ServerUnknown { .. }
            | Self::PathUnknown
            | Self::HttpMethod { .. }
            | Self::EnvelopeInvalid { .. }
            | Self::HeaderMissing { .. }
            | Self::HeaderMismatch { .. }
            | Self::HeaderMalformed { .. }
            | Self::VersionUnsupported { .. }
            | Self::MethodNotFound { .. }
            | Self::SessionMalformed
            | Self::SessionMissing
            | Self::SessionUnknown
            | Self::SessionsFull
            | Self::ProfileUnknown { .. }
            | Self::TargetUnknown { .. }
            | Self::TargetAmbiguous { .. }
            | Self::ParamsInvalid { .. }
            | Self::CursorInvalid
            | Self::StateInvalid
            | Self::Unauthenticated(_)
            | Self::AuthThrottled { .. }
            | Self::AuthUnavailable
            | Self::ScopeInsufficient { .. }
            | Self::Guardrail { .. }
            | Self::ApprovalRequired(_)
            | Self::ApprovalAsked(_)
            | Self::ApprovalsFull
            | Self::RateLimited { .. }
            | Self::LimitsUnavailable
            | Self::ToolLocked(_)
            | Self::AccessDenied(_)
            | Self::UpstreamMoved { .. }
            | Self::UpstreamUnavailable { .. }
            | Self::UpstreamConnect { .. }
            | Self::UpstreamCredential { .. } => false,
        }
    }
}
