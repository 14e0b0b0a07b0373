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
pub(super) mod give;
mod land;
pub(super) mod quick;
pub(super) mod role;
pub(super) mod write;

use std::sync::Arc;
use std::time::{Duration, Instant};

use filters::cache::freshness::Freshness;
use filters::cache::key::Key;
use filters::cache::status::Status as CacheStatus;
use filters::mcp::revision::{Era, Revision};
use filters::refusal::Phase;
use tokio::sync::mpsc;

use crate::cache::entry::Entry;
use crate::cache::flight::{Place, Seat};
use crate::cache::{Fate, Found, Landed};
use crate::gateway::Ended;
use crate::gateway::cached::fetch::Order;
use crate::gateway::cached::give::Given;
use crate::gateway::cached::role::{Asked, Read, Role};
use crate::gateway::cached::write::Write;
use crate::gateway::dispatch::Dispatch;
use crate::gateway::lists;
use crate::gateway::reply::{Reply, Wake};
use crate::state::live::Live;
use crate::state::session::{Registered, Session as Client};
use crate::state::users::User;
use crate::upstream::error::Error;

/// Messages before the answer that the first caller may be behind.
const ASIDE_MAX: usize = 64;
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

/// What a caller that waits for a fetch wakes for.
enum News {
    Landed(Option<Landed>),
    Told(String),
    Late,
    Cancelled,
}

/// A caller's place in a flight.
struct Wait {
    seat: Seat<Landed>,
    /// Where the first caller hears what comes before the answer.
    aside: Option<mpsc::Receiver<String>>,
}

