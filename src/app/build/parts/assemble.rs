//! Puts one server together.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use filters::cache::key;
use filters::mcp::revision::Era;
use http::header::AUTHORIZATION;
use pingora::lb::health_check::HealthCheck;
use tokio_util::sync::CancellationToken;

use super::{Basis, Chores, credential};
use crate::app::build::Workshop;
use crate::app::cached;
use crate::app::carrier::HttpSse;
use crate::cache;
use crate::config::choice::{self, LoadBalancing};
use crate::config::edition;
use crate::config::model::router;
use crate::config::model::server::{Http, Server as ServerConfig, Stdio, Transport};
use crate::config::model::url::HttpUrl;
use crate::state::snapshot::Server;
use crate::stdio;
use crate::stdio::supervisor::Supervisor;
use crate::stdio::{Program, Reach};
use crate::upstream::address::Address;
use crate::upstream::catalog::{self, Catalogs};
use crate::upstream::cluster::{Balancing, Cluster, Limits, Spec};
use crate::upstream::credential::Credentials;
use crate::upstream::era;
use crate::upstream::fields::StaticFields;
use crate::upstream::found::{Dialect, Finder};
use crate::upstream::health::{self, McpCheck};
use crate::upstream::remote::{self, Background, Remote};

/// How much longer than a supervisor the gateway waits: a supervisor answers its own time-out, and
/// the gateway's only catches a supervisor that does not.
const SUPERVISOR_SLACK: Duration = Duration::from_secs(1);

/// Builds one server, opening nothing but the supervisors' private directory.
pub(super) fn assemble(
    workshop: &Workshop,
    basis: &Basis,
    dialect: Dialect,
    finder: &Finder,
    background: Background,
) -> anyhow::Result<(Server, Chores)> {
    let assembly = Assembly {
        workshop,
        basis,
        dialect,
        finder,
        chores: Chores::default(),
    };
    assembly
        .run(background)
        .with_context(|| format!("server \"{}\"", basis.server.id))
}

struct Assembly<'a> {
    workshop: &'a Workshop,
    basis: &'a Basis,
    dialect: Dialect,
    finder: &'a Finder,
    chores: Chores,
}

