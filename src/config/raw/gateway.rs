//! `gateway` and `admin` as they are written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::choice::ClientAuth;
use crate::config::choice::TlsVersion;

/// Where Conduit listens, and the bounds of one request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Gateway {
    /// The TCP port to listen on. `CONDUIT_PORT` overrides it.
    #[schemars(range(min = 1, max = 65535))]
    pub port: u16,
    /// The address to listen on. Anything but a loopback address needs `admin.key`, or
    /// `admin.listen`, or `admin.allow_unauthenticated: true`. `CONDUIT_HOST` overrides it.
    #[schemars(length(min = 1))]
    pub host: String,
    /// HTTPS on the same port.
    pub tls: Option<Tls>,
    /// What a client's connection may take of the gateway, whoever it is.
    pub connections: Connections,
    /// The largest request body accepted, in bytes; a larger one is answered with 413.
    #[schemars(range(min = 1024, max = 1073741824))]
    pub max_body_bytes: u64,
    /// Origins of web pages that may call, such as `https://app.example.com`: browsers are told so (CORS),
    /// and may read the gateway's headers. Pages on a loopback address are always allowed where the gateway
    /// listens on one; requests without an `Origin` header always pass.
    pub allowed_origins: Vec<String>,
    /// Host names under which Conduit may be called, besides `gateway.host` and loopback names.
    /// Protects a local gateway against DNS rebinding. Pages of such a host may call, too, where they come
    /// over `https` from the port that they call, or from the plain port that Conduit listens on.
    pub allowed_hosts: Vec<String>,
    /// How long a server-sent event stream may be silent before Conduit sends a comment to keep
    /// it open; 0 sends none.
    #[schemars(range(max = 3600))]
    pub sse_keepalive_seconds: u32,
    /// How long calls in flight may take to finish after SIGTERM.
    #[schemars(range(max = 3600))]
    pub shutdown_grace_seconds: u32,
    /// Worker threads; 0 means one for each core.
    #[schemars(range(max = 1024))]
    pub threads: u32,
}

/// HTTPS on the gateway's port.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// Whether the port speaks HTTPS. `CONDUIT_TLS_ENABLED` overrides it.
    pub enabled: bool,
    /// The PEM file of the certificate chain. `CONDUIT_TLS_CERT` overrides it.
    pub cert_path: Option<String>,
    /// The PEM file of the private key. `CONDUIT_TLS_KEY` overrides it.
    pub key_path: Option<String>,
    /// The PEM file of the authorities that client certificates must come from. With it clients
    /// are asked for a certificate.
    pub ca_path: Option<String>,
    /// With `ca_path`: whether clients must have a certificate.
    pub client_auth: ClientAuth,
    /// The oldest TLS version accepted.
    pub min_version: TlsVersion,
    /// How often it is looked whether the files have changed; 0 only looks at a reload.
    #[schemars(range(max = 86400))]
    pub watch_seconds: u32,
}

/// What a client's connection may take of the gateway.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Connections {
    /// The most connections at once; those that come then are closed at once.
    #[schemars(range(min = 1, max = 1000000))]
    pub max: u32,
    /// How long a TLS handshake may take.
    #[schemars(range(min = 1, max = 600000))]
    pub handshake_timeout_ms: u32,
    /// How long it may take from connecting, or from the handshake, until the first request's
    /// headers are there.
    #[schemars(range(min = 1, max = 600000))]
    pub head_timeout_ms: u32,
    /// How long it may take from an answer until the next request's headers are there.
    #[schemars(range(min = 1, max = 86400000))]
    pub idle_timeout_ms: u32,
    /// How long the next part of a request's body may take.
    #[schemars(range(min = 1, max = 600000))]
    pub body_pause_ms: u32,
    /// How long a request's body may take from its first part on.
    #[schemars(range(min = 1, max = 86400000))]
    pub body_timeout_ms: u32,
    /// The most headers of a request.
    #[schemars(range(min = 16, max = 256))]
    pub max_headers: u32,
    /// The most bytes of a request's headers, names and values together.
    #[schemars(range(min = 1024, max = 1000000))]
    pub max_header_bytes: u32,
}

/// Protection of the admin API under `/conduit`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    /// The key that admin requests must carry, as `Authorization: Bearer <key>` or
    /// `X-Admin-Key: <key>`. `CONDUIT_ADMIN_KEY` overrides it.
    #[schemars(extend("writeOnly" = true))]
    pub key: Option<String>,
    /// Where the admin API listens instead of the gateway's port: `host:port`, or `unix:/path` for a
    /// socket that only Conduit's own user can open. The gateway's port then answers
    /// `/conduit/health` and `/conduit/readyz` alone. Anything but loopback and a socket needs
    /// `admin.key`, or `admin.allow_unauthenticated: true`.
    #[schemars(length(min = 1))]
    pub listen: Option<String>,
    /// Lets servers added through the admin API have private or loopback addresses.
    pub allow_private_networks: bool,
    /// Accepts that the admin API is open to everybody who can reach it where it listens on a
    /// non-loopback address without `admin.key`.
    pub allow_unauthenticated: bool,
}

/// What is done as mcp-conduit does it, where Conduit does it otherwise.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Compat {
    /// Answers refusals of authentication, access rules and limits with HTTP 200 and a JSON-RPC
    /// error, instead of 401, 403 and 429.
    pub always_200: bool,
}

impl Default for Gateway {
    fn default() -> Self {
        Self {
            port: 8080,
            host: "127.0.0.1".to_owned(),
            tls: None,
            connections: Connections::default(),
            max_body_bytes: 10 * 1024 * 1024,
            allowed_origins: Vec::new(),
            allowed_hosts: Vec::new(),
            sse_keepalive_seconds: 15,
            shutdown_grace_seconds: 30,
            threads: 0,
        }
    }
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            enabled: false,
            cert_path: None,
            key_path: None,
            ca_path: None,
            client_auth: ClientAuth::default(),
            min_version: TlsVersion::default(),
            watch_seconds: 30,
        }
    }
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            max: 16_384,
            handshake_timeout_ms: 10_000,
            head_timeout_ms: 15_000,
            idle_timeout_ms: 75_000,
            body_pause_ms: 30_000,
            body_timeout_ms: 300_000,
            max_headers: 128,
            max_header_bytes: 64 * 1024,
        }
    }
}
