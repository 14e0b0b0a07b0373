//! A server that answers with something that is no MCP, at every way that a message can take to it: the client is
//! told, with its id, and never waits for more.

use serde_json::{Value, json};

use crate::support::gateway::Gateway;
use crate::support::message::{is_reserved, legacy, modern};
use crate::support::upstream::{Recorded, Step, Upstream, answer, chunk, end, friendly, sse_head};
use crate::support::wire::{self, Answer};

/// The endpoints of the server, and what its tool is called there.
const PLACES: [(&str, &str); 2] = [("/mcp/fake", "any"), ("/mcp", "fake.any")];

/// Answers that are no MCP, as proxies and crashing servers give them.
fn strange() -> Vec<(&'static str, Vec<Step>)> {
    let html = [("content-type", "text/html")];
    let json = [("content-type", "application/json")];
    let page = b"<html>bad gateway</html>";
    vec![
        ("a page with 502", answer("502 Bad Gateway", &html, page)),
        ("a page with 200", answer("200 OK", &html, page)),
        ("a page with 404", answer("404 Not Found", &html, page)),
        (
            "nothing with 500",
            answer("500 Internal Server Error", &[], b""),
        ),
        ("nothing with 204", answer("204 No Content", &[], b"")),
        ("JSON that is no JSON-RPC", answer("200 OK", &json, b"[{}]")),
        ("no JSON at all", answer("200 OK", &json, b"{oops")),
        ("an empty stream", vec![sse_head(), end()]),
        (
            "a stream of noise",
            vec![sse_head(), Step::Write(chunk(b"data: hello\n\n")), end()],
        ),
    ]
}

/// Answers calls with these steps and all else as a good server does.
fn with_calls(steps: Vec<Step>) -> impl Fn(&Recorded) -> Vec<Step> + Send + Sync + 'static {
    move |request| match request.rpc_method().as_str() {
        "tools/call" => steps.clone(),
        _ => friendly(request),
    }
}

async fn start(
    era: &str,
    script: impl Fn(&Recorded) -> Vec<Step> + Send + Sync + 'static,
) -> (Upstream, Gateway) {
    let upstream = Upstream::start(script).await;
    let server = json!({ "id": "fake", "url": upstream.url(), "era": era });
    (upstream, Gateway::start(json!([server])).await)
}

fn initialize(path: &str) -> wire::Request {
    let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": { "name": "test", "version": "1" } });
    legacy(path, &json!(0), "initialize", params)
}

/// The client knows that its call failed, and which.
fn assert_told(what: &str, answer: &Answer) {
    assert!(answer.whole, "{what}: {answer:?}");
    let is_json = answer.headers.get("content-type") == Some("application/json");
    if !is_json {
        // What passes as it is can be told by its status.
        return assert!((500..600).contains(&answer.status), "{what}: {answer:?}");
    }
    let body = answer.json();
    assert_eq!(body["id"], json!("mine"), "{what}: {answer:?}");
    let code = body["error"]["code"].as_i64();
    let code = code.unwrap_or_else(|| panic!("{what}: {answer:?}"));
    assert!(!is_reserved(code), "{what}: {answer:?}");
    assert_eq!(answer.status, 502, "{what}: {answer:?}");
}

#[tokio::test]
async fn a_bridged_or_aggregated_call_that_is_answered_without_mcp_is_502() {
    for (answered, steps) in strange() {
        for (path, tool) in PLACES {
            for (from, to) in [
                ("modern", "modern"),
                ("modern", "legacy"),
                ("legacy", "modern"),
                ("legacy", "legacy"),
            ] {
                // One server for a client of its own era passes its answers on as they are.
                if from == to && path != "/mcp" {
                    continue;
                }
                let (_upstream, gateway) = start(to, with_calls(steps.clone())).await;
                let answer = call(&gateway, from, path, tool).await;
                let what = format!("{answered}, {from} to {to} at {path}");
                assert_told(&what, &answer);
            }
        }
    }
}

/// Calls the tool as a client of an era.
async fn call(gateway: &Gateway, era: &str, path: &str, tool: &str) -> Answer {
    let id = json!("mine");
    let params: Value = json!({ "name": tool, "arguments": {} });
    if era == "modern" {
        let call = modern(path, &id, "tools/call", params);
        return wire::ask(gateway.address, &call).await;
    }
    let opened = wire::ask(gateway.address, &initialize(path)).await;
    assert_eq!(opened.status, 200, "{opened:?}");
    let session = opened.headers.get("mcp-session-id").unwrap();
    let call = legacy(path, &id, "tools/call", params).header("mcp-session-id", session);
    wire::ask(gateway.address, &call).await
}

#[tokio::test]
async fn a_handshake_that_is_answered_without_mcp_is_502_and_opens_no_session() {
    for (answered, steps) in strange() {
        for era in ["legacy", "auto"] {
            let steps = steps.clone();
            let (_upstream, gateway) = start(era, move |_| steps.clone()).await;
            let answer = wire::ask(gateway.address, &initialize("/mcp/fake")).await;
            let what = format!("{answered}, {era}");
            assert_eq!(answer.status, 502, "{what}: {answer:?}");
            assert_eq!(answer.json()["id"], 0, "{what}: {answer:?}");
            assert_eq!(answer.headers.get("mcp-session-id"), None, "{what}");
        }
    }
}
