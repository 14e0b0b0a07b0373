//! Builds the running parts from the configuration.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use filters::mcp::revision::Era;
use filters::route::names::{Naming, Strategy};
use filters::{acl, origin};
use pingora::connectors::TransportConnector;
use pingora::lb::health_check::HealthCheck;

use crate::app::cached;
use crate::app::carrier::HttpSse;
use crate::cache;
use crate::cache::hints::Hints;
use crate::config::Config;
use crate::config::choice::{self, LoadBalancing, NamespaceStrategy};
use crate::config::edition;
use crate::config::model::Secret;
use crate::config::model::router;
use crate::config::model::server::{Http, Server as ServerConfig, Stdio, Transport};
use crate::config::model::session::Store as StoreConfig;
use crate::config::model::url::HttpUrl;
use crate::state::live::{self, Live};
use crate::state::parked;
use crate::state::sessions;
use crate::state::snapshot::{Lists, Merging, Profile, Server, Snapshot};
use crate::state::store::{self, Store};
use crate::stdio;
use crate::stdio::runtime::Runtime;
use crate::stdio::supervisor::Supervisor;
use crate::stdio::{Program, Reach};
use crate::upstream::address::Address;
use crate::upstream::catalog::{self, Catalogs};
use crate::upstream::cluster::{Balancing, Cluster, Limits, Spec};
use crate::upstream::era;
use crate::upstream::fields::StaticFields;
use crate::upstream::health::{self, McpCheck};
use crate::upstream::remote::{self, Remote};

/// How much longer than a supervisor the gateway waits: a supervisor answers its own time-out, and
/// the gateway's only catches a supervisor that does not.
const SUPERVISOR_SLACK: Duration = Duration::from_secs(1);

/// What a configuration builds.
pub(super) struct Built {
    /// What requests are served from.
    pub(super) snapshot: Snapshot,
    /// What runs beside them.
    pub(super) tasks: Tasks,
}

/// What runs in the background.
pub(super) struct Tasks {
    pub(super) clusters: Vec<Arc<Cluster>>,
    pub(super) checked: Vec<(Arc<Cluster>, Duration)>,
    pub(super) supervisors: Vec<Arc<Supervisor>>,
    /// Holds the private directory of the supervisors' sockets.
    pub(super) runtime: Option<Runtime>,
}

/// What the lasting parts are made from.
///
/// # Errors
/// Where the store of sessions cannot be used.
pub(super) fn live(config: &Config) -> anyhow::Result<live::Spec> {
    let sessions = &config.sessions;
    let secret = sessions.secret.as_ref().map(Secret::expose);
    let store = match &sessions.store {
        StoreConfig::Memory => Store::in_memory(secret),
        StoreConfig::Redis(redis) => Store::in_redis(&store::redis::Spec {
            url: redis.url.expose(),
            key_prefix: &redis.key_prefix,
            secret,
            budget: store::redis::BUDGET,
        }),
    };
    let store = store.context("sessions")?;
    Ok(live::Spec {
        sessions: sessions::Limits {
            max: sessions.max_sessions,
            max_per_client: sessions.max_per_client,
            idle: sessions.idle,
        },
        parking: parked::Limits {
            max: sessions.parked.max_calls,
            max_per_client: sessions.parked.max_per_client,
            ttl: sessions.parked.ttl,
        },
        store,
        cache: cached::cache(&config.cache)?,
    })
}

/// Builds everything, opening nothing but the supervisors' private directory.
pub(super) fn build(config: &Config, live: &Live) -> anyhow::Result<Built> {
    // Reading the system's root certificates is slow: one connector serves all.
    let transport = Arc::new(TransportConnector::new(None));
    let mut builder = Builder {
        config,
        live,
        transport,
        servers: HashMap::new(),
        order: Vec::new(),
        tasks: Tasks::new(),
    };
    for server in &config.servers {
        builder
            .add(server)
            .with_context(|| format!("server \"{}\"", server.id))?;
    }
    let gateway = &config.gateway;
    let lists = config.router.lists;
    let snapshot = Snapshot {
        profiles: profiles(config, &builder.order),
        servers: builder.servers,
        lists: Lists {
            deadline: lists.deadline,
            page_size: lists.page_size,
        },
        origin: origin::Rules::compile(
            &gateway.allowed_origins,
            &gateway.allowed_hosts,
            is_loopback(&gateway.host),
        ),
        acl: acl::Rules::default(),
        body_bytes_max: gateway.max_body_bytes,
        keep_alive: gateway.sse_keepalive,
    };
    Ok(Built {
        snapshot,
        tasks: builder.tasks,
    })
}

