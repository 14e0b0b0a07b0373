//! `governance` as it is written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::choice::{AccessAction, InstallMode, PolicyEffect, Role};

/// Roles, policies, quotas and approvals for each workspace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Governance {
    /// Whether governance is enforced.
    pub enabled: bool,
    /// The file of approvals and audit records. `CONDUIT_GOVERNANCE_DB_PATH` overrides it and
    /// switches governance on.
    #[schemars(length(min = 1))]
    pub db_path: String,
    /// What holds for a registry import that no policy decides.
    pub registry_default_action: AccessAction,
    /// Which clients have which role in which workspace. Those of `default` count for approvals.
    pub role_bindings: Vec<RoleBinding>,
    /// Who may call which tools; the first match decides.
    pub tool_policies: Vec<ToolPolicy>,
    /// Who may import which registry entries; the first match decides.
    pub registry_policies: Vec<RegistryPolicy>,
    /// How often each workspace may call.
    pub quotas: Quotas,
    /// How calls that need an approval get one.
    pub approvals: Approvals,
}

/// Gives clients a role in a workspace.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["workspace_id", "role", "clients"]))]
pub struct RoleBinding {
    /// The workspace.
    #[schemars(regex(pattern = "^[a-zA-Z0-9-]+$"))]
    pub workspace_id: String,
    /// The role.
    pub role: Role,
    /// Patterns of clients.
    #[schemars(length(min = 1))]
    pub clients: Vec<String>,
}

/// Who may call which tools.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name", "effect"]))]
pub struct ToolPolicy {
    /// The policy's name; unique.
    #[schemars(length(min = 1))]
    pub name: String,
    /// The workspaces it is for. Absent means all.
    pub workspace_ids: Option<Vec<String>>,
    /// The roles it is for. Absent means all.
    pub roles: Option<Vec<Role>>,
    /// Patterns of clients. Absent means all.
    pub clients: Option<Vec<String>>,
    /// Patterns of servers. Absent means all.
    pub servers: Option<Vec<String>>,
    /// Patterns of tools. Absent means all.
    pub tools: Option<Vec<String>>,
    /// What holds.
    pub effect: PolicyEffect,
    /// What the client is told.
    pub reason: Option<String>,
}

/// Who may import which registry entries.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name", "effect"]))]
pub struct RegistryPolicy {
    /// The policy's name; unique.
    #[schemars(length(min = 1))]
    pub name: String,
    /// The workspaces it is for. Absent means all.
    pub workspace_ids: Option<Vec<String>>,
    /// The roles it is for. Absent means all.
    pub roles: Option<Vec<Role>>,
    /// Patterns of clients. Absent means all.
    pub clients: Option<Vec<String>>,
    /// Patterns of registry names. Absent means all.
    pub server_names: Option<Vec<String>>,
    /// Kinds of packages. Absent means all.
    pub package_types: Option<Vec<String>>,
    /// Ways of installing. Absent means all.
    pub install_modes: Option<Vec<InstallMode>>,
    /// What holds.
    pub effect: AccessAction,
    /// What the client is told.
    pub reason: Option<String>,
}

/// How often each workspace may call.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Quotas {
    /// The quota of workspaces that are not listed.
    pub default: Option<Quota>,
    /// Quotas of single workspaces.
    pub workspaces: Vec<WorkspaceQuota>,
}

/// How many calls fit into a span of time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Quota {
    /// Calls in any minute.
    #[schemars(range(min = 1, max = 4294967295_u64))]
    pub requests_per_minute: Option<u32>,
    /// Calls in any hour.
    #[schemars(range(min = 1, max = 4294967295_u64))]
    pub requests_per_hour: Option<u32>,
    /// Calls in any day.
    #[schemars(range(min = 1, max = 4294967295_u64))]
    pub requests_per_day: Option<u32>,
}

/// The quota of one workspace.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["workspace_id"]))]
pub struct WorkspaceQuota {
    /// The workspace.
    #[schemars(regex(pattern = "^[a-zA-Z0-9-]+$"))]
    pub workspace_id: String,
    /// Calls in any minute.
    #[schemars(range(min = 1, max = 4294967295_u64))]
    pub requests_per_minute: Option<u32>,
    /// Calls in any hour.
    #[schemars(range(min = 1, max = 4294967295_u64))]
    pub requests_per_hour: Option<u32>,
    /// Calls in any day.
    #[schemars(range(min = 1, max = 4294967295_u64))]
    pub requests_per_day: Option<u32>,
}

/// How calls that need an approval get one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Approvals {
    /// Whether approvals can be given.
    pub enabled: bool,
    /// How long a request for approval, and an approval, is valid.
    #[schemars(range(min = 1, max = 31536000))]
    pub ttl_seconds: u32,
    /// The roles that may approve, by the approver's own credential or by `governance.role_bindings`.
    /// Absent means `owner`, `admin` and `approver` where callers have to authenticate, and anybody with
    /// the admin key elsewhere. Empty means any role.
    pub required_roles: Option<Vec<Role>>,
    /// Whether the one who asks may approve.
    pub allow_self_approval: bool,
}

impl Default for Governance {
    fn default() -> Self {
        Self {
            enabled: false,
            db_path: "./conduit-governance.db".to_owned(),
            registry_default_action: AccessAction::Allow,
            role_bindings: Vec::new(),
            tool_policies: Vec::new(),
            registry_policies: Vec::new(),
            quotas: Quotas::default(),
            approvals: Approvals::default(),
        }
    }
}

impl Default for Approvals {
    fn default() -> Self {
        Self {
            enabled: true,
            ttl_seconds: 3_600,
            required_roles: None,
            allow_self_approval: false,
        }
    }
}
