//! What outlives a reload: requests in flight, sessions, parked calls, the drain, detached tasks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use filters::seal;
use tokio::sync::{Semaphore, broadcast};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::throttle::Throttle;
use crate::cache::Cache;
use crate::limit::Limiter;
use crate::lock::Lock;
use crate::state::guard::Desk;
use crate::state::parked::{self, Parking};
use crate::state::sessions::{self, Sessions};
use crate::state::store::Store;
use crate::telemetry::access::AccessLog;
use crate::telemetry::metrics::Metrics;
use crate::upstream::catalog::Change;
use crate::upstream::remote::Background;

/// Most legacy calls that go on after their client left.
const ABANDONED_MAX: usize = 1024;

/// Most fetches at once that several callers may wait for.
const FETCHES_MAX: usize = 4096;

/// Changes that a slow listener may be behind.
const CHANGES_MAX: usize = 1024;

/// What a running gateway's lasting parts are made from.
pub struct Spec {
    /// The bounds of sessions.
    pub sessions: sessions::Limits,
    /// The bounds of parked calls.
    pub parking: parked::Limits,
    /// What is kept together with other instances.
    pub store: Store,
    /// The cache.
    pub cache: Cache,
    /// What callers paid of their limits.
    pub limiter: Limiter,
    /// What was approved of servers' tools.
    pub lock: Lock,
}

/// The parts of a running gateway that no reload replaces.
pub struct Live {
    /// When the gateway started.
    pub started: Instant,
    /// The metrics.
    pub metrics: Metrics,
    /// The access log.
    pub access: AccessLog,
    /// Cancelled once every supervised server can be reached: the gateway is not ready before.
    pub up: CancellationToken,
    /// Cancelled when the gateway begins to drain: streams that only listen end then.
    pub draining: CancellationToken,
    /// Tasks that outlive their request; awaited at shutdown.
    pub detached: TaskTracker,
    /// Bounds the legacy calls that go on after their client left.
    pub abandoned: Arc<Semaphore>,
    /// Bounds the fetches that several callers may wait for.
    pub fetches: Arc<Semaphore>,
    /// The sessions of legacy clients.
    pub sessions: Sessions,
    /// Calls that wait for their clients.
    pub parking: Parking,
    /// What is kept together with other instances.
    pub store: Store,
    /// Where wrong credentials come from.
    pub throttle: Throttle,
    /// Results of servers, and what is being fetched.
    pub cache: Arc<Cache>,
    /// What guardrails did, and what they hold.
    pub guard: Desk,
    /// What callers paid of their limits, and who waits.
    pub limiter: Limiter,
    /// What was approved of servers' tools, and what was seen besides.
    pub lock: Arc<Lock>,
    /// Changes in what servers offer, as the catalogs see them.
    pub changes: broadcast::Sender<Change>,
    /// What runs beside requests and ends with the gateway.
    pub background: Background,
    in_flight: AtomicUsize,
    is_draining: AtomicBool,
    /// What is sealed with while the shared key is not to be had, and what only this instance can make
    /// use of.
    own_key: seal::Key,
}

impl Live {
    /// Starts with nothing in flight.
    #[must_use]
    pub fn new(metrics: Metrics, access: AccessLog, spec: Spec) -> Self {
        let mut random = [0; 32];
        // A store that needs randomness and gets none keeps the gateway from starting; who configured a
        // secret instead is sealed with that.
        if getrandom::fill(&mut random).is_err() {
            fastrand::fill(&mut random);
        }
        Self {
            started: Instant::now(),
            metrics,
            access,
            up: CancellationToken::new(),
            draining: CancellationToken::new(),
            detached: TaskTracker::new(),
            abandoned: Arc::new(Semaphore::new(ABANDONED_MAX)),
            fetches: Arc::new(Semaphore::new(FETCHES_MAX)),
            sessions: Sessions::new(spec.sessions),
            parking: Parking::new(spec.parking),
            store: spec.store,
            own_key: seal::Key::derive(&random),
            throttle: Throttle::default(),
            cache: Arc::new(spec.cache),
            guard: Desk::default(),
            limiter: spec.limiter,
            lock: Arc::new(spec.lock),
            changes: broadcast::channel(CHANGES_MAX).0,
            background: Background::default(),
            in_flight: AtomicUsize::new(0),
            is_draining: AtomicBool::new(false),
        }
    }

    /// What sealed states and cursors are made with: the same for all instances that share a store.
    pub async fn key(&self) -> seal::Key {
        match self.store.key().await {
            Ok(key) => key,
            Err(error) => {
                tracing::warn!(%error, "Shared key is not to be had: seals hold on this instance only");
                self.own_key.clone()
            }
        }
    }

    /// What is sealed with that no other instance can make use of: what it is about is in memory here.
    #[must_use]
    pub fn own_key(&self) -> &seal::Key {
        &self.own_key
    }

    /// Begins to drain.
    pub fn drain(&self) {
        self.is_draining.store(true, Ordering::Relaxed);
        self.draining.cancel();
    }

    /// Whether the gateway drains. Each request asks: the token would be locked for that.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Relaxed)
    }

    /// How many requests are in flight.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Acquire)
    }
}

/// Counts one request for as long as it lives.
pub struct InFlight {
    live: Arc<Live>,
}

impl InFlight {
    /// Starts counting.
    #[must_use]
    pub fn start(live: Arc<Live>) -> Self {
        live.in_flight.fetch_add(1, Ordering::AcqRel);
        Self { live }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.live.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}