/// The configured profiles, and `default`, which is everything.
fn profiles(config: &Config, servers: &[Arc<Server>]) -> HashMap<String, Arc<Profile>> {
    let router = &config.router;
    let strategy = match router.namespace_strategy {
        NamespaceStrategy::Prefix => Strategy::Prefix,
        NamespaceStrategy::None => Strategy::None,
    };
    let profile = |id: &str, servers: Vec<Arc<Server>>| {
        let ids = servers.iter().map(|server| server.id.to_string());
        let separator = router.namespace_separator.as_str();
        let profile = Profile {
            id: id.to_owned(),
            naming: Arc::new(Naming::new(strategy, separator, router.name_limit, ids)),
            merging: Merging::default(),
            servers,
        };
        (id.to_owned(), Arc::new(profile))
    };
    let configured = config.connect.profiles.iter().map(|one| {
        let is_member =
            |server: &&Arc<Server>| one.server_ids.iter().any(|id| id.as_str() == &*server.id);
        let members = servers.iter().filter(is_member).map(Arc::clone);
        profile(&one.id, members.collect())
    });
    configured
        .chain([profile("default", servers.to_vec())])
        .collect()
}

impl Tasks {
    fn new() -> Self {
        Self {
            clusters: Vec::new(),
            checked: Vec::new(),
            supervisors: Vec::new(),
            runtime: None,
        }
    }
}

struct Builder<'c> {
    config: &'c Config,
    live: &'c Live,
    transport: Arc<TransportConnector>,
    servers: HashMap<String, Arc<Server>>,
    order: Vec<Arc<Server>>,
    tasks: Tasks,
}

