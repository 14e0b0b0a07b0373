//! What differs between the configuration in force and one that is to replace it, and which of it can
//! take effect while the gateway runs.
//!
//! **Invariant:** whatever differs is named once: as changed, or as left, with the reason. A section
//! that is added to [`Config`] does not compile before it has a place here.

use crate::config::Config;
use crate::config::model::connect::Connect;
use crate::config::model::gateway::Gateway;
use crate::config::model::governance::Governance;
use crate::config::model::limit::RateLimits;
use crate::config::model::lock::ToolLock;
use crate::config::model::router::Router;
use crate::config::model::server::Server;

/// Why a part is left as it is.
const RESTART: &str = "needs a restart";
/// Why a part has no effect.
const INACTIVE: &str = "not active in this build";

/// How a running gateway goes from one configuration to another.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// What can be in force: as wanted, but for what needs a restart.
    pub config: Config,
    /// What changes, by its path.
    pub changed: Vec<String>,
    /// What was changed in vain, by its path, with the reason.
    pub left: Vec<String>,
}

/// Compares the configuration in force with the one that is wanted.
#[must_use]
pub fn plan(running: &Config, wanted: Config) -> Plan {
    let mut plan = Plan {
        config: wanted.clone(),
        changed: Vec::new(),
        left: Vec::new(),
    };
    let Config {
        gateway,
        router,
        servers,
        sessions,
        cache,
        tenant_isolation,
        auth,
        compat,
        acl,
        rate_limits,
        guardrails,
        tool_lock,
        observability,
        metrics,
        admin,
        connect,
        identity,
        governance,
        plugins,
        discovery,
        // Which values were written matters for warnings only.
        written: _,
    } = wanted;
    plan.servers(&running.servers, &servers);
    plan.router(&running.router, &router);
    plan.connect(&running.connect, &connect);
    plan.gateway(&running.gateway, gateway);
    plan.governance(&running.governance, &governance);
    plan.change("guardrails", running.guardrails != guardrails);
    plan.rate_limits(&running.rate_limits, rate_limits);
    plan.tool_lock(&running.tool_lock, tool_lock);
    let is_other = running.tenant_isolation != tenant_isolation;
    plan.change("tenant_isolation", is_other);
    plan.change("auth", running.auth != auth);
    plan.change("compat", running.compat != compat);
    plan.change("acl", running.acl != acl);
    if plan.keep("sessions", running.sessions != sessions) {
        plan.config.sessions = running.sessions.clone();
    }
    if plan.keep("cache", running.cache != cache) {
        plan.config.cache = running.cache.clone();
    }
    if plan.keep("metrics", running.metrics != metrics) {
        plan.config.metrics = running.metrics.clone();
    }
    if plan.keep("admin", running.admin != admin) {
        plan.config.admin = running.admin.clone();
    }
    for (path, is_other) in [
        ("observability", running.observability != observability),
        ("identity", running.identity != identity),
        ("plugins", running.plugins != plugins),
        ("discovery", running.discovery != discovery),
    ] {
        plan.leave(path, is_other, INACTIVE);
    }
    plan
}

impl Plan {
    fn change(&mut self, path: impl Into<String>, is_other: bool) {
        if is_other {
            self.changed.push(path.into());
        }
    }

    fn leave(&mut self, path: &str, is_other: bool, why: &str) {
        if is_other {
            self.left.push(format!("{path} ({why})"));
        }
    }

    /// Leaves what is read once, at the start; whether it has to be put back.
    fn keep(&mut self, path: &str, is_other: bool) -> bool {
        self.leave(path, is_other, RESTART);
        is_other
    }

    fn servers(&mut self, running: &[Server], wanted: &[Server]) {
        let find = |servers: &[Server], id| servers.iter().position(|one| one.id == id);
        for server in wanted {
            let id = &server.id;
            match running.iter().find(|one| one.id == *id) {
                None => self.changed.push(format!("server.{id} (added)")),
                Some(before) => self.change(format!("server.{id}"), before != server),
            }
        }
        for server in running {
            let is_gone = find(wanted, server.id.clone()).is_none();
            self.change(format!("server.{} (removed)", server.id), is_gone);
        }
        let common = |servers: &[Server], others: &[Server]| -> Vec<_> {
            let ids = servers.iter().map(|one| one.id.clone());
            ids.filter(|id| find(others, id.clone()).is_some())
                .collect()
        };
        let is_moved = common(running, wanted) != common(wanted, running);
        self.change("servers (order)", is_moved);
    }

