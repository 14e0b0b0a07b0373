//! A legacy session that the gateway holds with a server: for one client's session, or for calls of
//! modern clients.
//!
//! **Invariant:** a session is opened with the capabilities of those it is used for and of nobody
//! else (E54), and with their credential.

pub mod open;
pub mod resume;
mod settings;
pub mod stream;

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bytes::Bytes;
use filters::mcp::era::is_session_loss;
use filters::mcp::translate::up;
use parking_lot::Mutex;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::upstream::error::Error;
use crate::upstream::fields::{Caller, Mcp};
use crate::upstream::remote::{Post, Remote};
use crate::upstream::session::resume::Resumable;
use crate::upstream::talk::{Answered, Patience, Talk};

/// Messages of a session's stream that a slow reader may be behind.
const BACKLOG: usize = 64;

/// One session.
pub struct Session {
    /// The server.
    pub remote: Arc<Remote>,
    /// Its id, where the server gave one.
    pub id: Option<String>,
    /// The negotiated revision.
    pub revision: String,
    /// The `InitializeResult`.
    pub handshake: String,
    /// The client capabilities that were declared.
    pub capabilities: String,
    /// The credential of the last message, for what the gateway sends by itself.
    caller: Mutex<Arc<Caller>>,
    state: Mutex<State>,
    /// Made when somebody wants to hear: a session that passes messages through has no use for it.
    notices: OnceLock<broadcast::Sender<Arc<str>>>,
    /// Where the notices go besides.
    group: OnceLock<broadcast::Sender<Arc<str>>>,
    is_listening: AtomicBool,
    /// The stream is open, or there will be none soon.
    attended: CancellationToken,
    /// The server does not know it any more, or it was closed.
    over: CancellationToken,
}

struct State {
    subscriptions: HashMap<String, usize>,
    log_level: Option<String>,
    used: Instant,
}

