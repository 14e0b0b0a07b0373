//! The stream that a legacy client opens to hear what belongs to no call: merged from all servers
//! behind its session.
//!
//! A stream outlives reloads: one at several servers goes on with those that there are then.
//!
//! **Invariant:** a session has one such stream; a newer one takes the older one's place (E45).

use std::sync::Arc;

use filters::guard::scope::Kind as Spoken;
use filters::json::object::Object;
use filters::mcp::list::Kind;
use filters::mcp::method::Method;
use filters::rpc::parse::{self, Body};
use tokio::sync::broadcast::error::RecvError;

use crate::gateway::access;
use crate::gateway::exchange::Exchange;
use crate::gateway::guard::{self, Asked, Told, Watch};
use crate::gateway::link::inward;
use crate::gateway::lists::catalog;
use crate::gateway::reply::{Reply, Wake};
use crate::gateway::screen::Screen;
use crate::gateway::{Ended, pipeline};
use crate::state::live::Live;
use crate::state::outlet::Delivery;
use crate::state::session::{Link, Session};
use crate::state::snapshot::{Acl, Profile, Server};
use crate::upstream::fields::Caller;

enum News {
    Message(Arc<str>),
    Change(&'static str),
    Nothing,
    Reloaded,
    Over,
}

/// Whom a stream hears.
pub(super) enum Stage {
    /// One server.
    One(Arc<Server>),
    /// Several as one.
    Several(Arc<Profile>),
    /// Nobody any more: a reload took them out.
    Empty,
}

impl Stage {
    fn has(&self, server: &str) -> bool {
        match self {
            Self::One(one) => *one.id == *server,
            Self::Several(profile) => profile.server(server).is_some(),
            Self::Empty => false,
        }
    }

    /// Resolves when its sessions are over.
    async fn ended(&self) {
        match self {
            Self::One(server) => server.retired.cancelled().await,
            Self::Several(_) => std::future::pending().await,
            Self::Empty => {}
        }
    }

    /// Resolves when something else stands in its place, or something else of it may be heard.
    async fn replaced(&self, acl: &Acl) {
        match self {
            Self::Several(profile) => tokio::select! {
                () = profile.retired.cancelled() => {}
                () = acl.replaced.cancelled() => {}
            },
            Self::One(_) => acl.replaced.cancelled().await,
            Self::Empty => std::future::pending().await,
        }
    }

    /// What of it the client is shown.
    fn screen(&self, exchange: &Exchange) -> Option<Screen> {
        match self {
            Self::One(server) => Screen::one(exchange, server, Method::Other, None),
            Self::Several(profile) => Screen::several(exchange, profile, None),
            Self::Empty => None,
        }
    }

