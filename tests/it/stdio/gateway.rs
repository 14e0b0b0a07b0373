//! The built gateway in front of a stdio server.

use serde_json::{Value, json};

use super::{is_alive, until};
use crate::support::gateway::Gateway;
use crate::support::message::{legacy, legacy_call, modern_call, post};
use crate::support::wire;

const PATH: &str = "/mcp/child";
const TOOL: &str = "spawn-stubborn";

async fn start() -> Gateway {
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/stdio_child.py");
    let args = ["python3", "-ES", fixture, "--ignore-term"];
    let server =
        json!({ "id": "child", "transport": "stdio", "command": "/usr/bin/env", "args": args });
    Gateway::start(json!([server])).await
}

fn pids(answer: &Value) -> [i64; 2] {
    ["pid", "grandchild"].map(|who| answer["result"][who].as_i64().unwrap())
}

#[tokio::test]
async fn a_killed_gateway_leaves_no_descendant() {
    let gateway = start().await;
    let shared = modern_call(PATH, &json!(1), TOOL, json!({}));
    let shared = wire::ask(gateway.address, &shared).await.json();
    let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {} });
    let initialize = legacy(PATH, &json!(1), "initialize", params);
    let opened = wire::ask(gateway.address, &initialize).await;
    let session = opened.headers.get("mcp-session-id").unwrap();
    let own = legacy_call(PATH, &json!(2), TOOL, json!({})).header("mcp-session-id", session);
    let own = wire::ask(gateway.address, &own).await.json();
    let descendants = [pids(&shared), pids(&own)].concat();
    assert!(descendants.iter().all(|pid| is_alive(*pid)));
    // A process of the tests is killed on drop, as by `kill -9`.
    drop(gateway);
    until("all are gone", || {
        !descendants.iter().any(|pid| is_alive(*pid))
    })
    .await;
}

/// A legacy client of its own session, whose ids are those of every other.
async fn session_of(gateway: &Gateway, who: usize) -> (usize, String) {
    let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": { "name": "test", "version": "1" } });
    let opened = wire::ask(
        gateway.address,
        &legacy(PATH, &json!(1), "initialize", params),
    )
    .await;
    let session = opened.headers.get("mcp-session-id");
    let session = session.unwrap_or_else(|| panic!("client {who}: {opened:?}"));
    let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let initialized = post(PATH, initialized.to_string()).header("mcp-session-id", session);
    assert_eq!(
        wire::ask(gateway.address, &initialized).await.status,
        202,
        "client {who}"
    );
    let arguments = json!({ "message": format!("client {who}") });
    let call = legacy_call(PATH, &json!(2), "echo", arguments).header("mcp-session-id", session);
    let answer = wire::ask(gateway.address, &call).await;
    let text = answer.json()["result"]["content"][0]["text"]
        .as_str()
        .map(str::to_owned);
    (
        who,
        text.unwrap_or_else(|| panic!("client {who}: {answer:?}")),
    )
}

#[tokio::test]
async fn two_hundred_sessions_with_the_same_ids_get_their_own_answers() {
    let command = env!("CARGO_BIN_EXE_conduit");
    let server = json!({ "id": "child", "transport": "stdio", "command": command,
        "args": ["demo", "--stdio"] });
    let gateway = Gateway::start(json!([server])).await;
    let clients = (0..200).map(|who| session_of(&gateway, who));
    for (who, text) in futures_util::future::join_all(clients).await {
        assert_eq!(text, format!("client {who}"));
    }
}
