//! How metrics and logs call a refusal.
//!
//! **Invariant:** a closed set: no label has anything in it that a client sent.

use crate::refusal::Refusal;

impl Refusal {
    /// The metric label and log reason: a closed set.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::ClientJson => "parse_error",
            Self::ClientDepth => "too_deep",
            Self::ClientShape(_) => "invalid_request",
            Self::ClientBatch => "batch_unsupported",
            Self::ClientIdMissing { .. } => "id_missing",
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
            Self::HeaderRepeated { .. } => "header_repeated",
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
            Self::Guardrail { .. } => "guardrail_block",
            Self::ApprovalRequired(_) => "approval_required",
            Self::ApprovalAsked(_) => "approval_asked",
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
}