    fn router(&mut self, running: &Router, wanted: &Router) {
        let Router {
            namespace_strategy,
            namespace_separator,
            name_limit,
            lists,
            load_balancing,
            health_check,
            circuit_breaker,
        } = wanted;
        let is_other = running.namespace_strategy != *namespace_strategy
            || running.namespace_separator != *namespace_separator
            || running.name_limit != *name_limit
            || running.lists != *lists
            || running.load_balancing != *load_balancing
            || running.health_check != *health_check;
        self.change("router", is_other);
        let is_other = running.circuit_breaker != *circuit_breaker;
        self.leave("router.circuit_breaker", is_other, INACTIVE);
    }

    fn connect(&mut self, running: &Connect, wanted: &Connect) {
        let Connect {
            profiles,
            registry,
            managed_runtime,
        } = wanted;
        self.change("connect", running.profiles != *profiles);
        let is_other = running.registry != *registry;
        self.leave("connect.registry", is_other, INACTIVE);
        let is_other = running.managed_runtime != *managed_runtime;
        self.leave("connect.managed_runtime", is_other, INACTIVE);
    }

    fn governance(&mut self, running: &Governance, wanted: &Governance) {
        let is_other = running.approvals != wanted.approvals;
        self.change("governance.approvals", is_other);
        let is_other = running.role_bindings != wanted.role_bindings;
        self.change("governance.role_bindings", is_other);
        let as_wanted = Governance {
            approvals: wanted.approvals.clone(),
            role_bindings: wanted.role_bindings.clone(),
            ..running.clone()
        };
        self.leave("governance", as_wanted != *wanted, INACTIVE);
    }

    fn rate_limits(&mut self, running: &RateLimits, wanted: RateLimits) {
        // The counts are where they were at the start.
        let is_moved = running.store != wanted.store;
        self.leave("rate_limits.backend", is_moved, RESTART);
        let in_force = RateLimits {
            store: running.store.clone(),
            ..wanted
        };
        self.change("rate_limits", *running != in_force);
        self.config.rate_limits = in_force;
    }

    fn tool_lock(&mut self, running: &ToolLock, wanted: ToolLock) {
        // What was approved is where it was at the start.
        let is_moved = running.file != wanted.file;
        self.leave("tool_lock_file", is_moved, RESTART);
        let in_force = ToolLock {
            file: running.file.clone(),
            ..wanted
        };
        self.change("tool_lock", *running != in_force);
        self.config.tool_lock = in_force;
    }