    /// What stands in its place.
    fn successor(&self, exchange: &mut Exchange, client: &Arc<Session>) -> Self {
        exchange.snapshot = exchange.shared.pin().0;
        match self {
            Self::Several(profile) => {
                let Ok(profile) = pipeline::profile(exchange, &profile.id) else {
                    return Self::Empty;
                };
                for server in &profile.servers {
                    attend(server, client);
                }
                Self::Several(profile)
            }
            Self::One(server) if access::sees(exchange, server) => Self::One(Arc::clone(server)),
            Self::One(_) | Self::Empty => Self::Empty,
        }
    }
}

/// Has a server's catalog kept fresh, so that its changes are seen.
pub(super) fn attend(server: &Server, client: &Arc<Session>) {
    let caller = Caller {
        authorization: client.opening.authorization.clone(),
        lines: Vec::new(),
    };
    let catalog = catalog(server, &caller, &client.opening.capabilities);
    server.remote.background.spawn(async move {
        for kind in Kind::ALL {
            catalog.list(kind).await;
        }
    });
}

/// Streams until the client leaves, another stream takes over, or the gateway drains.
pub(super) async fn stream(
    reply: &mut Reply<'_>,
    client: &Arc<Session>,
    mut stage: Stage,
) -> Result<(), Ended> {
    let _used = client.hold();
    let number = client.outlet.open();
    for (_, upstream) in client.upstreams() {
        upstream.listen();
    }
    let mut changes = reply.exchange.live.changes.subscribe();
    let live = Arc::clone(&reply.exchange.live);
    let draining = live.draining.clone();
    reply.screen = stage.screen(reply.exchange);
    reply.open().await?;
    reply.exchange.user = None;
    let ended = loop {
        let acl = Arc::clone(&reply.exchange.snapshot.acl);
        let next = async {
            let ending = async {
                tokio::select! {
                    () = draining.cancelled() => {}
                    () = stage.ended() => {}
                }
                // The answers that are still to come have no other way.
                client.outlet.settled().await;
            };
            tokio::select! {
                biased;
                delivery = client.outlet.next(number) => match delivery {
                    Delivery::Message(message) => News::Message(message),
                    Delivery::Over => News::Over,
                },
                change = changes.recv() => match change {
                    Ok(change) if is_heard(&live, client, &stage, &change.server) => {
                        News::Change(change.kind.changed())
                    }
                    Ok(_) | Err(RecvError::Lagged(_)) => News::Nothing,
                    Err(RecvError::Closed) => News::Over,
                },
                () = stage.replaced(&acl) => News::Reloaded,
                () = ending => News::Over,
            }
        };
        let told = match reply.wait(next).await {
            Ok(Wake::Done(News::Message(message))) => pass_on(reply, client, &stage, message).await,
            Ok(Wake::Done(News::Change(method))) => tell(reply, method).await,
            Ok(Wake::Done(News::Nothing)) => Ok(()),
            Ok(Wake::Done(News::Reloaded)) => {
                stage = stage.successor(reply.exchange, client);
                reply.screen = stage.screen(reply.exchange);
                tell_all(reply).await
            }
            Ok(Wake::Done(News::Over)) => break Ok(()),
            Ok(Wake::Gone) => break Err(Ended::ClientGone),
            Err(ended) => Err(ended),
        };
        if let Err(ended) = told {
            break Err(ended);
        }
    };
    client.outlet.leave(number);
    match ended {
        Ok(()) => reply.finish().await,
        Err(ended) => Err(ended),
    }
}

/// Gives the client a message, as guardrails let it through.
async fn pass_on(
    reply: &mut Reply<'_>,
    client: &Session,
    stage: &Stage,
    message: Arc<str>,
) -> Result<(), Ended> {
    let Some(message) = inspected(reply, client, stage, message).await else {
        return Ok(());
    };
    let told = reply.event(&message).await;
    if told.is_err() {
        client.outlet.put_back(message);
    }
    told
}

/// A message as guardrails let it through; nothing where they do not, which its server is told.
async fn inspected(
    reply: &Reply<'_>,
    client: &Session,
    stage: &Stage,
    message: Arc<str>,
) -> Option<Arc<str>> {
    let exchange = &reply.exchange;
    let Some((server, id)) = asker(stage, &message) else {
        return told(exchange, stage, message);
    };
    let watch = Watch::of(exchange, &server, Method::Other, None);
    let watch = watch.under(exchange.shared.snapshot.load_full());
    match guard::asked(Some(&watch), &message, id.as_deref()) {
        Asked::AsItIs => Some(message),
        Asked::Becomes(text) => Some(text.into()),
        Asked::Refused(answer) => {
            if let Some(Link::Legacy(upstream)) = client.link(&server.id)
                && let Err(error) = upstream.tell(answer).await
            {
                tracing::debug!(%error, "Server could not be told that its question is refused");
            }
            None
        }
    }
}

/// What a server tells, as guardrails let it through. Where there are several, it does not say which
/// one's it is: the rules of each are for it.
fn told(exchange: &Exchange, stage: &Stage, message: Arc<str>) -> Option<Arc<str>> {
    let snapshot = exchange.shared.snapshot.load_full();
    let servers = match stage {
        Stage::One(server) => std::slice::from_ref(server),
        Stage::Several(profile) => &profile.servers,
        Stage::Empty => &[],
    };
    let mut message = message;
    for server in servers {
        if !snapshot.guard.reach(&server.id).has(Spoken::Results) {
            continue;
        }
        let watch = Watch::of(exchange, server, Method::Other, None).under(Arc::clone(&snapshot));
        match guard::told(Some(&watch), &message) {
            Told::AsItIs => {}
            Told::Becomes(text) => message = text.into(),
            Told::Hidden => return None,
        }
    }
    Some(message)
}

/// The server that asks something of the client, and the id it is answered under if not the one that
/// the client sees.
fn asker(stage: &Stage, message: &str) -> Option<(Arc<Server>, Option<String>)> {
    let Body::Request { id, .. } = parse::message(message).ok()?.body else {
        return None;
    };
    match stage {
        Stage::One(server) => Some((Arc::clone(server), None)),
        Stage::Several(profile) => {
            let (server, id) = inward(id.as_json())?;
            Some((Arc::clone(profile.server(&server)?), Some(id)))
        }
        Stage::Empty => None,
    }
}

async fn tell(reply: &mut Reply<'_>, method: &str) -> Result<(), Ended> {
    let mut message = Object::default();
    message.set_text("jsonrpc", "2.0");
    message.set_text("method", method);
    reply.event(&message.write()).await
}

/// Tells that whatever was listed may be another by now.
async fn tell_all(reply: &mut Reply<'_>) -> Result<(), Ended> {
    for kind in [Kind::Tools, Kind::Prompts, Kind::Resources] {
        tell(reply, kind.changed()).await?;
    }
    Ok(())
}

/// Whether the changes of a server are told here. One server alone tells of them in its own session,
/// if it has one.
fn is_heard(live: &Live, client: &Session, stage: &Stage, server: &Arc<str>) -> bool {
    if !stage.has(server) {
        return false;
    }
    if client.opening.scope.starts_with("profile:") {
        return true;
    }
    // An HTTP+SSE client's session took this one's place when it was initialized.
    let opening = &client.opening;
    let current = live.sessions.find(&client.id, &opening.principal, |scope| {
        *scope == *opening.scope
    });
    current.is_some_and(|current| matches!(current.link(server), Some(Link::Modern)))
}
