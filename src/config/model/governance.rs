//! `governance`.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::choice::{AccessAction, InstallMode, PolicyEffect, Role};
use crate::config::model::limit::Limit;

/// Roles, policies, quotas and approvals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Governance {
    /// Whether it is enforced.
    pub enabled: bool,
    /// The file of approvals and audit records.
    pub db_path: PathBuf,
    /// What holds for an import that no policy decides.
    pub registry_default_action: AccessAction,
    /// Who has which role where.
    pub role_bindings: Vec<RoleBinding>,
    /// Who may call what, first match first.
    pub tool_policies: Vec<ToolPolicy>,
    /// Who may import what, first match first.
    pub registry_policies: Vec<RegistryPolicy>,
    /// The quota of workspaces that are not listed.
    pub default_quota: Vec<Limit>,
    /// Quotas of single workspaces.
    pub workspace_quotas: Vec<WorkspaceQuota>,
    /// How calls get an approval.
    pub approvals: Approvals,
}

/// Gives clients a role in a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleBinding {
    /// The workspace.
    pub workspace_id: String,
    /// The role.
    pub role: Role,
    /// Patterns of clients.
    pub clients: Vec<String>,
}

/// Whom a policy is for; `None` means everybody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Workspaces.
    pub workspace_ids: Option<Vec<String>>,
    /// Roles.
    pub roles: Option<Vec<Role>>,
    /// Patterns of clients.
    pub clients: Option<Vec<String>>,
}

/// Who may call which tools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolPolicy {
    /// Its unique name.
    pub name: String,
    /// Whom it is for.
    pub scope: Scope,
    /// Patterns of servers; `None` means all.
    pub servers: Option<Vec<String>>,
    /// Patterns of tools; `None` means all.
    pub tools: Option<Vec<String>>,
    /// What holds.
    pub effect: PolicyEffect,
    /// What the client is told.
    pub reason: Option<String>,
}

/// Who may import which registry entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryPolicy {
    /// Its unique name.
    pub name: String,
    /// Whom it is for.
    pub scope: Scope,
    /// Patterns of registry names; `None` means all.
    pub server_names: Option<Vec<String>>,
    /// Kinds of packages; `None` means all.
    pub package_types: Option<Vec<String>>,
    /// Ways of installing; `None` means all.
    pub install_modes: Option<Vec<InstallMode>>,
    /// What holds.
    pub effect: AccessAction,
    /// What the client is told.
    pub reason: Option<String>,
}

/// The quota of one workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceQuota {
    /// The workspace.
    pub workspace_id: String,
    /// Its quota.
    pub limits: Vec<Limit>,
}

/// How calls that need an approval get one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approvals {
    /// Whether approvals can be given.
    pub enabled: bool,
    /// How long they are valid.
    pub ttl: Duration,
    /// The roles that may approve; `None` where the file does not say.
    pub required_roles: Option<Vec<Role>>,
    /// Whether the one who asks may approve.
    pub allow_self_approval: bool,
}
