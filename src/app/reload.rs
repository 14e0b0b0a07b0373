//! Puts a changed configuration into force while the gateway runs.
//!
//! Servers whose configuration did not change keep their parts, sessions and children. The others are
//! built and started beside the old ones, one store makes the new configuration the one in force, and
//! the old ones end once no request uses them any more.
//!
//! **Invariant:** a reload takes effect as a whole or not at all.
//! **Invariant:** one reload at a time; who asks meanwhile gets one of their own afterwards.

mod request;
mod retirement;
mod switch;

pub(super) use request::{Bell, Requests, channel};

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use filters::cache::invalidate::Reach;
use filters::lock::book::Book;
use filters::mcp::list::Kind;
use futures_util::future::join_all;
use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::app::build::gatehouse::Gatehouse;
use crate::app::build::parts::{Basis, Parts, servers};
use crate::app::build::{Workshop, snapshot};
use crate::app::lifecycle;
use crate::app::rehearse;
use crate::app::reload::request::Next;
use crate::app::reload::retirement::Retirement;
use crate::app::reload::switch::Switches;
use crate::app::tls::{Renewal, Secure};
use crate::config::choice::NamespaceStrategy;
use crate::config::diff::{self, Plan};
use crate::config::inactive::inactive;
use crate::config::source::Source;
use crate::config::{self, Config, Loaded};
use crate::gateway::retire;
use crate::state::Shared;
use crate::state::reload::Report;
use crate::upstream::catalog::Change;
use crate::upstream::found::{Dialect, Found};

/// How long sockets of new servers may take to be listened on.
const LISTEN_MAX: Duration = Duration::from_secs(10);

/// The configuration in force, what runs for it, and where it was read from.
pub(super) struct Reloader {
    shared: Arc<Shared>,
    workshop: Arc<Workshop>,
    children: Handle,
    file: Option<PathBuf>,
    config: Config,
    parts: Vec<Arc<Parts>>,
    gatehouse: Arc<Gatehouse>,
    secure: Option<Arc<Secure>>,
    retiring: TaskTracker,
    switches: Switches,
}

/// What a reloader begins with.
pub(super) struct Spec {
    pub(super) shared: Arc<Shared>,
    pub(super) workshop: Arc<Workshop>,
    /// The file that was named on the command line.
    pub(super) file: Option<PathBuf>,
    pub(super) config: Config,
    /// In the order of the configuration.
    pub(super) parts: Vec<Arc<Parts>>,
    pub(super) gatehouse: Arc<Gatehouse>,
    /// TLS of the listener, where it is spoken.
    pub(super) secure: Option<Arc<Secure>>,
}

/// The parts of a configuration's servers.
struct Built {
    /// All of them, in the order of the configuration.
    parts: Vec<Arc<Parts>>,
    /// Those that did not run before.
    fresh: Vec<Arc<Parts>>,
}

impl Reloader {
    /// A reloader of what was built; nothing runs yet. Children's tasks run on `children`.
    pub(super) fn new(spec: Spec, children: Handle) -> Self {
        Self {
            shared: spec.shared,
            workshop: spec.workshop,
            children,
            file: spec.file,
            config: spec.config,
            parts: spec.parts,
            gatehouse: spec.gatehouse,
            secure: spec.secure,
            retiring: TaskTracker::new(),
            switches: Switches::default(),
        }
    }

    /// Starts what runs for all servers, and waits until they can be reached.
    pub(super) async fn start(&self) {
        self.gatehouse.start();
        if let Some(secure) = &self.secure {
            let watch = Arc::clone(secure).watch(self.workshop.stop.clone());
            self.retiring.spawn(watch);
        }
        self.parts
            .iter()
            .for_each(|parts| parts.start(&self.children));
        if !listen(&self.parts).await {
            tracing::error!("Not every supervised server can be reached");
        }
    }

    /// Reloads whenever it is asked to, until the gateway ends.
    pub(super) async fn run(&mut self, mut requests: Requests) {
        let stop = self.workshop.stop.clone();
        while let Some(Some(next)) = stop.run_until_cancelled(requests.next()).await {
            match next {
                Next::Reload(request) => {
                    lifecycle::notify_reloading();
                    let report = self.reload().await;
                    lifecycle::notify_ready();
                    tell(&report);
                    request.answer(report);
                }
                Next::Switch(found) => {
                    let is_switched = self.switch(&found).await;
                    // Who found it may have gone.
                    found.done.send(is_switched).ok();
                }
            }
        }
    }

    /// Ends what runs for all servers, those included that were taken out before.
    pub(super) async fn end(self) {
        self.gatehouse.end(None).await;
        join_all(self.parts.iter().map(|parts| parts.end())).await;
        self.retiring.close();
        self.retiring.wait().await;
    }

