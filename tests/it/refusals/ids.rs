//! Requests without an id: no server hears of one, however it comes, and what nobody knows costs what a request
//! costs.

use serde_json::{Value, json};

use crate::support::gateway::Gateway;
use crate::support::message::{MODERN, legacy, modern_body, post};
use crate::support::upstream::{Upstream, friendly};
use crate::support::wire::{self, Request};

/// What MCP defines as requests.
const REQUESTS: &[&str] = &[
    "tools/list",
    "tools/call",
    "prompts/list",
    "prompts/get",
    "resources/list",
    "resources/templates/list",
    "resources/read",
    "resources/subscribe",
    "resources/unsubscribe",
    "completion/complete",
    "logging/setLevel",
    "subscriptions/listen",
    "tasks/get",
    "tasks/update",
    "tasks/cancel",
    "tasks/result",
    "tasks/list",
    "ping",
    "initialize",
    "server/discover",
];

fn params() -> Value {
    json!({ "name": "any", "uri": "file:///any", "taskId": "t" })
}

fn bare(method: &str) -> Value {
    json!({ "jsonrpc": "2.0", "method": method, "params": params() })
}

fn bare_modern(method: &str) -> Value {
    let mut body = modern_body(&json!(1), method, params());
    body.as_object_mut().unwrap().remove("id");
    body
}

async fn two() -> (Gateway, Upstream) {
    let upstream = Upstream::start(friendly).await;
    let gateway = Gateway::with(json!({ "servers": [
        { "id": "s", "url": upstream.url() },
        { "id": "old", "url": upstream.url(), "era": "legacy" },
    ], "router": { "health_check": { "enabled": false } } }))
    .await;
    (gateway, upstream)
}

async fn session(gateway: &Gateway, path: &str) -> Option<String> {
    let params = json!({ "protocolVersion": "2025-03-26", "capabilities": {},
        "clientInfo": { "name": "test", "version": "1" } });
    let opened = legacy(path, &json!(0), "initialize", params);
    let opened = wire::ask(gateway.address, &opened).await;
    let session = opened.headers.get("mcp-session-id");
    session.map(ToOwned::to_owned)
}

/// The messages that came without an id, and are no notifications.
fn heard(upstream: &Upstream) -> Vec<String> {
    let all = upstream.recorded_http("POST").into_iter();
    let bare = all.map(|one| one.json()).filter(|one| {
        let method = one["method"].as_str().unwrap_or_default();
        one.get("id").is_none() && !method.starts_with("notifications/")
    });
    bare.map(|one| one.to_string()).collect()
}

#[tokio::test]
async fn a_request_without_an_id_reaches_no_server_alone_or_in_a_batch() {
    let (gateway, upstream) = two().await;
    for path in ["/mcp/s", "/mcp/old", "/mcp"] {
        let session = session(&gateway, path).await;
        let within = |request: Request| match &session {
            Some(id) => request.header("mcp-session-id", id),
            None => request,
        };
        for method in REQUESTS {
            let alone = post(path, bare(method).to_string());
            let modern = post(path, bare_modern(method).to_string())
                .header("mcp-protocol-version", MODERN)
                .header("mcp-method", method);
            for request in [
                within(alone.header("mcp-protocol-version", "2025-03-26")),
                modern,
            ] {
                let answer = wire::ask(gateway.address, &request).await;
                assert_eq!(answer.status, 400, "{path} {method}: {answer:?}");
                assert_eq!(answer.json()["error"]["code"], -32600, "{path} {method}");
            }
            let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
            let batch = post(path, json!([bare(method), ping]).to_string())
                .header("mcp-protocol-version", "2025-03-26");
            let answers = wire::ask(gateway.address, &within(batch)).await.json();
            let answers = answers.as_array().unwrap();
            assert_eq!(answers.len(), 2, "{path} {method}: {answers:?}");
            assert_eq!(answers[0]["error"]["code"], -32600, "{answers:?}");
            assert!(answers[1]["result"].is_object(), "{answers:?}");
        }
    }
    let heard = heard(&upstream);
    assert!(heard.is_empty(), "{heard:?}");
}

#[tokio::test]
async fn a_request_without_an_id_reaches_no_server_over_http_and_sse() {
    let (gateway, upstream) = two().await;
    for path in ["/mcp/s/sse", "/mcp/old/sse", "/sse"] {
        let mut stream = wire::stream(gateway.address, &Request::get(path)).await;
        let endpoint = stream.event().await.unwrap();
        for method in REQUESTS {
            let answer =
                wire::ask(gateway.address, &post(&endpoint, bare(method).to_string())).await;
            assert_eq!(answer.status, 400, "{path} {method}: {answer:?}");
            assert_eq!(answer.json()["error"]["code"], -32600, "{path} {method}");
        }
    }
    let heard = heard(&upstream);
    assert!(heard.is_empty(), "{heard:?}");
}

#[tokio::test]
async fn what_nobody_knows_is_charged_without_an_id_and_notifications_are_not() {
    let upstream = Upstream::start(friendly).await;
    let once = json!({ "enabled": true, "global": { "requests_per_day": 2 } });
    let gateway = Gateway::with(json!({ "rate_limits": once,
        "servers": [{ "id": "s", "url": upstream.url() }] }))
    .await;
    let say = async |body: Value| {
        let request = post("/mcp/s", body.to_string()).header("mcp-protocol-version", "2025-03-26");
        wire::ask(gateway.address, &request).await
    };
    for _ in 0..3 {
        let told = say(bare("notifications/progress")).await;
        assert_eq!(told.status, 202, "{told:?}");
    }
    assert_eq!(say(bare("vendor/run")).await.status, 202);
    assert_eq!(say(json!([bare("vendor/run")])).await.status, 202);
    assert_eq!(say(bare("vendor/run")).await.status, 429);
    assert_eq!(say(json!([bare("vendor/run")])).await.status, 202);
    assert_eq!(upstream.recorded("vendor/run").len(), 2);
    let call = legacy("/mcp/s", &json!(1), "tools/call", json!({ "name": "any" }));
    let answer = wire::ask(gateway.address, &call).await;
    assert_eq!(answer.status, 429, "{answer:?}");
}
