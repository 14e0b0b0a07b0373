//! `servers[].managed_runtime`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use crate::config::choice::{Channel, PackageSource, ReleaseStatus};
use crate::config::model::Secret;

/// A package that Conduit installs, updates and rolls back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ManagedRuntime {
    /// Where the package comes from.
    pub source_type: PackageSource,
    /// Its name there.
    pub source_ref: String,
    /// The channel of its releases.
    pub channel: Channel,
    /// The release that runs.
    pub active_release_id: String,
    /// The release to go back to.
    pub last_healthy_release_id: Option<String>,
    /// When the running release was rolled out.
    pub last_rollout_at: Option<String>,
    /// What the program is confined to.
    pub sandbox: Sandbox,
    /// Whether a rollout must prove healthy.
    pub health_gate: bool,
    /// Whether a rollout that does not is undone.
    pub auto_rollback: bool,
    /// The releases known.
    pub releases: Vec<Release>,
}

/// What a managed program is confined to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sandbox {
    /// Whether the program has its own directory.
    pub enabled: bool,
    /// That directory, if not the default one.
    pub root_dir: Option<PathBuf>,
    /// Whether its environment is a short list.
    pub sanitize_env: bool,
    /// Whether it may use the network.
    pub allow_network: bool,
}

/// A release of a managed package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Release {
    /// Its id.
    pub id: String,
    /// The package's version.
    pub version: String,
    /// The channel it came from.
    pub channel: Channel,
    /// The program.
    pub command: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its environment variables.
    pub env: BTreeMap<String, Secret>,
    /// When it was made.
    pub created_at: String,
    /// What became of it.
    pub status: Option<ReleaseStatus>,
    /// Remarks.
    pub notes: Option<String>,
}
