//! Servers whose configuration does not say that they speak this transport.

use serde_json::{Value, json};

use super::server::OldServer;
use crate::support::gateway::Gateway;
use crate::support::message::{legacy, legacy_call, modern, modern_call, post};
use crate::support::process::Process;
use crate::support::sdk::{Sdk, Server};
use crate::support::until;
use crate::support::wire::{self, Answer, Request};

/// The official SDK's own server, and a gateway that takes it for Streamable HTTP.
async fn real(more: &Value) -> (Server, Gateway) {
    let sdk = Sdk::locate();
    let script = sdk.program("matrix/server-v1.mjs").into_os_string();
    let arguments = [script, "--port".into(), "0".into(), "--sse".into()];
    let server = Server::announced(Process::spawn(sdk.node(), arguments, &[])).await;
    let mut configured = json!({ "id": "old", "url": server.url });
    for (key, value) in more.as_object().unwrap() {
        configured[key] = value.clone();
    }
    let gateway = Gateway::start(json!([configured])).await;
    (server, gateway)
}

async fn ask(gateway: &Gateway, request: &Request) -> Answer {
    wire::ask(gateway.address, request).await
}

fn initialize(path: &str) -> Request {
    let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": { "name": "test", "version": "1" } });
    legacy(path, &json!(1), "initialize", params)
}

/// Opens a session and calls the tool `name` in it.
async fn in_session(gateway: &Gateway, path: &str, name: &str) -> Answer {
    let opened = ask(gateway, &initialize(path)).await;
    assert_eq!(opened.status, 200, "{opened:?}");
    let session = opened.headers.get("mcp-session-id").unwrap();
    let told = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let told = post(path, told.to_string()).header("mcp-session-id", session);
    assert_eq!(ask(gateway, &told).await.status, 202);
    let call = legacy_call(path, &json!(2), name, json!({ "message": "hello" }));
    ask(gateway, &call.header("mcp-session-id", session)).await
}

fn assert_hello(answer: &Answer) {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.text().contains("hello"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_call_of_a_modern_client_is_served() {
    for (path, tool) in [("/mcp/old", "echo"), ("/mcp", "old.echo")] {
        let (_server, gateway) = real(&json!({})).await;
        let call = modern_call(path, &json!(1), tool, json!({ "message": "hello" }));
        assert_hello(&ask(&gateway, &call).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_session_of_a_legacy_client_is_served() {
    for (path, tool) in [("/mcp/old", "echo"), ("/mcp", "old.echo")] {
        let (_server, gateway) = real(&json!({ "transport": "http" })).await;
        assert_hello(&in_session(&gateway, path, tool).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_list_is_whole() {
    let (_server, gateway) = real(&json!({})).await;
    let listed = ask(
        &gateway,
        &modern("/mcp", &json!(1), "tools/list", json!({})),
    )
    .await;
    assert!(listed.text().contains("old.echo"), "{listed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_era_that_was_written_down_does_not_hide_it() {
    let (_server, gateway) = real(&json!({ "era": "legacy" })).await;
    let call = modern_call("/mcp/old", &json!(1), "echo", json!({ "message": "hello" }));
    assert_hello(&ask(&gateway, &call).await);
    assert_hello(&in_session(&gateway, "/mcp/old", "echo").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_found_holds_over_a_reload_that_does_not_change_the_server() {
    let (server, gateway) = real(&json!({})).await;
    let call = modern_call("/mcp/old", &json!(1), "echo", json!({ "message": "hello" }));
    assert_hello(&ask(&gateway, &call).await);
    let old = json!({ "id": "old", "url": server.url });
    gateway
        .rewrite(json!({ "servers": [old, { "id": "other", "url": "http://127.0.0.1:1/mcp" }] }));
    let report = gateway.reload().await.json();
    assert_eq!(report["reloaded"], json!(["server.other (added)"]));
    assert_eq!(gateway.n_sockets(), 1);
    assert_hello(&ask(&gateway, &call).await);
}

#[tokio::test]
async fn a_check_finds_it_out_before_anybody_calls() {
    let server = OldServer::start().await;
    let config = json!({
        "servers": [{ "id": "old", "url": server.url() }],
        "router": { "health_check": { "enabled": true, "interval_seconds": 1, "unhealthy_threshold": 1 } },
    });
    let gateway = Gateway::with(config).await;
    until("its socket", || async {
        (gateway.n_sockets() == 1).then_some(())
    })
    .await;
    let ready = ask(&gateway, &Request::get("/conduit/readyz")).await;
    assert_eq!(ready.status, 200, "{ready:?}");
}

#[tokio::test]
async fn a_server_that_was_said_to_be_modern_is_taken_at_its_word() {
    let server = OldServer::start().await;
    let gateway =
        Gateway::start(json!([{ "id": "old", "url": server.url(), "era": "modern" }])).await;
    let call = modern_call("/mcp/old", &json!(1), "echo", json!({}));
    assert_ne!(ask(&gateway, &call).await.status, 200);
    assert_eq!(
        ask(&gateway, &initialize("/mcp/old"))
            .await
            .headers
            .get("mcp-session-id"),
        None
    );
    assert_eq!(gateway.n_sockets(), 0);
}

#[tokio::test]
async fn a_server_that_is_renewed_is_found_out_again() {
    let server = OldServer::start().await;
    let gateway = Gateway::start(json!([{ "id": "old", "url": server.url() }])).await;
    let call = modern_call("/mcp/old", &json!(1), "echo", json!({ "message": "hello" }));
    let first = ask(&gateway, &call).await;
    assert_eq!(first.status, 200, "{first:?}");
    server.renew();
    until("the renewed server to be reached", || async {
        let answer = ask(&gateway, &call).await;
        answer.text().contains("\"ok\"").then_some(())
    })
    .await;
    until("the socket to go", || async {
        (gateway.n_sockets() == 0).then_some(())
    })
    .await;
}
