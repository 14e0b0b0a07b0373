//! The composition root: builds everything from a configuration and owns the running server.
//!
//! **Invariant:** constructors do no I/O; sockets are opened and processes started by the services
//! that run them.

mod adapter;
mod build;
mod cached;
mod carrier;
mod control;
mod front;
mod jwks;
mod lifecycle;
mod limited;
mod listen;
mod locked;
pub mod rehearse;
mod reload;
pub mod rulebook;
mod socket;
pub mod tls;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use arc_swap::ArcSwap;
use pingora::apps::HttpServerOptions;
use pingora::listeners::{L4BufferSettings, ListenerConfig};
use pingora::protocols::http::v2::server::{H2Options, default_h2_options};
use pingora::proxy::HttpProxy;
use pingora::server::configuration::{Opt, ServerConf};
use pingora::server::{RunArgs, Server};
use pingora::services::background::background_service;
use pingora::services::listening::Service;

use crate::admin;
use crate::app::build::Workshop;
use crate::app::build::gatehouse::Gatehouse;
use crate::app::build::parts::{Basis, Parts, servers};
use crate::app::build::snapshot;
use crate::app::front::Front;
use crate::app::lifecycle::{Caretaker, Signals, Work};
use crate::app::tls::Secure;
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

/// What HTTP/2 adds to the size of each header (RFC 9113 §6.5.2).
const H2_HEADER_EXTRA_BYTES: usize = 32;

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
    let secure = secure(config, &live)?;
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
    let mut proxy = pingora::proxy::http_proxy(&conf, gateway);
    proxy.server_options = Some(http_options(config));
    proxy.h2_options = Some(h2_options(config));
    let front = Front::new(
        proxy,
        secure.clone(),
        &config.gateway.connections,
        Arc::clone(&live),
    );
    let service = listener(config, address, front);
    server.add_service(service);
    if config.metrics.enabled {
        server.add_service(control::metrics(config, &control, &live)?);
    }
    let socket = control::admin(config, &control, &live, &mut server)?;
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
            secure,
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

/// The listener of clients.
fn listener(
    config: &Config,
    address: SocketAddr,
    front: Front<HttpProxy<Gateway>>,
) -> Service<Front<HttpProxy<Gateway>>> {
    // Pingora gives each connection a read buffer of 64 KiB; what an idle stream holds of it is
    // most of what the stream costs. Longer reads pass the buffer by. TLS has a buffer of its own.
    let n_bytes = if config.gateway.tls.is_some() {
        0
    } else {
        LISTENER_READ_BYTES
    };
    let buffers = L4BufferSettings::default().read(n_bytes);
    let mut service = Service::new("gateway".to_owned(), front);
    service.add_listener(ListenerConfig::tcp(address.to_string()).l4_buffer(buffers));
    service
}

/// What TLS is spoken with, where it is.
fn secure(config: &Config, live: &Arc<Live>) -> anyhow::Result<Option<Arc<Secure>>> {
    let Some(tls) = &config.gateway.tls else {
        return Ok(None);
    };
    let secure = Secure::new(tls, Arc::clone(live));
    let secure = secure.map_err(|errors| anyhow::anyhow!(errors.join("\n")))?;
    Ok(Some(Arc::new(secure)))
}

fn http_options(config: &Config) -> HttpServerOptions {
    let mut options = HttpServerOptions::default();
    options.h2c = true;
    options.h2_idle_timeout = Some(config.gateway.connections.idle);
    options
}

fn h2_options(config: &Config) -> H2Options {
    let bytes_max = config.gateway.connections.header_bytes_max;
    let mut options = default_h2_options();
    // HTTP/2 counts 32 bytes more for each header; what is longer it answers with 431 by itself.
    let lines_max = config.gateway.connections.headers_max;
    let bytes_max = bytes_max.saturating_add(lines_max.saturating_mul(H2_HEADER_EXTRA_BYTES));
    options.max_header_list_size(u32::try_from(bytes_max).unwrap_or(u32::MAX));
    options
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
    let scheme = if config.gateway.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let base = format!("{scheme}://{host}:{}", config.gateway.port);
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
