//! Guardrails as clients, servers and operators see them: issue 5, items 5 and 11.
//!
//! The fake server says what it was called with, so that each answer tells what reached it.

mod approvals;
mod bypass;
mod control;
mod listen;
mod results;
mod streams;
mod webhooks;

use serde_json::{Value, json};

use crate::support::gateway::Gateway;
use crate::support::message::{legacy_call, modern_call, post, result};
use crate::support::upstream::{
    Recorded, Step, Upstream, end, event, friendly, json as answer_json, sse_head,
};
use crate::support::wire::{self, Answer, Request};

/// A card number that is none of anybody's.
const CARD: &str = "4111111111111111";

/// A server whose tool `echo` says its arguments, whose tool `leak` says a card number as a document
/// and whose tool `leak_sse` does on a stream.
pub(crate) fn script(request: &Recorded) -> Vec<Step> {
    if request.rpc_method() != "tools/call" {
        return friendly(request);
    }
    let message = request.json();
    let said = |text: String| {
        let content = json!([{ "type": "text", "text": text }]);
        let said = json!({ "content": content, "resultType": "complete", "big": 9_007_199_254_740_993_u64 });
        result(&message["id"], said)
    };
    match message["params"]["name"].as_str().unwrap_or_default() {
        "leak" => answer_json(&said(format!("card {CARD}"))),
        "leak_sse" => {
            let progress = json!({ "jsonrpc": "2.0", "method": "notifications/progress",
                "params": { "progressToken": 1, "progress": 1 } });
            vec![
                sse_head(),
                event(&progress),
                event(&said(format!("card {CARD}"))),
                end(),
            ]
        }
        _ => {
            let params = String::from_utf8(request.body.clone()).unwrap();
            answer_json(&said(params))
        }
    }
}

/// A gateway in front of one server, with these rules.
pub(crate) struct Bed {
    pub(crate) gateway: Gateway,
    pub(crate) upstream: Upstream,
}

impl Bed {
    pub(crate) async fn start(rules: Value) -> Self {
        Self::with(json!({ "enabled": true, "rules": rules }), json!({})).await
    }

    /// With a whole `guardrails` section, and more of the server.
    pub(crate) async fn with(guardrails: Value, more: Value) -> Self {
        let upstream = Upstream::start(script).await;
        let mut server = json!({ "id": "fake", "url": upstream.url() });
        for (key, value) in more.as_object().unwrap() {
            server[key] = value.clone();
        }
        let config = json!({ "servers": [server], "guardrails": guardrails });
        let gateway = Gateway::with(config).await;
        Self { gateway, upstream }
    }

    pub(crate) async fn ask(&self, request: &Request) -> Answer {
        wire::ask(self.gateway.address, request).await
    }

    /// Calls a tool at the server's own endpoint.
    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Value {
        let request = modern_call("/mcp/fake", &json!(1), tool, arguments);
        self.ask(&request).await.last_json()
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.ask(&Request::get(path)).await.json()
    }

    fn n_calls(&self) -> usize {
        self.upstream.recorded("tools/call").len()
    }
}

/// What every way to the server is: its name, and a call with these arguments.
fn ways(tool: &str, arguments: &Value) -> Vec<(&'static str, Request)> {
    let id = json!(7);
    let outer = format!("fake.{tool}");
    let batch = json!([{ "jsonrpc": "2.0", "id": 7, "method": "tools/call",
        "params": { "name": tool, "arguments": arguments } }]);
    vec![
        (
            "modern",
            modern_call("/mcp/fake", &id, tool, arguments.clone()),
        ),
        (
            "legacy",
            legacy_call("/mcp/fake", &id, tool, arguments.clone()),
        ),
        (
            "several",
            modern_call("/mcp", &id, &outer, arguments.clone()),
        ),
        (
            "batch",
            post("/mcp/fake", batch.to_string()).header("mcp-protocol-version", "2025-03-26"),
        ),
    ]
}

/// The answer, also the only one of a batch.
fn only(answer: &Answer) -> Value {
    let answer = answer.last_json();
    answer.get(0).unwrap_or(&answer).clone()
}

#[tokio::test]
async fn a_blocked_call_reaches_no_server_on_any_way() {
    let bed = Bed::start(json!([{
        "name": "no-etc", "action": "block", "tools": ["ech*"],
        "conditions": [{ "field": "path", "operator": "matches", "value": "^/etc/" }],
    }]))
    .await;
    for (way, request) in ways("echo", &json!({ "path": "/etc/passwd" })) {
        let answer = bed.ask(&request).await;
        assert_eq!(answer.status, 200, "{way}: {answer:?}");
        let error = &only(&answer)["error"];
        assert_eq!(error["code"], -32000, "{way}: {answer:?}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("\"no-etc\""), "{way}: {message}");
        assert_eq!(only(&answer)["id"], 7, "{way}");
    }
    assert_eq!(bed.n_calls(), 0);
    for (way, request) in ways("echo", &json!({ "path": "/home" })) {
        let answer = bed.ask(&request).await;
        assert!(only(&answer)["result"].is_object(), "{way}: {answer:?}");
    }
    assert_eq!(bed.n_calls(), 4);
}

