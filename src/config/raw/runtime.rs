//! `servers[].managed_runtime` as it is written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::choice::{Channel, PackageSource, ReleaseStatus};

/// A package that Conduit installs, updates and rolls back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ManagedRuntime {
    /// Whether Conduit manages the package.
    pub enabled: bool,
    /// Where the package comes from.
    pub source_type: PackageSource,
    /// The package's name there.
    pub source_ref: Option<String>,
    /// The channel that releases are taken from.
    pub channel: Channel,
    /// The release that runs.
    pub active_release_id: Option<String>,
    /// The release to go back to.
    pub last_healthy_release_id: Option<String>,
    /// When the running release was rolled out.
    pub last_rollout_at: Option<String>,
    /// The directory and environment the program is confined to.
    pub sandbox: Sandbox,
    /// What is checked after a rollout.
    pub health_gate: HealthGate,
    /// The releases known.
    pub releases: Vec<Release>,
}

/// The directory and environment a managed program is confined to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sandbox {
    /// Whether the program has its own directory.
    pub enabled: bool,
    /// That directory. Absent means one below `connect.managed_runtime.root_dir`.
    pub root_dir: Option<String>,
    /// Whether only a short list of environment variables reaches the program.
    pub sanitize_env: bool,
    /// Whether the program may use the network (OCI packages only).
    pub allow_network: bool,
}

/// What is checked after a rollout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HealthGate {
    /// Whether a rollout must prove healthy.
    pub enabled: bool,
    /// Whether a rollout that does not is undone.
    pub auto_rollback: bool,
}

/// A release of a managed package.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["id", "version", "channel", "command", "created_at"]))]
pub struct Release {
    /// The release's id; unique within the server.
    #[schemars(length(min = 1))]
    pub id: String,
    /// The package's version.
    pub version: String,
    /// The channel it came from.
    pub channel: Channel,
    /// The program to start.
    #[schemars(length(min = 1))]
    pub command: String,
    /// The program's arguments.
    pub args: Vec<String>,
    /// Environment variables for the program.
    #[schemars(extend("additionalProperties" = {"type": "string", "writeOnly": true}))]
    pub env: BTreeMap<String, String>,
    /// When the release was made.
    pub created_at: String,
    /// What became of it.
    pub status: Option<ReleaseStatus>,
    /// Remarks.
    pub notes: Option<String>,
}

impl Default for ManagedRuntime {
    fn default() -> Self {
        Self {
            enabled: true,
            source_type: PackageSource::default(),
            source_ref: None,
            channel: Channel::default(),
            active_release_id: None,
            last_healthy_release_id: None,
            last_rollout_at: None,
            sandbox: Sandbox::default(),
            health_gate: HealthGate::default(),
            releases: Vec::new(),
        }
    }
}

impl Default for Sandbox {
    fn default() -> Self {
        Self {
            enabled: true,
            root_dir: None,
            sanitize_env: true,
            allow_network: true,
        }
    }
}

impl Default for HealthGate {
    fn default() -> Self {
        Self {
            enabled: true,
            auto_rollback: true,
        }
    }
}
