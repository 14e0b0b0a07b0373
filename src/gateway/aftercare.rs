//! What is still to be done for a call when its client or its upstream is out of the picture.
//!
//! **Invariant:** a legacy call that its client left goes on within its bounds; one that the gateway
//! gives up on is cancelled upstream.

use std::sync::Arc;
use std::time::Instant;

use filters::cache::task::Said;
use filters::mcp::header;
use filters::mcp::revision::Era;
use filters::refusal::Phase;
use pingora_timeout::fast_timeout::fast_timeout;
use tokio_util::sync::CancellationToken;

use crate::gateway::Ended;
use crate::gateway::cached::heard::Heard;
use crate::gateway::cached::write::{self, Write};
use crate::gateway::exchange::Exchange;
use crate::gateway::guard::{self, Hearing};
use crate::gateway::relay::Kind;
use crate::gateway::screen::Screen;
use crate::state::live::Live;
use crate::state::users::User;
use crate::upstream::cluster::{Cluster, Limits};
use crate::upstream::error::Error;
use crate::upstream::head::{Content, Head};
use crate::upstream::relay::{Body, Flight, Request};

/// What is needed to speak for a call once the client is out of the picture.
pub(super) struct Aftercare {
    pub(super) live: Arc<Live>,
    pub(super) cluster: Arc<Cluster>,
    pub(super) limits: Limits,
    pub(super) kind: Kind,
    pub(super) era: Era,
    pub(super) id: Option<String>,
    pub(super) deadline: Instant,
    pub(super) fields: Vec<u8>,
    pub(super) session: Option<String>,
    /// Keeps the server from being ended before the call.
    pub(super) user: Option<User>,
    /// What the call may make stale.
    pub(super) write: Option<Write>,
    /// What the answer to a write says.
    pub(super) heard: Heard,
    /// What of the events that come back is shown.
    pub(super) screen: Option<Screen>,
    /// What looks at them where guardrails are about them.
    pub(super) hearing: Option<Box<Hearing>>,
    /// Cancelled when a reload took the server out.
    pub(super) retired: CancellationToken,
}

impl Aftercare {
    /// Gives up on an upstream that failed: tells it, and says what to tell the client.
    pub(super) async fn fail(&mut self, error: &Error) -> Ended {
        if error.is_before_sending() {
            self.write = None;
        }
        self.give_up().await;
        if matches!(
            error,
            Error::Timeout(Phase::Header | Phase::Idle | Phase::Total)
        ) {
            self.cancel();
        }
        Ended::Refused {
            refusal: error.to_refusal(&self.cluster.server),
            id: self.id.clone(),
            error: Some(error.to_string()),
        }
    }

    /// The server has answered: what the call made stale goes, before the client hears of it.
    pub(super) async fn settle(&mut self) {
        if let Some(write) = self.write.take() {
            let said = if write.is_question() || self.heard.may_begin_a_task() {
                self.heard.said()
            } else {
                Said::Other
            };
            write.settle(said).await;
        }
    }

    /// The answer to a call comes on another stream than its own: what calls that are not known to be
    /// over made stale goes, before the client hears of it.
    pub(super) async fn settle_calls(&self) {
        let server = &self.cluster.server;
        if let Some(reach) = self.live.cache.unsettled.calls(server) {
            write::settle(&self.live, server, &reach).await;
        }
    }

    /// Takes a part of the answer, if it matters what that says.
    pub(super) fn hear(&mut self, bytes: &[u8]) {
        if self.write.is_some() {
            self.heard.hear(bytes);
        }
    }

    /// The server will not answer any more: it may still be at it.
    pub(super) async fn give_up(&mut self) {
        if let Some(write) = self.write.take() {
            write.give_up().await;
        }
    }

