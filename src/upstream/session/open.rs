//! How a session begins: the handshake, or what another instance knows of one.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use filters::json::object::Object;
use filters::mcp::revision::{Era, Revision};
use filters::mcp::translate::up;
use http::HeaderValue;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::{Session, State};
use crate::upstream::CLIENT_INFO;
use crate::upstream::error::Error;
use crate::upstream::fields::{Caller, Mcp};
use crate::upstream::remote::{Post, Remote};
use crate::upstream::talk::{Answered, Patience};

/// The revision the gateway offers on its own account.
const REVISION: &str = "2025-11-25";

/// Why a session could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The server could not be asked.
    #[error(transparent)]
    Upstream(#[from] Error),
    /// The server refused.
    #[error("refused to initialize (HTTP {status})")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What it said.
        body: String,
        /// What credential it wants.
        challenge: Option<HeaderValue>,
    },
    /// The server agreed to a revision that has no sessions, or to none.
    #[error("agreed to {revision:?}, which has no sessions")]
    Disagreed {
        /// What it named.
        revision: String,
    },
}

impl OpenError {
    /// Whether it speaks against what is believed of the server's era: a lack of credentials, too
    /// many requests or an outage do not.
    #[must_use]
    pub fn is_of_era(&self) -> bool {
        match self {
            Self::Upstream(_) => false,
            Self::Disagreed { .. } => true,
            Self::Refused { status, body, .. } => match status {
                400 | 404..=406 | 422 => true,
                200..=299 => {
                    let error = Object::read(body).unwrap_or_default();
                    // A server of the modern era does not know `initialize`.
                    matches!(error.get("code"), Some("-32601" | "-32022"))
                }
                _ => false,
            },
        }
    }
}

/// A session that nobody knows of yet: whoever opens it may leave meanwhile, and then it ends.
pub(in crate::upstream) struct Unfinished {
    /// The session.
    pub(in crate::upstream) session: Arc<Session>,
    is_finished: bool,
}

impl Unfinished {
    /// A session that ends unless it is finished.
    pub(in crate::upstream) fn of(session: Arc<Session>) -> Self {
        Self {
            session,
            is_finished: false,
        }
    }

    /// The session, for whoever is to end it from here on.
    pub(in crate::upstream) fn finish(mut self) -> Arc<Session> {
        self.is_finished = true;
        Arc::clone(&self.session)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.is_finished {
            Arc::clone(&self.session).close_later();
        }
    }
}

impl Session {
    /// Opens a session on the gateway's own account.
    ///
    /// # Errors
    /// [`OpenError`]
    pub async fn open(
        remote: &Arc<Remote>,
        caller: &Caller,
        capabilities: &str,
    ) -> Result<Arc<Self>, OpenError> {
        let params = format!(
            r#"{{"protocolVersion":"{REVISION}","capabilities":{capabilities},"clientInfo":{CLIENT_INFO}}}"#
        );
        Self::open_as(remote, caller, &params).await
    }

    /// Opens a session with a client's own `initialize` params.
    ///
    /// # Errors
    /// [`OpenError`]
    pub async fn open_as(
        remote: &Arc<Remote>,
        caller: &Caller,
        params: &str,
    ) -> Result<Arc<Self>, OpenError> {
        let opened = Unfinished::of(Self::open_quietly(remote, caller, params).await?);
        opened
            .session
            .tell(up::notification("notifications/initialized", None))
            .await?;
        Ok(opened.finish())
    }

    /// Opens a session for a client that says itself when it is initialized.
    ///
    /// # Errors
    /// [`OpenError`]
    pub async fn open_quietly(
        remote: &Arc<Remote>,
        caller: &Caller,
        params: &str,
    ) -> Result<Arc<Self>, OpenError> {
        let id = format!("\"conduit-{}\"", remote.serial());
        let body = up::request(&id, "initialize", Some(params));
        let post = Post {
            mcp: Mcp {
                method: Some("initialize"),
                ..Mcp::BARE
            },
            is_repeatable: false,
        };
        let patience = Patience::Call {
            deadline: remote.deadline(),
        };
        let mut talk = remote.post(caller, post, body, patience).await?;
        let status = talk.status;
        let handshake = match talk.answer(|_| {}).await? {
            Answered::Result(result) => result,
            Answered::Error(body) | Answered::Other(body) => {
                return Err(OpenError::Refused {
                    status,
                    body,
                    challenge: talk.challenge.take(),
                });
            }
        };
        let session = Self::restore(
            Arc::clone(remote),
            caller.clone(),
            talk.session.take(),
            handshake,
            params,
        );
        if let (Some(affinity), Some(id)) = (&remote.cluster.affinity, &session.id) {
            affinity.remember(id, talk.replica);
        }
        if let Some(revision) = disagreement(&session.handshake) {
            session.close_later();
            return Err(OpenError::Disagreed { revision });
        }
        Ok(session)
    }

    /// A session that stands already: this or another instance opened it.
    #[must_use]
    pub fn restore(
        remote: Arc<Remote>,
        caller: Caller,
        id: Option<String>,
        handshake: String,
        params: &str,
    ) -> Arc<Self> {
        let answered = Object::read(&handshake).unwrap_or_default();
        let asked = Object::read(params).unwrap_or_default();
        let revision = answered
            .text("protocolVersion")
            .map(std::borrow::Cow::into_owned);
        let capabilities = asked.get("capabilities").unwrap_or("{}").to_owned();
        Arc::new(Self {
            revision: revision.unwrap_or_else(|| REVISION.to_owned()),
            capabilities,
            remote,
            caller: Mutex::new(Arc::new(caller.lasting())),
            id,
            handshake,
            state: Mutex::new(State {
                subscriptions: HashMap::new(),
                log_level: None,
                used: Instant::now(),
            }),
            notices: OnceLock::new(),
            group: OnceLock::new(),
            is_listening: AtomicBool::new(false),
            attended: CancellationToken::new(),
            over: CancellationToken::new(),
        })
    }
}

/// The revision of an `InitializeResult` that does not begin with a handshake. One that is not known
/// here is the client's to judge.
fn disagreement(handshake: &str) -> Option<String> {
    let handshake = Object::read(handshake).unwrap_or_default();
    let named = handshake.text("protocolVersion").unwrap_or_default();
    let is_modern = Revision::parse(&named).is_some_and(|named| named.era() == Era::Modern);
    (named.is_empty() || is_modern).then(|| named.into_owned())
}

#[cfg(test)]
mod tests {
    use super::OpenError;

    fn refused(status: u16, body: &str) -> OpenError {
        OpenError::Refused {
            status,
            body: body.to_owned(),
            challenge: None,
        }
    }

    #[test]
    fn neither_outage_nor_missing_credentials_speak_of_the_era() {
        for status in [401, 403, 407, 408, 425, 429, 500, 502, 503] {
            assert!(
                !refused(status, r#"{"code":-32601}"#).is_of_era(),
                "{status}"
            );
        }
        assert!(!refused(200, r#"{"code":-32603}"#).is_of_era());
    }

    #[test]
    fn a_server_that_does_not_know_the_handshake_may_be_modern() {
        assert!(refused(200, r#"{"code":-32601}"#).is_of_era());
        assert!(refused(404, "").is_of_era());
        assert!(refused(400, r#"{"code":-32022}"#).is_of_era());
    }
}
