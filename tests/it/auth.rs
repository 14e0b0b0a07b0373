//! Who may come in, and what is kept apart: API keys, tokens of an identity provider, OAuth metadata and
//! challenges, tenants.

mod hidden;
mod isolation;
mod keys;
mod oauth;
mod sdk;
mod tokens;

use serde_json::{Value, json};

use crate::support::gateway::Gateway;
use crate::support::message::{legacy, legacy_call, modern, modern_call, post};
use crate::support::upstream::{Upstream, friendly};
use crate::support::wire::{self, Answer, Request};

/// A gateway in front of one friendly server `a`.
async fn start(auth: Value) -> (Gateway, Upstream) {
    start_with(json!({ "auth": auth })).await
}

/// One with more of a config.
async fn start_with(mut config: Value) -> (Gateway, Upstream) {
    let upstream = Upstream::start(friendly).await;
    let servers = config.get_mut("servers").and_then(|list| list.get_mut(0));
    let mut server = servers.map(Value::take).unwrap_or_default();
    server["id"] = json!("a");
    server["url"] = json!(upstream.url());
    config["servers"] = json!([server]);
    (Gateway::with(config).await, upstream)
}

async fn ask(gateway: &Gateway, request: &Request) -> Answer {
    wire::ask(gateway.address, request).await
}

fn bearer(request: Request, credential: &str) -> Request {
    request.header("authorization", &format!("Bearer {credential}"))
}

/// A call of a tool, modern and legacy, at the server's own endpoint and at that of all.
fn calls() -> [Request; 3] {
    [
        modern_call("/mcp/a", &json!(1), "any", json!({})),
        modern_call("/mcp", &json!(2), "a.any", json!({})),
        legacy_call("/mcp/a", &json!(3), "any", json!({})),
    ]
}

/// Opens a legacy session with this credential; its id.
async fn open_session(gateway: &Gateway, path: &str, credential: &str) -> String {
    let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": { "name": "test", "version": "1" } });
    let request = legacy(path, &json!(1), "initialize", params);
    let opened = ask(gateway, &bearer(request, credential)).await;
    let session = opened.headers.get("mcp-session-id");
    let session = session.unwrap_or_else(|| panic!("no session: {opened:?}"));
    let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let initialized = post(path, initialized.to_string()).header("mcp-session-id", session);
    let told = ask(gateway, &bearer(initialized, credential)).await;
    assert_eq!(told.status, 202, "{told:?}");
    session.to_owned()
}

/// The metrics, as text.
async fn metrics(gateway: &Gateway) -> String {
    ask(gateway, &Request::get("/conduit/metrics")).await.text()
}

/// Every way in, without a credential.
fn ways_in() -> Vec<Request> {
    let batch = json!([{ "jsonrpc": "2.0", "id": 1, "method": "ping" }]);
    let mut ways = Vec::from(calls());
    ways.extend([
        modern("/mcp", &json!(1), "tools/list", json!({})),
        modern("/mcp", &json!(1), "server/discover", json!({})),
        modern("/mcp/profile/default", &json!(1), "tools/list", json!({})),
        modern("/mcp/unknown", &json!(1), "tools/list", json!({})),
        legacy("/mcp", &json!(1), "initialize", json!({})),
        post("/mcp/a", batch.to_string()),
        post("/mcp/a", "no JSON"),
        post("/message?sessionId=x", "{}"),
        post("/mcp/a/message?sessionId=x", "{}"),
        Request::get("/mcp"),
        Request::get("/mcp/a"),
        Request::get("/sse"),
        Request::get("/mcp/a/sse"),
        Request::delete("/mcp"),
        Request::delete("/mcp/a"),
        Request::put("/mcp/a"),
    ]);
    ways
}
