//! Says which parts of a configuration this build does not run yet.
//!
//! Conduit accepts the whole configuration of mcp-conduit from the start. What a build does not run
//! it says plainly, once, and most plainly where somebody might feel protected.
//!
//! **Invariant:** only what the file or a variable really says is warned about, never a default.

use std::collections::BTreeSet;

use filters::guard::spec;

use crate::config::Config;
use crate::config::choice::IdentityMode;
use crate::config::model::server::Transport;
use crate::config::walk::Places;

/// Values that have an effect by default, so that only writing them is a wish.
const WATCHED: [&str; 9] = [
    "admin.allow_private_networks",
    "observability.log_args",
    "observability.log_responses",
    "observability.redact_fields",
    "observability.retention_days",
    "observability.db_path",
    "connect.registry",
    "connect.managed_runtime",
    "discovery",
];

/// Which of the watched values a file writes.
#[must_use]
pub fn written(places: &Places) -> BTreeSet<&'static str> {
    WATCHED
        .into_iter()
        .filter(|path| places.is_written(path))
        .collect()
}

/// One sentence for each configured part that this build does not run.
#[must_use]
pub fn inactive(config: &Config) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut say = |path: &str, what: &str| warnings.push(format!("{path}: {what}"));
    protection(config, &mut say);
    features(config, &mut say);
    servers(config, &mut say);
    warnings
}

/// Parts whose absence leaves something open.
fn protection(config: &Config, say: &mut impl FnMut(&str, &str)) {
    if config.governance.enabled {
        say(
            "governance",
            "NOT enforced: this build has no policies or quotas; only `approvals` of guardrails are \
             kept, and `role_bindings` count for them",
        );
    }
    let approvals = &config.governance.approvals;
    let needs_role = approvals
        .required_roles
        .as_ref()
        .is_some_and(|roles| !roles.is_empty());
    let mut rules = config.guardrails.rules.iter();
    let may_hold = config.guardrails.enabled
        && rules.any(|rule| rule.spec.action == spec::Action::RequireApproval);
    if approvals.enabled && needs_role && may_hold && config.auth.is_off() {
        say(
            "governance.approvals.required_roles",
            "nobody can approve: without `auth` no approver can prove a role; configure it, or remove \
             required_roles",
        );
    }
    if config.identity.enabled {
        say(
            "identity",
            "not active in this build: no credentials are looked up for calls",
        );
    }
}

fn features(config: &Config, say: &mut impl FnMut(&str, &str)) {
    let is_written = |path: &str| config.written.contains(path);
    if config.router.circuit_breaker.is_some() {
        say(
            "router.circuit_breaker",
            "not active in this build: failing replicas are only health-checked",
        );
    }
    for path in WATCHED
        .into_iter()
        .filter(|path| path.starts_with("observability."))
    {
        if is_written(path) {
            say(path, "not active in this build: there is no request log");
        }
    }
    if config.observability.opentelemetry.is_some() {
        say(
            "observability.opentelemetry",
            "not active in this build: no traces are exported",
        );
    }
    for path in WATCHED
        .into_iter()
        .filter(|path| path.starts_with("connect."))
    {
        if is_written(path) {
            say(path, "not active in this build");
        }
    }
    if !config.plugins.is_empty() {
        say("plugins", "not active in this build: no plugin is loaded");
    }
    if is_written("admin.allow_private_networks") {
        say(
            "admin.allow_private_networks",
            "not active in this build: no server can be added through the admin API",
        );
    }
    if config.discovery.enabled {
        say(
            "discovery",
            "not active in this build: only the servers of the file are used",
        );
    }
}

fn servers(config: &Config, say: &mut impl FnMut(&str, &str)) {
    for server in &config.servers {
        let id = &server.id;
        if let Some(auth) = &server.upstream_auth {
            if auth.connected_account.is_some() {
                let what = "not active in this build: no accounts are looked up for calls";
                say(
                    &format!("server {id}, upstream_auth.connected_account"),
                    what,
                );
            }
            let identity = auth.forward_identity.as_ref();
            if identity.is_some_and(|identity| identity.mode != IdentityMode::None) {
                let what = "not active in this build: the server is not told who calls";
                say(
                    &format!("server {id}, upstream_auth.forward_identity"),
                    what,
                );
            }
        }
        if let Transport::Stdio(stdio) = &server.transport
            && stdio.managed_runtime.is_some()
        {
            let what = "not active in this build: `command` is started as it is";
            say(&format!("server {id}, managed_runtime"), what);
        }
    }
}
