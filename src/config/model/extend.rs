//! `plugins` and `discovery`.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::choice::extend::Hook;
use crate::config::model::url::HttpUrl;

/// Code that runs at fixed moments of a request.
#[derive(Clone, PartialEq)]
pub struct Plugin {
    /// Its unique name.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// When it runs.
    pub hooks: Vec<Hook>,
    /// What it is told; an object.
    pub config: serde_json::Value,
}

/// Servers that register themselves or are found in the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovery {
    /// Whether servers are discovered.
    pub enabled: bool,
    /// The time between two searches.
    pub poll_interval: Duration,
    /// How long a server may be silent.
    pub stale_timeout: Duration,
    /// The time to live of their cached results.
    pub default_ttl: Duration,
    /// Where servers are searched for.
    pub backends: Vec<Backend>,
}

/// One place where servers are searched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backend {
    /// Servers register themselves over HTTP.
    Http,
    /// SRV records of a domain.
    Dns {
        /// The domain.
        domain: String,
    },
    /// A service in Consul.
    Consul {
        /// Where Consul is.
        url: HttpUrl,
        /// The service.
        service_name: String,
    },
}

impl fmt::Debug for Plugin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What a plugin is told may be its credentials.
        out.debug_struct("Plugin")
            .field("name", &self.name)
            .field("path", &self.path)
            .field("hooks", &self.hooks)
            .finish_non_exhaustive()
    }
}
