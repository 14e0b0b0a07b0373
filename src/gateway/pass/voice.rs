//! An answer as it comes, and what becomes of it when nobody listens any more.

use crate::gateway::inbound::Inbound;
use crate::gateway::link::Way;
use crate::gateway::reply::Reply;
use crate::state::session::Registered;
use crate::upstream::error::Error;
use crate::upstream::session::Session as Upstream;
use crate::upstream::session::resume;
use crate::upstream::talk::Talk;
use bytes::Bytes;
use filters::cache::task::Said;
use filters::mcp::revision::Era;
use std::sync::Arc;
use std::time::Instant;

/// An answer as it comes.
pub(in crate::gateway) enum Voice {
    /// One that is lost if it breaks.
    Plain(Talk),
    /// One of a session, which may go on where it broke.
    Session {
        /// The session.
        session: Arc<Upstream>,
        /// The answer.
        talk: Talk,
        /// How often it broke.
        n_resumes: u32,
        /// The client can cancel the call as long as its answer comes.
        _registered: Option<Registered>,
    },
}

impl Voice {
    /// The next message. Cancel-safe.
    pub(in crate::gateway) async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        match self {
            Self::Plain(talk) => talk.next().await,
            Self::Session {
                session,
                talk,
                n_resumes,
                ..
            } => resume::next(session, talk, n_resumes).await,
        }
    }

    pub(in crate::gateway) fn talk(&self) -> &Talk {
        match self {
            Self::Plain(talk) | Self::Session { talk, .. } => talk,
        }
    }

    pub(super) fn talk_mut(&mut self) -> &mut Talk {
        match self {
            Self::Plain(talk) | Self::Session { talk, .. } => talk,
        }
    }

    /// The answer to a call in a session.
    pub(in crate::gateway) fn in_session(
        session: Arc<Upstream>,
        talk: Talk,
        registered: Option<Registered>,
    ) -> Self {
        Self::Session {
            session,
            talk,
            n_resumes: 0,
            _registered: registered,
        }
    }

    /// Answers what the server asked, where it can be answered.
    pub(super) async fn tell(&self, answer: &str) {
        if let Self::Session { session, .. } = self
            && let Err(error) = session.tell(answer.to_owned()).await
        {
            tracing::debug!(%error, "Server could not be told that its question is refused");
        }
    }

    /// Reads to the end and keeps nothing.
    pub(super) async fn discard(mut self) {
        while let Ok(Some(_)) = self.next().await {}
    }
}

/// Cancels a legacy call that took too long.
pub(super) fn give_up(inbound: &Inbound, way: &Way, voice: &Voice, error: &Error) {
    if let (Voice::Session { session, .. }, Some(id), Error::Timeout(_)) =
        (voice, inbound.id(), error)
    {
        cancel(way, Arc::clone(session), id, "timed out at the gateway");
    }
}

/// Tells a legacy server that a call is cancelled.
pub(in crate::gateway) fn cancel(way: &Way, session: Arc<Upstream>, id: &str, reason: &str) {
    let body = format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id},"reason":"{reason}"}}}}"#
    );
    way.server.remote.background.spawn(async move {
        if let Err(error) = session.tell(body).await {
            tracing::debug!(%error, "Server could not be told of a cancelled call");
        }
    });
}

/// The client left: a modern call ends with it, a legacy one goes on, unheard (E22).
pub(super) fn abandon(reply: &mut Reply<'_>, inbound: &Inbound, way: &Way, voice: Voice) {
    match inbound.era {
        Era::Modern => {}
        Era::Legacy => go_on(reply, way, voice.discard()),
    }
}

/// Lets what is left of a legacy client's call go on, unheard, within its bounds (E22).
pub(in crate::gateway) fn go_on(
    reply: &mut Reply<'_>,
    way: &Way,
    rest: impl Future<Output = ()> + Send + 'static,
) {
    let write = reply.write.take();
    let live = &reply.exchange.live;
    let Ok(place) = Arc::clone(&live.abandoned).try_acquire_owned() else {
        tracing::warn!(server.id = %way.server.id, "Too many abandoned calls; one is cut off");
        if let Some(write) = write {
            write.give_up_later();
        }
        return;
    };
    if let Some(write) = &write {
        write.settle_so_far();
    }
    let until = Instant::now() + way.server.cluster.limits.total;
    let user = reply.exchange.user.clone();
    live.detached.spawn(async move {
        let left = until.saturating_duration_since(Instant::now());
        // Nobody is left to be told how it ends.
        tokio::time::timeout(left, rest).await.ok();
        drop((place, user));
        if let Some(write) = write {
            write.settle(Said::Other).await;
        }
    });
}
