//! `connect` and `identity`.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::choice::Channel;
use crate::config::model::server::ServerId;
use crate::config::model::url::HttpUrl;

/// Profiles and the registry of servers to import from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connect {
    /// Named sets of servers.
    pub profiles: Vec<Profile>,
    /// Where servers can be imported from.
    pub registry: Registry,
    /// Defaults for managed packages.
    pub managed_runtime: RuntimeDefaults,
}

/// A named set of servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The name in the URL.
    pub id: String,
    /// The name shown to people.
    pub label: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// The servers in it.
    pub server_ids: Vec<ServerId>,
}

/// Where servers can be imported from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registry {
    /// Its URL.
    pub base_url: HttpUrl,
    /// How long its list is used.
    pub cache_ttl: Duration,
    /// Entries a page.
    pub page_size: u32,
    /// Pages fetched; `None` means all.
    pub n_pages_max: Option<u32>,
    /// Whether only latest versions are kept.
    pub latest_only: bool,
}

/// Defaults for managed packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeDefaults {
    /// Whether imported packages are managed.
    pub enabled: bool,
    /// The directory that holds them.
    pub root_dir: PathBuf,
    /// The channel of their releases.
    pub default_channel: Channel,
    /// Whether their environment is a short list.
    pub sanitize_env: bool,
    /// Whether a release that fails its check is undone.
    pub auto_rollback: bool,
}

/// Maps tenants to workspaces and brokers credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Whether it works.
    pub enabled: bool,
    /// The file of accounts.
    pub db_path: PathBuf,
    /// The workspace of tenants that are not listed.
    pub default_workspace_id: String,
    /// The workspaces.
    pub workspaces: Vec<Workspace>,
}

/// A workspace and its tenants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    /// Its id.
    pub id: String,
    /// The name shown to people.
    pub label: Option<String>,
    /// Its tenants.
    pub tenant_ids: Vec<String>,
}