    fn gateway(&mut self, running: &Gateway, wanted: Gateway) {
        let Gateway {
            port,
            host,
            tls,
            connections,
            max_body_bytes,
            allowed_origins,
            allowed_hosts,
            sse_keepalive,
            shutdown_grace,
            n_threads,
        } = wanted;
        for (path, is_other) in [
            (
                "gateway.max_body_bytes",
                running.max_body_bytes != max_body_bytes,
            ),
            (
                "gateway.allowed_origins",
                running.allowed_origins != allowed_origins,
            ),
            (
                "gateway.allowed_hosts",
                running.allowed_hosts != allowed_hosts,
            ),
            (
                "gateway.sse_keepalive_seconds",
                running.sse_keepalive != sse_keepalive,
            ),
        ] {
            self.change(path, is_other);
        }
        // A listener that spoke one would be asked for the other by all who are connected.
        let is_switched = running.tls.is_some() != tls.is_some();
        self.leave("gateway.tls.enabled", is_switched, RESTART);
        let tls = if is_switched {
            running.tls.clone()
        } else {
            tls
        };
        self.change("gateway.tls", running.tls != tls);
        let is_other = running.connections != connections;
        self.leave("gateway.connections", is_other, RESTART);
        for (path, is_other) in [
            ("gateway.port", running.port != port),
            ("gateway.host", running.host != host),
            (
                "gateway.shutdown_grace_seconds",
                running.shutdown_grace != shutdown_grace,
            ),
            ("gateway.threads", running.n_threads != n_threads),
        ] {
            self.leave(path, is_other, RESTART);
        }
        self.config.gateway = Gateway {
            port: running.port,
            host: running.host.clone(),
            tls,
            connections: running.connections.clone(),
            max_body_bytes,
            allowed_origins,
            allowed_hosts,
            sse_keepalive,
            shutdown_grace: running.shutdown_grace,
            n_threads: running.n_threads,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::limit::Store;
    use crate::config::{self, source::Source};

    fn config(text: &str) -> Config {
        config::load(&Source::from_text(text)).unwrap().config
    }

    fn compare(running: &str, wanted: &str) -> Plan {
        plan(&config(running), config(wanted))
    }

    #[test]
    fn what_did_not_change_is_not_named() {
        let text = "servers: [{id: a, url: 'http://h/mcp'}]\nrouter: {name_limit: 64}";
        let plan = compare(text, text);
        assert_eq!((plan.changed, plan.left), (vec![], vec![]));
    }

    #[test]
    fn servers_are_added_removed_changed_and_moved() {
        let plan = compare(
            "servers: [{id: a, url: 'http://h/1'}, {id: b, url: 'http://h/1'}, {id: c, url: 'http://h/1'}]",
            "servers: [{id: c, url: 'http://h/1'}, {id: b, url: 'http://h/2'}, {id: d, url: 'http://h/1'}]",
        );
        let changed = [
            "server.b",
            "server.d (added)",
            "server.a (removed)",
            "servers (order)",
        ];
        assert_eq!(
            (plan.changed, plan.left),
            (changed.map(str::to_owned).into(), vec![])
        );
    }

    #[test]
    fn what_needs_a_restart_is_left_and_said_each_time() {
        let running = config("gateway: {port: 1}\nsessions: {max_sessions: 5}");
        let wanted = "gateway: {port: 2, allowed_origins: ['https://a.example']}\nsessions: {max_sessions: 6}";
        let first = plan(&running, config(wanted));
        assert_eq!(first.changed, ["gateway.allowed_origins"]);
        let left = [
            "gateway.port (needs a restart)",
            "sessions (needs a restart)",
        ];
        assert_eq!(first.left, left);
        assert_eq!(first.config.gateway.port, 1);
        assert_eq!(first.config.sessions, running.sessions);
        assert_eq!(plan(&first.config, config(wanted)).left, left);
    }

    #[test]
    fn limits_change_and_their_counts_stay_where_they_are() {
        let plan = compare(
            "rate_limits: {enabled: true, global: {requests_per_minute: 1}}",
            "rate_limits: {enabled: true, backend: redis, redis_url: 'redis://h', global: {requests_per_minute: 2}}",
        );
        assert_eq!(plan.changed, ["rate_limits"]);
        assert_eq!(plan.left, ["rate_limits.backend (needs a restart)"]);
        assert_eq!(plan.config.rate_limits.store, Store::Memory);
        assert_eq!(plan.config.rate_limits.global[0].n_calls, 2);
    }

    #[test]
    fn the_tool_lock_changes_and_its_file_stays_where_it_is() {
        let plan = compare(
            "tool_lock: warn",
            "tool_lock: block\ntool_lock_file: other.lock\ntool_lock_first_use: trust",
        );
        assert_eq!(plan.changed, ["tool_lock"]);
        assert_eq!(plan.left, ["tool_lock_file (needs a restart)"]);
        assert_eq!(plan.config.tool_lock.file.to_str(), Some("conduit.lock"));
    }

    #[test]
    fn who_may_call_can_change_at_once() {
        let plan = compare(
            "auth: {method: api-key, api_keys: [a]}",
            "auth: {method: api-key, api_keys: [b]}\ntenant_isolation: {enabled: true}\n\
             compat: {always_200: true}",
        );
        assert_eq!(plan.changed, ["tenant_isolation", "auth", "compat"]);
        assert!(plan.left.is_empty());
    }

    #[test]
    fn what_this_build_does_not_run_is_said_to_be_so() {
        let plan = compare(
            "",
            "plugins: [{name: p, path: ./plugins/p.js, hooks: []}]\nrouter: {circuit_breaker: {enabled: true}}",
        );
        let left = [
            "router.circuit_breaker (not active in this build)",
            "plugins (not active in this build)",
        ];
        assert_eq!(
            (plan.changed, plan.left),
            (vec![], left.map(str::to_owned).into())
        );
    }
}
