//! One configured server, from its socket to its last process or connection.
//!
//! **Invariant:** everything that is started here is awaited here, in order and in bounded time:
//! when [`Supervisor::run`] returns there is no child, no connection and no socket left.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::bridge::Bridge;
use super::child::STOP_MAX;
use super::link::Link;
use super::nursery::Nursery;
use super::runtime::Runtime;
use super::server;
use super::{Error, Spec, Status};

/// How long calls in flight may take to end once everything is to stop.
const DRAIN_MAX: Duration = Duration::from_secs(5);
/// How often it is looked whether they have.
const DRAIN_INTERVAL: Duration = Duration::from_millis(20);
/// How long connections may take to end once no child is left.
const CONNECTIONS_MAX_WAIT: Duration = Duration::from_secs(1);
/// How often idle sessions are looked for, at most and at least.
const SWEEP: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));

/// Runs one server behind a unix socket.
#[derive(Debug)]
pub struct Supervisor {
    bridge: Arc<Bridge>,
    socket: PathBuf,
    is_listening: watch::Sender<bool>,
}

impl Supervisor {
    /// A supervisor of what `spec` says. Nothing runs before [`Supervisor::run`].
    #[must_use]
    pub fn new(spec: Spec, runtime: &Runtime) -> Self {
        Self {
            socket: runtime.socket(),
            bridge: Arc::new(Bridge::new(Nursery::new(Arc::new(spec), runtime.clone()))),
            is_listening: watch::Sender::new(false),
        }
    }

    /// Where the server is offered as Streamable HTTP, on any path.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Waits until the socket can be connected to.
    pub async fn listening(&self) {
        // The sender is ours, so it cannot have gone.
        drop(self.is_listening.subscribe().wait_for(|is| *is).await);
    }

    /// What it is doing now.
    #[must_use]
    pub fn status(&self) -> Status {
        let counters = &self.bridge.nursery.counters;
        Status {
            children: self.bridge.nursery.children(),
            sessions: self.bridge.sessions.len(),
            pending: self.links().iter().map(|link| link.pending()).sum(),
            started: counters.started.load(Ordering::Relaxed),
            crashed: counters.crashed.load(Ordering::Relaxed),
            dropped: counters.dropped.load(Ordering::Relaxed),
            last_error: counters.last_error.lock().clone(),
        }
    }

    /// Serves until `shutdown`, then ends everything: takes no new work, lets calls in flight
    /// finish for a while, closes the children's inputs, waits, terminates, kills, reaps.
    ///
    /// # Errors
    /// [`Error::Listen`] where the socket cannot be listened on.
    pub async fn run(self: Arc<Self>, shutdown: CancellationToken) -> Result<(), Error> {
        let listener = server::bind(&self.socket).map_err(|source| Error::Listen {
            server: self.bridge.spec.server.clone(),
            path: self.socket.clone(),
            source,
        })?;
        self.is_listening.send_replace(true);
        let (close, abort) = (CancellationToken::new(), CancellationToken::new());
        let serving = server::serve(
            listener,
            Arc::clone(&self.bridge),
            close.clone(),
            abort.clone(),
        );
        let served = CancellationToken::new();
        let serving = async {
            serving.await;
            served.cancel();
        };
        let keeping = async {
            let nursery = &self.bridge.nursery;
            tokio::join!(
                self.bridge.modern.run(nursery),
                self.bridge.legacy.run(nursery),
                self.sweep(),
            );
        };
        let ending = async {
            shutdown.cancelled().await;
            self.end(&close).await;
            if !server::within(CONNECTIONS_MAX_WAIT, served.cancelled()).await {
                abort.cancel();
            }
        };
        tokio::join!(serving, keeping, ending);
        drop(std::fs::remove_file(&self.socket));
        info!(server.id = %self.bridge.spec.server, "Server ended");
        Ok(())
    }

    /// Ends all but the connections, which are told to end as they are answered.
    async fn end(&self, close: &CancellationToken) {
        let bridge = &self.bridge;
        bridge.drain();
        for link in self.links() {
            link.end_subscriptions();
        }
        bridge.sessions.close_streams();
        if !server::within(DRAIN_MAX, self.drained()).await {
            warn!(server.id = %bridge.spec.server, "Calls cut off at shutdown");
        }
        bridge.nursery.stop.cancel();
        bridge.nursery.tasks.close();
        if !server::within(STOP_MAX, bridge.nursery.tasks.wait()).await {
            warn!(server.id = %bridge.spec.server, "Children left at shutdown");
        }
        close.cancel();
    }

    /// Until nobody waits for an answer.
    async fn drained(&self) {
        while self.links().iter().any(|link| link.awaited() > 0) {
            tokio::time::sleep(DRAIN_INTERVAL).await;
        }
    }

    async fn sweep(&self) {
        let idle = self.bridge.spec.session_idle;
        let period = (idle / 4).clamp(SWEEP.0, SWEEP.1);
        loop {
            tokio::select! {
                () = self.bridge.nursery.stop.cancelled() => return,
                () = tokio::time::sleep(period) => {
                    self.bridge.sessions.sweep(idle);
                    self.bridge.pool.sweep(idle);
                }
            }
        }
    }

    /// The links of all children.
    fn links(&self) -> Vec<Arc<Link>> {
        let shared = [self.bridge.modern.current(), self.bridge.legacy.current()];
        let mut links = self.bridge.sessions.own_links();
        links.extend(self.bridge.pool.links());
        links.extend(shared.into_iter().flatten());
        links
    }
}
