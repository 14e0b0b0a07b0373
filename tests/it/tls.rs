//! TLS of the gateway's own listener: handshakes, client certificates, renewal, and how long connections
//! may wait.

mod clients;
mod handshake;
mod patience;
mod renewal;
mod sdk;

use serde_json::{Value, json};

use crate::support::gateway::Gateway;
use crate::support::tls::{Authority, Files};
use crate::support::upstream::{Upstream, friendly};

/// A gateway that speaks TLS, in front of one friendly server `a`.
struct Site {
    gateway: Gateway,
    authority: Authority,
    files: Files,
    config: Value,
    _upstream: Upstream,
}

impl Site {
    /// With more of `gateway.tls`, and of the config.
    async fn start(tls: &Value, config: Value) -> Self {
        let upstream = Upstream::start(friendly).await;
        Self::before(upstream, tls, config).await
    }

    async fn before(upstream: Upstream, tls: &Value, mut config: Value) -> Self {
        let authority = Authority::new("servers");
        let files = Files::new(&authority.server());
        config["gateway"]["tls"] = files.section(tls);
        if config["servers"].is_null() {
            config["servers"] = json!([{ "id": "a", "url": upstream.url() }]);
        }
        let gateway = Gateway::with(config.clone()).await;
        Self {
            gateway,
            authority,
            files,
            config,
            _upstream: upstream,
        }
    }
}
