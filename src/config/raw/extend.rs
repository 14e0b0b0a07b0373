//! `plugins` and `discovery` as they are written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::choice::extend::{DiscoveryKind, Hook};

/// Code that runs at fixed moments of a request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name", "path", "hooks"]))]
pub struct Plugin {
    /// The plugin's name; unique.
    #[schemars(length(min = 1))]
    pub name: String,
    /// The file of its code; inside `./plugins`.
    #[schemars(length(min = 1))]
    pub path: String,
    /// The moments at which it runs.
    pub hooks: Vec<Hook>,
    /// Whatever the plugin itself wants to be told.
    #[schemars(extend("type" = "object", "additionalProperties" = true))]
    pub config: serde_json::Value,
}

/// Servers that register themselves or are found in the network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Discovery {
    /// Whether servers are discovered.
    pub enabled: bool,
    /// The time between two searches.
    #[schemars(range(min = 1, max = 31536000))]
    pub poll_interval_seconds: u32,
    /// How long a server may be silent before it is forgotten.
    #[schemars(range(min = 1, max = 31536000))]
    pub stale_timeout_seconds: u32,
    /// Caching of discovered servers.
    pub default_cache: DiscoveredCache,
    /// Where servers are searched for.
    pub backends: Vec<DiscoveryBackend>,
}

/// Caching of discovered servers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DiscoveredCache {
    /// For how many seconds a result is used again; 0 caches nothing.
    pub default_ttl: u32,
}

/// One place where servers are searched for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["type"]))]
pub struct DiscoveryBackend {
    /// `http` lets servers register themselves, `dns` looks up SRV records, `consul` asks Consul.
    #[serde(rename = "type")]
    pub kind: DiscoveryKind,
    /// With `dns`: the domain of the SRV records.
    pub domain: Option<String>,
    /// With `consul`: its URL.
    pub consul_url: Option<String>,
    /// With `consul`: the service to look for.
    pub service_name: Option<String>,
}

impl Default for Discovery {
    fn default() -> Self {
        Self {
            enabled: false,
            poll_interval_seconds: 30,
            stale_timeout_seconds: 90,
            default_cache: DiscoveredCache::default(),
            backends: Vec::new(),
        }
    }
}

impl Default for DiscoveredCache {
    fn default() -> Self {
        Self { default_ttl: 60 }
    }
}
