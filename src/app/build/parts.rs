//! One server's parts: what requests use, and what runs beside them.
//!
//! **Invariant:** what runs for a server is started and ended by its [`Parts`] and by nothing else, so
//! that a server can come and go while the gateway runs.

mod assemble;
mod credential;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::build::Workshop;
use crate::config::Config;
use crate::config::choice::LoadBalancing;
use crate::config::model::router::{HealthCheck, Lists};
use crate::config::model::server::{Scopes, Server as ServerConfig, ServerId, Transport};
use crate::state::live::Live;
use crate::state::snapshot::Server;
use crate::stdio;
use crate::stdio::supervisor::Supervisor;
use crate::upstream::cluster::Cluster;
use crate::upstream::credential::{Credential, Renewal};
use crate::upstream::found::{Dialect, Finder};
use crate::upstream::keeper;
use crate::upstream::remote::Background;

/// How long what runs for a server may take to end: children are asked, told and killed in it.
const END_MAX: Duration = Duration::from_secs(20);

/// All of a configuration that a server's parts are built from: where it is the same, so are they.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::app) struct Basis {
    server: ServerConfig,
    load_balancing: LoadBalancing,
    health_check: Option<HealthCheck>,
    lists: Lists,
    is_cached: bool,
    line_bytes_max: usize,
}

impl Basis {
    /// What `config` says for one of its servers.
    pub(in crate::app) fn of(config: &Config, server: &ServerConfig) -> Self {
        let router = &config.router;
        let is_checked = matches!(server.transport, Transport::Http(_));
        let mut server = server.clone();
        // Who may reach it is no part of it.
        server.scopes = Scopes::default();
        server.tool_lock = None;
        Self {
            server,
            load_balancing: router.load_balancing,
            health_check: router.health_check.filter(|_| is_checked),
            lists: router.lists,
            is_cached: config.cache.enabled,
            line_bytes_max: stdio::LINE_BYTES_MAX.max(config.gateway.max_body_bytes),
        }
    }
}

impl Basis {
    /// The server's id.
    pub(in crate::app) fn id(&self) -> &ServerId {
        &self.server.id
    }
}

/// One server's parts.
pub(in crate::app) struct Parts {
    /// Tells them from all others.
    pub(in crate::app) number: u64,
    /// What they were built from.
    pub(in crate::app) basis: Basis,
    /// What the server was found to speak, where its configuration says HTTP.
    pub(in crate::app) dialect: Dialect,
    /// What requests use.
    pub(in crate::app) server: Arc<Server>,
    live: Arc<Live>,
    chores: Chores,
    background: Background,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// What is done for a server beside requests.
#[derive(Default)]
struct Chores {
    clusters: Vec<Arc<Cluster>>,
    /// How often its health is checked.
    checked: Option<Duration>,
    supervisor: Option<Arc<Supervisor>>,
    /// What is kept fresh of what proves to it who the gateway is.
    credential: Option<Arc<Credential>>,
}

impl Parts {
    /// Builds a server's parts; nothing runs yet.
    ///
    /// # Errors
    /// Where its address cannot be used, or there is no directory for its socket.
    pub(in crate::app) fn build(
        workshop: &Workshop,
        basis: Basis,
        dialect: Dialect,
    ) -> anyhow::Result<Self> {
        let number = workshop.serial.fetch_add(1, Ordering::Relaxed);
        let finder = Finder::new(workshop.found.clone(), number);
        let background = Background {
            stop: workshop.live.background.stop.child_token(),
            ..Background::default()
        };
        let (server, chores) =
            assemble::assemble(workshop, &basis, dialect, &finder, background.clone())?;
        Ok(Self {
            number,
            dialect,
            basis,
            server: Arc::new(server),
            live: Arc::clone(&workshop.live),
            chores,
            background,
            stop: workshop.stop.child_token(),
            tasks: TaskTracker::new(),
        })
    }

    /// Starts what runs beside requests; children's tasks on `children`.
    pub(in crate::app) fn start(&self, children: &Handle) {
        let Chores {
            clusters,
            checked,
            supervisor,
            credential,
        } = &self.chores;
        let stop = &self.stop;
        if let Some(credential) = credential {
            let (live, id) = (Arc::clone(&self.live), Arc::clone(&self.server.id));
            let told = move |renewal: Renewal| {
                let metrics = &live.metrics;
                metrics.count_credential_renewal(&id, renewal.label());
            };
            self.tasks
                .spawn(Arc::clone(credential).run(stop.clone(), told));
        }
        if let Some(supervisor) = supervisor {
            let supervised = supervise(Arc::clone(supervisor), stop.clone());
            self.tasks.spawn_on(supervised, children);
        }
        if let Some(every) = checked {
            let checking = keeper::check(Arc::clone(&self.server.remote), *every, stop.clone());
            self.tasks.spawn(checking);
        }
        self.tasks
            .spawn(keeper::sweep(clusters.clone(), stop.clone()));
        self.tasks.close();
    }

    /// What counts its tasks: those that requests began, and those beside.
    #[cfg(test)]
    pub(in crate::app) fn trackers(&self) -> (TaskTracker, TaskTracker) {
        (self.background.tasks.clone(), self.tasks.clone())
    }

    /// Resolves when requests can reach it.
    pub(in crate::app) async fn listening(&self) {
        if let Some(supervisor) = &self.chores.supervisor {
            supervisor.listening().await;
        }
    }

    /// Ends what runs beside requests, children last.
    pub(in crate::app) async fn end(&self) {
        self.background.stop.cancel();
        self.background.tasks.close();
        self.stop.cancel();
        let ended = async {
            self.background.tasks.wait().await;
            self.tasks.wait().await;
        };
        if timeout(END_MAX, ended).await.is_err() {
            tracing::error!(server.id = %self.server.id, "What ran for a server did not end in time");
        }
    }
}

/// What requests use of all these.
pub(in crate::app) fn servers(parts: &[Arc<Parts>]) -> Vec<Arc<Server>> {
    parts.iter().map(|one| Arc::clone(&one.server)).collect()
}

async fn supervise(supervisor: Arc<Supervisor>, shutdown: CancellationToken) {
    if let Err(error) = supervisor.run(shutdown).await {
        tracing::error!(%error, "Server cannot be offered");
    }
}
