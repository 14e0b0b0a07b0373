//! Asking policy beforehand: issue 5, item 11.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::gateway::Gateway;
use crate::support::message::{modern, modern_call, post};
use crate::support::upstream::{Upstream, friendly};
use crate::support::wire::{self, Answer, Request};

/// Access rules, guardrails and limits of which each has something to say.
fn policies(url: &str) -> Value {
    json!({
        "servers": [{ "id": "one", "url": url }, { "id": "two", "url": url }],
        "acl": { "enabled": true, "policies": [
            { "name": "interns", "clients": ["intern-*"], "deny": [{ "server": "*", "tools": ["get"] }] },
            { "name": "everybody", "clients": ["*"],
                "deny": [{ "server": "one", "tools": ["drop_*"] }] },
        ]},
        "guardrails": { "enabled": true, "rules": [
            { "name": "no-secrets", "tools": ["*"], "action": "block",
                "conditions": [{ "field": "secret", "operator": "exists", "value": true }] },
            { "name": "masked", "tools": ["*"], "action": "transform",
                "conditions": [{ "field": "mail", "operator": "exists", "value": true }],
                "transform": [{ "path": "mail", "redact": true }] },
        ]},
        "rate_limits": { "enabled": true, "per_client": { "requests_per_minute": 1000 } },
    })
}

async fn explain(gateway: &Gateway, asked: Value) -> Answer {
    let request = Request::post("/conduit/policy/explain")
        .header("Content-Type", "application/json")
        .header("X-Conduit-Admin", "1")
        .body(asked.to_string());
    wire::ask(gateway.address, &request).await
}

/// What a real call of the kind that was explained came to, in the words of explanations.
fn came_to(answer: &Answer, n_forwarded: usize) -> &'static str {
    let error = &answer.last_json()["error"];
    match error["message"].as_str() {
        None => {
            assert_eq!(n_forwarded, 1, "{answer:?}");
            "passed"
        }
        Some(message) => {
            assert_eq!(n_forwarded, 0, "{answer:?}");
            match message.starts_with("Access denied") {
                true => "deny",
                false => "block",
            }
        }
    }
}

#[tokio::test]
async fn what_is_explained_is_what_a_call_gets() {
    let upstream = Upstream::start(friendly).await;
    let gateway = Gateway::with(policies(&upstream.url())).await;
    let arguments = [
        json!({}),
        json!({ "secret": 1 }),
        json!({ "mail": "a@b.example" }),
        json!({ "other": { "secret": 1 } }),
    ];
    for server in ["one", "two"] {
        for tool in ["get", "drop_all"] {
            for arguments in &arguments {
                let asked = json!({ "server": server, "tool": tool, "arguments": arguments });
                let told = explain(&gateway, asked.clone()).await.json();
                let path = format!("/mcp/{server}");
                let before = upstream.recorded("tools/call").len();
                let call = modern_call(&path, &json!(1), tool, arguments.clone());
                let answer = wire::ask(gateway.address, &call).await;
                let n_forwarded = upstream.recorded("tools/call").len() - before;
                let expected = match told["decision"].as_str() {
                    Some("allow" | "transform") => "passed",
                    Some("deny") => "deny",
                    Some("block") => "block",
                    other => panic!("{other:?}: {told}"),
                };
                assert_eq!(came_to(&answer, n_forwarded), expected, "{asked}: {told}");
            }
        }
    }
}

#[tokio::test]
async fn every_rule_that_was_considered_is_told_with_what_came_of_it() {
    let upstream = Upstream::start(friendly).await;
    let gateway = Gateway::with(policies(&upstream.url())).await;
    let asked = json!({ "client": "alice", "server": "two", "tool": "drop_all",
        "arguments": { "mail": "a@b.example" } });
    let told = explain(&gateway, asked).await.json();
    assert_eq!(told["decision"], "transform", "{told}");
    assert_eq!(told["rule"], "masked", "{told}");
    let stages = told["stages"].as_array().unwrap();
    let named: Vec<_> = stages
        .iter()
        .map(|stage| stage["stage"].as_str().unwrap())
        .collect();
    assert_eq!(named, ["acl", "scopes", "guardrails", "limits"]);
    let considered = &stages[0]["considered"];
    assert_eq!(considered[0]["policy"], "interns");
    assert_eq!(considered[0]["matches"], false);
    assert_eq!(considered[1]["rules"][0]["server_matches"], false);
    assert_eq!(stages[3]["charged"][0]["requests"], 1000);
    let outcomes = &stages[2]["considered"];
    assert_eq!(outcomes[0]["outcome"], "conditions[0] does not hold");
    assert_eq!(outcomes[1]["outcome"], "matches");
    assert_ne!(stages[2]["becomes"]["mail"], "a@b.example");

    let asked = json!({ "client": "intern-7", "server": "two", "tool": "get" });
    let told = explain(&gateway, asked).await.json();
    assert_eq!(told["decision"], "deny", "{told}");
    assert_eq!(told["rule"], "policy 'interns', deny[0]");
    assert_eq!(told["error"]["label"], "acl_denied");
}

