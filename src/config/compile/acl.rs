//! `acl`.

use filters::acl::spec::{Effect, Mode, Policy, Rule, Spec, Who};
use filters::problem::Problems;

use crate::config::choice::{AccessAction, AclMode};
use crate::config::model::access::Auth as AuthModel;
use crate::config::model::acl::Acl;
use crate::config::path::Path;
use crate::config::raw::access::{ApiKey, Auth};
use crate::config::raw::acl as raw;

/// `acl`. Clients of bare API keys are named by position here; a policy that names such a client
/// by the key itself, as mcp-conduit's examples do, is understood.
pub fn compile(raw: raw::Acl, auth: Option<&Auth>, problems: &mut Problems) -> Acl {
    let keys = auth
        .map(|auth| auth.api_keys.as_slice())
        .unwrap_or_default();
    let policies = raw.policies.into_iter().enumerate();
    let policies = policies.map(|(index, policy)| compile_policy(index, policy, keys, problems));
    let spec = Spec {
        policies: policies.collect(),
        mode: match raw.mode {
            AclMode::Enforce => Mode::Enforce,
            AclMode::Shadow => Mode::Shadow,
        },
        default: match raw.default_action {
            AccessAction::Allow => Effect::Allow,
            AccessAction::Deny => Effect::Deny,
        },
    };
    if raw.enabled {
        warn_about_idle(&spec, problems);
    }
    Acl {
        enabled: raw.enabled,
        spec,
    }
}

fn path_of(index: usize) -> Path {
    Path::root().key("acl").key("policies").index(index)
}

/// Policies that cannot mean what they seem to.
fn warn_about_idle(spec: &Spec, problems: &mut Problems) {
    let is_for_all = |policy: &Policy| {
        let who = &policy.who;
        let has_all = |list: &Vec<String>| list.iter().any(|pattern| pattern == "*");
        who.clients.as_ref().is_some_and(has_all)
            && who.tenants.is_none()
            && who.roles.is_none()
            && who.scopes.is_none()
    };
    let last = spec.policies.iter().position(is_for_all);
    for (index, policy) in spec.policies.iter().enumerate() {
        if let Some(last) = last.filter(|last| index > *last) {
            let message = "is never asked: a policy before it is for every client";
            problems
                .warning(path_of(index).as_str(), message)
                .because_of(path_of(last).as_str());
        }
        // mcp-conduit's program, unlike its documents, took the omitted default for `deny`.
        if spec.default == Effect::Allow && !policy.allow.is_empty() && policy.deny.is_empty() {
            let message = "its `allow` changes nothing: what it does not name is allowed, too, because \
                           acl.default_action is allow; write acl.default_action: deny";
            problems
                .warning(path_of(index).as_str(), message)
                .because_of("acl.default_action");
        }
    }
}

/// Policies that nobody is ever asked by, as nothing proves what they are for.
pub fn warn_about_unproven(acl: &Acl, auth: &AuthModel, problems: &mut Problems) {
    if !acl.enabled {
        return;
    }
    let keys = || auth.api_keys.iter().flatten();
    let has_tokens = auth.jwt.is_some();
    let certificates = auth.certificates.as_ref();
    let names_tenant = certificates.is_some_and(|rules| rules.tenant.is_some());
    let has_tenants = has_tokens || names_tenant || keys().any(|key| key.tenant_id.is_some());
    let has_roles = has_tokens || keys().any(|key| !key.roles.is_empty());
    let has_scopes = has_tokens || keys().any(|key| !key.scopes.is_empty());
    for (index, policy) in acl.spec.policies.iter().enumerate() {
        let who = &policy.who;
        for (key, what, is_asked, is_proven, remedy) in [
            (
                "tenants",
                "a tenant",
                who.tenants.is_some(),
                has_tenants,
                "a tenant_id of auth.api_keys, a claim of tokens or a name in certificates",
            ),
            (
                "roles",
                "a role",
                who.roles.is_some(),
                has_roles,
                "roles of auth.api_keys or a claim of tokens",
            ),
            (
                "scopes",
                "a scope",
                who.scopes.is_some(),
                has_scopes,
                "scopes of auth.api_keys or of tokens",
            ),
        ] {
            if is_asked && !is_proven {
                let message = format!(
                    "the policy is for nobody: no client can prove {what} here; it takes {remedy}, and \
                     headers prove nothing"
                );
                problems
                    .warning(path_of(index).key(key).as_str(), message)
                    .because_of("auth");
            }
        }
    }
}

