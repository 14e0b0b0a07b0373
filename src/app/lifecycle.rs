//! From the first listener to the last child: readiness, signals, the drain.
//!
//! **Invariant:** one order of shutdown: stop listening streams, let calls finish within the grace
//! period, end what runs in the background (children last), then tell Pingora.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use pingora::server::{ShutdownSignal, ShutdownSignalWatch, ShutdownWatch};
use pingora::services::background::BackgroundService;
use sd_notify::NotifyState;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::app::build::Tasks;
use crate::gateway;
use crate::state::Shared;
use crate::state::live::Live;
use crate::upstream::keeper;

/// How often a drain looks whether it is done.
const DRAIN_INTERVAL: Duration = Duration::from_millis(10);
/// How long the background may take to end: children are asked, told and killed in it.
const BACKGROUND_MAX: Duration = Duration::from_secs(20);
/// How long the listener may take to come up before readiness is given up on.
const LISTEN_MAX: Duration = Duration::from_secs(10);

/// When the background is up, and the two ends of a shutdown: when to begin, and when the background
/// is done.
#[derive(Clone)]
pub(super) struct Stop {
    up: CancellationToken,
    begin: CancellationToken,
    done: CancellationToken,
}

/// Waits for a signal, drains, and only then tells Pingora.
pub(super) struct Signals {
    live: Arc<Live>,
    grace: Duration,
    stop: Stop,
}

impl Signals {
    pub(super) fn new(live: Arc<Live>, grace: Duration) -> Self {
        let stop = Stop {
            up: live.up.clone(),
            begin: CancellationToken::new(),
            done: CancellationToken::new(),
        };
        Self { live, grace, stop }
    }

    pub(super) fn stop(&self) -> Stop {
        self.stop.clone()
    }

    async fn drain(&self) {
        tracing::info!(in_flight = self.live.in_flight(), "Draining");
        notify(&[NotifyState::Stopping]);
        self.live.draining.cancel();
        self.live.detached.close();
        let quiet = async {
            while self.live.in_flight() > 0 {
                tokio::time::sleep(DRAIN_INTERVAL).await;
            }
            self.live.detached.wait().await;
        };
        if timeout(self.grace, quiet).await.is_err() {
            tracing::warn!(
                in_flight = self.live.in_flight(),
                "Requests cut off at shutdown"
            );
        }
        self.live.background.stop.cancel();
        self.live.background.tasks.close();
        self.stop.begin.cancel();
        if timeout(BACKGROUND_MAX, self.stop.done.cancelled())
            .await
            .is_err()
        {
            tracing::error!("Background tasks did not end in time");
        }
    }
}

#[async_trait]
impl ShutdownSignalWatch for Signals {
    async fn recv(&self) -> ShutdownSignal {
        let signals = (
            signal(SignalKind::terminate()),
            signal(SignalKind::interrupt()),
            signal(SignalKind::hangup()),
        );
        let (Ok(mut terminate), Ok(mut interrupt), Ok(mut hangup)) = signals else {
            tracing::error!("Signals cannot be watched; stop the gateway with SIGKILL");
            return std::future::pending().await;
        };
        loop {
            tokio::select! {
                () = either(&mut terminate, &mut interrupt) => break,
                // Left alone, it would end the process.
                _ = hangup.recv() => {
                    tracing::warn!("SIGHUP is ignored: restart to apply a changed configuration");
                }
            }
        }
        tokio::select! {
            () = self.drain() => ShutdownSignal::GracefulTerminate,
            // Whoever asks twice means now. Children still end with their guards.
            () = either(&mut terminate, &mut interrupt) => ShutdownSignal::FastShutdown,
        }
    }
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// The runtime of stdio and HTTP+SSE servers. Their tasks talk to each other a lot: unlike connections, they are
/// better off where work is stolen.
///
/// # Errors
/// Where its threads cannot be started.
pub(super) fn children_runtime(n_threads: usize) -> std::io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(n_threads)
        .thread_name("stdio")
        .enable_all()
        .build()
}

/// Runs everything that is not a request.
pub(super) struct Caretaker {
    tasks: Mutex<Option<(Tasks, Runtime)>>,
    shared: Arc<Shared>,
    stop: Stop,
    address: SocketAddr,
    banner: String,
}

impl Caretaker {
    pub(super) fn new(
        tasks: Tasks,
        children: Runtime,
        shared: Arc<Shared>,
        stop: Stop,
        address: SocketAddr,
        banner: String,
    ) -> Self {
        Self {
            tasks: Mutex::new(Some((tasks, children))),
            shared,
            stop,
            address,
            banner,
        }
    }

    async fn run(&self, tasks: Tasks, children: &Runtime) {
        let begin = &self.stop.begin;
        let Tasks {
            clusters,
            checked,
            supervisors,
            runtime,
        } = tasks;
        let mut running = JoinSet::new();
        for supervisor in &supervisors {
            let supervised = supervise(Arc::clone(supervisor), begin.clone());
            running.spawn_on(supervised, children.handle());
        }
        for (cluster, every) in checked {
            running.spawn(keeper::check(cluster, every, begin.clone()));
        }
        running.spawn(keeper::sweep(clusters, begin.clone()));
        let cache = &self.shared.live.cache;
        if let Some(redis) = &cache.redis {
            let memory = Arc::clone(&cache.memory);
            running.spawn(Arc::clone(redis).run(memory, begin.clone()));
        }
        running.spawn(gateway::keeper::run(
            Arc::clone(&self.shared),
            begin.clone(),
        ));
        let listening = async {
            for supervisor in &supervisors {
                supervisor.listening().await;
            }
        };
        let listening = timeout(LISTEN_MAX, begin.run_until_cancelled(listening));
        if listening.await.is_err() {
            tracing::error!("Not every supervised server can be reached");
        }
        self.stop.up.cancel();
        self.announce().await;
        while let Some(ended) = running.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "Background task failed");
            }
        }
        drop(runtime);
    }

    /// Tells whoever waits that requests are served.
    async fn announce(&self) {
        let mut local = self.address;
        if local.ip().is_unspecified() {
            local.set_ip(match local {
                SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        let up = async {
            while TcpStream::connect(local).await.is_err() {
                tokio::time::sleep(DRAIN_INTERVAL).await;
            }
        };
        if timeout(LISTEN_MAX, up).await.is_err() {
            tracing::error!(address = %self.address, "The listener did not come up");
            return;
        }
        notify(&[NotifyState::Ready]);
        // A closed standard error is no reason not to serve.
        if write!(std::io::stderr().lock(), "{}", self.banner).is_err() {
            tracing::debug!("Standard error is closed");
        }
    }
}

pub(super) async fn supervise(
    supervisor: Arc<crate::stdio::supervisor::Supervisor>,
    shutdown: CancellationToken,
) {
    if let Err(error) = supervisor.run(shutdown).await {
        tracing::error!(%error, "Server cannot be offered");
    }
}

#[async_trait]
impl BackgroundService for Caretaker {
    async fn start(&self, _shutdown: ShutdownWatch) {
        let tasks = self.tasks.lock().take();
        if let Some((tasks, children)) = tasks {
            self.run(tasks, &children).await;
            // All its tasks have ended; a runtime cannot be dropped where another one runs.
            children.shutdown_background();
        }
        self.stop.done.cancel();
    }
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd could not be notified");
    }
}
