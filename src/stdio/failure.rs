//! Every "no" of the bridge, and how a client is told.
//!
//! **Invariant:** one variant, one status, one code. Own codes lie outside -32768…-32000 (E12) and
//! are -31000 less the HTTP status, as everywhere in Conduit. One is not our own: that there are only
//! sessions is told by -32000, as servers of the SDKs do and as era probes know it (D1).

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use filters::rpc::parse::{Id, Invalid};
use filters::rpc::write;
use http::StatusCode;

/// Why a request is not answered by the child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The body is not UTF-8 JSON.
    ClientJson,
    /// The body is JSON but no message.
    ClientShape(&'static str),
    /// `_meta` cannot be read.
    ClientMeta,
    /// The body is longer than a line to the child may be.
    ClientBodyTooLarge {
        /// The bound, in bytes.
        max: usize,
    },
    /// The HTTP method is not served here.
    ClientMethod,
    /// A legacy message without a session id.
    SessionMissing,
    /// A message of 2026-07-28 to a server whose transport has only sessions.
    SessionsOnly,
    /// A session that never was, or is over.
    SessionUnknown,
    /// The session has an event stream already.
    StreamTaken,
    /// A bound is reached.
    TooMany {
        /// Of what.
        what: &'static str,
        /// The bound.
        max: usize,
    },
    /// The child ended while it had the call.
    UpstreamEnded {
        /// How, after the server's name.
        how: Arc<str>,
    },
    /// The child ended before the call, and will be started again.
    UpstreamRestarting {
        /// How it ended, after the server's name.
        how: Arc<str>,
        /// When it will be tried again.
        after: Duration,
    },
    /// No first message in time.
    UpstreamTimeout {
        /// The bound.
        after: Duration,
    },
    /// The child does not read its input.
    UpstreamNotReading,
    /// The child's answer is longer than a line may be.
    UpstreamAnswerTooLarge {
        /// The bound, in bytes.
        max: usize,
    },
    /// The client reads its stream too slowly.
    ClientTooSlow,
    /// The session was ended by its client or by time.
    SessionEnded,
    /// The gateway is going.
    ShuttingDown,
}

impl From<Invalid> for Failure {
    fn from(invalid: Invalid) -> Self {
        match invalid {
            Invalid::Syntax => Self::ClientJson,
            Invalid::Depth => Self::ClientShape("nested too deeply"),
            Invalid::Shape(reason) => Self::ClientShape(reason),
        }
    }
}

impl Failure {
    /// The HTTP status.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::ClientJson
            | Self::ClientShape(_)
            | Self::ClientMeta
            | Self::SessionMissing
            | Self::SessionsOnly => StatusCode::BAD_REQUEST,
            Self::SessionUnknown | Self::SessionEnded => StatusCode::NOT_FOUND,
            Self::ClientMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::StreamTaken => StatusCode::CONFLICT,
            Self::ClientBodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UpstreamEnded { .. } | Self::UpstreamAnswerTooLarge { .. } => {
                StatusCode::BAD_GATEWAY
            }
            Self::TooMany { .. }
            | Self::UpstreamRestarting { .. }
            | Self::UpstreamNotReading
            | Self::ClientTooSlow
            | Self::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
            Self::UpstreamTimeout { .. } => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// The JSON-RPC code.
    pub(super) fn code(&self) -> i32 {
        match self {
            Self::ClientJson => -32700,
            Self::ClientShape(_) | Self::ClientBodyTooLarge { .. } | Self::ClientMethod => -32600,
            Self::ClientMeta => -32602,
            Self::SessionMissing => -31400,
            Self::SessionsOnly => -32000,
            Self::SessionUnknown | Self::SessionEnded => -31404,
            Self::StreamTaken => -31409,
            Self::UpstreamEnded { .. } | Self::UpstreamAnswerTooLarge { .. } => -31502,
            Self::TooMany { .. }
            | Self::UpstreamRestarting { .. }
            | Self::UpstreamNotReading
            | Self::ClientTooSlow
            | Self::ShuttingDown => -31503,
            Self::UpstreamTimeout { .. } => -31504,
        }
    }

