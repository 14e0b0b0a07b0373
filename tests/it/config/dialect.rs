//! mcp-conduit's README, wizard, JSON Schema and program spell some things differently; all of them
//! mean the same model.

use std::time::Duration;

use conduit::config::model::limit::Limit;
use filters::acl::spec::{Effect, Rule};

use super::{findings, loaded, model};

#[test]
fn every_spelling_of_api_key_authentication_is_one_model() {
    let code = "auth: {method: api-key, api_keys: [{key: k1, client_id: key-1}]}";
    let readme = "auth: {method: api_key, api_keys: [{key: k1, client_id: key-1}]}";
    let wizard = "auth:\n  method: api_key\n  api_keys:\n    - k1\n";
    let schema = "auth: {method: api_key, api_keys: [k1]}";
    let expected = model(code);
    let keys = expected.auth.api_keys.as_ref();
    assert_eq!(keys.map(Vec::len), Some(1));
    for text in [readme, wizard, schema] {
        assert_eq!(model(text), expected, "{text}");
    }
}

#[test]
fn every_spelling_of_jwt_authentication_is_one_model() {
    let code = "auth: {method: jwt, jwks_url: 'https://i/k', issuer: i, audience: a}";
    let schema = "auth: {method: jwt, jwks_url: 'https://i/k', jwt_issuer: i, jwt_audience: a}";
    let list = "auth: {method: jwt, jwks: 'https://i/k', issuer: i, jwt_audience: [a]}";
    let expected = model(code);
    assert_eq!(model(schema), expected);
    assert_eq!(model(list), expected);
}

#[test]
fn two_names_of_one_field_that_differ_are_refused() {
    assert_eq!(
        findings(
            "auth: {method: jwt, jwks_url: 'https://i/k', issuer: i, audience: a,\n  \
             jwt_issuer: other}"
        ),
        "auth.jwt_issuer: differs from auth.issuer, which means the same; keep one \
         (line 2, column 15)\n"
    );
}

#[test]
fn both_forms_of_an_acl_policy_are_one_model() {
    let code = "
acl:
  enabled: true
  policies:
    - name: p
      clients: [a, 'b*']
      allow: [{server: s1, tools: [t]}, {server: s2, tools: [t]}]
";
    let schema = "
acl:
  enabled: true
  policies:
    - {name: p, action: allow, clients: [a, 'b*'], servers: [s1, s2], tools: [t]}
";
    assert_eq!(model(schema), model(code));
}

#[test]
fn a_short_deny_policy_denies() {
    let acl = model(
        "acl: {enabled: true, policies: [{name: p, action: deny, clients: [c], servers: ['*'], tools: [x]}]}",
    )
    .acl;
    let all_servers = Rule {
        server: "*".to_owned(),
        tools: Some(vec!["x".to_owned()]),
        ..Rule::default()
    };
    assert_eq!(acl.spec.policies[0].deny, [all_servers]);
    assert_eq!(acl.spec.policies[0].allow, []);
}

#[test]
fn a_policy_that_names_a_client_by_its_bare_key_means_the_client_of_that_key() {
    let config = model(
        "
auth: {method: api_key, api_keys: [sales-key, support-key]}
acl:
  enabled: true
  policies: [{name: p, clients: [support-key, other], servers: [s], tools: ['*'], action: allow}]
",
    );
    let clients = config.acl.spec.policies[0].who.clients.clone().unwrap();
    assert_eq!(clients, ["key-2", "other"]);
    assert!(
        !format!("{config:?}").contains("support-key"),
        "the key must not show"
    );
}

#[test]
fn both_spellings_of_rate_limits_are_one_model() {
    let code = "rate_limits: {enabled: true, global: {requests_per_minute: 100}}";
    let wizard = "rate_limits: {enabled: true, global: {requests: 100, window_seconds: 60}}";
    let schema = "rate_limits: {enabled: true, global: {requests: 100}}";
    let expected = model(code);
    assert_eq!(
        expected.rate_limits.global,
        [Limit {
            n_calls: 100,
            window: Duration::from_secs(60)
        }]
    );
    assert_eq!(model(wizard), expected);
    assert_eq!(model(schema), expected);
}

#[test]
fn limits_of_several_spans_hold_together_and_the_stricter_of_one_span_wins() {
    let limits = model(
        "
rate_limits:
  enabled: true
  per_client: {requests: 5, window_seconds: 60, requests_per_minute: 9, requests_per_day: 7}
  overrides:
    - server: s
      requests_per_hour: 3
      per_tool: {t: {requests: 1, window_seconds: 10}}
",
    )
    .rate_limits;
    let limit = |n_calls, seconds| Limit {
        n_calls,
        window: Duration::from_secs(seconds),
    };
    assert_eq!(limits.per_client, [limit(5, 60), limit(7, 86_400)]);
    assert_eq!(limits.overrides[0].limits, [limit(3, 3_600)]);
    assert_eq!(limits.overrides[0].per_tool["t"], [limit(1, 10)]);
}

#[test]
fn omitted_actions_mean_allow_and_omitted_rules_mean_none() {
    let config = model("acl: {enabled: true}\nguardrails: {enabled: true}\n");
    assert_eq!(config.acl.spec.default, Effect::Allow);
    assert_eq!(
        config.guardrails.default_action,
        conduit::config::choice::guard::GuardDefault::Allow
    );
    assert!(config.acl.spec.policies.is_empty() && config.guardrails.rules.is_empty());
}

#[test]
fn plugins_and_discovery_reach_the_model() {
    let config = model(
        "
plugins: [{name: p, path: ./plugins/p.js, hooks: ['before:request'], config: {a: [1, null]}}]
discovery: {enabled: true, backends: [{type: http}, {type: dns, domain: d}]}
",
    );
    assert_eq!(
        config.plugins[0].config,
        serde_json::json!({"a": [1, null]})
    );
    assert!(config.discovery.enabled);
    assert_eq!(config.discovery.backends.len(), 2);
}

#[test]
fn a_file_as_the_reference_project_ships_it_loads_without_a_warning() {
    let loaded = loaded(include_str!("fixtures/mcp-conduit-shape.yml"));
    assert_eq!(loaded.warnings, []);
    assert_eq!(loaded.config.servers.len(), 2);
    assert_eq!(loaded.config.guardrails.rules.len(), 3);
}
