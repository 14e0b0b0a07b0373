//! Who may approve what guardrails hold, as a configuration says it.

use filters::glob::Glob;
use filters::guard::approver::{Binding, Rules};

use crate::config::Config;
use crate::config::choice::Role;
use crate::config::model::governance::RoleBinding;
use crate::state::snapshot::Approvals;

/// The workspace whose roles count: this build has no other.
const WORKSPACE: &str = "default";
/// The roles that may approve where the file does not say, and callers have to authenticate.
const ROLES: [Role; 3] = [Role::Owner, Role::Admin, Role::Approver];

/// How what guardrails hold is approved.
pub(super) fn build(config: &Config) -> Approvals {
    let governance = &config.governance;
    let approvals = &governance.approvals;
    let is_proved = !config.auth.is_off();
    let roles = match &approvals.required_roles {
        Some(roles) => roles.as_slice(),
        None if is_proved => &ROLES,
        None => &[],
    };
    let bindings = governance.role_bindings.iter();
    Approvals {
        is_enabled: approvals.enabled,
        ttl: approvals.ttl,
        approvers: Rules {
            roles: roles.iter().map(|role| role.label().to_owned()).collect(),
            bindings: bindings
                .filter(|one| one.workspace_id == WORKSPACE)
                .map(binding)
                .collect(),
            needs_proof: is_proved || !roles.is_empty(),
            may_be_own: approvals.allow_self_approval,
        },
    }
}

fn binding(binding: &RoleBinding) -> Binding {
    Binding {
        role: binding.role.label().to_owned(),
        clients: binding.clients.iter().map(|one| Glob::new(one)).collect(),
    }
}
