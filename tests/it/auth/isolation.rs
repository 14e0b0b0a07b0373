//! What is one principal's is no other's: sessions, parked calls, stored results.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use super::{ask, bearer, open_session};
use crate::support::gateway::Gateway;
use crate::support::message::{
    LEGACY, MODERN, legacy_call, modern_body, modern_call, post, result, said,
};
use crate::support::process::Process;
use crate::support::sdk::{Sdk, Server};
use crate::support::upstream::{Upstream, answer, friendly, json as json_answer};
use crate::support::wire::{self, Answer, Request};
use crate::support::within;

fn key(key: &str, client: &str, tenant: Option<&str>) -> Value {
    json!({ "key": key, "client_id": client, "tenant_id": tenant })
}

/// Two clients of one tenant, a namesake in another, and one without a tenant.
fn auth() -> Value {
    json!({ "method": "api-key", "api_keys": [
        key("k-alice", "alice", Some("acme")),
        key("k-bob", "bob", Some("acme")),
        key("k-other", "alice", Some("other")),
        key("k-none", "alice", None),
    ] })
}

#[tokio::test]
async fn a_session_is_found_by_its_own_principal_only() {
    let upstream = Upstream::start(|request| match request.rpc_method().as_str() {
        "initialize" => {
            let info = json!({ "name": "fake", "version": "1" });
            let opened = json!({ "protocolVersion": LEGACY, "capabilities": { "tools": {} },
                "serverInfo": info });
            let body = result(&request.json()["id"], opened).to_string();
            let headers = [
                ("content-type", "application/json"),
                ("mcp-session-id", "upstream"),
            ];
            answer("200 OK", &headers, body.as_bytes())
        }
        _ => friendly(request),
    })
    .await;
    let servers = json!([{ "id": "a", "url": upstream.url(), "era": "legacy" }]);
    let gateway = Gateway::with(json!({ "auth": auth(), "servers": servers })).await;
    for (path, tool) in [("/mcp/a", "any"), ("/mcp", "a.any")] {
        let session = open_session(&gateway, path, "k-alice").await;
        let call = legacy_call(path, &json!(2), tool, json!({}));
        let in_session =
            |request: Request, key: &str| bearer(request.header("mcp-session-id", &session), key);
        for thief in ["k-bob", "k-other", "k-none"] {
            for request in [call.clone(), Request::get(path), Request::delete(path)] {
                let answer = ask(&gateway, &in_session(request, thief)).await;
                assert_eq!(answer.status, 404, "{path} {thief}: {answer:?}");
            }
        }
        let answer = ask(&gateway, &in_session(call.clone(), "k-alice")).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        let ended = ask(&gateway, &in_session(Request::delete(path), "k-alice")).await;
        assert_eq!(ended.status, 204, "{path}: {ended:?}");
    }
}

