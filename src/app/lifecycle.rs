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
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::app::reload::{Bell, Reloader, Requests, Spec};
use crate::gateway;
use crate::limit::Store;
use crate::state::Shared;
use crate::state::live::Live;

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
    bell: Bell,
}

impl Signals {
    /// Signals of a gateway whose background ends with `begin`.
    pub(super) fn new(
        live: Arc<Live>,
        grace: Duration,
        begin: CancellationToken,
        bell: Bell,
    ) -> Self {
        let stop = Stop {
            up: live.up.clone(),
            begin,
            done: CancellationToken::new(),
        };
        Self {
            live,
            grace,
            stop,
            bell,
        }
    }

    pub(super) fn stop(&self) -> Stop {
        self.stop.clone()
    }

    async fn drain(&self) {
        tracing::info!(in_flight = self.live.in_flight(), "Draining");
        notify(&[NotifyState::Stopping]);
        self.live.drain();
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
                _ = hangup.recv() => self.bell.ring(),
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
    work: Mutex<Option<Work>>,
    shared: Arc<Shared>,
    stop: Stop,
    address: SocketAddr,
    banner: String,
}

/// What a caretaker runs.
pub(super) struct Work {
    /// The servers.
    pub(super) spec: Spec,
    /// Reloads that are asked for.
    pub(super) requests: Requests,
    /// Where children are looked after.
    pub(super) children: Runtime,
}

impl Caretaker {
    pub(super) fn new(
        work: Work,
        shared: Arc<Shared>,
        stop: Stop,
        address: SocketAddr,
        banner: String,
    ) -> Self {
        Self {
            work: Mutex::new(Some(work)),
            shared,
            stop,
            address,
            banner,
        }
    }

    async fn run(&self, spec: Spec, requests: Requests, children: Handle) {
        let mut reloader = Reloader::new(spec, children);
        let keeping = gateway::keeper::run(Arc::clone(&self.shared), self.stop.begin.clone());
        let keeping = tokio::spawn(keeping);
        let cache = &self.shared.live.cache;
        let second_tier = cache.redis.as_ref().map(|redis| {
            let memory = Arc::clone(&cache.memory);
            tokio::spawn(Arc::clone(redis).run(memory, self.stop.begin.clone()))
        });
        let counting = match &self.shared.live.limiter.store {
            Store::Redis(redis) => {
                let stop = self.stop.begin.clone();
                Some(tokio::spawn(Arc::clone(redis).run(stop)))
            }
            Store::Memory(_) => None,
        };
        reloader.start().await;
        if let Store::Redis(redis) = &self.shared.live.limiter.store {
            // The first calls are to be counted, too; without Redis this is over soon.
            redis.tried().await;
        }
        self.stop.up.cancel();
        self.announce().await;
        reloader.run(requests).await;
        self.stop.begin.cancelled().await;
        reloader.end().await;
        for task in [Some(keeping), second_tier, counting].into_iter().flatten() {
            if let Err(error) = task.await {
                tracing::error!(%error, "Background task failed");
            }
        }
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
        notify_ready();
        // A closed standard error is no reason not to serve.
        if write!(std::io::stderr().lock(), "{}", self.banner).is_err() {
            tracing::debug!("Standard error is closed");
        }
    }
}

#[async_trait]
impl BackgroundService for Caretaker {
    async fn start(&self, _shutdown: ShutdownWatch) {
        let work = self.work.lock().take();
        if let Some(work) = work {
            let children = work.children.handle().clone();
            Box::pin(self.run(work.spec, work.requests, children)).await;
            // All its tasks have ended; a runtime cannot be dropped where another one runs.
            work.children.shutdown_background();
        }
        self.stop.done.cancel();
    }
}

/// Tells systemd that the configuration is being reloaded.
pub(super) fn notify_reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "systemd could not be notified"),
    }
}

/// Tells systemd that requests are served under the configuration that there is.
pub(super) fn notify_ready() {
    notify(&[NotifyState::Ready]);
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd could not be notified");
    }
}
