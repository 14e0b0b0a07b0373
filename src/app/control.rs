//! Where the control plane listens.
//!
//! **Invariant:** what is open to everybody who can reach it listens on addresses of this machine, or
//! the file accepted the rest. A name is judged by the address it has, which is the one listened on.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use pingora::server::Server;
use pingora::services::listening::Service;

use crate::admin::Control;
use crate::app::adapter::{Bounds, ControlApp};
use crate::app::front::Front;
use crate::app::listen;
use crate::app::socket::{Bound, Socket};
use crate::config::Config;
use crate::config::model::gateway::Listen;
use crate::state::ControlPlane;
use crate::state::live::Live;

/// What the gateway's own listener serves of it.
pub(super) fn plane(config: &Config, control: &Control) -> ControlPlane {
    match &config.admin.listen {
        None => control.api(),
        Some(Listen::Tcp { .. } | Listen::Unix(_)) => control.probes(),
    }
}

/// Refuses an address for the gateway that the admin API must not be open on.
pub(super) fn protect(config: &Config, address: SocketAddr) -> anyhow::Result<()> {
    match &config.admin.listen {
        None => protect_admin(config, "gateway.host", address),
        Some(Listen::Tcp { .. } | Listen::Unix(_)) => Ok(()),
    }
}

/// Adds the admin API's own listener, if it has one. The socket of it lasts as long as what is
/// returned.
pub(super) fn admin(
    config: &Config,
    control: &Control,
    live: &Arc<Live>,
    server: &mut Server,
) -> anyhow::Result<Option<Socket>> {
    match &config.admin.listen {
        None => Ok(None),
        Some(Listen::Tcp { host, port }) => {
            let address =
                listen::address(host, *port).with_context(|| format!("admin.listen: {host}"))?;
            protect_admin(config, "admin.listen", address)?;
            listen::probe(address)
                .with_context(|| format!("admin.listen: cannot listen on {address}"))?;
            let app = ControlApp::new(control.listener(), bounds(config));
            let mut service = service("admin", app, config, live);
            service.add_tcp(&address.to_string());
            server.add_service(service);
            Ok(None)
        }
        Some(Listen::Unix(path)) => {
            let bound = Bound::bind(path)
                .with_context(|| format!("admin.listen: cannot listen on {}", path.display()))?;
            let app = ControlApp::on_socket(control.listener(), bounds(config));
            let (service, socket) = bound.serve(service("admin", app, config, live));
            server.add_service(service);
            Ok(Some(socket))
        }
    }
}

fn service(
    name: &str,
    app: ControlApp,
    config: &Config,
    live: &Arc<Live>,
) -> Service<Front<ControlApp>> {
    let front = Front::of_control(app, &config.gateway.connections, Arc::clone(live));
    let mut service = Service::new(name.to_owned(), front);
    service.threads = Some(1);
    service
}

fn bounds(config: &Config) -> Bounds {
    let connections = &config.gateway.connections;
    Bounds {
        headers_max: connections.headers_max,
        header_bytes_max: connections.header_bytes_max,
    }
}

/// The metrics listener.
pub(super) fn metrics(
    config: &Config,
    control: &Control,
    live: &Arc<Live>,
) -> anyhow::Result<Service<Front<ControlApp>>> {
    let metrics = &config.metrics;
    let address = listen::address(&metrics.host, metrics.port)
        .with_context(|| format!("metrics.host {}", metrics.host))?;
    let is_protected = metrics.require_auth || metrics.allow_unauthenticated;
    anyhow::ensure!(
        is_protected || is_local(address),
        "metrics.host is {}, which is not a loopback address: set metrics.require_auth: true and \
         admin.key, or accept open metrics with metrics.allow_unauthenticated: true",
        address.ip()
    );
    listen::probe(address).with_context(|| format!("metrics.port: cannot listen on {address}"))?;
    let app = ControlApp::new(control.metrics(metrics.require_auth), bounds(config));
    let mut service = service("metrics", app, config, live);
    service.add_tcp(&address.to_string());
    Ok(service)
}

fn protect_admin(config: &Config, path: &str, address: SocketAddr) -> anyhow::Result<()> {
    let admin = &config.admin;
    anyhow::ensure!(
        admin.key.is_some() || admin.allow_unauthenticated || is_local(address),
        "{path} is {}, which is not a loopback address: set admin.key or CONDUIT_ADMIN_KEY, or accept \
         an open admin API with admin.allow_unauthenticated: true",
        address.ip()
    );
    Ok(())
}

fn is_local(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, source::Source};

    #[test]
    fn a_name_is_judged_by_the_address_that_it_has() {
        let config = |text: &str| config::load(&Source::from_text(text)).unwrap().config;
        let protect = |text: &str, address: &str| {
            let protected = protect(&config(text), address.parse().unwrap());
            protected.map_err(|error| error.to_string())
        };
        let told = protect("gateway: {host: localhost}", "192.0.2.7:80").unwrap_err();
        assert!(
            told.starts_with("gateway.host is 192.0.2.7, which is not a loopback"),
            "{told}"
        );
        for address in ["127.0.0.1:80", "[::1]:80", "[::ffff:127.0.0.1]:80"] {
            assert_eq!(protect("gateway: {host: localhost}", address), Ok(()));
        }
        for text in [
            "admin: {key: k}",
            "admin: {allow_unauthenticated: true}",
            "admin: {listen: 'unix:/run/a.sock'}",
        ] {
            assert_eq!(protect(text, "192.0.2.7:80"), Ok(()), "{text}");
        }
    }
}
