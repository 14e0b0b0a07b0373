//! The baseline: the smallest proxy that Pingora can be.
//!
//! Every filter is Pingora's default; only `upstream_peer` is given, because it must be. What the
//! gateway costs above this (or below, where it leaves Pingora's proxy phase) is Conduit's own doing.

use async_trait::async_trait;
use pingora_core::server::configuration::ServerConf;
use pingora_core::server::{RunArgs, Server};
use pingora_core::upstreams::peer::HttpPeer;
use pingora_proxy::{ProxyHttp, Session};

struct PassThrough {
    peer: HttpPeer,
}

#[async_trait]
impl ProxyHttp for PassThrough {
    type CTX = ();

    fn new_ctx(&self) -> Self::CTX {}

    async fn upstream_peer(
        &self,
        _session: &mut Session,
        _ctx: &mut Self::CTX,
    ) -> pingora_core::Result<Box<HttpPeer>> {
        Ok(Box::new(self.peer.clone()))
    }
}

/// Proxies `port` to `upstream_port`, both on the loopback, until the process is told to stop.
pub(crate) fn serve(port: u16, upstream_port: u16, threads: usize) {
    let conf = ServerConf {
        threads,
        grace_period_seconds: Some(0),
        graceful_shutdown_timeout_seconds: Some(0),
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let peer = HttpPeer::new(("127.0.0.1", upstream_port), false, String::new());
    let mut service =
        pingora_proxy::http_proxy_service(&server.configuration, PassThrough { peer });
    service.add_tcp(&format!("127.0.0.1:{port}"));
    server.add_service(service);
    server.run(RunArgs::default());
}