#[tokio::test]
async fn explaining_costs_nobody_anything_and_reaches_no_server() {
    let upstream = Upstream::start(friendly).await;
    let mut config = policies(&upstream.url());
    config["rate_limits"] = json!({ "enabled": true, "global": { "requests_per_minute": 1 } });
    let gateway = Gateway::with(config).await;
    for _ in 0..3 {
        let asked = json!({ "server": "one", "tool": "get" });
        assert_eq!(explain(&gateway, asked).await.json()["decision"], "allow");
    }
    assert!(upstream.recorded("tools/call").is_empty());
    let call = modern_call("/mcp/one", &json!(1), "get", json!({}));
    assert_eq!(wire::ask(gateway.address, &call).await.status, 200);
}

#[tokio::test]
async fn a_question_that_makes_no_sense_is_refused_by_name() {
    let upstream = Upstream::start(friendly).await;
    let gateway = Gateway::with(policies(&upstream.url())).await;
    for (asked, named) in [
        (json!({}), "nothing is asked"),
        (json!({ "tol": "get" }), "tol"),
        (
            json!({ "tool": "get", "prompt": "p" }),
            "`tool` and `prompt`",
        ),
    ] {
        let answer = explain(&gateway, asked).await;
        assert_eq!(answer.status, 400, "{answer:?}");
        assert!(answer.text().contains(named), "{answer:?}");
    }
    let without = post("/conduit/policy/explain", r#"{"tool":"get"}"#);
    assert_eq!(
        wire::ask(gateway.address, &without).await.status,
        403,
        "no CSRF header"
    );
    let listed = modern("/mcp/one", &json!(1), "tools/list", json!({}));
    assert_eq!(wire::ask(gateway.address, &listed).await.status, 200);
}

/// Exit code, standard output and standard error of `conduit policy test`.
fn rehearse(config: &str, cases: &str) -> (i32, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("conduit.config.yml"), config).unwrap();
    std::fs::write(path("cases.yaml"), cases).unwrap();
    run(folder.path(), "cases.yaml")
}

fn run(folder: &Path, cases: &str) -> (i32, String, String) {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the program under test, not a child of it"
    )]
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_conduit"));
    let output = command
        .args(["policy", "test", cases])
        .current_dir(folder)
        .env_clear()
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let code = output.status.code().unwrap();
    (code, text(output.stdout), text(output.stderr))
}

