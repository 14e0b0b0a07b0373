//! `connect` and `identity` as they are written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::choice::Channel;

/// Profiles and the registry of servers to import from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Connect {
    /// Named sets of servers, each served at `/mcp/profile/<id>`.
    pub profiles: Vec<Profile>,
    /// Where servers can be imported from.
    pub registry: Registry,
    /// Defaults for packages that Conduit installs itself.
    pub managed_runtime: RuntimeDefaults,
}

/// A named set of servers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["id", "server_ids"]))]
pub struct Profile {
    /// The name in the URL; unique, and not `default`.
    #[schemars(regex(pattern = "^[a-zA-Z0-9-]+$"))]
    pub id: String,
    /// The name shown to people.
    pub label: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Ids of servers.
    #[schemars(length(min = 1))]
    pub server_ids: Vec<String>,
}

/// Where servers can be imported from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Registry {
    /// The registry's URL.
    pub base_url: String,
    /// How long its list is used before it is fetched again.
    #[schemars(range(min = 1, max = 31536000))]
    pub cache_ttl_seconds: u32,
    /// How many entries are asked for at once.
    #[schemars(range(min = 1, max = 200))]
    pub page_size: u32,
    /// How many pages are fetched; 0 means all.
    #[schemars(range(min = 0, max = 1000))]
    pub max_pages: u32,
    /// Whether only the latest version of each server is kept.
    pub latest_only: bool,
}

/// Defaults for packages that Conduit installs itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RuntimeDefaults {
    /// Whether imported packages are managed.
    pub enabled: bool,
    /// The directory that holds them.
    #[schemars(length(min = 1))]
    pub root_dir: String,
    /// The channel that releases are taken from.
    pub default_channel: Channel,
    /// Whether only a short list of environment variables reaches their programs.
    pub sanitize_env: bool,
    /// Whether a release that fails its check is undone.
    pub auto_rollback: bool,
}

/// Maps tenants to workspaces and brokers credentials of connected accounts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Identity {
    /// Whether the broker works.
    pub enabled: bool,
    /// The file of connected accounts. `CONDUIT_IDENTITY_DB_PATH` overrides it and switches the
    /// broker on.
    #[schemars(length(min = 1))]
    pub db_path: String,
    /// The workspace of tenants that are not listed.
    #[schemars(regex(pattern = "^[a-zA-Z0-9-]+$"))]
    pub default_workspace_id: String,
    /// The workspaces.
    pub workspaces: Vec<Workspace>,
}

/// A workspace and its tenants.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["id"]))]
pub struct Workspace {
    /// The workspace's id; unique.
    #[schemars(regex(pattern = "^[a-zA-Z0-9-]+$"))]
    pub id: String,
    /// The name shown to people.
    pub label: Option<String>,
    /// The tenants in it. A tenant belongs to one workspace.
    pub tenant_ids: Vec<String>,
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            base_url: "https://registry.modelcontextprotocol.io".to_owned(),
            cache_ttl_seconds: 3_600,
            page_size: 100,
            max_pages: 0,
            latest_only: true,
        }
    }
}

impl Default for RuntimeDefaults {
    fn default() -> Self {
        Self {
            enabled: true,
            root_dir: "./.conduit/runtime".to_owned(),
            default_channel: Channel::Stable,
            sanitize_env: true,
            auto_rollback: true,
        }
    }
}

impl Default for Identity {
    fn default() -> Self {
        Self {
            enabled: false,
            db_path: "./conduit-identity.db".to_owned(),
            default_workspace_id: "default".to_owned(),
            workspaces: Vec::new(),
        }
    }
}
