//! Looks after what outlives requests: sessions nobody uses, calls whose clients do not come back.
//!
//! **Invariant:** whatever was opened for a client is closed in time, also if the client never
//! comes back; a server that asked is answered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::gateway::bridge::park;
use crate::gateway::cached::write;
use crate::state::Shared;
use crate::state::live::Live;
use crate::state::parked::Parked;

/// How often is looked.
const EVERY: Duration = Duration::from_secs(1);

/// How many of the cache's parts are looked through a time: all of them in 16 seconds.
const CACHE_PARTS: usize = 4;

/// Looks after everything until `shutdown`.
pub async fn run(shared: Arc<Shared>, shutdown: CancellationToken) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let rounds = async {
        loop {
            ticks.tick().await;
            expire(&shared.live).await;
            look(&shared);
        }
    };
    shutdown.run_until_cancelled(rounds).await;
    let live = &shared.live;
    let left = live.parking.empty().into_iter();
    let left = left.map(|parked| let_go(Arc::clone(live), parked));
    let told = async {
        futures_util::future::join_all(left).await;
        for (server, reach) in live.cache.unsettled.empty() {
            write::settle(live, &server, &reach).await;
        }
    };
    if tokio::time::timeout(EVERY, told).await.is_err() {
        tracing::debug!("Not every server could be told that its question stays open");
    }
}

/// Ends sessions that nobody used lately. One that another instance still serves is only forgotten.
async fn expire(live: &Live) {
    for session in live.sessions.unused() {
        match live.store.load(&session.id).await {
            // Somebody came while the store was asked.
            Ok(_) if !session.is_idle(live.sessions.limits.idle) => {}
            Ok(Some(_)) => live.sessions.forget(&session),
            Ok(None) => live.sessions.end(&session),
            Err(error) => {
                tracing::debug!(%error, "Session could not be looked up");
                // The others would wait as long for as little.
                return;
            }
        }
    }
}

fn look(shared: &Arc<Shared>) {
    let live = &shared.live;
    for parked in live.parking.expired() {
        live.background.spawn(let_go(Arc::clone(live), parked));
    }
    let snapshot = shared.snapshot.load();
    for server in snapshot.servers.values() {
        server.groups.sweep(live.sessions.limits.idle);
        let n_sessions = server.groups.n_sessions();
        live.metrics.upstream_sessions(&server.id, n_sessions);
    }
    settle(live);
    let metrics = &live.metrics;
    metrics.sessions.set(gauge(live.sessions.len()));
    metrics.parked.set(gauge(live.parking.len()));
    let now = Instant::now();
    for _ in 0..CACHE_PARTS {
        live.cache.memory.sweep(now);
    }
    live.cache.show(&metrics.cache);
}

/// What makes results stale that must be over by now.
fn settle(live: &Arc<Live>) {
    for (server, reach) in live.cache.unsettled.due(Instant::now()) {
        if let Some(rest) = live.cache.invalidate_here(&server, reach) {
            live.background.spawn(rest);
        }
    }
}

fn gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A call whose client did not come back: its server is told so, and that the call is over.
async fn let_go(live: Arc<Live>, parked: Parked) {
    let session = &parked.call.lease.session;
    park::refuse_all(session, &parked.questions).await;
    let cancelled = format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{},"reason":"the client did not come back"}}}}"#,
        parked.call.id
    );
    if let Err(error) = session.tell(cancelled).await {
        tracing::debug!(%error, "Server could not be told of a call that nobody awaits");
    }
    if let Some(reach) = &parked.reach {
        // It may need a while to hear of it.
        let server = &session.remote.cluster.server;
        let until = Instant::now() + session.remote.cluster.limits.total;
        let unsettled = &live.cache.unsettled;
        unsettled.owe(server, reach.clone(), until);
        write::settle(&live, server, reach).await;
    }
}
