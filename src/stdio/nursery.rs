//! Where a server's children are born, counted and awaited.
//!
//! **Invariant:** a child is counted from before its start until nothing of it is left, and the
//! task that tends it is awaited before the supervisor ends.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Spec;
use super::child;
use super::failure::Failure;
use super::link::audience::Audience;
use super::link::{Counters, Link};
use super::runtime::Runtime;
use super::tend::Tended;

#[derive(Debug)]
pub(super) struct Nursery {
    pub(super) spec: Arc<Spec>,
    pub(super) counters: Arc<Counters>,
    /// Awaits every task that tends a child.
    pub(super) tasks: TaskTracker,
    /// Ends every child.
    pub(super) stop: CancellationToken,
    runtime: Runtime,
    places: Arc<Semaphore>,
}

impl Nursery {
    pub(super) fn new(spec: Arc<Spec>, runtime: Runtime) -> Self {
        Self {
            places: Arc::new(Semaphore::new(
                spec.processes_max.min(Semaphore::MAX_PERMITS),
            )),
            spec,
            counters: Arc::default(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            runtime,
        }
    }

    /// Children that run now.
    pub(super) fn children(&self) -> usize {
        self.spec
            .processes_max
            .saturating_sub(self.places.available_permits())
    }

    /// Starts a child. It lives while what is returned is tended.
    pub(super) async fn start(&self, audience: Audience) -> Result<Tended, Failure> {
        if self.stop.is_cancelled() {
            return Err(Failure::ShuttingDown);
        }
        let place = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| Failure::TooMany {
                what: "processes",
                max: self.spec.processes_max,
            })?;
        let started = child::start(&self.spec, &self.runtime).await;
        let (process, pipes) = started.map_err(|error| {
            let how = format!("cannot be started: {error}");
            *self.counters.last_error.lock() = Some(how.clone());
            Failure::UpstreamEnded { how: how.into() }
        })?;
        self.counters.started.fetch_add(1, Ordering::Relaxed);
        let link = Link::new(Arc::clone(&self.spec), audience, Arc::clone(&self.counters));
        Ok(Tended {
            process,
            pipes,
            link: Arc::new(link),
            stop: self.stop.child_token(),
            stop_all: self.stop.clone(),
            place,
        })
    }
}
