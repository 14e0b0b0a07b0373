//! A server's challenge reaches the client whose credential was refused, through bridges too, and no other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use super::{Bed, PATH, assert_refused, call, call_in, initialize, legacy_only, sociable};
use crate::support::message::{legacy, legacy_call, modern, modern_call};
use crate::support::upstream::{Recorded, Step, answer};
use crate::support::wire::{Answer, Request};

const CHALLENGE: &str = r#"Bearer resource_metadata="https://example.com/meta""#;

/// Refuses one method with a challenge, under the request's id where it says that it is JSON-RPC.
fn refusing(
    method: &'static str,
    is_rpc: bool,
    rest: fn(&Recorded) -> Vec<Step>,
) -> impl Fn(&Recorded) -> Vec<Step> + Send + Sync + 'static {
    move |request| {
        if request.rpc_method() != method {
            return rest(request);
        }
        let media = if is_rpc {
            "application/json"
        } else {
            "text/plain"
        };
        let headers = [("content-type", media), ("www-authenticate", CHALLENGE)];
        let error = json!({ "jsonrpc": "2.0", "id": request.json()["id"],
            "error": { "code": -32001, "message": "no token" } });
        let body = if is_rpc {
            error.to_string()
        } else {
            "no token".to_owned()
        };
        answer("401 Unauthorized", &headers, body.as_bytes())
    }
}

/// What the server is, with and without a cache, which goes another way.
fn servers(era: &str, forwards: bool) -> [Value; 2] {
    let plain = json!({ "era": era, "forward_authorization": forwards });
    let mut cached = plain.clone();
    cached["cache"] = json!({ "default_ttl": 60 });
    [plain, cached]
}

fn assert_challenged(answer: &Answer) {
    assert_eq!(answer.status, 401, "{answer:?}");
    assert_eq!(answer.headers.get("www-authenticate"), Some(CHALLENGE));
    assert!(answer.json()["error"]["code"].is_i64(), "{answer:?}");
}

fn stale(request: Request) -> Request {
    request.header("authorization", "Bearer stale")
}

#[tokio::test]
async fn a_session_that_is_refused_to_a_modern_clients_token_is_a_challenge_to_it() {
    for is_rpc in [true, false] {
        for server in servers("legacy", true) {
            let bed = Bed::start(server, refusing("initialize", is_rpc, legacy_only)).await;
            let discover = modern(PATH, &json!(1), "server/discover", json!({}));
            for request in [discover, call()] {
                let refused = bed.ask(&stale(request)).await;
                assert_challenged(&refused);
                assert_eq!(refused.json()["id"], 1);
            }
        }
    }
}

#[tokio::test]
async fn an_error_with_a_challenge_keeps_it_over_a_bridge() {
    for server in servers("legacy", true) {
        let bed = Bed::start(server, refusing("tools/call", true, legacy_only)).await;
        let refused = bed.ask(&stale(call())).await;
        assert_challenged(&refused);
        assert_eq!(refused.json()["error"]["message"], "no token");
    }
    for server in servers("modern", true) {
        let bed = Bed::start(server, refusing("tools/call", true, sociable)).await;
        let session = bed.open().await;
        let refused = bed.ask(&stale(call_in(&session))).await;
        assert_challenged(&refused);
        assert_eq!(refused.json()["error"]["message"], "no token");
    }
}

#[tokio::test]
async fn a_challenge_that_is_not_the_clients_reaches_nobody() {
    for method in ["initialize", "tools/call"] {
        for server in servers("legacy", false) {
            let bed = Bed::start(server, refusing(method, true, legacy_only)).await;
            let refused = bed.ask(&stale(call())).await;
            assert_refused(&refused, 401);
        }
    }
    // One server's challenge is none of the others'.
    let server = json!({ "era": "legacy", "forward_authorization": true });
    let bed = Bed::start(server, refusing("tools/call", true, legacy_only)).await;
    let aggregated = modern_call("/mcp", &json!(1), "s.any", json!({}));
    let refused = bed.ask(&stale(aggregated)).await;
    assert_eq!(refused.headers.get("www-authenticate"), None, "{refused:?}");
}

/// What a gateway may have for a server that is not the client's: in a header of any name, or nothing.
fn of_the_gateways(era: &str) -> [Value; 4] {
    let cached = json!({ "era": era, "cache": { "default_ttl": 60 } });
    let keyed = json!({ "era": era, "headers": { "X-Api-Key": "of-the-gateway" } });
    let both = json!({ "era": era, "headers": { "Authorization": "Basic b2YtdGhlLWdhdGV3YXk=" },
        "forward_authorization": true });
    [json!({ "era": era }), cached, keyed, both]
}

