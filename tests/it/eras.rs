//! Both eras on one connection: a client that asks for the modern era and falls back, or the other way round.

use serde_json::{Value, json};

use crate::support::{
    gateway::Gateway,
    message::{LEGACY, MODERN, legacy, modern, result},
    process::Process,
    sdk::{Sdk, Server},
    upstream::{self, Upstream, friendly},
    wire::{Answer, Connection, Request},
    within,
};

fn initialize(path: &str) -> Request {
    let params = json!({
        "protocolVersion": LEGACY,
        "capabilities": {},
        "clientInfo": { "name": "test", "version": "1" },
    });
    legacy(path, &json!("i"), "initialize", params).without("mcp-protocol-version")
}

async fn ask(connection: &mut Connection, request: &Request) -> Answer {
    within("an answer on the same connection", connection.ask(request))
        .await
        .unwrap()
}

/// The gateway in front of a server of each kind.
async fn gateway(servers: &mut Vec<Server>) -> Gateway {
    let binary = Sdk::reference_server();
    let mut configured = Vec::new();
    for era in ["modern", "legacy", "dual"] {
        let arguments = ["--era", era, "--port", "0"];
        let server = Server::announced(Process::spawn(&binary, arguments, &[])).await;
        configured.push(json!({ "id": era, "url": server.url }));
        servers.push(server);
    }
    Gateway::start(Value::from(configured)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn initialize_after_discover_on_one_connection_begins_a_session() {
    let mut servers = Vec::new();
    let gateway = gateway(&mut servers).await;
    for path in ["/mcp", "/mcp/modern", "/mcp/legacy", "/mcp/dual"] {
        let mut connection = Connection::open(gateway.address).await.unwrap();
        let discover = modern(path, &json!("d"), "server/discover", json!({}));
        let discovered = ask(&mut connection, &discover).await;
        let versions = &discovered.json()["result"]["supportedVersions"];
        assert_eq!(discovered.status, 200, "{path}: {discovered:?}");
        assert!(versions.is_array(), "{path}: {discovered:?}");

        let initialized = ask(&mut connection, &initialize(path)).await;
        assert_eq!(initialized.status, 200, "{path}: {initialized:?}");
        let text = initialized.text();
        let document = text
            .lines()
            .last()
            .map(|line| line.trim_start_matches("data: "));
        assert!(
            document.is_some_and(
                |document| document.contains(&format!("\"protocolVersion\":\"{LEGACY}\""))
            ),
            "{path}: {initialized:?}"
        );
        let session = initialized
            .headers
            .get("mcp-session-id")
            .unwrap()
            .to_owned();

        let list =
            legacy(path, &json!(1), "tools/list", json!({})).header("mcp-session-id", &session);
        let listed = ask(&mut connection, &list).await;
        assert!(
            listed.text().contains("test_simple_text"),
            "{path}: {listed:?}"
        );

        // And back: the session does not make the connection a legacy one.
        let rediscovered = ask(&mut connection, &discover).await;
        assert_eq!(rediscovered.json(), discovered.json(), "{path}");
    }
}

/// A modern server that answers `initialize` all the same, and agrees to `version`.
async fn agreeable(version: Value) -> (Upstream, Gateway) {
    let upstream = Upstream::start(move |request| {
        if request.rpc_method() != "initialize" {
            return friendly(request);
        }
        let agreed = json!({
            "protocolVersion": version,
            "capabilities": { "tools": {} },
            "serverInfo": { "name": "fake", "version": "1" },
        });
        upstream::json(&result(&request.json()["id"], agreed))
    })
    .await;
    let gateway = Gateway::start(json!([{ "id": "fake", "url": upstream.url() }])).await;
    (upstream, gateway)
}

#[tokio::test]
async fn a_handshake_that_agrees_to_no_revision_with_sessions_makes_no_legacy_server() {
    for version in [json!(MODERN), Value::Null] {
        let (upstream, gateway) = agreeable(version.clone()).await;
        for path in ["/mcp/fake", "/mcp"] {
            let mut connection = Connection::open(gateway.address).await.unwrap();
            let initialized = ask(&mut connection, &initialize(path)).await;
            let agreed = &initialized.json()["result"]["protocolVersion"];
            assert_eq!(agreed, LEGACY, "{path} {version}: {initialized:?}");
            let session = initialized
                .headers
                .get("mcp-session-id")
                .unwrap()
                .to_owned();
            let list =
                legacy(path, &json!(1), "tools/list", json!({})).header("mcp-session-id", &session);
            let listed = ask(&mut connection, &list).await;
            assert_eq!(
                listed.json()["result"]["tools"],
                json!([]),
                "{path}: {listed:?}"
            );
        }
        for list in upstream.recorded("tools/list") {
            let said = list.headers.get("mcp-protocol-version");
            assert_eq!(said, Some(MODERN), "{version}");
        }
    }
}