impl Assembly<'_> {
    fn run(mut self, background: Background) -> anyhow::Result<(Server, Chores)> {
        let server = &self.basis.server;
        let (cluster, fields) = match (&server.transport, self.dialect) {
            (Transport::Http(http), Dialect::Streamable) => {
                let fields = StaticFields::compile(&http.headers);
                (self.http(server, http, &fields)?, fields)
            }
            (Transport::Http(http), Dialect::HttpSse) => {
                let finder = Some(self.finder.clone());
                (self.sse(server, http, finder)?, StaticFields::default())
            }
            (Transport::Sse(http), _) => (self.sse(server, http, None)?, StaticFields::default()),
            (Transport::Stdio(child), _) => (self.stdio(server, child)?, StaticFields::default()),
        };
        self.chores.clusters.push(Arc::clone(&cluster));
        let remote = Arc::new(self.remote(&cluster, &fields, background));
        let (groups, watches) = (Arc::default(), Arc::default());
        let lists = self.basis.lists;
        let settings = catalog::Settings {
            timeout: lists.timeout,
            deadline: lists.deadline,
            refresh: lists.refresh,
            stale_max: lists.stale_max,
            list_ttl: server.cache.list_ttl.filter(|_| self.basis.is_cached),
        };
        let catalogs = Arc::new(Catalogs::new(
            Arc::clone(&remote),
            Arc::clone(&groups),
            Arc::clone(&watches),
            settings,
            self.workshop.live.changes.clone(),
        ));
        let urls = urls(server);
        let built = Server {
            id: server.id.as_str().into(),
            place: key::Place::new(
                server.id.as_str(),
                &edition::edition(server).context("edition")?,
            ),
            url: urls.first().cloned().unwrap_or_default(),
            replica_urls: urls,
            cluster,
            fields,
            forwards_authorization: self.forwards_authorization(),
            remote,
            groups,
            watches,
            catalogs,
            cache: cache::Server::new(cached::policy(self.basis.is_cached, &server.cache)),
            retired: CancellationToken::new(),
        };
        Ok((built, self.chores))
    }

    fn remote(
        &self,
        cluster: &Arc<Cluster>,
        fields: &StaticFields,
        background: Background,
    ) -> Remote {
        let server = &self.basis.server;
        let transport = match (&server.transport, self.dialect) {
            (Transport::Http(_), Dialect::Streamable) => remote::Transport::Http,
            (Transport::Http(_), Dialect::HttpSse)
            | (Transport::Stdio(_) | Transport::Sse(_), _) => remote::Transport::Pipe,
        };
        let choice = match server.era {
            choice::Era::Auto => era::Choice::Auto,
            choice::Era::Legacy => era::Choice::Only(Era::Legacy),
            choice::Era::Modern => era::Choice::Only(Era::Modern),
        };
        Remote::new(remote::Spec {
            cluster: Arc::clone(cluster),
            fields: fields.clone(),
            forwards_authorization: self.forwards_authorization(),
            transport,
            eras: era::Verdicts::new(choice),
            finder: self.finder.clone(),
            background,
            ear: cached::ear(&self.workshop.live),
        })
    }

    /// Whether the server is sent the client's own credential: the configured headers win over it.
    fn forwards_authorization(&self) -> bool {
        let server = &self.basis.server;
        let is_written = match &server.transport {
            Transport::Http(http) | Transport::Sse(http) => {
                http.headers.iter().any(|(name, _)| *name == AUTHORIZATION)
            }
            Transport::Stdio(_) => false,
        };
        server.forward_authorization && !is_written
    }

    fn http(
        &mut self,
        server: &ServerConfig,
        http: &Http,
        fields: &StaticFields,
    ) -> anyhow::Result<Arc<Cluster>> {
        let check = self.basis.health_check;
        let credentials = self.credentials(server, http);
        let probe = check.map(|check| self.check(check, fields, &credentials));
        let place = Place {
            addresses: addresses(http)?,
            slack: Duration::ZERO,
            credentials,
        };
        let cluster = self.cluster(server, place, probe);
        if let Some(check) = check {
            self.chores.checked = Some(check.interval);
        }
        Ok(cluster)
    }

    fn check(
        &self,
        check: router::HealthCheck,
        fields: &StaticFields,
        credentials: &Credentials,
    ) -> Box<dyn HealthCheck + Send + Sync> {
        let spec = health::Spec {
            timeout: check.timeout,
            unhealthy_threshold: check.unhealthy_threshold,
            healthy_threshold: check.healthy_threshold,
            fields: fields.lines.clone(),
            credential: credentials.own().and_then(|own| own.credential.clone()),
        };
        Box::new(McpCheck::new(spec, Arc::clone(&self.workshop.transport)))
    }

    fn sse(
        &mut self,
        server: &ServerConfig,
        http: &Http,
        finder: Option<Finder>,
    ) -> anyhow::Result<Arc<Cluster>> {
        // Nothing but an event stream tells whether such a server is well, so none is checked.
        let place = Place {
            addresses: addresses(http)?,
            slack: Duration::ZERO,
            credentials: self.credentials(server, http),
        };
        let remote = self.cluster(server, place, None);
        self.chores.clusters.push(Arc::clone(&remote));
        let fields = StaticFields::compile(&http.headers);
        let reach = Reach::Remote(stdio::remote::Remote {
            carrier: Arc::new(HttpSse::new(remote, &fields, finder)),
            connect_timeout: server.connect_timeout,
        });
        let spec = self.spec(server, reach);
        // An answer to `initialize` has its time once the connection stands.
        self.supervise(server, spec, server.connect_timeout)
    }

    fn stdio(&mut self, server: &ServerConfig, child: &Stdio) -> anyhow::Result<Arc<Cluster>> {
        let reach = Reach::Program(Program {
            command: child.command.clone(),
            args: child.args.clone(),
            env: child
                .env
                .iter()
                .map(|(name, value)| (name.clone(), value.expose().to_owned()))
                .collect(),
            cwd: child.cwd.clone(),
            mask: credential::of_program(server, child),
        });
        let spec = stdio::Spec {
            shared: child.shared,
            processes_max: child.max_processes,
            ..self.spec(server, reach)
        };
        self.supervise(server, spec, Duration::ZERO)
    }

    fn spec(&self, server: &ServerConfig, reach: Reach) -> stdio::Spec {
        stdio::Spec {
            server: server.id.to_string(),
            reach,
            shared: false,
            processes_max: server.max_sessions,
            sessions_max: server.max_sessions,
            line_bytes_max: self.basis.line_bytes_max,
            call_timeout: server.timeout,
            session_idle: server.session_idle,
        }
    }

    /// Offers a server on a unix socket. `before` is what may pass until it has a call.
    fn supervise(
        &mut self,
        server: &ServerConfig,
        spec: stdio::Spec,
        before: Duration,
    ) -> anyhow::Result<Arc<Cluster>> {
        let supervisor = Arc::new(Supervisor::new(spec, &self.workshop.runtime()?));
        let address = Address::unix(supervisor.socket());
        self.chores.supervisor = Some(supervisor);
        let place = Place {
            addresses: vec![address],
            slack: before + SUPERVISOR_SLACK,
            // A supervisor takes none.
            credentials: Credentials::Callers,
        };
        Ok(self.cluster(server, place, None))
    }

    /// What the server is sent to prove who sends it; what keeps that fresh is one of its chores.
    fn credentials(&mut self, server: &ServerConfig, http: &Http) -> Credentials {
        let credentials = credential::credentials(server, http, &self.workshop.transport);
        let own = credentials.own().and_then(|own| own.credential.clone());
        self.chores.credential = own;
        credentials
    }

    fn cluster(
        &self,
        server: &ServerConfig,
        place: Place,
        check: Option<Box<dyn HealthCheck + Send + Sync>>,
    ) -> Arc<Cluster> {
        let spec = Spec {
            server: server.id.as_str().into(),
            addresses: place.addresses,
            balancing: match self.basis.load_balancing {
                LoadBalancing::RoundRobin => Balancing::RoundRobin,
                LoadBalancing::LeastConnections => Balancing::LeastConnections,
            },
            limits: Limits {
                connect: server.connect_timeout,
                header: server.timeout + place.slack,
                idle: server.idle_timeout,
                total: server.max_duration,
            },
            sessions_max: server.max_sessions,
            session_idle: server.session_idle,
            credentials: place.credentials,
        };
        Arc::new(Cluster::new(
            spec,
            Arc::clone(&self.workshop.transport),
            check,
        ))
    }
}

/// Where requests of a server go, and what they carry.
struct Place {
    addresses: Vec<Address>,
    /// How much longer an answer may take than the server itself may.
    slack: Duration,
    credentials: Credentials,
}

fn addresses(http: &Http) -> anyhow::Result<Vec<Address>> {
    let urls = std::iter::once(&http.url).chain(&http.replicas);
    urls.map(|url| {
        Address::parse(&url.to_string()).with_context(|| format!("url {}", url.redacted()))
    })
    .collect()
}

/// Where its replicas are, as people are shown it.
fn urls(server: &ServerConfig) -> Vec<String> {
    let urls = match &server.transport {
        Transport::Http(http) | Transport::Sse(http) => std::iter::once(&http.url)
            .chain(&http.replicas)
            .map(HttpUrl::redacted)
            .collect(),
        Transport::Stdio(child) => vec![format!("stdio://{}", child.command)],
    };
    let covered = |url: String| {
        let secrets = server.secrets.iter();
        secrets.fold(url, |url, secret| url.replace(secret.expose(), "***"))
    };
    urls.into_iter().map(covered).collect()
}