    /// Replaces the parts of a server by such as speak what it was found to; `false` where they are
    /// gone already, do so, or were replaced just now.
    async fn switch(&mut self, found: &Found) -> bool {
        let is_it = |parts: &&Arc<Parts>| parts.number == found.parts;
        let Some(old) = self.parts.iter().find(is_it).map(Arc::clone) else {
            return false;
        };
        let id = old.basis.id();
        if old.dialect == found.dialect || !self.switches.admit(id, Instant::now()) {
            return false;
        }
        let built = Parts::build(&self.workshop, old.basis.clone(), found.dialect);
        let fresh = match built {
            Ok(fresh) => Arc::new(fresh),
            Err(error) => {
                tracing::error!(error = %format!("{error:#}"), "Server cannot be switched");
                return false;
            }
        };
        fresh.start(&self.children);
        if !listen(std::slice::from_ref(&fresh)).await {
            fresh.end().await;
            return false;
        }
        tracing::info!(server.id = %id, dialect = ?found.dialect, "Server is reached otherwise from now on");
        let parts = self.parts.iter().map(|one| {
            let is_old = Arc::ptr_eq(one, &old);
            Arc::clone(if is_old { &fresh } else { one })
        });
        let parts = parts.collect();
        let gatehouse = Arc::clone(&self.gatehouse);
        self.exchange(self.config.clone(), parts, gatehouse).await;
        true
    }

    async fn reload(&mut self) -> Report {
        let file = self.file.clone();
        let read = tokio::task::spawn_blocking(move || read(file.as_ref())).await;
        let loaded = match read {
            Ok(Ok(loaded)) => loaded,
            Ok(Err(errors)) => return Report::refused(errors),
            Err(error) => return Report::refused(vec![format!("cannot be read: {error}")]),
        };
        let plan = diff::plan(&self.config, loaded.config);
        let approved = match self.shared.live.lock.reread().await {
            Ok(approved) => approved,
            Err(error) => return Report::refused(vec![format!("tool_lock_file: {error}")]),
        };
        let mut report = Report {
            skipped: plan.left.clone(),
            warnings: loaded.warnings.iter().map(ToString::to_string).collect(),
            ..Report::default()
        };
        let renewal = match self.read_tls(&plan.config).await {
            Ok(renewal) => renewal,
            Err(errors) => return Report::refused(errors),
        };
        if plan.changed.is_empty() {
            self.config = plan.config;
            self.renew(renewal, &mut report);
            report.reloaded.extend(self.adopt(approved));
            return report;
        }
        report.warnings.extend(inactive(&plan.config));
        let before = Some(&self.gatehouse);
        let gatehouse = match Gatehouse::build(&self.workshop, &plan.config, before) {
            Ok(gatehouse) => gatehouse,
            Err(error) => return Report::refused(vec![format!("{error:#}")]),
        };
        match self.prepare(&plan, &mut report.warnings).await {
            Ok(parts) => {
                self.exchange(plan.config, parts, gatehouse).await;
                report.reloaded = plan.changed;
                self.renew(renewal, &mut report);
                report.reloaded.extend(self.adopt(approved));
                report
            }
            Err(errors) => Report::refused(errors),
        }
    }

    /// Reads the files of TLS again: they may have changed where the configuration did not.
    async fn read_tls(&self, config: &Config) -> Result<Option<Renewal>, Vec<String>> {
        let (Some(secure), Some(tls)) = (&self.secure, config.gateway.tls.clone()) else {
            return Ok(None);
        };
        let read = tokio::task::spawn_blocking(move || Secure::read(&tls)).await;
        let read = read.unwrap_or_else(|error| Err(vec![format!("gateway.tls: {error}")]));
        read.map(Some).inspect_err(|_| secure.count_failure())
    }

    fn renew(&self, renewal: Option<Renewal>, report: &mut Report) {
        let (Some(secure), Some(renewal)) = (&self.secure, renewal) else {
            return;
        };
        let is_named = report.reloaded.iter().any(|one| one == "gateway.tls");
        if secure.renew(renewal) && !is_named {
            report.reloaded.push("gateway.tls (files)".to_owned());
        }
    }

    /// Puts what was approved elsewhere meanwhile into force; its path, if there was anything.
    fn adopt(&self, approved: Book) -> Option<String> {
        let live = &self.shared.live;
        if !live.lock.adopt(approved) {
            return None;
        }
        for server in self.shared.snapshot.load().servers.values() {
            let change = Change {
                server: Arc::clone(&server.id),
                kind: Kind::Tools,
            };
            // Nobody may be listening.
            live.changes.send(change).ok();
        }
        Some("tool_lock_file (its content)".to_owned())
    }