/// Answers a message from the cache, or together with others that want the same.
pub(super) async fn serve(reply: &mut Reply<'_>, dispatch: &Dispatch<'_>) -> Result<Served, Ended> {
    let Dispatch {
        way,
        client,
        inbound,
        ..
    } = *dispatch;
    if inbound.id().is_none() || !role::concerns(inbound.method) {
        return Ok(Served::Onward);
    }
    let live = Arc::clone(&reply.exchange.live);
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
    if inbound.era == Era::Modern && !role::is_mirrored(&way.server, &asked, header) {
        // Its server says what is wrong.
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
            reply.write = Some(Write::new(&live, &way.server.id, reach));
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
    let hints = &dispatch.way.server.cache.hints;
    let stale = match live.cache.find(read.keys(), now) {
        Some((entry, Freshness::Fresh { .. })) => {
            ear::attend(&dispatch.way.server, read.origin.method);
            return give::entry(reply, dispatch, &entry, Given::Hit).await;
        }
        Some((entry, Freshness::WhileRevalidate)) => {
            let jitter = JITTER_MIN + JITTER_MAX.mul_f64(fastrand::f64());
            // Whoever refreshes it already does so for this caller, too.
            if !hints.is_never(&read.private(), now) {
                board(
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
    if hints.is_never(&read.private(), now) {
        return Ok(alone(reply, dispatch, read));
    }
    // Its stream may begin before its answer is there.
    reply.exchange.outcome.cache_status = Some(CacheStatus::Miss);
    let registered = dispatch
        .inbound
        .id()
        .zip(dispatch.client)
        .map(|(id, client)| client.wait(id, &dispatch.way.server.id));
    // What everybody had last time is fetched for everybody; where that is over, each for itself.
    for key in read.common(hints.is_public(read.origin.method)) {
        let user = &reply.exchange.user;
        let Some(wait) = board(live, user, dispatch, read, key, Duration::ZERO) else {
            break;
        };
        let is_first = wait.aside.is_some();
        if !is_first {
            live.cache.count_joined();
            reply.exchange.outcome.is_collapsed = true;
        }
        let landed = await_landing(reply, dispatch, wait, registered.as_ref()).await?;
        let Some(landed) = landed else {
            return Ok(Served::Home);
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
            Landed::Error { .. } | Landed::Failed { .. } if !is_for_all => {}
            landed @ (Landed::Result { .. }
            | Landed::Error { .. }
            | Landed::Failed { .. }
            | Landed::Alone) => return land(reply, dispatch, read, landed, is_first, stale).await,
        }
    }
    Ok(alone(reply, dispatch, read))
}

/// What cannot be shared is asked for by each caller.
fn alone(reply: &mut Reply<'_>, dispatch: &Dispatch<'_>, read: &Read) -> Served {
    let live = &reply.exchange.live;
    live.cache.count(Found::Miss);
    if let Some(reach) = &read.effects {
        reply.write = Some(Write::new(live, &dispatch.way.server.id, reach.clone()));
    }
    reply.exchange.outcome.cache_status = Some(CacheStatus::Miss);
    Served::Onward
}

/// Joins the fetch of `key`, or begins it; nothing where there are too many.
fn board(
    live: &Arc<Live>,
    user: &Option<User>,
    dispatch: &Dispatch<'_>,
    read: &Read,
    key: Key,
    delay: Duration,
) -> Option<Wait> {
    dispatch.way.server.cache.note_use();
    let memory = &live.cache.memory;
    let stamp = memory.stamp(&read.origin.server);
    let is_current = |since| memory.is_current(&read.origin, &key, since);
    match live
        .cache
        .flights
        .join(key, &read.origin, stamp, is_current)
    {
        Place::Seat(seat) => Some(Wait { seat, aside: None }),
        Place::First(pilot, seat) => {
            let Ok(place) = Arc::clone(&live.fetches).try_acquire_owned() else {
                tracing::warn!(server.id = %read.origin.server, "Too many fetches at once; one is not shared");
                return None;
            };
            let (sender, aside) = mpsc::channel(ASIDE_MAX);
            let flight = land::Flight {
                live: Arc::clone(live),
                read: read.clone(),
                stamp,
                order: Order::of(dispatch),
                aside: sender,
                delay,
                _user: user.clone(),
                is_refresh: !delay.is_zero(),
                versions: None,
                _place: place,
            };
            live.detached.spawn(flight.run(pilot));
            Some(Wait {
                seat,
                aside: Some(aside),
            })
        }
    }
}

/// Waits for a fetch, for as long as the caller's own call may take; nothing where the caller was
/// answered already, or took its call back.
async fn await_landing(
    reply: &mut Reply<'_>,
    dispatch: &Dispatch<'_>,
    mut wait: Wait,
    registered: Option<&Registered>,
) -> Result<Option<Landed>, Ended> {
    let remote = &dispatch.way.server.remote;
    let late = pingora_timeout::sleep(remote.cluster.limits.total);
    tokio::pin!(late);
    loop {
        let next = async {
            tokio::select! {
                biased;
                Some(told) = hear(&mut wait.aside) => News::Told(told),
                landed = wait.seat.landed() => News::Landed(landed),
                () = &mut late => News::Late,
                () = cancelled(registered) => News::Cancelled,
            }
        };
        match reply.wait(next).await? {
            Wake::Done(News::Landed(landed)) => return Ok(Some(landed.unwrap_or(Landed::Alone))),
            Wake::Done(News::Told(told)) => reply.event(&told).await?,
            Wake::Done(News::Late) => {
                let error = Error::Timeout(Phase::Total);
                return Ok(Some(Landed::Failed {
                    refusal: error.to_refusal(remote.id()),
                    error: error.to_string().into(),
                }));
            }
            Wake::Done(News::Cancelled) => {
                reply.finish().await?;
                return Ok(None);
            }
            Wake::Gone => return Err(Ended::ClientGone),
        }
    }
}

/// What the first caller is to hear before the answer.
async fn hear(aside: &mut Option<mpsc::Receiver<String>>) -> Option<String> {
    aside.as_mut()?.recv().await
}

async fn cancelled(registered: Option<&Registered>) {
    match registered {
        Some(registered) => registered.cancelled.cancelled().await,
        None => std::future::pending().await,
    }
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
        (Landed::Error { status, .. }, Some(entry)) if status >= 500 => {
            give::entry(reply, dispatch, &entry, Given::Stale).await
        }
        (Landed::Error { era, status, error }, _) => {
            give::error(reply, dispatch, era, status, &error).await?;
            Ok(Served::Home)
        }
        (Landed::Failed { .. }, Some(entry)) => {
            give::entry(reply, dispatch, &entry, Given::Stale).await
        }
        (Landed::Failed { refusal, error }, None) => {
            reply.exchange.live.cache.count(Found::Miss);
            reply.exchange.outcome.cache_status = Some(CacheStatus::Miss);
            let error = error.to_string();
            reply
                .refuse(refusal, dispatch.inbound.id(), Some(error))
                .await?;
            Ok(Served::Home)
        }
        (Landed::Alone, _) => Ok(alone(reply, dispatch, read)),
    }
}
