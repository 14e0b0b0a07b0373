//! What the gateway proves to servers: every request carries it, it is kept fresh, and what a server says of
//! it reaches nobody.
//!
//! protocol.md E15, E19, E65-E67; issue 5, items 3 and 8.

mod challenges;
mod keys;
mod learned;
mod oauth;

use serde_json::{Value, json};

use crate::support::gateway::Gateway;
use crate::support::message::{LEGACY, legacy, legacy_call, modern_call};
use crate::support::upstream::{Recorded, Step, Upstream, accepted, answer, friendly};
use crate::support::wire::{self, Answer, Request};

const PATH: &str = "/mcp/s";
const SESSION: &str = "upstream-session";

struct Bed {
    upstream: Upstream,
    gateway: Gateway,
}

impl Bed {
    /// `server` is what the configuration says of the server beside its id and URL.
    async fn start<S>(server: Value, script: S) -> Self
    where
        S: Fn(&Recorded) -> Vec<Step> + Send + Sync + 'static,
    {
        let upstream = Upstream::start(script).await;
        let gateway = Gateway::start(json!([entry(server, &upstream)])).await;
        Self { upstream, gateway }
    }

    async fn ask(&self, request: &Request) -> Answer {
        wire::ask(self.gateway.address, request).await
    }

    async fn call(&self) -> Answer {
        self.ask(&call()).await
    }

    /// Opens a legacy session, and gives its id.
    async fn open(&self) -> String {
        let opened = self.ask(&initialize()).await;
        let id = opened.headers.get("mcp-session-id");
        id.unwrap_or_else(|| panic!("no session: {opened:?}"))
            .to_owned()
    }

    /// The `Authorization` of every call so far.
    fn proofs(&self) -> Vec<String> {
        let calls = self.upstream.recorded("tools/call");
        calls.iter().map(proof).collect()
    }
}

/// A server's entry.
fn entry(mut server: Value, upstream: &Upstream) -> Value {
    server["id"] = json!("s");
    server["url"] = json!(upstream.url());
    server
}

/// The `Authorization` of a request: all of them, if there are several.
fn proof(request: &Recorded) -> String {
    request.headers.all("authorization").join(" | ")
}

fn call() -> Request {
    modern_call(PATH, &json!(1), "any", json!({}))
}

fn initialize() -> Request {
    let params = json!({ "protocolVersion": LEGACY, "capabilities": {},
        "clientInfo": { "name": "test", "version": "1" } });
    legacy(PATH, &json!(0), "initialize", params)
}

/// A server of both eras whose legacy clients have sessions.
fn sociable(request: &Recorded) -> Vec<Step> {
    if request.method != "POST" {
        return answer("200 OK", &[], b"");
    }
    if request.json().get("id").is_none() {
        return accepted();
    }
    if request.rpc_method() != "initialize" {
        return friendly(request);
    }
    let result = json!({ "jsonrpc": "2.0", "id": request.json()["id"], "result": {
        "protocolVersion": LEGACY, "capabilities": { "tools": {} },
        "serverInfo": { "name": "fake", "version": "1" } } });
    let headers = [
        ("content-type", "application/json"),
        ("mcp-session-id", SESSION),
    ];
    answer("200 OK", &headers, result.to_string().as_bytes())
}

/// The same server without the modern era.
fn legacy_only(request: &Recorded) -> Vec<Step> {
    let is_modern = request.headers.get("mcp-protocol-version") == Some("2026-07-28");
    if is_modern && request.method == "POST" {
        return answer(
            "400 Bad Request",
            &[("content-type", "text/plain")],
            b"what?",
        );
    }
    sociable(request)
}

/// The refusal of a credential: what the client is told.
fn assert_refused(answer: &Answer, status: u16) {
    assert_eq!(answer.status, 502, "{answer:?}");
    assert_eq!(answer.headers.get("www-authenticate"), None, "{answer:?}");
    let error = &answer.last_json()["error"];
    assert_eq!(error["code"], -31502, "{answer:?}");
    let message = error["message"].as_str().unwrap();
    assert!(message.starts_with("server s "), "{message}");
    assert!(message.contains(&format!("(HTTP {status})")), "{message}");
}

/// A call in a session with the gateway.
fn call_in(session: &str) -> Request {
    legacy_call(PATH, &json!(1), "any", json!({})).header("mcp-session-id", session)
}