    /// Whole seconds for `Retry-After`, where trying again makes sense.
    pub(super) fn retry_after(&self) -> Option<u64> {
        match self {
            Self::UpstreamRestarting { after, .. } => {
                Some(after.as_secs() + u64::from(after.subsec_nanos() > 0))
            }
            Self::TooMany { .. }
            | Self::UpstreamNotReading
            | Self::ClientTooSlow
            | Self::ShuttingDown => Some(1),
            Self::ClientJson
            | Self::ClientShape(_)
            | Self::ClientMeta
            | Self::ClientBodyTooLarge { .. }
            | Self::ClientMethod
            | Self::SessionMissing
            | Self::SessionsOnly
            | Self::SessionUnknown
            | Self::StreamTaken
            | Self::UpstreamEnded { .. }
            | Self::UpstreamTimeout { .. }
            | Self::UpstreamAnswerTooLarge { .. }
            | Self::SessionEnded => None,
        }
    }

    /// For a human, naming the server.
    pub(super) fn message(&self, server: &str) -> Cow<'static, str> {
        match self {
            Self::ClientJson => "parse error: the body is not valid UTF-8 JSON".into(),
            Self::ClientShape(reason) => format!("invalid request: {reason}").into(),
            Self::ClientMeta => "invalid params: _meta must be an object without duplicates".into(),
            Self::ClientBodyTooLarge { max } => {
                format!("server \"{server}\" takes messages of at most {max} bytes").into()
            }
            Self::ClientMethod => {
                "method not allowed: without a session only POST is served".into()
            }
            Self::SessionMissing => {
                "Mcp-Session-Id is missing: send initialize first, then its session id".into()
            }
            Self::SessionsOnly => format!(
                "server \"{server}\" speaks only revisions with sessions: send initialize first"
            )
            .into(),
            Self::SessionUnknown => {
                "session unknown or expired: send initialize without a session id".into()
            }
            Self::StreamTaken => "the session has an event stream open already".into(),
            Self::TooMany { what, max } => {
                format!("server \"{server}\" has too many {what} (at most {max}); try again later")
                    .into()
            }
            Self::UpstreamEnded { how } => format!("server \"{server}\" {how}").into(),
            Self::UpstreamRestarting { how, after } => format!(
                "server \"{server}\" {how}; it is started again in {:.1} s",
                after.as_secs_f32()
            )
            .into(),
            Self::UpstreamTimeout { after } => format!(
                "server \"{server}\" did not answer within {} ms",
                after.as_millis()
            )
            .into(),
            Self::UpstreamNotReading => {
                format!("server \"{server}\" does not read its input; try again later").into()
            }
            Self::UpstreamAnswerTooLarge { max } => {
                format!("server \"{server}\" answered with more than {max} bytes").into()
            }
            Self::ClientTooSlow => "the stream was ended: its events were read too slowly".into(),
            Self::SessionEnded => "the session has ended".into(),
            Self::ShuttingDown => "the gateway is shutting down; try again".into(),
        }
    }

    /// The JSON-RPC error answer.
    pub(super) fn to_json(&self, server: &str, id: Option<&str>) -> String {
        write::error(
            id.and_then(Id::from_json),
            &write::Failure {
                code: self.code(),
                message: &self.message(server),
                data: None,
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_server_and_echoes_the_id() {
        let failure = Failure::UpstreamEnded {
            how: "exited with status 3".into(),
        };
        assert_eq!(
            failure.to_json("files", Some("9007199254740993")),
            r#"{"jsonrpc":"2.0","id":9007199254740993,"error":{"code":-31502,"message":"server \"files\" exited with status 3"}}"#
        );
    }

    #[test]
    fn a_wait_is_told_in_whole_seconds_and_never_too_short() {
        let failure = |millis| Failure::UpstreamRestarting {
            how: "ended".into(),
            after: Duration::from_millis(millis),
        };
        assert_eq!(failure(250).retry_after(), Some(1));
        assert_eq!(failure(2000).retry_after(), Some(2));
        assert_eq!(failure(2001).retry_after(), Some(3));
    }
}
