//! Messages that the cache may answer, and messages that make what it holds stale.
//!
//! A fresh entry is given at once. What is not there is fetched once for all who want it: the fetch
//! is a task of its own, and callers wait for it, each for as long as its own call may take.
//!
//! **Invariant:** a caller gets what its own keys find and nothing else, also where it waited for a
//! fetch together with others.
//! **Invariant:** a call that makes something stale is answered only once that is gone.

pub(super) mod ear;
mod fetch;
mod fetched;
pub(super) mod give;
pub(super) mod heard;
mod land;
mod order;
pub(super) mod quick;
pub(super) mod role;
mod wait;
pub(super) mod write;

use std::sync::Arc;
use std::time::{Duration, Instant};

use filters::cache::freshness::Freshness;
use filters::cache::status::Status as CacheStatus;
use filters::mcp::method::Method;
use filters::mcp::revision::{Era, Revision};

use crate::cache::entry::Entry;
use crate::cache::{Fate, Found, Landed};
use crate::gateway::Ended;
use crate::gateway::cached::give::Given;
use crate::gateway::cached::role::{Asked, Read, Role};
use crate::gateway::cached::wait::Waited;
use crate::gateway::cached::write::Write;
use crate::gateway::dispatch::Dispatch;
use crate::gateway::lists;
use crate::gateway::reply::{Reply, Wake};
use crate::state::live::Live;
use crate::state::session::Session as Client;
use crate::state::snapshot::Server;

/// How long a refresh in the background waits, at least and besides, so that not all begin at once.
const JITTER_MIN: Duration = Duration::from_millis(1);
const JITTER_MAX: Duration = Duration::from_millis(250);

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Served {
    /// The client has its answer.
    Home,
    /// It is to be sent to its server like any other.
    Onward,
}

/// Answers a message from the cache, or together with others that want the same.
pub(super) async fn serve(reply: &mut Reply<'_>, dispatch: &Dispatch<'_>) -> Result<Served, Ended> {
    let Dispatch {
        way,
        client,
        inbound,
        ..
    } = *dispatch;
    let live = Arc::clone(&reply.exchange.live);
    if inbound.method == Method::Tasks {
        reply.write = Write::poll(&live, &way.server, &inbound.name, dispatch.target());
    }
    if inbound.id().is_none() || !role::concerns(inbound.method) {
        return Ok(Served::Onward);
    }
    let capabilities = lists::capabilities(inbound, client);
    let credential = way.server.remote.credential(&inbound.caller);
    let asked = Asked {
        method: inbound.method,
        target: dispatch.target(),
        params: inbound.params.as_deref(),
        agreed: agreed(client, inbound.bare.version.as_deref()),
        is_promised: role::is_promised(&way.server, inbound.era, client),
        capabilities: &capabilities,
        group: inbound.group.as_deref(),
        credential: credential.as_deref(),
        principal: &inbound.principal,
        tenant: inbound.tenancy.shared(),
        isolated: inbound.tenancy.isolated(),
        now: Instant::now(),
    };
    let found = role::find(&live, &way.server, &asked);
    let mut role = match reply.wait(found).await? {
        Wake::Done(role) => role,
        Wake::Gone => return Err(Ended::ClientGone),
    };
    let header = |name: &str| {
        let mut given = inbound.mirrored.iter();
        given
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    };
    let is_wrong = inbound.era == Era::Modern && !role::is_mirrored(&way.server, &asked, header);
    if is_wrong || !role::is_explained(&way.server, &asked, &inbound.mirrored) {
        // Its server says what is wrong, or what the headers mean.
        role = role.without_reading();
    }
    match role {
        Role::None => Ok(Served::Onward),
        Role::Skip => {
            live.cache.count(Found::Skip);
            Ok(Served::Onward)
        }
        Role::Write(reach) | Role::Guess(reach) => {
            live.cache.count(Found::Skip);
            reply.write = Some(Write::new(&live, &way.server, reach));
            Ok(Served::Onward)
        }
        Role::Read(read) => Box::pin(read_through(reply, dispatch, &live, &read)).await,
    }
}

/// The revision that a legacy client speaks, as far as its server is told.
pub(super) fn agreed(client: Option<&Arc<Client>>, version: Option<&str>) -> Option<Revision> {
    match client {
        Some(client) => Some(client.opening.revision),
        None => version.and_then(Revision::parse),
    }
}

