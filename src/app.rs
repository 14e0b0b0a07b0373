//! The composition root: builds everything from a configuration and owns the running server.
//!
//! **Invariant:** constructors do no I/O; sockets are opened and processes started by the services
//! that run them.

mod adapter;
mod build;
mod cached;
mod carrier;
mod control;
mod jwks;
mod lifecycle;
mod limited;
mod listen;
mod locked;
pub mod rehearse;
mod reload;
mod socket;

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use arc_swap::ArcSwap;
use pingora::apps::HttpServerOptions;
use pingora::listeners::{L4BufferSettings, ListenerConfig};
use pingora::server::configuration::{Opt, ServerConf};
use pingora::server::{RunArgs, Server};
use pingora::services::background::background_service;

use crate::admin;
use crate::app::build::Workshop;
use crate::app::build::gatehouse::Gatehouse;
use crate::app::build::parts::{Basis, Parts, servers};
use crate::app::build::snapshot;
use crate::app::lifecycle::{Caretaker, Signals, Work};
use crate::config::Config;
use crate::config::model::gateway::Listen;
use crate::gateway::Gateway;
use crate::state::Shared;
use crate::state::live::Live;
use crate::telemetry::access::AccessLog;
use crate::telemetry::metrics::Metrics;
use crate::upstream::found::Dialect;

/// The read buffer of a client's connection, in bytes: a request's head fits.
const LISTENER_READ_BYTES: usize = 4 * 1024;

/// How long Pingora waits for its runtimes once everything is drained, in seconds.
const RUNTIME_SHUTDOWN_SECONDS: u64 = 2;

/// Runs the gateway until it is told to stop. `file` is where its configuration was said to be, and
/// is read from again.
///
/// # Errors
/// Where an address cannot be listened on, or a part cannot be built.
pub fn run(config: &Config, file: Option<&Path>) -> anyhow::Result<()> {
    let (access, writer) =
        AccessLog::start(std::io::stdout()).context("cannot start the access log")?;
    let metrics = Metrics::new().context("cannot register the metrics")?;
    let live = Arc::new(Live::new(metrics, access, build::live(config)?));
    let (bell, found, requests) = reload::channel();
    let workshop = Arc::new(Workshop::new(Arc::clone(&live), found));
    let parts = parts(config, &workshop)?;
    let gatehouse = Gatehouse::build(&workshop, config, None)?;
    let address = listen::address(&config.gateway.host, config.gateway.port)
        .with_context(|| format!("gateway.host {}", config.gateway.host))?;
    control::protect(config, address)?;
    listen::probe(address).with_context(|| format!("gateway.port: cannot listen on {address}"))?;
    let shared = Arc::new(Shared {
        snapshot: ArcSwap::from_pointee(snapshot::build(
            config,
            &servers(&parts),
            &gatehouse.auth,
            None,
        )),
        live: Arc::clone(&live),
    });
    let access = admin::Access::from(config);
    let control = admin::Control::new(Arc::clone(&shared), access, bell.reload());
    let plane = control::plane(config, &control);

    let mut server = Server::new_with_opt_and_conf(None::<Opt>, server_conf(config));
    let conf = Arc::clone(&server.configuration);
    let gateway = Gateway::new(Arc::clone(&shared), plane);
    let mut service = pingora::proxy::http_proxy_service_with_name(&conf, gateway, "gateway");
    if let Some(proxy) = service.app_logic_mut() {
        let mut options = HttpServerOptions::default();
        options.h2c = true;
        proxy.server_options = Some(options);
    }
    // Pingora gives each connection a read buffer of 64 KiB; what an idle stream holds of it is
    // most of what the stream costs. Longer reads pass the buffer by.
    let buffers = L4BufferSettings::default().read(LISTENER_READ_BYTES);
    service.add_listener(ListenerConfig::tcp(address.to_string()).l4_buffer(buffers));
    server.add_service(service);
    if config.metrics.enabled {
        server.add_service(control::metrics(config, &control)?);
    }
    let socket = control::admin(config, &control, &mut server)?;
    let grace = config.gateway.shutdown_grace;
    let signals = Signals::new(live, grace, workshop.stop.clone(), bell);
    let work = Work {
        spec: reload::Spec {
            shared: Arc::clone(&shared),
            workshop,
            file: file.map(Path::to_path_buf),
            config: config.clone(),
            parts,
            gatehouse,
        },
        requests,
        children: lifecycle::children_runtime(n_threads(config))?,
    };
    let caretaker = Caretaker::new(work, shared, signals.stop(), address, banner(config));
    server.add_service(background_service("caretaker", caretaker));
    server.bootstrap();
    server.run(RunArgs {
        shutdown_signal: Box::new(signals),
    });
    drop((writer, socket));
    Ok(())
}

/// The parts of all servers.
fn parts(config: &Config, workshop: &Workshop) -> anyhow::Result<Vec<Arc<Parts>>> {
    let servers = config.servers.iter();
    servers
        .map(|server| {
            Parts::build(workshop, Basis::of(config, server), Dialect::default()).map(Arc::new)
        })
        .collect()
}

/// Worker threads: as configured, else one for each core.
fn n_threads(config: &Config) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    config.gateway.n_threads.unwrap_or_else(cores)
}

fn server_conf(config: &Config) -> ServerConf {
    ServerConf {
        threads: n_threads(config),
        // One runtime a thread, a connection stays on its own: a tenth less CPU a request than
        // stealing, and no request is long enough to need it.
        work_stealing: false,
        // We drain ourselves, before Pingora is told: it would sleep through the whole period.
        grace_period_seconds: Some(0),
        graceful_shutdown_timeout_seconds: Some(RUNTIME_SHUTDOWN_SECONDS),
        ..ServerConf::default()
    }
}

/// What a person who started the gateway wants to know.
fn banner(config: &Config) -> String {
    let host = match config.gateway.host.as_str() {
        "0.0.0.0" => "127.0.0.1".to_owned(),
        "::" => "[::1]".to_owned(),
        v6 if v6.contains(':') => format!("[{v6}]"),
        host => host.to_owned(),
    };
    let base = format!("http://{host}:{}", config.gateway.port);
    let mut text = format!(
        "conduit {} is listening on {base}\n",
        env!("CARGO_PKG_VERSION")
    );
    for server in &config.servers {
        text.push_str(&format!("  {base}/mcp/{}\n", server.id));
    }
    match &config.admin.listen {
        None => {}
        Some(Listen::Tcp { host, port }) => {
            text.push_str(&format!("  the admin API is on port {port} of {host}\n"));
        }
        Some(Listen::Unix(path)) => {
            text.push_str(&format!("  the admin API is at {}\n", path.display()));
        }
    }
    if config.servers.is_empty() {
        text.push_str("  no servers are configured: add some under `servers`\n");
    }
    text
}