impl Builder<'_> {
    fn add(&mut self, server: &ServerConfig) -> anyhow::Result<()> {
        let (cluster, fields) = match &server.transport {
            Transport::Http(http) => {
                let fields = StaticFields::compile(&http.headers);
                (self.http(server, http, &fields)?, fields)
            }
            Transport::Sse(http) => (self.sse(server, http)?, StaticFields::default()),
            Transport::Stdio(child) => (self.stdio(server, child)?, StaticFields::default()),
        };
        self.tasks.clusters.push(Arc::clone(&cluster));
        let id: Arc<str> = server.id.as_str().into();
        let edition = edition::edition(server).context("edition")?;
        let built = Arc::new(self.assemble(server, id, edition, cluster, fields));
        self.order.push(Arc::clone(&built));
        self.servers.insert(built.id.to_string(), built);
        Ok(())
    }

    fn assemble(
        &self,
        server: &ServerConfig,
        id: Arc<str>,
        edition: [u8; 32],
        cluster: Arc<Cluster>,
        fields: StaticFields,
    ) -> Server {
        let transport = match &server.transport {
            Transport::Http(_) => remote::Transport::Http,
            Transport::Stdio(_) | Transport::Sse(_) => remote::Transport::Pipe,
        };
        let choice = match server.era {
            choice::Era::Auto => era::Choice::Auto,
            choice::Era::Legacy => era::Choice::Only(Era::Legacy),
            choice::Era::Modern => era::Choice::Only(Era::Modern),
        };
        let remote = Arc::new(Remote::new(
            Arc::clone(&cluster),
            fields.clone(),
            server.forward_authorization,
            transport,
            era::Verdicts::new(choice),
            self.live.background.clone(),
            cached::ear(self.live),
        ));
        let (groups, watches) = (Arc::default(), Arc::default());
        let lists = self.config.router.lists;
        let settings = catalog::Settings {
            timeout: lists.timeout,
            deadline: lists.deadline,
            refresh: lists.refresh,
            stale_max: lists.stale_max,
        };
        let catalogs = Arc::new(Catalogs::new(
            Arc::clone(&remote),
            Arc::clone(&groups),
            Arc::clone(&watches),
            settings,
            self.live.changes.clone(),
        ));
        let urls: Vec<String> = match &server.transport {
            Transport::Http(http) | Transport::Sse(http) => std::iter::once(&http.url)
                .chain(&http.replicas)
                .map(HttpUrl::redacted)
                .collect(),
            Transport::Stdio(child) => vec![format!("stdio://{}", child.command)],
        };
        Server {
            id,
            edition,
            url: urls.first().cloned().unwrap_or_default(),
            replica_urls: urls,
            cluster,
            fields,
            forwards_authorization: server.forward_authorization,
            remote,
            groups,
            watches,
            catalogs,
            cache: cache::Server {
                policy: cached::policy(self.config.cache.enabled, &server.cache),
                hints: Hints::default(),
            },
        }
    }

    fn http(
        &mut self,
        server: &ServerConfig,
        http: &Http,
        fields: &StaticFields,
    ) -> anyhow::Result<Arc<Cluster>> {
        let addresses = addresses(http)?;
        let check = self.config.router.health_check;
        let probe = check.map(|check| self.check(check, fields));
        let cluster = self.cluster(server, addresses, probe, Duration::ZERO);
        if let Some(check) = check {
            self.tasks
                .checked
                .push((Arc::clone(&cluster), check.interval));
        }
        Ok(cluster)
    }

    fn check(
        &self,
        check: router::HealthCheck,
        fields: &StaticFields,
    ) -> Box<dyn HealthCheck + Send + Sync> {
        let spec = health::Spec {
            timeout: check.timeout,
            unhealthy_threshold: check.unhealthy_threshold,
            healthy_threshold: check.healthy_threshold,
            fields: fields.lines.clone(),
        };
        Box::new(McpCheck::new(spec, Arc::clone(&self.transport)))
    }

    fn sse(&mut self, server: &ServerConfig, http: &Http) -> anyhow::Result<Arc<Cluster>> {
        // Nothing but an event stream tells whether such a server is well, so none is checked.
        let remote = self.cluster(server, addresses(http)?, None, Duration::ZERO);
        self.tasks.clusters.push(Arc::clone(&remote));
        let fields = StaticFields::compile(&http.headers);
        let reach = Reach::Remote(stdio::remote::Remote {
            carrier: Arc::new(HttpSse::new(remote, &fields)),
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
            line_bytes_max: stdio::LINE_BYTES_MAX.max(self.config.gateway.max_body_bytes),
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
        if self.tasks.runtime.is_none() {
            // Not the path we were started by: a new version may stand there by now.
            self.tasks.runtime = Some(Runtime::open(PathBuf::from("/proc/self/exe"))?);
        }
        let runtime = self
            .tasks
            .runtime
            .as_ref()
            .context("no runtime directory")?;
        let supervisor = Arc::new(Supervisor::new(spec, runtime));
        let address = Address::unix(supervisor.socket());
        self.tasks.supervisors.push(supervisor);
        Ok(self.cluster(server, vec![address], None, before + SUPERVISOR_SLACK))
    }

    fn cluster(
        &self,
        server: &ServerConfig,
        addresses: Vec<Address>,
        check: Option<Box<dyn HealthCheck + Send + Sync>>,
        slack: Duration,
    ) -> Arc<Cluster> {
        let spec = Spec {
            server: server.id.as_str().into(),
            addresses,
            balancing: match self.config.router.load_balancing {
                LoadBalancing::RoundRobin => Balancing::RoundRobin,
                LoadBalancing::LeastConnections => Balancing::LeastConnections,
            },
            limits: Limits {
                connect: server.connect_timeout,
                header: server.timeout + slack,
                idle: server.idle_timeout,
                total: server.max_duration,
            },
            sessions_max: server.max_sessions,
            session_idle: server.session_idle,
        };
        Arc::new(Cluster::new(spec, Arc::clone(&self.transport), check))
    }
}

fn addresses(http: &Http) -> anyhow::Result<Vec<Address>> {
    let urls = std::iter::once(&http.url).chain(&http.replicas);
    urls.map(|url| {
        let url = url.to_string();
        Address::parse(&url).with_context(|| format!("url {url}"))
    })
    .collect()
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}