fn compile_policy(
    index: usize,
    raw: raw::Policy,
    keys: &[ApiKey],
    problems: &mut Problems,
) -> Policy {
    let path = path_of(index);
    let short = short_form(&raw, &path, problems);
    let clients = raw.clients.map(|clients| {
        let clients = clients.into_iter();
        clients.map(|client| name_of(client, keys)).collect()
    });
    let who = Who {
        clients,
        tenants: raw.tenants,
        roles: raw.roles,
        scopes: raw.scopes,
    };
    if who == Who::default() {
        let message = "is required, unless `tenants`, `roles` or `scopes` is written; write [\"*\"] \
                       for all clients";
        problems.error(path.key("clients"), message);
    }
    let mut list = |name: &str, rules: Vec<raw::AccessRule>| -> Vec<Rule> {
        let path = path.key(name);
        let rules = rules.into_iter().enumerate();
        rules
            .map(|(at, rule)| compile_rule(rule, &path.index(at), problems))
            .collect()
    };
    let (mut allow, mut deny) = (list("allow", raw.allow), list("deny", raw.deny));
    match raw.action {
        Some(AccessAction::Allow) => allow.extend(short),
        Some(AccessAction::Deny) => deny.extend(short),
        None => {}
    }
    Policy {
        name: raw
            .name
            .unwrap_or_else(|| format!("policy-{}", index.saturating_add(1))),
        who,
        allow,
        deny,
    }
}

fn compile_rule(raw: raw::AccessRule, path: &Path, problems: &mut Problems) -> Rule {
    if raw.tools.is_none() && raw.prompts.is_none() && raw.resources.is_none() {
        let message = "is required, unless `prompts` or `resources` is written; write [\"*\"] for \
                       all that the server has";
        problems.error(path.key("tools"), message);
    }
    Rule {
        server: raw.server,
        tools: raw.tools,
        prompts: raw.prompts,
        resources: raw.resources,
    }
}

/// The rules of a policy that is written with `action`. What they are for must be there: a forgotten
/// list must not mean everything.
fn short_form(raw: &raw::Policy, path: &Path, problems: &mut Problems) -> Vec<Rule> {
    let has_items = raw.tools.is_some() || raw.prompts.is_some() || raw.resources.is_some();
    if raw.action.is_none() {
        if raw.servers.is_some() || has_items {
            let message = "is required with `servers`, `tools`, `prompts` and `resources`";
            problems
                .error(path.key("action"), message)
                .allowed("allow, deny");
        }
        return Vec::new();
    }
    for (key, is_missing) in [("servers", raw.servers.is_none()), ("tools", !has_items)] {
        if is_missing {
            let message = "is required with `action`; write [\"*\"] for all";
            problems
                .error(path.key(key), message)
                .because_of(path.key("action"));
        }
    }
    let servers = raw.servers.iter().flatten();
    let rule = |server: &String| Rule {
        server: server.clone(),
        tools: raw.tools.clone(),
        prompts: raw.prompts.clone(),
        resources: raw.resources.clone(),
    };
    servers.map(rule).collect()
}

fn name_of(client: String, keys: &[ApiKey]) -> String {
    let is_it = |key: &ApiKey| matches!(key, ApiKey::Bare(text) if *text == client);
    match keys.iter().position(is_it) {
        Some(index) => format!("key-{}", index.saturating_add(1)),
        None => client,
    }
}
