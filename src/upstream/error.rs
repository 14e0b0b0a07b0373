//! What can go wrong on the way to an upstream.

use filters::refusal::{Lack, Phase, Refusal};

/// Why an upstream did not give an answer. The text is for the operator; a client is told the
/// [`Refusal`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No replica is healthy.
    #[error("no healthy replica")]
    Unavailable,
    /// No connection could be made.
    #[error("connect failed: {0}")]
    Connect(String),
    /// The connection failed while it was used.
    #[error("connection failed: {0}")]
    Io(#[from] std::io::Error),
    /// The upstream closed the connection before it answered.
    #[error("closed the connection before answering")]
    ClosedEarly,
    /// The upstream closed the connection in the middle of its answer.
    #[error("closed the connection in the middle of its answer")]
    Truncated,
    /// The upstream's answer is not HTTP/1.1.
    #[error("answered with something that is not HTTP: {0}")]
    NotHttp(&'static str),
    /// The upstream's answer is longer than what is held in memory.
    #[error(
        "answered with a message longer than {} bytes",
        crate::upstream::talk::MESSAGE_BYTES_MAX
    )]
    TooLong,
    /// The upstream does not know the session any more.
    #[error("does not know the session any more")]
    SessionLost,
    /// Everything there is is in use.
    #[error("has no session left for another caller")]
    Busy,
    /// The upstream does not accept the gateway's own credential.
    #[error("refused the gateway's credential (HTTP {0})")]
    CredentialRefused(u16),
    /// The upstream wants a credential, and the gateway was given none for it.
    #[error("wants a credential, and the gateway has none for it (HTTP {0})")]
    CredentialWanted(u16),
    /// There is no credential to send.
    #[error("the gateway's credential is not to be had")]
    CredentialMissing,
    /// A time bound was reached.
    #[error("{}", .0.describe())]
    Timeout(Phase),
}

impl Error {
    /// Whether the request cannot have been acted on: no byte of it reached the upstream, or it was
    /// refused for whose it was.
    #[must_use]
    pub fn is_before_sending(&self) -> bool {
        match self {
            Self::Unavailable
            | Self::Connect(_)
            | Self::CredentialRefused(_)
            | Self::CredentialWanted(_)
            | Self::CredentialMissing
            | Self::Timeout(Phase::Connect) => true,
            Self::Io(_)
            | Self::ClosedEarly
            | Self::Truncated
            | Self::NotHttp(_)
            | Self::TooLong
            | Self::SessionLost
            | Self::Busy
            | Self::Timeout(Phase::Header | Phase::Idle | Phase::Total) => false,
        }
    }

    /// What the client is told.
    #[must_use]
    pub fn to_refusal(&self, server: &str) -> Refusal {
        let server = server.to_owned();
        let broken = |what| Refusal::UpstreamBroken {
            server: server.clone(),
            what,
        };
        let credential = |lack| Refusal::UpstreamCredential {
            server: server.clone(),
            lack,
        };
        match self {
            Self::Unavailable | Self::Busy => Refusal::UpstreamUnavailable { server },
            Self::Connect(_) => Refusal::UpstreamConnect { server },
            Self::Io(_) => broken("broke the connection"),
            Self::ClosedEarly => broken("closed the connection without answering"),
            Self::Truncated => broken("closed the connection in the middle of its answer"),
            Self::NotHttp(_) => broken("answered with something that is not HTTP"),
            Self::TooLong => broken("answered with a too long message"),
            Self::SessionLost => broken("lost the session"),
            Self::CredentialRefused(403) => credential(Lack::Insufficient),
            Self::CredentialRefused(_) => credential(Lack::Refused),
            Self::CredentialWanted(403) => credential(Lack::Forbidden),
            Self::CredentialWanted(_) => credential(Lack::Wanted),
            Self::CredentialMissing => credential(Lack::Missing),
            Self::Timeout(phase) => Refusal::UpstreamTimeout {
                server,
                phase: *phase,
            },
        }
    }
}
