//! Ways around a rule: none of them reaches a server with what is blocked, or a client.

use serde_json::{Value, json};

use super::{Bed, CARD};
use crate::support::gateway::Gateway;
use crate::support::message::{legacy, modern_call, post, result};
use crate::support::upstream::{Recorded, Step, Upstream, answer, end, event, friendly, sse_head};
use crate::support::wire::{self, Request};

/// The names of the tools that the server was asked to call.
fn called(upstream: &Upstream) -> Vec<String> {
    let calls = upstream.recorded("tools/call");
    let names = calls
        .iter()
        .map(|call| call.json()["params"]["name"].clone());
    names
        .map(|name| name.as_str().unwrap_or_default().to_owned())
        .collect()
}

#[tokio::test]
async fn no_spelling_of_a_call_gets_past_a_rule_that_blocks_it() {
    let bed = Bed::start(json!([{ "name": "no", "action": "block", "tools": ["echo"] }])).await;
    let messages = [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"\u0065cho"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools\/call","params":{"n\u0061me":"echo"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"\u0074ools/call","params":{"name":"echo"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","name":"echo"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","name":"x"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call","params":{"name":"echo"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{},"params":{"name":"echo"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"Method":"tools/call","method":"ping","params":{"name":"echo"}}"#,
        r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"echo"}}"#,
        r#"{"jsonrpc":"2.0","id":null,"method":"tools/call","params":{"name":"echo"}}"#,
        r#" {"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{}}}"#,
        // Other tools, by their names: whoever has the rule's has not been called.
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"ЕCHO"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"есho"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"ｅｃｈｏ"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo\u200b"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"fake.echo"}}"#,
    ];
    for message in messages {
        for body in [
            message.to_owned(),
            format!("[{message}]"),
            format!("[{message},{message}]"),
        ] {
            let request = post("/mcp/fake", body).header("mcp-protocol-version", "2025-03-26");
            bed.ask(&request).await;
        }
    }
    let names = called(&bed.upstream);
    assert!(!names.iter().any(|name| name == "echo"), "{names:?}");
}

#[tokio::test]
async fn no_name_at_the_endpoint_of_all_servers_gets_past_a_rule() {
    let bed = Bed::start(json!([{ "name": "no", "action": "block", "tools": ["echo"] }])).await;
    let opened = legacy(
        "/mcp",
        &json!(0),
        "initialize",
        json!({
        "protocolVersion": "2025-03-26", "capabilities": {},
        "clientInfo": { "name": "c", "version": "1" } }),
    );
    let opened = bed.ask(&opened).await;
    let session = opened.headers.get("mcp-session-id").unwrap().to_owned();
    for name in ["fake.echo", "echo", r"f\u0061ke.echo", "fake.fake.echo"] {
        for id in [r#""id":1,"#, ""] {
            let message = format!(
                r#"{{"jsonrpc":"2.0",{id}"method":"tools/call","params":{{"name":"{name}"}}}}"#
            );
            for body in [message.clone(), format!("[{message}]")] {
                let request = post("/mcp", body)
                    .header("mcp-protocol-version", "2025-03-26")
                    .header("mcp-session-id", &session);
                bed.ask(&request).await;
            }
        }
        let name = name.replace(r"\u0061", "a");
        bed.ask(&modern_call("/mcp", &json!(1), &name, json!({})))
            .await;
    }
    let names = called(&bed.upstream);
    assert!(!names.iter().any(|name| name == "echo"), "{names:?}");
}

/// A server that says a card number in every way it has before it answers.
fn chatty(request: &Recorded) -> Vec<Step> {
    if request.rpc_method() != "tools/call" {
        return friendly(request);
    }
    let message = request.json();
    if message["params"]["name"] == "page" {
        let page = format!("<p>no {CARD}</p>");
        return answer(
            "500 Oops",
            &[("content-type", "text/html")],
            page.as_bytes(),
        );
    }
    if message["params"]["name"] == "twice" {
        let text = format!(
            r#"{{"jsonrpc":"2.0","id":1,"result":{{"content":[]}},"result":{{"x":"{CARD}"}}}}"#
        );
        return answer(
            "200 OK",
            &[("content-type", "application/json")],
            text.as_bytes(),
        );
    }
    let notice = |method: &str, params: Value| {
        event(&json!({ "jsonrpc": "2.0", "method": method, "params": params }))
    };
    vec![
        sse_head(),
        notice(
            "notifications/progress",
            json!({ "progressToken": 1, "progress": 1, "message": format!("at {CARD}") }),
        ),
        notice(
            "notifications/message",
            json!({ "level": "info", "data": { "deep": [format!("log {CARD}")] } }),
        ),
        notice("notifications/of_its_own", json!({ "text": CARD })),
        notice(
            "notifications/progress",
            json!({ "progressToken": 1, "progress": 2, "message": "harmless" }),
        ),
        event(&result(
            &message["id"],
            json!({ "content": [], "resultType": "complete" }),
        )),
        end(),
    ]
}

async fn chatting(action: Value) -> (Gateway, Upstream) {
    let upstream = Upstream::start(chatty).await;
    let mut rule = json!({ "name": "cards", "on": ["results"],
        "conditions": [{ "detect": ["card"] }] });
    for (key, value) in action.as_object().unwrap() {
        rule[key] = value.clone();
    }
    let gateway = Gateway::with(json!({
        "servers": [{ "id": "fake", "url": upstream.url() }],
        "guardrails": { "enabled": true, "rules": [rule] },
    }))
    .await;
    (gateway, upstream)
}

fn calls(tool: &str) -> Vec<Request> {
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": tool, "_meta": { "progressToken": 1 } } });
    let batch = json!([message]).to_string();
    vec![
        modern_call("/mcp/fake", &json!(1), tool, json!({})),
        modern_call("/mcp", &json!(1), &format!("fake.{tool}"), json!({})),
        post("/mcp/fake", message.to_string()).header("mcp-protocol-version", "2025-06-18"),
        post("/mcp/fake", batch).header("mcp-protocol-version", "2025-03-26"),
    ]
}

#[tokio::test]
async fn nothing_that_a_server_says_before_its_answer_gets_past_a_rule() {
    let elsewhere = json!([{ "path": "content.*.text", "redact_found": ["card"] }]);
    for action in [
        json!({ "action": "block" }),
        json!({ "action": "transform", "transform": [{ "redact_found": ["card"] }] }),
        // It does not find there what it is to change.
        json!({ "action": "transform", "transform": elsewhere }),
    ] {
        let (gateway, _upstream) = chatting(action.clone()).await;
        for request in calls("talk") {
            let answer = wire::ask(gateway.address, &request).await;
            let text = answer.text();
            assert!(!text.contains(CARD), "{action}: {text}");
            assert!(text.contains("harmless"), "{action}: {text}");
            assert!(text.contains("\"content\":[]"), "{action}: {text}");
        }
    }
}

#[tokio::test]
async fn what_a_server_says_instead_of_an_answer_does_not_get_past_a_rule() {
    let (gateway, _upstream) = chatting(json!({ "action": "block" })).await;
    for tool in ["page", "twice"] {
        for request in calls(tool) {
            let answer = wire::ask(gateway.address, &request).await;
            assert!(!answer.text().contains(CARD), "{tool}: {answer:?}");
        }
    }
}
