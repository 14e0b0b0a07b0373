//! Where a server's peers are born, counted and awaited.
//!
//! **Invariant:** a peer is counted from before its start until nothing of it is left, and the task
//! that tends it is awaited before the supervisor ends.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Spec;
use super::failure::Failure;
use super::link::audience::Audience;
use super::link::{Counters, Link};
use super::peer::Peer;
use super::runtime::Runtime;
use super::tend::{Halt, Tended};

#[derive(Debug)]
pub(super) struct Nursery {
    pub(super) spec: Arc<Spec>,
    pub(super) counters: Arc<Counters>,
    /// Awaits every task that tends a peer.
    pub(super) tasks: TaskTracker,
    /// Ends every peer.
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

    /// Peers that are there now.
    pub(super) fn children(&self) -> usize {
        self.spec
            .processes_max
            .saturating_sub(self.places.available_permits())
    }

    /// Starts a peer. It lives while what is returned is tended.
    pub(super) async fn start(&self, audience: Audience) -> Result<Tended, Failure> {
        if self.stop.is_cancelled() {
            return Err(Failure::ShuttingDown);
        }
        let place = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| Failure::TooMany {
                what: self.spec.reach.peers(),
                max: self.spec.processes_max,
            })?;
        let starting = Peer::start(&self.spec, &self.runtime);
        let Some(started) = self.stop.run_until_cancelled(starting).await else {
            return Err(Failure::ShuttingDown);
        };
        let peer = started.map_err(|how| {
            *self.counters.last_error.lock() = Some(how.to_string());
            Failure::UpstreamEnded { how }
        })?;
        self.counters.started.fetch_add(1, Ordering::Relaxed);
        let link = Link::new(Arc::clone(&self.spec), audience, Arc::clone(&self.counters));
        Ok(Tended {
            peer,
            link: Arc::new(link),
            halt: Halt {
                one: self.stop.child_token(),
                all: self.stop.clone(),
            },
            place,
        })
    }
}