const CASES: &str = "
cases:
  - name: interns call nothing
    ask: {client: intern-7, server: one, tool: get}
    expect: {decision: deny, rule: \"policy 'interns', deny[0]\"}
  - name: others may get
    ask: {client: alice, server: one, tool: get, arguments: {a: 1}}
    expect: allow
  - name: a recorded call
    ask:
      client: alice
      message: {jsonrpc: '2.0', id: 7, method: tools/call, params: {name: one.drop_all}}
    expect: deny
  - name: mails are masked
    ask: {client: alice, server: two, tool: get, arguments: {mail: a@b.example}}
    expect: {decision: transform, rule: masked}
";

#[test]
fn cases_that_come_out_as_they_say_exit_0() {
    let config = policies("http://127.0.0.1:9/mcp").to_string();
    let (code, out, _) = rehearse(&config, CASES);
    let expected = "ok        interns call nothing\nok        others may get\n\
        ok        a recorded call\nok        mails are masked\n4 cases, 0 surprises\n";
    assert_eq!((code, out.as_str()), (0, expected));
}

#[test]
fn a_surprise_exits_1_and_says_what_came_and_why() {
    let config = policies("http://127.0.0.1:9/mcp").to_string();
    let cases = "
cases:
  - ask: {client: intern-7, server: one, tool: get}
    expect: allow
  - {name: by another, ask: {client: alice, server: one, tool: drop_x}, expect: {decision: deny, rule: none}}
";
    let (code, out, _) = rehearse(&config, cases);
    assert_eq!(code, 1, "{out}");
    let first = "SURPRISE  cases[0]: expected allow, got deny: Access denied: client 'intern-7'";
    assert!(out.contains(first), "{out}");
    let second =
        "SURPRISE  by another: expected deny by none, got it by policy 'everybody', deny[0]";
    assert!(out.contains(second), "{out}");
    assert!(out.ends_with("2 cases, 2 surprises\n"), "{out}");
}

#[test]
fn what_cannot_be_tested_exits_2_and_a_bad_configuration_78() {
    let config = policies("http://127.0.0.1:9/mcp").to_string();
    for (cases, named) in [
        ("cases: []", "has no cases"),
        ("cases: [{ask: {tool: t}, expect: allow, also: 1}]", "also"),
        ("case: []", "case"),
    ] {
        let (code, _, err) = rehearse(&config, cases);
        assert_eq!(code, 2, "{cases}: {err}");
        assert!(err.contains("cases.yaml") && err.contains(named), "{err}");
    }
    let (code, out, _) = rehearse(
        &config,
        "cases: [{ask: {server: one, tool: t}, expect: maybe}]",
    );
    assert_eq!(code, 2, "{out}");
    assert!(
        out.contains("\"maybe\" is no decision; write one of allow"),
        "{out}"
    );
    let (code, _, err) = rehearse("servers: 7", CASES);
    assert_eq!(code, 78, "{err}");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("conduit.config.yml"), &config).unwrap();
    let (code, _, err) = run(folder.path(), "missing.yaml");
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("missing.yaml"), "{err}");
}

#[tokio::test]
async fn the_tool_lock_is_explained_as_it_decides() {
    let upstream = Upstream::start(friendly).await;
    let mut config = policies(&upstream.url());
    let folder = tempfile::tempdir().unwrap();
    config["tool_lock"] = json!("block");
    config["tool_lock_file"] = json!(folder.path().join("approved.lock"));
    let gateway = Gateway::with(config).await;
    let asked = json!({ "server": "two", "tool": "invented", "arguments": { "secret": 1 } });
    // Whoever calls first has the list read; then its verdict is known beforehand.
    let call = modern_call("/mcp/two", &json!(1), "invented", json!({ "secret": 1 }));
    let refused = wire::ask(gateway.address, &call).await.last_json();
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("the tool lock refuses"), "{refused}");
    let told = explain(&gateway, asked).await.json();
    assert_eq!(told["decision"], "locked", "{told}");
    assert_eq!(told["reason"], message, "{told}");
    assert_eq!(told["error"]["label"], "tool_locked", "{told}");
}

#[tokio::test]
async fn guardrails_are_explained_for_the_message_as_it_is_and_before_limits() {
    let upstream = Upstream::start(friendly).await;
    let mut config = policies(&upstream.url());
    config["guardrails"]["rules"] = json!([{ "name": "meta", "on": ["resources"], "action": "block",
        "conditions": [{ "field": "_meta.evil", "operator": "exists", "value": true }] }]);
    let gateway = Gateway::with(config).await;
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "resources/read",
        "params": { "uri": "file:///a", "_meta": { "evil": 1 } } });
    let asked = json!({ "server": "one", "message": message });
    let told = explain(&gateway, asked).await.json();
    assert_eq!(told["decision"], "block", "{told}");
    let stages = told["stages"].as_array().unwrap();
    assert!(
        stages.iter().all(|stage| stage["stage"] != "limits"),
        "{told}"
    );
    let read = json!({ "uri": "file:///a", "_meta": { "evil": 1 } });
    let read = modern("/mcp/one", &json!(1), "resources/read", read);
    let answer = wire::ask(gateway.address, &read).await;
    assert!(answer.last_json()["error"].is_object(), "{answer:?}");
    assert!(upstream.recorded("resources/read").is_empty());
}
