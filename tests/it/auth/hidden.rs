//! Servers that a caller may not know of are not told apart from ones that there are not.

use serde_json::{Value, json};

use super::{ask, bearer};
use crate::support::gateway::Gateway;
use crate::support::message::{legacy, modern, post};
use crate::support::upstream::{Upstream, friendly};
use crate::support::wire::{Answer, Request};

/// Of the same length, so that no count of bytes tells them apart either.
const HIDDEN: &str = "hidden";
const ABSENT: &str = "absent";

/// A gateway where `bob` may know of `open` only, in front of `open` and `hidden`.
async fn start() -> (Gateway, Upstream) {
    let upstream = Upstream::start(friendly).await;
    let config = json!({
        "servers": [
            { "id": "open", "url": upstream.url() },
            { "id": HIDDEN, "url": upstream.url(), "required_scopes": ["hidden:read"],
              "tool_scopes": { "*": ["hidden:call"] } },
        ],
        "auth": { "method": "api_key", "api_keys": [{ "key": "bobs", "client_id": "bob" }],
            "throttle": { "max_failures": 0 } },
        "acl": { "enabled": true, "default_action": "deny",
            "policies": [{ "clients": ["bob"], "allow": [{ "server": "open", "tools": ["*"] }] }] },
        "admin": { "key": "s3cret" },
    });
    (Gateway::with(config).await, upstream)
}

/// Every way to a server.
fn ways(server: &str) -> Vec<Request> {
    let path = &format!("/mcp/{server}");
    let id = json!(1);
    let mut ways = Vec::new();
    let uses = [
        ("ping", json!({})),
        ("server/discover", json!({})),
        ("tools/list", json!({})),
        ("tools/call", json!({ "name": "t", "arguments": {} })),
        ("prompts/list", json!({})),
        ("prompts/get", json!({ "name": "p" })),
        ("resources/list", json!({})),
        ("resources/templates/list", json!({})),
        ("resources/read", json!({ "uri": "file:///a" })),
        ("resources/subscribe", json!({ "uri": "file:///a" })),
        ("resources/unsubscribe", json!({ "uri": "file:///a" })),
        (
            "completion/complete",
            json!({ "ref": { "type": "ref/prompt", "name": "p" } }),
        ),
        ("logging/setLevel", json!({ "level": "info" })),
        ("subscriptions/listen", json!({ "notifications": {} })),
        ("tasks/get", json!({ "taskId": "t" })),
        ("invented", json!({})),
    ];
    for (method, params) in uses {
        ways.push(legacy(path, &id, method, params.clone()));
        ways.push(modern(path, &id, method, params.clone()));
        let entry = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        ways.push(post(path, json!([entry]).to_string()));
    }
    let initialize = json!({ "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": { "name": "c", "version": "1" } });
    ways.push(legacy(path, &id, "initialize", initialize));
    let told = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    ways.push(post(path, told.to_string()));
    ways.push(post(path, "no JSON"));
    for path in [path.clone(), format!("{path}/sse")] {
        ways.push(Request::get(&path));
        ways.push(Request::get(&path).header("mcp-session-id", "x"));
        ways.push(Request::delete(&path));
        ways.push(Request::put(&path));
    }
    ways.push(post(&format!("{path}/message?sessionId=x"), "{}"));
    ways
}

/// An answer, but for what tells requests apart, and for the server's name.
fn bare(answer: &Answer, server: &str) -> (u16, Vec<(String, String)>, String) {
    let own = ["date", "x-conduit-trace-id", "traceparent"];
    let headers = answer.headers.0.iter();
    let headers = headers.filter(|(name, _)| !own.contains(&name.as_str()));
    let named = |text: &str| text.replace(server, "?");
    let headers = headers.map(|(name, value)| (name.clone(), named(value)));
    (answer.status, headers.collect(), named(&answer.text()))
}

#[tokio::test]
async fn who_may_not_know_of_a_server_is_answered_as_if_there_was_none() {
    let (gateway, upstream) = start().await;
    for credential in [Some("bobs"), Some("wrong"), None] {
        let with = |request: Request| match credential {
            Some(credential) => bearer(request, credential),
            None => request,
        };
        for (hidden, absent) in ways(HIDDEN).into_iter().zip(ways(ABSENT)) {
            let hidden = ask(&gateway, &with(hidden)).await;
            let absent = ask(&gateway, &with(absent)).await;
            assert_eq!(
                bare(&hidden, HIDDEN),
                bare(&absent, ABSENT),
                "{credential:?}"
            );
        }
    }
    assert!(upstream.recorded("tools/call").is_empty());
}

#[tokio::test]
async fn health_names_servers_to_who_has_the_admin_key_only() {
    let (gateway, _upstream) = start().await;
    let health = async |key: Option<&str>| -> Value {
        let request = Request::get("/conduit/health");
        let request = match key {
            Some(key) => request.header("x-admin-key", key),
            None => request,
        };
        let answer = ask(&gateway, &request).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    };
    for key in [None, Some("wrong"), Some("bobs")] {
        let told = health(key).await;
        let members: Vec<&String> = told.as_object().unwrap().keys().collect();
        assert_eq!(members, ["status"], "{key:?}");
    }
    let told = health(Some("s3cret")).await;
    assert_eq!(told["backends"].as_array().unwrap().len(), 2, "{told}");
}
