//! What is configured but not run by this build is said, and nothing else.

use conduit::config::inactive::inactive;
use expect_test::{Expect, expect};

use super::model;

fn check(text: &str, said: Expect) {
    said.assert_eq(&inactive(&model(text)).join("\n"));
}

#[test]
fn defaults_what_is_active_and_what_is_switched_off_say_nothing() {
    check("", expect![""]);
    check(
        "
router:
  namespace_strategy: none
  load_balancing: least-connections
  health_check: {enabled: false}
  circuit_breaker: {enabled: false}
servers: [{id: s, url: 'http://h', upstream_auth: {bearer: {token: t}}, cache: {default_ttl: 5, overrides: {t: {ttl: 5}}}}]
connect: {profiles: [{id: p, server_ids: [s]}]}
acl: {enabled: true, policies: [{clients: ['*'], deny: [{server: s, tools: [t]}]}]}
auth: {method: none}
guardrails: {enabled: false}
rate_limits: {enabled: true, global: {requests: 5}}
tenant_isolation: {enabled: false}
identity: {enabled: false}
governance: {enabled: false}
discovery: {enabled: false}
plugins: []
cache: {l2: {redis_url: 'redis://r'}}
metrics: {port: 9191, require_auth: false}
admin: {key: k}
",
        expect![""],
    );
}

#[test]
fn every_part_that_is_switched_on_is_named_once() {
    check(
        "
router: {namespace_strategy: none, circuit_breaker: {enabled: true}}
servers:
  - id: s
    url: http://h
    upstream_auth: {connected_account: {provider: p}, forward_identity: {mode: claims-header}}
  - id: t
    transport: stdio
    command: c
    managed_runtime:
      source_ref: x
      active_release_id: r
      releases: [{id: r, version: '1', channel: stable, command: c, created_at: now}]
tenant_isolation: {enabled: true}
auth: {method: jwt, jwks_url: 'https://i/k'}
guardrails: {enabled: true}
observability: {log_args: false, retention_days: 5, opentelemetry: {enabled: true, endpoint: 'http://o'}}
connect: {profiles: [{id: p, server_ids: [s]}], registry: {page_size: 5}}
identity: {enabled: true}
governance: {enabled: true}
plugins: [{name: p, path: ./plugins/p.js, hooks: []}]
discovery: {enabled: true}
admin: {allow_private_networks: true}
",
        expect![[r#"
            governance: NOT enforced: this build has no policies or quotas; only `approvals` of guardrails are kept, and `role_bindings` count for them
            identity: not active in this build: no credentials are looked up for calls
            router.circuit_breaker: not active in this build: failing replicas are only health-checked
            observability.log_args: not active in this build: there is no request log
            observability.retention_days: not active in this build: there is no request log
            observability.opentelemetry: not active in this build: no traces are exported
            connect.registry: not active in this build
            plugins: not active in this build: no plugin is loaded
            admin.allow_private_networks: not active in this build: no server can be added through the admin API
            discovery: not active in this build: only the servers of the file are used
            server s, upstream_auth.connected_account: not active in this build: no accounts are looked up for calls
            server s, upstream_auth.forward_identity: not active in this build: the server is not told who calls
            server t, managed_runtime: not active in this build: `command` is started as it is"#]],
    );
}