impl Session {
    /// Whether the server lost it, or it was closed.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.over.is_cancelled()
    }

    /// Resolves when it is over.
    pub async fn ended(&self) {
        self.over.cancelled().await;
    }

    /// Notes that the server does not know the session any more.
    pub fn lose(&self) {
        self.over.cancel();
    }

    /// The replica that has it, where there are several.
    #[must_use]
    pub fn replica(&self) -> Option<usize> {
        let affinity = self.remote.cluster.affinity.as_ref();
        affinity
            .zip(self.id.as_ref())
            .and_then(|(affinity, id)| affinity.find(id))
    }

    /// When it was last used.
    #[must_use]
    pub fn used(&self) -> Instant {
        self.state.lock().used
    }

    /// The headers of a message of this session.
    #[must_use]
    pub fn mcp<'s>(&'s self, method: Option<&'s str>) -> Mcp<'s> {
        Mcp {
            revision: Some(&self.revision),
            method,
            session: self.id.as_deref(),
            ..Mcp::BARE
        }
    }

    fn caller(&self) -> Arc<Caller> {
        Arc::clone(&self.caller.lock())
    }

    /// Takes over a caller's credential, which may have been renewed since the session was opened.
    pub fn speak_for(&self, caller: &Caller) {
        let mut known = self.caller.lock();
        if known.authorization != caller.authorization {
            *known = Arc::new(caller.lasting());
        }
    }

    /// Sends a request as it stands and awaits the head of its answer.
    ///
    /// # Errors
    /// [`Error::SessionLost`] where the server does not know the session, and what [`Remote::post`]
    /// gives.
    pub async fn send(
        &self,
        caller: &Caller,
        body: impl Into<Bytes>,
        method: &str,
        is_repeatable: bool,
        deadline: Instant,
    ) -> Result<Talk, Error> {
        let mut talk = self
            .send_anyway(caller, body, method, is_repeatable, deadline)
            .await?;
        self.check(&mut talk).await?;
        Ok(talk)
    }

    /// Sends a request as [`Self::send`] does, but takes a refusal for an answer like any other: in a
    /// session that was just opened it is hardly about the session.
    ///
    /// # Errors
    /// What [`Remote::post`] gives.
    pub async fn send_anyway(
        &self,
        caller: &Caller,
        body: impl Into<Bytes>,
        method: &str,
        is_repeatable: bool,
        deadline: Instant,
    ) -> Result<Talk, Error> {
        self.state.lock().used = Instant::now();
        let post = Post {
            mcp: self.mcp(Some(method)),
            is_repeatable,
        };
        self.speak_for(caller);
        let patience = Patience::Call { deadline };
        self.remote.post(caller, post, body, patience).await
    }

    /// Asks something and awaits the whole answer.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn ask(
        &self,
        method: &str,
        params: Option<&str>,
        deadline: Instant,
    ) -> Result<Answered, Error> {
        let id = self.remote.serial().to_string();
        let body = up::request(&id, method, params);
        let caller = self.caller();
        let talk = self.send(&caller, body, method, true, deadline).await?;
        let mut answer = Resumable::new(self, talk);
        loop {
            let Some(message) = answer.next().await? else {
                return Err(Error::ClosedEarly);
            };
            match Answered::of(&message) {
                Some(answered) => return Ok(answered),
                None => self.publish(&message),
            }
        }
    }

    /// Sends a notification or a response.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn tell(&self, body: String) -> Result<(), Error> {
        let post = Post {
            mcp: self.mcp(None),
            is_repeatable: false,
        };
        let patience = Patience::Call {
            deadline: self.remote.deadline(),
        };
        let caller = self.caller();
        let mut talk = self.remote.post(&caller, post, body, patience).await?;
        self.check(&mut talk).await?;
        talk.discard().await
    }

    /// Looks whether an answer says that the session is lost.
    async fn check(&self, talk: &mut Talk) -> Result<(), Error> {
        if !matches!(talk.status, 400 | 404 | 422) || self.id.is_none() {
            return Ok(());
        }
        let body = talk.peek().await?;
        if is_session_loss(talk.status, &String::from_utf8_lossy(&body)) {
            self.lose();
            return Err(Error::SessionLost);
        }
        Ok(())
    }

    /// Hears what the session's own stream brings, from now on.
    #[must_use]
    pub fn notices(&self) -> broadcast::Receiver<Arc<str>> {
        let notices = self.notices.get_or_init(|| broadcast::channel(BACKLOG).0);
        notices.subscribe()
    }

    /// Sends what the session brings beside answers to `group`, too.
    pub fn relay_to(&self, group: broadcast::Sender<Arc<str>>) {
        self.group.set(group).ok();
    }

    /// Ends the session and tells the server, which need not support it.
    pub async fn close(&self) {
        if self.over.is_cancelled() {
            return;
        }
        self.over.cancel();
        if self.id.is_none() {
            return;
        }
        let patience = Patience::Call {
            deadline: self.remote.deadline(),
        };
        let told = self
            .remote
            .bodiless("DELETE", &self.caller(), &self.mcp(None), patience)
            .await;
        if let Err(error) = told {
            tracing::debug!(server.id = %self.remote.id(), %error, "Session's end could not be told");
        }
        if let (Some(affinity), Some(id)) = (&self.remote.cluster.affinity, &self.id) {
            affinity.forget(id);
        }
    }

    /// Ends the session in the background.
    pub fn close_later(self: Arc<Self>) {
        let background = self.remote.background.clone();
        background.spawn(async move { self.close().await });
    }

    /// Passes on what came beside an answer or on the stream.
    fn publish(&self, message: &Bytes) {
        if let Ok(text) = std::str::from_utf8(message) {
            self.remote.hear(text);
            let text: Arc<str> = Arc::from(text);
            if let Some(group) = self.group.get() {
                group.send(Arc::clone(&text)).ok();
            }
            // Nobody may be listening.
            if let Some(notices) = self.notices.get() {
                notices.send(text).ok();
            }
        }
    }
}
