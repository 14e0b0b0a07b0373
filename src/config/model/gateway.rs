//! `gateway` and `admin`.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::choice::ClientAuth;
use crate::config::choice::TlsVersion;
use crate::config::model::Secret;

/// Where Conduit listens, and the bounds of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway {
    /// The TCP port.
    pub port: u16,
    /// The address: an IP address (IPv6 without brackets) or a name.
    pub host: String,
    /// HTTPS, if switched on.
    pub tls: Option<Tls>,
    /// What a client's connection may take.
    pub connections: Connections,
    /// The largest request body.
    pub max_body_bytes: usize,
    /// Origins that may call besides loopback ones: lower case, without a trailing slash.
    pub allowed_origins: Vec<String>,
    /// Host names under which Conduit may be called besides its own: lower case, without a port.
    pub allowed_hosts: Vec<String>,
    /// How long a stream may be silent before a comment is sent; `None` sends none.
    pub sse_keepalive: Option<Duration>,
    /// How long calls in flight may take to finish at shutdown.
    pub shutdown_grace: Duration,
    /// Worker threads; `None` means one for each core.
    pub n_threads: Option<usize>,
}

/// HTTPS on the gateway's port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The certificate chain.
    pub cert_path: PathBuf,
    /// The private key.
    pub key_path: PathBuf,
    /// The authorities of client certificates, if those are asked for.
    pub ca_path: Option<PathBuf>,
    /// Whether clients must have one then.
    pub client_auth: ClientAuth,
    /// The oldest version accepted.
    pub min_version: TlsVersion,
    /// How often it is looked whether the files have changed; `None` only looks at a reload.
    pub watch: Option<Duration>,
}

/// What a client's connection may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connections {
    /// The most at once.
    pub max: usize,
    /// How long a TLS handshake may take.
    pub handshake: Duration,
    /// How long until the first request's head is there.
    pub head: Duration,
    /// How long from an answer until the next request's head is there.
    pub idle: Duration,
    /// How long the next part of a body may take.
    pub body_pause: Duration,
    /// How long a body may take from its first part on.
    pub body: Duration,
    /// The most headers of a request.
    pub headers_max: usize,
    /// The most bytes of them.
    pub header_bytes_max: usize,
}

/// Protection of the admin API.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Admin {
    /// The key; without one, the admin API is open.
    pub key: Option<Secret>,
    /// Where it listens, if not on the gateway's port.
    pub listen: Option<Listen>,
    /// Whether servers added through the API may have private addresses.
    pub allow_private_networks: bool,
    /// Whether an open admin API on a public address was accepted.
    pub allow_unauthenticated: bool,
}

/// A listener of the admin API's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// A TCP port.
    Tcp {
        /// The address: an IP address (IPv6 without brackets) or a name.
        host: String,
        /// The port.
        port: u16,
    },
    /// A unix socket, at an absolute path.
    Unix(PathBuf),
}

/// What is done as mcp-conduit does it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compat {
    /// Whether refusals of policy are told with HTTP 200.
    pub always_200: bool,
}
