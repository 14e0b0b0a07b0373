//! `tenant_isolation` and `acl`.

use filters::problem::Problems;

use crate::config::choice::AccessAction;
use crate::config::model::access::{AccessRule, Acl, Policy, TenantIsolation};
use crate::config::path::Path;
use crate::config::raw::access as raw;

/// `tenant_isolation`, if it is switched on.
pub fn compile_isolation(
    raw: &raw::TenantIsolation,
    problems: &mut Problems,
) -> Option<TenantIsolation> {
    if let Ok(header) = raw.header.parse() {
        return raw.enabled.then_some(TenantIsolation { header });
    }
    problems
        .error("tenant_isolation.header", "is not a header name")
        .found(format!("{:?}", raw.header));
    None
}

/// `acl`. Clients of bare API keys are named by position here; a policy that names such a client
/// by the key itself, as mcp-conduit's examples do, is understood.
pub fn compile_acl(raw: raw::Acl, auth: Option<&raw::Auth>, problems: &mut Problems) -> Acl {
    let keys = auth
        .map(|auth| auth.api_keys.as_slice())
        .unwrap_or_default();
    let policies = raw.policies.into_iter().enumerate();
    let policies = policies.map(|(index, policy)| compile_policy(index, policy, keys, problems));
    Acl {
        enabled: raw.enabled,
        policies: policies.collect(),
        default_action: raw.default_action,
    }
}

fn compile_policy(
    index: usize,
    raw: raw::Policy,
    keys: &[raw::ApiKey],
    problems: &mut Problems,
) -> Policy {
    let path = Path::root().key("acl").key("policies").index(index);
    if raw.clients.is_empty() {
        problems.error(
            path.key("clients"),
            "must not be empty; write [\"*\"] for all clients",
        );
    }
    let rule = |rule: raw::AccessRule| AccessRule {
        server: rule.server,
        tools: rule.tools,
    };
    let mut allow: Vec<_> = raw.allow.into_iter().map(rule).collect();
    let mut deny: Vec<_> = raw.deny.into_iter().map(rule).collect();
    match raw.action {
        Some(AccessAction::Allow) => {
            allow.extend(short_form(raw.servers, raw.tools, &path, problems));
        }
        Some(AccessAction::Deny) => {
            deny.extend(short_form(raw.servers, raw.tools, &path, problems));
        }
        None if raw.servers.is_some() || raw.tools.is_some() => {
            let message = "is required with `servers` and `tools`";
            problems
                .error(path.key("action"), message)
                .allowed("allow, deny");
        }
        None => {}
    }
    Policy {
        name: raw
            .name
            .unwrap_or_else(|| format!("policy-{}", index.saturating_add(1))),
        clients: raw
            .clients
            .into_iter()
            .map(|client| name_of(client, keys))
            .collect(),
        allow,
        deny,
    }
}

/// The rules of a policy that is written with `action`. Both lists must be there: a forgotten one
/// must not mean everything.
fn short_form(
    servers: Option<Vec<String>>,
    tools: Option<Vec<String>>,
    path: &Path,
    problems: &mut Problems,
) -> Vec<AccessRule> {
    for (key, is_missing) in [("servers", servers.is_none()), ("tools", tools.is_none())] {
        if is_missing {
            let message = "is required with `action`; write [\"*\"] for all";
            problems
                .error(path.key(key), message)
                .because_of(path.key("action"));
        }
    }
    let tools = tools.unwrap_or_default();
    let rule = |server| AccessRule {
        server,
        tools: tools.clone(),
    };
    servers.unwrap_or_default().into_iter().map(rule).collect()
}

fn name_of(client: String, keys: &[raw::ApiKey]) -> String {
    let is_it = |key: &raw::ApiKey| matches!(key, raw::ApiKey::Bare(text) if *text == client);
    match keys.iter().position(is_it) {
        Some(index) => format!("key-{}", index.saturating_add(1)),
        None => client,
    }
}
