//! What outlives a reload: requests in flight, the drain, detached tasks.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::telemetry::access::AccessLog;
use crate::telemetry::metrics::Metrics;

/// Most legacy calls that go on after their client left.
const ABANDONED_MAX: usize = 1024;

/// The parts of a running gateway that no reload replaces.
pub struct Live {
    /// When the gateway started.
    pub started: Instant,
    /// The metrics.
    pub metrics: Metrics,
    /// The access log.
    pub access: AccessLog,
    /// Cancelled when the gateway begins to drain: streams that only listen end then.
    pub draining: CancellationToken,
    /// Tasks that outlive their request; awaited at shutdown.
    pub detached: TaskTracker,
    /// Bounds the legacy calls that go on after their client left.
    pub abandoned: Arc<Semaphore>,
    in_flight: AtomicUsize,
}

impl Live {
    /// Starts with nothing in flight.
    #[must_use]
    pub fn new(metrics: Metrics, access: AccessLog) -> Self {
        Self {
            started: Instant::now(),
            metrics,
            access,
            draining: CancellationToken::new(),
            detached: TaskTracker::new(),
            abandoned: Arc::new(Semaphore::new(ABANDONED_MAX)),
            in_flight: AtomicUsize::new(0),
        }
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