#[tokio::test]
async fn what_is_posted_to_anothers_event_stream_is_refused() {
    let upstream = Upstream::start(friendly).await;
    let servers = json!([{ "id": "a", "url": upstream.url() }]);
    let gateway = Gateway::with(json!({ "auth": auth(), "servers": servers })).await;
    let opened = bearer(Request::get("/mcp/a/sse"), "k-alice");
    let mut stream = wire::stream(gateway.address, &opened).await;
    let endpoint = within("an endpoint", stream.event()).await.unwrap();
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" }).to_string();
    let posted = async |key: &str| {
        let request = post(&endpoint, ping.clone());
        ask(&gateway, &bearer(request, key)).await.status
    };
    for thief in ["k-bob", "k-other", "k-none"] {
        assert_eq!(posted(thief).await, 404, "{thief}");
    }
    assert_eq!(
        ask(&gateway, &post(&endpoint, ping.clone())).await.status,
        401
    );
    assert_eq!(posted("k-alice").await, 202);
    let answer = within("an answer", stream.event()).await.unwrap();
    assert!(answer.contains(r#""id":1"#), "{answer}");
}

/// A modern call of the tool that asks its client, with what comes back for it.
fn asking(more: &Value) -> Request {
    let mut params = json!({ "name": "test_elicitation", "arguments": { "message": "who?" } });
    for (member, value) in more.as_object().unwrap() {
        params[member] = value.clone();
    }
    let mut body = modern_body(&json!(1), "tools/call", params);
    body["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] =
        json!({ "elicitation": { "form": {} } });
    post("/mcp/old", body.to_string())
        .header("mcp-protocol-version", MODERN)
        .header("mcp-method", "tools/call")
        .header("mcp-name", "test_elicitation")
}

#[tokio::test]
async fn a_parked_call_is_gone_on_with_by_its_own_principal_only() {
    let arguments = ["--port", "0", "--era", "legacy"];
    let process = Process::spawn(Sdk::reference_server(), arguments, &[]);
    let server = Server::announced(process).await;
    let servers = json!([{ "id": "old", "url": server.url }]);
    let gateway = Gateway::with(json!({ "auth": auth(), "servers": servers })).await;
    let told = async |request: Request, key: &str| {
        let answer = ask(&gateway, &bearer(request, key)).await;
        answer.last_json()
    };
    let asked = told(asking(&json!({})), "k-alice").await;
    let state = &asked["result"]["requestState"];
    let requests = asked["result"]["inputRequests"].as_object();
    let requests = requests.unwrap_or_else(|| panic!("{asked}"));
    let content = json!({ "username": "me", "email": "me@example.com" });
    let accepted = json!({ "action": "accept", "content": content });
    let responses = requests.keys().map(|key| (key.clone(), accepted.clone()));
    let responses: serde_json::Map<_, _> = responses.collect();
    let retry = asking(&json!({ "requestState": state, "inputResponses": responses }));
    for thief in ["k-bob", "k-other", "k-none"] {
        let refused = told(retry.clone(), thief).await;
        assert_eq!(refused["error"]["code"], -32602, "{thief}: {refused}");
    }
    let resumed = told(retry, "k-alice").await;
    assert_eq!(resumed["result"]["resultType"], "complete", "{resumed}");
}

/// A server whose every call is answered with another number.
async fn counting() -> Upstream {
    let count = AtomicU64::new(0);
    Upstream::start(move |request| match request.rpc_method().as_str() {
        "tools/list" => {
            let tool = json!({ "name": "read", "inputSchema": { "type": "object" },
                "annotations": { "readOnlyHint": true } });
            let list = json!({ "tools": [tool], "resultType": "complete", "ttlMs": 60000,
                "cacheScope": "private" });
            json_answer(&result(&request.json()["id"], list))
        }
        "tools/call" => {
            let number = count.fetch_add(1, Ordering::Relaxed);
            json_answer(&said(&request.json()["id"], &number.to_string()))
        }
        _ => friendly(request),
    })
    .await
}

/// The number in an answer.
fn number(answer: &Answer) -> String {
    let text = &answer.json()["result"]["content"][0]["text"];
    text.as_str()
        .unwrap_or_else(|| panic!("{answer:?}"))
        .to_owned()
}

async fn sharing(share: &str, more: Value) -> (Gateway, Upstream) {
    let upstream = counting().await;
    let cache = json!({ "default_ttl": 300, "share": share });
    let mut config = more;
    config["servers"] = json!([{ "id": "a", "url": upstream.url(), "cache": cache }]);
    (Gateway::with(config).await, upstream)
}

async fn read(gateway: &Gateway, header: (&str, &str)) -> String {
    let call = modern_call("/mcp/a", &json!(1), "read", json!({}));
    number(&ask(gateway, &call.header(header.0, header.1)).await)
}

#[tokio::test]
async fn a_tenants_clients_share_and_nobody_else_does() {
    let (gateway, _upstream) = sharing("tenant", json!({ "auth": auth() })).await;
    let alice = read(&gateway, ("x-api-key", "k-alice")).await;
    assert_eq!(read(&gateway, ("x-api-key", "k-bob")).await, alice);
    assert_ne!(read(&gateway, ("x-api-key", "k-other")).await, alice);
    let none = read(&gateway, ("x-api-key", "k-none")).await;
    assert_ne!(none, alice);
    assert_eq!(read(&gateway, ("x-api-key", "k-none")).await, none);
}

#[tokio::test]
async fn without_a_word_of_the_operators_each_client_has_its_own() {
    let (gateway, _upstream) = sharing("private", json!({ "auth": auth() })).await;
    let mut seen = Vec::new();
    for key in ["k-alice", "k-bob", "k-other", "k-none"] {
        seen.push(read(&gateway, ("x-api-key", key)).await);
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 4);
    let again = read(&gateway, ("x-api-key", "k-alice")).await;
    assert!(seen.contains(&again));
}

#[tokio::test]
async fn isolated_tenants_share_nothing_at_all() {
    let isolation = json!({ "enabled": true, "header": "X-Tenant" });
    let config = json!({ "auth": auth(), "tenant_isolation": isolation });
    let (gateway, _upstream) = sharing("public", config).await;
    let alice = read(&gateway, ("x-api-key", "k-alice")).await;
    assert_eq!(read(&gateway, ("x-api-key", "k-bob")).await, alice);
    assert_ne!(read(&gateway, ("x-api-key", "k-other")).await, alice);
    // What is proved wins over what is said.
    let call = modern_call("/mcp/a", &json!(1), "read", json!({}))
        .header("x-api-key", "k-other")
        .header("x-tenant", "acme");
    assert_ne!(number(&ask(&gateway, &call).await), alice);
}

#[tokio::test]
async fn without_authentication_a_header_names_the_tenant() {
    let isolation = json!({ "enabled": true, "header": "X-Tenant" });
    let config = json!({ "tenant_isolation": isolation });
    let (gateway, _upstream) = sharing("private", config).await;
    let acme = read(&gateway, ("x-tenant", "acme")).await;
    assert_eq!(read(&gateway, ("x-tenant", "acme")).await, acme);
    assert_ne!(read(&gateway, ("x-tenant", "other")).await, acme);
    assert_ne!(read(&gateway, ("x-other", "")).await, acme);
}