async fn read_through(
    reply: &mut Reply<'_>,
    dispatch: &Dispatch<'_>,
    live: &Arc<Live>,
    read: &Read,
) -> Result<Served, Ended> {
    let now = Instant::now();
    let is_never = || is_never(&dispatch.way.server, read, now);
    let stale = match live.cache.find(read.keys(), now) {
        Some((entry, Freshness::Fresh { .. })) => {
            ear::attend(&dispatch.way.server, read.origin.method);
            return give::entry(reply, dispatch, &entry, Given::Hit).await;
        }
        Some((entry, Freshness::WhileRevalidate)) => {
            let jitter = JITTER_MIN + JITTER_MAX.mul_f64(fastrand::f64());
            // Whoever refreshes it already does so for this caller, too.
            if !is_never() {
                wait::refresh(
                    live,
                    &reply.exchange.user,
                    dispatch,
                    read,
                    entry.key,
                    jitter,
                );
            }
            return give::entry(reply, dispatch, &entry, Given::Stale).await;
        }
        Some((entry, Freshness::IfError)) => Some(entry),
        Some((_, Freshness::Gone)) | None => None,
    };
    if is_never() {
        return Ok(alone(reply, dispatch, read));
    }
    // Its stream may begin before its answer is there.
    reply.exchange.outcome.cache_status = Some(CacheStatus::Miss);
    let registered = dispatch
        .inbound
        .id()
        .zip(dispatch.client)
        .map(|(id, client)| client.wait(id, &dispatch.way.server.id));
    let is_public = dispatch
        .way
        .server
        .cache
        .hints
        .is_public(read.origin.method);
    // What everybody had last time is fetched for everybody; where that is over, each for itself.
    for key in read.common(is_public) {
        let waited = wait::fly(reply, dispatch, read, key, registered.as_ref()).await?;
        let (landed, is_first) = match waited {
            Waited::Landed(landed, is_first) => (landed, is_first),
            Waited::Home => return Ok(Served::Home),
            Waited::Full => break,
        };
        // In a flight for everybody only what everybody may have is for those who joined it.
        let is_for_all = is_first || key == read.private();
        match landed {
            Landed::Result {
                fate: Fate::Unshared,
                ..
            } if !is_first => break,
            Landed::Result { entry, fate }
                if !is_for_all
                    && (fate == Fate::ToolError || !read.keys().any(|key| key == entry.key)) => {}
            Landed::Error { .. } | Landed::Failed { .. } | Landed::Refused(_) if !is_for_all => {}
            landed @ (Landed::Result { .. }
            | Landed::Error { .. }
            | Landed::Failed { .. }
            | Landed::Refused(_)
            | Landed::Again
            | Landed::Alone) => return land(reply, dispatch, read, landed, is_first, stale).await,
        }
    }
    Ok(alone(reply, dispatch, read))
}

/// Whether what is fetched for several could hardly be given to them.
fn is_never(server: &Server, read: &Read, now: Instant) -> bool {
    let hints = &server.cache.hints;
    read.all().iter().any(|key| hints.is_never(key, now))
}

/// What cannot be shared is asked for by each caller.
fn alone(reply: &mut Reply<'_>, dispatch: &Dispatch<'_>, read: &Read) -> Served {
    let live = &reply.exchange.live;
    live.cache.count(Found::Miss);
    if let Some(reach) = &read.effects {
        reply.write = Some(Write::new(live, &dispatch.way.server, reach.clone()));
    }
    reply.exchange.outcome.cache_status = Some(CacheStatus::Miss);
    Served::Onward
}

/// Gives a caller what a fetch brought.
async fn land(
    reply: &mut Reply<'_>,
    dispatch: &Dispatch<'_>,
    read: &Read,
    landed: Landed,
    is_first: bool,
    stale: Option<Arc<Entry>>,
) -> Result<Served, Ended> {
    match (landed, stale) {
        (Landed::Result { entry, fate }, stale) => {
            let given = match fate {
                Fate::Found => Given::Hit,
                Fate::Old => Given::Stale,
                Fate::ToolError => Given::ToolError,
                Fate::Stored if stale.is_some() => Given::Revalidated,
                Fate::Stored => Given::Stored { is_first },
                Fate::Unstored | Fate::Unshared => Given::Unstored { is_first },
            };
            give::entry(reply, dispatch, &entry, given).await
        }
        (landed, Some(entry)) if landed.is_outage() => {
            give::entry(reply, dispatch, &entry, Given::Stale).await
        }
        (
            Landed::Error {
                era,
                status,
                error,
                head,
            },
            _,
        ) => {
            let said = give::Refused {
                era,
                status,
                error: &error,
                head: head.as_deref(),
            };
            give::error(reply, dispatch, &said).await?;
            Ok(Served::Home)
        }
        (Landed::Refused(page), _) => {
            give::page(reply, dispatch, &page).await?;
            Ok(Served::Home)
        }
        (Landed::Failed { refusal, error }, _) => {
            reply.exchange.live.cache.count(Found::Miss);
            reply.exchange.outcome.cache_status = Some(CacheStatus::Miss);
            let error = error.to_string();
            reply
                .refuse(refusal, dispatch.inbound.id(), Some(error))
                .await?;
            Ok(Served::Home)
        }
        (Landed::Again | Landed::Alone, _) => Ok(alone(reply, dispatch, read)),
    }
}
