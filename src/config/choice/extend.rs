//! The closed choices of plugins and discovery.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A moment in a request at which a plugin can act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Hook {
    /// Before anything else.
    #[serde(rename = "before:request")]
    BeforeRequest,
    /// When the client is known.
    #[serde(rename = "after:auth")]
    AfterAuth,
    /// Before the cache is asked.
    #[serde(rename = "before:cache")]
    BeforeCache,
    /// When the server has answered.
    #[serde(rename = "after:upstream")]
    AfterUpstream,
    /// Before the client is answered.
    #[serde(rename = "before:response")]
    BeforeResponse,
}

/// How servers are discovered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DiscoveryKind {
    /// They register themselves over HTTP.
    #[default]
    Http,
    /// By SRV records.
    Dns,
    /// By Consul.
    Consul,
}