#[tokio::test]
async fn what_two_readers_may_read_differently_reaches_no_server() {
    let bed = Bed::start(json!([{
        "name": "limit", "action": "block",
        "conditions": [{ "field": "amount", "operator": "gt", "value": 100 }],
    }]))
    .await;
    for arguments in [
        r#"{"amount":1,"amount":999}"#,
        r#"{"amount":999,"amount":1}"#,
        r#"{"amount":1,"\u0061mount":999}"#,
        r#"{"am\u006funt":1e3}"#,
        r#"{"amount":[1,[999]]}"#,
    ] {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo","arguments":{arguments}}}}}"#
        );
        let answer = bed.ask(&post("/mcp/fake", body)).await;
        assert_eq!(
            only(&answer)["error"]["code"],
            -32000,
            "{arguments}: {answer:?}"
        );
    }
    assert_eq!(bed.n_calls(), 0);
}

#[tokio::test]
async fn a_call_is_changed_and_the_rest_of_it_is_as_it_was() {
    let bed = Bed::start(json!([{
        "name": "mask", "action": "transform",
        "conditions": [{ "detect": ["card"] }],
        "transform": [{ "redact_found": ["card"] }, { "path": "limit", "set": 10 }],
    }]))
    .await;
    let arguments = json!({ "z": 12_345_678_901_234_567_890_u64, "note": format!("pay {CARD}") });
    for (way, request) in ways("echo", &arguments) {
        let answer = bed.ask(&request).await;
        let text = only(&answer)["result"]["content"][0]["text"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(!text.contains(CARD), "{way}: {text}");
        let arguments =
            r#""arguments":{"z":12345678901234567890,"note":"pay [REDACTED:card]","limit":10}"#;
        let is_sorted = text.contains(arguments)
            || text.contains(
                r#""arguments":{"note":"pay [REDACTED:card]","z":12345678901234567890,"limit":10}"#,
            );
        assert!(is_sorted, "{way}: {text}");
    }
}

#[tokio::test]
async fn what_is_rehearsed_or_told_of_passes_and_is_counted() {
    let bed = Bed::start(json!([
        { "name": "shadow", "action": "block", "mode": "shadow" },
        { "name": "alert", "action": "alert" },
    ]))
    .await;
    let answer = bed.call("echo", json!({})).await;
    assert!(answer["result"].is_object(), "{answer}");
    let stats = bed.get("/conduit/guardrails/stats").await;
    assert_eq!(stats["total_alerts"], 1);
    assert_eq!(stats["total_blocks"], 0);
    assert_eq!(stats["by_rule"]["shadow"]["rehearsed"], 1);
    let metrics = bed.ask(&Request::get("/conduit/metrics")).await.text();
    for line in [
        r#"conduit_guardrail_actions_total{action="alert",rule="alert",tool="_other"} 1"#,
        r#"conduit_guardrail_actions_total{action="shadow_block",rule="shadow",tool="_other"} 1"#,
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
}

#[tokio::test]
async fn a_rule_that_is_enforced_acts_where_all_are_rehearsed() {
    let bed = Bed::start(json!([])).await;
    bed.gateway.rewrite(json!({
        "servers": [{ "id": "fake", "url": bed.upstream.url() }],
        "guardrails": {
            "enabled": true, "mode": "shadow", "default_action": "block",
            "rules": [
                { "name": "rehearsed", "tools": ["echo"], "action": "block" },
                {
                    "name": "cards", "mode": "enforce", "action": "block",
                    "conditions": [{ "detect": ["card"] }],
                },
            ],
        },
    }));
    bed.gateway.reload().await;
    let answer = bed.call("echo", json!({ "a": 1 })).await;
    assert!(answer["result"].is_object(), "{answer}");
    let named = json!({ "4111 1111 1111 1111": 1 });
    let answer = bed.call("echo", named).await;
    assert_eq!(answer["error"]["code"], -32000, "{answer}");
}

#[tokio::test]
async fn a_hostile_expression_and_an_argument_of_ten_mebibytes_are_decided() {
    let bed = Bed::start(json!([{
        "name": "hostile", "action": "block",
        "conditions": [{ "field": "a", "operator": "matches", "value": "^(a+)+(a|a)*[ab]{20}$" }],
    }]))
    .await;
    let text = format!("{}!", "a".repeat(9 * 1024 * 1024));
    let answer = bed.call("echo", json!({ "a": text })).await;
    assert!(
        answer["result"].is_object(),
        "it does not match, and passes"
    );
}

#[tokio::test]
async fn rules_take_effect_with_a_reload() {
    let bed = Bed::start(json!([])).await;
    assert!(bed.call("echo", json!({})).await["result"].is_object());
    bed.gateway.rewrite(json!({
        "servers": [{ "id": "fake", "url": bed.upstream.url() }],
        "guardrails": { "enabled": true, "default_action": "block" },
    }));
    let reloaded = bed.gateway.reload().await;
    assert!(reloaded.text().contains("guardrails"), "{reloaded:?}");
    let answer = bed.call("echo", json!({})).await;
    assert_eq!(answer["error"]["code"], -32000, "{answer}");
}