#[tokio::test]
async fn a_status_that_is_not_of_the_clients_credential_is_an_error_of_the_gateways() {
    for status in [401, 403] {
        for (era, rest) in [
            ("legacy", legacy_only as fn(&Recorded) -> _),
            ("modern", sociable),
        ] {
            for server in of_the_gateways(era) {
                let bed = Bed::start(server, move |request| match request.rpc_method().as_str() {
                    "tools/call" => {
                        let headers = [("www-authenticate", CHALLENGE), ("server", "evil")];
                        let line = format!("{status} No");
                        answer(&line, &headers, b"go to https://evil.example/authorize")
                    }
                    _ => rest(request),
                })
                .await;
                let session = bed.open().await;
                for request in [call(), call_in(&session)] {
                    let refused = bed.ask(&stale(request)).await;
                    assert_refused(&refused, status);
                    assert!(!refused.told().contains("evil"), "{refused:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn neither_a_handshake_nor_a_stream_of_a_session_gives_the_servers_status() {
    for server in of_the_gateways("legacy") {
        let bed = Bed::start(server.clone(), refusing("initialize", true, legacy_only)).await;
        assert_refused(&bed.ask(&stale(initialize())).await, 401);
        let bed = Bed::start(server, |request| match request.method.as_str() {
            "POST" => legacy_only(request),
            _ => answer(
                "401 Unauthorized",
                &[("www-authenticate", CHALLENGE)],
                b"evil",
            ),
        })
        .await;
        let session = bed.open().await;
        let hear = Request::get(PATH).header("accept", "text/event-stream");
        let end = Request::delete(PATH);
        for request in [hear, end] {
            let refused = bed
                .ask(&stale(request.header("mcp-session-id", &session)))
                .await;
            assert!(!matches!(refused.status, 401 | 403), "{refused:?}");
            assert_eq!(refused.headers.get("www-authenticate"), None, "{refused:?}");
            assert!(!refused.told().contains("evil"), "{refused:?}");
        }
    }
}

/// A server that forgets its sessions, and from then on opens none without another token.
fn forgetful(forgot: Arc<AtomicBool>) -> impl Fn(&Recorded) -> Vec<Step> + Send + Sync + 'static {
    let refusing = refusing("initialize", true, legacy_only);
    move |request| {
        let has_forgotten = forgot.load(Ordering::SeqCst);
        let is_in_session = request.headers.get("mcp-session-id").is_some();
        match (has_forgotten, &*request.rpc_method()) {
            (true, "initialize") => refusing(request),
            (true, _) if is_in_session => answer("404 Not Found", &[], b"no such session"),
            _ => legacy_only(request),
        }
    }
}

#[tokio::test]
async fn a_session_that_is_not_opened_anew_tells_its_client_why() {
    for forwards in [true, false] {
        for server in servers("legacy", forwards) {
            let forgot = Arc::new(AtomicBool::new(false));
            let bed = Bed::start(server, forgetful(Arc::clone(&forgot))).await;
            let session = bed.open().await;
            assert_eq!(bed.ask(&stale(call_in(&session))).await.status, 200);
            forgot.store(true, Ordering::SeqCst);
            let hear = Request::get(PATH)
                .header("accept", "text/event-stream")
                .header("mcp-session-id", &session);
            let list =
                legacy(PATH, &json!(1), "tools/list", json!({})).header("mcp-session-id", &session);
            for request in [call_in(&session), list, call_in(&session), hear] {
                let refused = bed.ask(&stale(request)).await;
                let status = if forwards { 401 } else { 502 };
                assert_eq!(refused.status, status, "{refused:?}");
                assert_eq!(refused.json()["error"]["code"], -31502, "{refused:?}");
                let told = refused.headers.get("www-authenticate");
                assert_eq!(told, forwards.then_some(CHALLENGE), "{refused:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_session_that_is_refused_at_one_of_several_servers_is_nobodys_challenge() {
    let forgot = Arc::new(AtomicBool::new(false));
    let server = json!({ "era": "legacy", "forward_authorization": true });
    let bed = Bed::start(server, forgetful(Arc::clone(&forgot))).await;
    let opening = json!({ "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": { "name": "t", "version": "1" } });
    let opened = bed
        .ask(&legacy("/mcp", &json!(1), "initialize", opening))
        .await;
    let session = opened.headers.get("mcp-session-id").unwrap().to_owned();
    forgot.store(true, Ordering::SeqCst);
    let call = legacy_call("/mcp", &json!(1), "s.any", json!({}));
    let refused = bed
        .ask(&stale(call.header("mcp-session-id", &session)))
        .await;
    assert_eq!(refused.status, 502, "{refused:?}");
    assert_eq!(refused.headers.get("www-authenticate"), None);
}