    /// Tells a legacy server that its call is cancelled. A modern one is told by the closing of the
    /// connection; `initialize` must not be cancelled (2025-11-25, "Cancellation").
    pub(super) fn cancel(&self) {
        let (Era::Legacy, Kind::Call, Some(id)) = (self.era, self.kind, &self.id) else {
            return;
        };
        let body = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id},"reason":"timed out at the gateway"}}}}"#
        );
        let request = Request {
            verb: "POST",
            target: None,
            fields: self.fields.clone(),
            body: body.into(),
            is_repeatable: false,
            session: self.session.clone(),
        };
        let mut flight = Flight::for_gateway(Arc::clone(&self.cluster), request);
        let (limits, user) = (self.limits, self.user.clone());
        self.live.detached.spawn(async move {
            let outcome = fast_timeout(limits.connect + limits.header, flight.head()).await;
            if !matches!(outcome, Ok(Ok(_))) {
                tracing::debug!("Upstream could not be told of a cancelled call");
            }
            drop(user);
        });
    }

    /// The client left before the answer began.
    pub(super) fn abandon_flight(self, mut flight: Flight) {
        if !flight.is_sent() {
            return;
        }
        self.abandon(async move {
            let mut head = flight.head().await?;
            let heard = match head.content {
                Content::EventStream => Heard::stream(),
                Content::Json | Content::Other => Heard::document(),
            };
            flight.into_body(&mut head)?.discard(heard).await
        });
    }

    /// The client left during the answer.
    pub(super) fn abandon_body(mut self, body: Body) {
        let heard = std::mem::replace(&mut self.heard, Heard::document());
        self.abandon(body.discard(heard));
    }

    fn abandon(mut self, rest: impl Future<Output = Result<Heard, Error>> + Send + 'static) {
        if self.must_go_on() {
            self.go_on(rest);
        } else if let Some(write) = self.write.take() {
            write.give_up_later();
        }
    }

    /// Whether a stream was begun before there were rules about it: it is to be begun anew.
    pub(super) fn is_unheard(&self, exchange: &Exchange) -> bool {
        let server = &self.cluster.server;
        self.kind == Kind::Listen
            && !guard::hears(&exchange.snapshot, server)
            && guard::hears(&exchange.shared.snapshot.load(), server)
    }

    fn must_go_on(&self) -> bool {
        self.era == Era::Legacy && self.kind != Kind::Listen
    }

    fn go_on(mut self, rest: impl Future<Output = Result<Heard, Error>> + Send + 'static) {
        let write = self.write.take();
        let Ok(permit) = Arc::clone(&self.live.abandoned).try_acquire_owned() else {
            tracing::warn!(server.id = %self.cluster.server, "Too many abandoned calls; one is cut off");
            if let Some(write) = write {
                write.give_up_later();
            }
            return;
        };
        if let Some(write) = &write {
            write.settle_so_far();
        }
        let left = self.deadline.saturating_duration_since(Instant::now());
        let user = self.user.clone();
        self.live.detached.spawn(async move {
            // Nobody is left to be told how it ends.
            let ended = fast_timeout(left, rest).await;
            drop((permit, user));
            match (ended, write) {
                (Ok(Ok(heard)), Some(write)) => write.settle(heard.said()).await,
                (_, Some(write)) => write.settle(Said::Other).await,
                (Ok(_), None) => {}
                (Err(_), None) => tracing::debug!("An abandoned call exceeded its time"),
            }
        });
    }

    /// Learns which replica has a session, and forgets it with its end.
    pub(super) fn note_session(&self, head: &Head, body: &Body) {
        let Some(affinity) = &self.cluster.affinity else {
            return;
        };
        match self.kind {
            Kind::Handshake => {
                let id = head.header.headers.get(header::SESSION_ID);
                if let Some(id) = id.and_then(|value| value.to_str().ok()) {
                    affinity.remember(id, body.replica().index);
                }
            }
            Kind::Farewell if head.header.status.is_success() => {
                if let Some(session) = &self.session {
                    affinity.forget(session);
                }
            }
            Kind::Call | Kind::Listen | Kind::Delivery | Kind::Farewell => {}
        }
    }
}

impl Body {
    /// Reads to the end and keeps nothing but what the answer says.
    async fn discard(mut self, mut heard: Heard) -> Result<Heard, Error> {
        while let Some(bytes) = self.next().await? {
            heard.hear(&bytes);
        }
        Ok(heard)
    }
}
