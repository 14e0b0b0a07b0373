//! Callers that wait for a fetch together.

use std::sync::Arc;
use std::time::{Duration, Instant};

use filters::cache::key::Key;
use filters::refusal::Phase;
use tokio::sync::mpsc;

use crate::cache::Landed;
use crate::cache::flight::{Pilot, Place, Seat};
use crate::cache::memory::Stamp;
use crate::gateway::Ended;
use crate::gateway::cached::land;
use crate::gateway::cached::order::Order;
use crate::gateway::cached::role::Read;
use crate::gateway::dispatch::Dispatch;
use crate::gateway::reply::{Reply, Wake};
use crate::state::live::Live;
use crate::state::session::Registered;
use crate::state::users::User;
use crate::upstream::error::Error;

/// Messages before the answer that the first caller may be behind.
const ASIDE_MAX: usize = 64;
/// How often a caller boards another flight because the last one failed for its first caller's own
/// reasons.
const ROUNDS_MAX: usize = 4;

/// How a caller's wait ended.
pub(super) enum Waited {
    /// With what a flight brought, and whether it was the caller's own.
    Landed(Landed, bool),
    /// The caller was answered already, or took its call back.
    Home,
    /// There are too many flights to begin another.
    Full,
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
    until: Instant,
}

/// Waits for the fetch of `key`, which begins where there is none, for as long as the caller's own call
/// may take. All whose flight failed its first caller alone board one new flight.
pub(super) async fn fly(
    reply: &mut Reply<'_>,
    dispatch: &Dispatch<'_>,
    read: &Read,
    key: Key,
    registered: Option<&Registered>,
) -> Result<Waited, Ended> {
    let live = Arc::clone(&reply.exchange.live);
    let until = dispatch.way.server.remote.deadline();
    for _ in 0..ROUNDS_MAX {
        let user = &reply.exchange.user;
        let Some(wait) = board(&live, user, dispatch, read, key, until) else {
            return Ok(Waited::Full);
        };
        let is_first = wait.aside.is_some();
        if !is_first && !reply.exchange.outcome.is_collapsed {
            live.cache.count_joined();
            reply.exchange.outcome.is_collapsed = true;
        }
        match await_landing(reply, dispatch, wait, registered).await? {
            None => return Ok(Waited::Home),
            Some(Landed::Again) if !is_first => {}
            Some(landed) => return Ok(Waited::Landed(landed, is_first)),
        }
    }
    Ok(Waited::Landed(Landed::Again, false))
}

/// Joins the fetch of `key`, or begins it; nothing where there are too many.
fn board(
    live: &Arc<Live>,
    user: &Option<User>,
    dispatch: &Dispatch<'_>,
    read: &Read,
    key: Key,
    until: Instant,
) -> Option<Wait> {
    let memory = &live.cache.memory;
    let stamp = memory.stamp(&read.origin.server);
    let is_current = |since| memory.is_current(&read.origin, &key, since);
    let flights = &live.cache.flights;
    let (seat, aside) = match flights.join(key, &read.origin, stamp, is_current) {
        Place::Seat(seat) => (seat, None),
        Place::First(pilot, seat) => {
            let launch = Launch {
                live,
                user,
                dispatch,
                read,
                stamp,
                delay: Duration::ZERO,
            };
            (seat, Some(launch.begin(pilot)?))
        }
    };
    Some(Wait { seat, aside, until })
}

/// Begins a fetch of `key` in a while, for nobody who waits, unless somebody fetches it already.
pub(super) fn refresh(
    live: &Arc<Live>,
    user: &Option<User>,
    dispatch: &Dispatch<'_>,
    read: &Read,
    key: Key,
    delay: Duration,
) {
    let memory = &live.cache.memory;
    let stamp = memory.stamp(&read.origin.server);
    let is_current = |since| memory.is_current(&read.origin, &key, since);
    let flights = &live.cache.flights;
    if let Some(pilot) = flights.begin(key, &read.origin, stamp, is_current) {
        let launch = Launch {
            live,
            user,
            dispatch,
            read,
            stamp,
            delay,
        };
        launch.begin(pilot);
    }
}

/// What a flight is begun with.
struct Launch<'a> {
    live: &'a Arc<Live>,
    user: &'a Option<User>,
    dispatch: &'a Dispatch<'a>,
    read: &'a Read,
    stamp: Stamp,
    delay: Duration,
}

impl Launch<'_> {
    /// Begins it; what comes before the answer is heard there. Nothing where there are too many.
    fn begin(self, pilot: Pilot<Landed>) -> Option<mpsc::Receiver<String>> {
        let Ok(place) = Arc::clone(&self.live.fetches).try_acquire_owned() else {
            tracing::warn!(server.id = %self.read.origin.server, "Too many fetches at once; one is not shared");
            return None;
        };
        let (sender, aside) = mpsc::channel(ASIDE_MAX);
        let flight = land::Flight {
            live: Arc::clone(self.live),
            read: self.read.clone(),
            stamp: self.stamp,
            order: Order::of(self.dispatch),
            aside: sender,
            delay: self.delay,
            _user: self.user.clone(),
            is_refresh: !self.delay.is_zero(),
            versions: None,
            _place: place,
        };
        self.live.detached.spawn(flight.run(pilot));
        Some(aside)
    }
}

/// Waits for a fetch; nothing where the caller was answered already, or took its call back.
async fn await_landing(
    reply: &mut Reply<'_>,
    dispatch: &Dispatch<'_>,
    mut wait: Wait,
    registered: Option<&Registered>,
) -> Result<Option<Landed>, Ended> {
    let remote = &dispatch.way.server.remote;
    let left = wait.until.saturating_duration_since(Instant::now());
    let late = pingora_timeout::sleep(left);
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
            // One that came down without landing brought nobody anything.
            Wake::Done(News::Landed(landed)) => return Ok(Some(landed.unwrap_or(Landed::Again))),
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
