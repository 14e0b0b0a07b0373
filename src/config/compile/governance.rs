//! `governance`.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use filters::problem::Problems;

use crate::config::compile::limit::quota;
use crate::config::model::governance::{
    Approvals, Governance, RegistryPolicy, RoleBinding, Scope, ToolPolicy, WorkspaceQuota,
};
use crate::config::path::Path;
use crate::config::raw::governance as raw;

/// `governance`.
pub fn compile(raw: raw::Governance, problems: &mut Problems) -> Governance {
    let path = Path::root().key("governance");
    let names = raw.tool_policies.iter().map(|policy| policy.name.as_str());
    unique(names, &path.key("tool_policies"), problems);
    let names = raw
        .registry_policies
        .iter()
        .map(|policy| policy.name.as_str());
    unique(names, &path.key("registry_policies"), problems);
    let default_quota = raw.quotas.default.map(|raw| {
        quota(
            raw.requests_per_minute,
            raw.requests_per_hour,
            raw.requests_per_day,
        )
    });
    Governance {
        enabled: raw.enabled,
        db_path: PathBuf::from(raw.db_path),
        registry_default_action: raw.registry_default_action,
        role_bindings: raw.role_bindings.into_iter().map(binding).collect(),
        tool_policies: raw.tool_policies.into_iter().map(tool_policy).collect(),
        registry_policies: raw
            .registry_policies
            .into_iter()
            .map(registry_policy)
            .collect(),
        default_quota: default_quota.unwrap_or_default(),
        workspace_quotas: raw
            .quotas
            .workspaces
            .into_iter()
            .map(workspace_quota)
            .collect(),
        approvals: Approvals {
            enabled: raw.approvals.enabled,
            ttl: Duration::from_secs(raw.approvals.ttl_seconds.into()),
            required_roles: raw.approvals.required_roles,
            allow_self_approval: raw.approvals.allow_self_approval,
        },
    }
}

fn unique<'a>(names: impl Iterator<Item = &'a str>, path: &Path, problems: &mut Problems) {
    let mut seen = HashSet::new();
    for (index, name) in names.enumerate() {
        if !seen.insert(name) {
            problems
                .error(
                    path.index(index).key("name"),
                    "is already the name of another policy",
                )
                .found(format!("{name:?}"));
        }
    }
}

fn binding(raw: raw::RoleBinding) -> RoleBinding {
    RoleBinding {
        workspace_id: raw.workspace_id,
        role: raw.role,
        clients: raw.clients,
    }
}

fn tool_policy(raw: raw::ToolPolicy) -> ToolPolicy {
    ToolPolicy {
        name: raw.name,
        scope: Scope {
            workspace_ids: raw.workspace_ids,
            roles: raw.roles,
            clients: raw.clients,
        },
        servers: raw.servers,
        tools: raw.tools,
        effect: raw.effect,
        reason: raw.reason,
    }
}

fn registry_policy(raw: raw::RegistryPolicy) -> RegistryPolicy {
    RegistryPolicy {
        name: raw.name,
        scope: Scope {
            workspace_ids: raw.workspace_ids,
            roles: raw.roles,
            clients: raw.clients,
        },
        server_names: raw.server_names,
        package_types: raw.package_types,
        install_modes: raw.install_modes,
        effect: raw.effect,
        reason: raw.reason,
    }
}

fn workspace_quota(raw: raw::WorkspaceQuota) -> WorkspaceQuota {
    WorkspaceQuota {
        workspace_id: raw.workspace_id,
        limits: quota(
            raw.requests_per_minute,
            raw.requests_per_hour,
            raw.requests_per_day,
        ),
    }
}
