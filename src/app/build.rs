//! Builds the running parts from the configuration.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use filters::{acl, origin};
use pingora::connectors::TransportConnector;
use pingora::lb::health_check::HealthCheck;

use crate::config::Config;
use crate::config::choice::LoadBalancing;
use crate::config::model::router;
use crate::config::model::server::{Http, Server as ServerConfig, Stdio, Transport};
use crate::state::snapshot::{Server, Snapshot, StaticFields};
use crate::stdio;
use crate::stdio::runtime::Runtime;
use crate::stdio::supervisor::Supervisor;
use crate::upstream::address::Address;
use crate::upstream::cluster::{Balancing, Cluster, Limits, Spec};
use crate::upstream::health::{self, McpCheck};

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

/// Builds everything, opening nothing but the supervisors' private directory.
pub(super) fn build(config: &Config) -> anyhow::Result<Built> {
    // Reading the system's root certificates is slow: one connector serves all.
    let transport = Arc::new(TransportConnector::new(None));
    let mut builder = Builder {
        config,
        transport,
        servers: HashMap::new(),
        tasks: Tasks::new(),
    };
    for server in &config.servers {
        builder
            .add(server)
            .with_context(|| format!("server \"{}\"", server.id))?;
    }
    let gateway = &config.gateway;
    let snapshot = Snapshot {
        servers: builder.servers,
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
    transport: Arc<TransportConnector>,
    servers: HashMap<String, Arc<Server>>,
    tasks: Tasks,
}

impl Builder<'_> {
    fn add(&mut self, server: &ServerConfig) -> anyhow::Result<()> {
        let (cluster, fields) = match &server.transport {
            Transport::Http(http) => {
                let fields = StaticFields::compile(&http.headers);
                (self.http(server, http, &fields)?, fields)
            }
            Transport::Stdio(child) => (self.stdio(server, child)?, StaticFields::default()),
        };
        self.tasks.clusters.push(Arc::clone(&cluster));
        let id: Arc<str> = server.id.as_str().into();
        let built = Server {
            id: Arc::clone(&id),
            cluster,
            fields,
            forwards_authorization: server.forward_authorization,
        };
        self.servers.insert(id.to_string(), Arc::new(built));
        Ok(())
    }

    fn http(
        &mut self,
        server: &ServerConfig,
        http: &Http,
        fields: &StaticFields,
    ) -> anyhow::Result<Arc<Cluster>> {
        let mut addresses = Vec::with_capacity(1 + http.replicas.len());
        for url in std::iter::once(&http.url).chain(&http.replicas) {
            let url = url.to_string();
            addresses.push(Address::parse(&url).with_context(|| format!("url {url}"))?);
        }
        let check = self.config.router.health_check;
        let probe = check.map(|check| self.check(check, fields));
        let cluster = self.cluster(server, addresses, probe);
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

    fn stdio(&mut self, server: &ServerConfig, child: &Stdio) -> anyhow::Result<Arc<Cluster>> {
        if self.tasks.runtime.is_none() {
            // Not the path we were started by: a new version may stand there by now.
            self.tasks.runtime = Some(Runtime::open(PathBuf::from("/proc/self/exe"))?);
        }
        let runtime = self
            .tasks
            .runtime
            .as_ref()
            .context("no runtime directory")?;
        let spec = stdio::Spec {
            server: server.id.to_string(),
            command: child.command.clone(),
            args: child.args.clone(),
            env: child
                .env
                .iter()
                .map(|(name, value)| (name.clone(), value.expose().to_owned()))
                .collect(),
            cwd: child.cwd.clone(),
            shared: child.shared,
            processes_max: child.max_processes,
            sessions_max: server.max_sessions,
            line_bytes_max: stdio::LINE_BYTES_MAX.max(self.config.gateway.max_body_bytes),
            call_timeout: server.timeout,
            session_idle: server.session_idle,
        };
        let supervisor = Arc::new(Supervisor::new(spec, runtime));
        let address = Address::unix(supervisor.socket());
        self.tasks.supervisors.push(supervisor);
        Ok(self.cluster(server, vec![address], None))
    }

    fn cluster(
        &self,
        server: &ServerConfig,
        addresses: Vec<Address>,
        check: Option<Box<dyn HealthCheck + Send + Sync>>,
    ) -> Arc<Cluster> {
        // A supervisor answers its own time-out; ours only catches a supervisor that does not.
        let slack = match server.transport {
            Transport::Http(_) => Duration::ZERO,
            Transport::Stdio(_) => Duration::from_secs(1),
        };
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

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}