    /// The parts of all servers of a plan, running: those that there are where nothing changed.
    async fn prepare(
        &self,
        plan: &Plan,
        warnings: &mut Vec<String>,
    ) -> Result<Vec<Arc<Parts>>, Vec<String>> {
        let Built { parts, fresh } = self.build(&plan.config)?;
        fresh.iter().for_each(|parts| parts.start(&self.children));
        let mut errors = Vec::new();
        if listen(&fresh).await {
            let names = self.names(plan, &parts).await;
            errors.extend(names.errors());
            warnings.extend(names.warnings());
        } else {
            errors.push("servers: not every supervised server can be reached".to_owned());
        }
        if errors.is_empty() {
            return Ok(parts);
        }
        join_all(fresh.iter().map(|parts| parts.end())).await;
        Err(errors)
    }

    fn build(&self, config: &Config) -> Result<Built, Vec<String>> {
        let (mut parts, mut fresh, mut errors) = (Vec::new(), Vec::new(), Vec::new());
        for server in &config.servers {
            let basis = Basis::of(config, server);
            if let Some(known) = self.parts.iter().find(|known| known.basis == basis) {
                parts.push(Arc::clone(known));
                continue;
            }
            match Parts::build(&self.workshop, basis, Dialect::default()) {
                Ok(built) => {
                    let built = Arc::new(built);
                    fresh.push(Arc::clone(&built));
                    parts.push(built);
                }
                Err(error) => errors.push(format!("server.{}: {error:#}", server.id)),
            }
        }
        if errors.is_empty() {
            Ok(Built { parts, fresh })
        } else {
            Err(errors)
        }
    }

    /// What the servers say about names, where that may have become ambiguous.
    async fn names(&self, plan: &Plan, parts: &[Arc<Parts>]) -> rehearse::Names {
        let is_bare = plan.config.router.namespace_strategy == NamespaceStrategy::None;
        if !is_bare || parts.len() < 2 {
            return rehearse::Names::default();
        }
        rehearse::read(&servers(parts)).await
    }

    /// Makes `config` the one in force, and has what it has no use for end.
    async fn exchange(
        &mut self,
        config: Config,
        parts: Vec<Arc<Parts>>,
        gatehouse: Arc<Gatehouse>,
    ) {
        gatehouse.start();
        let before = self.shared.snapshot.load_full();
        let known = Some((&self.config, &*before));
        let snapshot = snapshot::build(&config, &servers(&parts), &gatehouse.auth, known);
        drop(before);
        let old = self.shared.snapshot.swap(Arc::new(snapshot));
        let left = old.users.dismiss();
        let retired = std::mem::replace(&mut self.gatehouse, gatehouse);
        retired.end(Some(&self.gatehouse)).await;
        let departed = retire::retire(&self.shared, &old).await;
        let is_kept = |one: &Arc<Parts>| parts.iter().any(|kept| Arc::ptr_eq(kept, one));
        let gone: Vec<Arc<Parts>> = std::mem::take(&mut self.parts)
            .into_iter()
            .filter(|one| !is_kept(one))
            .collect();
        let cache = &self.shared.live.cache;
        for one in &gone {
            // Under the new configuration nobody finds it; under the old one, should it come back, they
            // would, in Redis.
            cache.invalidate(&one.server.id, &Reach::Server).await;
        }
        let retirement = Retirement {
            parts: gone,
            departed,
            left,
            shared: Arc::clone(&self.shared),
            stop: self.workshop.stop.clone(),
        };
        self.retiring.spawn(retirement.run());
        self.parts = parts;
        self.config = config;
        let servers = &self.config.servers;
        self.switches
            .retain(|id| servers.iter().any(|server| server.id == *id));
    }
}

/// Reads the configuration as at the start, environment and all.
fn read(file: Option<&PathBuf>) -> Result<Loaded, Vec<String>> {
    let source = Source::read(file.map(PathBuf::as_path));
    let loaded = source.and_then(|source| match source.text {
        Some(_) => config::load(&source),
        None => {
            // At the start that means "without servers"; now it would take them all away.
            let mut problems = filters::problem::Problems::default();
            problems.error("", format!("there is no {}", source.path.display()));
            Err(problems)
        }
    });
    loaded.map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

/// Waits until all can be reached; `false` where that takes too long.
async fn listen(parts: &[Arc<Parts>]) -> bool {
    let listening = join_all(parts.iter().map(|parts| parts.listening()));
    timeout(LISTEN_MAX, listening).await.is_ok()
}

/// Tells the operator what became of a reload.
fn tell(report: &Report) {
    for error in &report.errors {
        tracing::error!(%error, "Configuration not reloaded");
    }
    for warning in &report.warnings {
        tracing::warn!(%warning, "Configuration is doubtful");
    }
    for skipped in &report.skipped {
        tracing::warn!(%skipped, "Change of the configuration has no effect");
    }
    if report.errors.is_empty() {
        tracing::info!(reloaded = ?report.reloaded, "Configuration reloaded");
    }
}

#[cfg(test)]
mod tests;
