//! The built gateway in front of a stdio server.

use serde_json::{Value, json};

use super::{is_alive, until};
use crate::support::gateway::Gateway;
use crate::support::message::{legacy, legacy_call, modern_call};
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
