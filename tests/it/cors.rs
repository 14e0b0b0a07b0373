//! Web pages of other origins: what browsers are told before and after a call, and who is told nothing.

use serde_json::{Value, json};

use crate::support::gateway::{Gateway, free_address};
use crate::support::message::{LEGACY, legacy, modern, modern_call};
use crate::support::upstream::{Recorded, Step, Upstream, answer, end, event, friendly, sse_head};
use crate::support::wire::{self, Answer, Request};

const PAGE: &str = "https://app.example.com";
const KEY: &str = "key-of-a-page-0001";
const PATH: &str = "/mcp/s";

struct Bed {
    gateway: Gateway,
    _upstream: Upstream,
}

impl Bed {
    async fn start() -> Self {
        Self::with(json!({ "method": "api-key", "api_keys": [KEY] })).await
    }

    async fn with(auth: Value) -> Self {
        let upstream = Upstream::start(upstream).await;
        let config = json!({ "gateway": { "allowed_origins": [PAGE] }, "auth": auth,
            "servers": [{ "id": "s", "url": upstream.url(), "cache": { "default_ttl": 60 } }] });
        Self {
            gateway: Gateway::with(config).await,
            _upstream: upstream,
        }
    }

    async fn ask(&self, request: Request) -> Answer {
        wire::ask(self.gateway.address, &request).await
    }

    async fn ask_as(&self, origin: &str, request: Request) -> Answer {
        let request = request.header("origin", origin).header("x-api-key", KEY);
        self.ask(request).await
    }
}

/// A server that believes to know which pages may read it.
fn upstream(request: &Recorded) -> Vec<Step> {
    let id = request.json()["id"].clone();
    let said = json!({ "jsonrpc": "2.0", "id": id, "result": { "resultType": "complete",
        "content": [] } });
    let text = said.to_string();
    let headers = [
        ("content-type", "application/json"),
        ("access-control-allow-origin", "*"),
        ("Access-Control-Allow-Credentials", "true"),
        ("vary", "accept"),
    ];
    match request.json()["params"]["name"].as_str() {
        Some("stream") => vec![sse_head(), event(&said), end()],
        Some("failing") => answer("500 Broken", &headers, b"no"),
        Some(_) => answer("200 OK", &headers, text.as_bytes()),
        None => friendly(request),
    }
}

fn preflight(path: &str, origin: &str) -> Request {
    Request::options(path)
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "content-type,mcp-method,x-evil",
        )
}

#[track_caller]
fn assert_readable(answer: &Answer, origin: &str) {
    let allowed = answer.headers.all("access-control-allow-origin");
    assert_eq!(allowed, [origin], "{answer:?}");
    let exposed = answer.headers.get("access-control-expose-headers");
    let exposed = exposed.unwrap_or_default();
    for name in ["Mcp-Session-Id", "WWW-Authenticate", "Retry-After"] {
        assert!(exposed.contains(name), "{answer:?}");
    }
    let varies = answer.headers.all("vary");
    assert!(varies.contains(&"Origin"), "{answer:?}");
    assert_eq!(answer.headers.get("access-control-allow-credentials"), None);
}

#[track_caller]
fn assert_untold(answer: &Answer) {
    let headers = format!("{:?}", answer.headers).to_lowercase();
    assert!(!headers.contains("access-control"), "{answer:?}");
}

#[tokio::test]
async fn a_browser_is_told_what_an_allowed_page_may_send_before_anybody_proves_anything() {
    let bed = Bed::start().await;
    for (path, methods) in [
        (PATH, "GET, POST, DELETE"),
        ("/mcp", "GET, POST, DELETE"),
        ("/mcp/nowhere", "GET, POST, DELETE"),
        ("/sse", "GET"),
        ("/mcp/s/message", "POST"),
    ] {
        let told = bed.ask(preflight(path, PAGE)).await;
        assert_eq!((told.status, told.text()), (204, String::new()), "{path}");
        let header = |name: &str| told.headers.get(name);
        assert_eq!(header("access-control-allow-origin"), Some(PAGE));
        assert_eq!(header("access-control-allow-methods"), Some(methods));
        let names = header("access-control-allow-headers");
        assert_eq!(names, Some("content-type, mcp-method"));
        assert_eq!(header("access-control-max-age"), Some("600"));
        assert_eq!(header("access-control-allow-credentials"), None);
        assert!(told.headers.all("vary").contains(&"Origin"), "{told:?}");
    }
}

#[tokio::test]
async fn an_allowed_page_can_read_every_kind_of_answer() {
    let bed = Bed::start().await;
    let params = json!({ "protocolVersion": LEGACY, "capabilities": {},
        "clientInfo": { "name": "test", "version": "1" } });
    let call = |tool: &str| modern_call(PATH, &json!(1), tool, json!({}));
    for request in [
        call("any"),
        call("stream"),
        call("failing"),
        call("any").without("mcp-method"),
        modern(PATH, &json!(1), "tools/list", json!({})),
        modern(PATH, &json!(2), "tools/list", json!({})),
        modern("/mcp", &json!(1), "tools/list", json!({})),
        modern_call("/mcp/nowhere", &json!(1), "any", json!({})),
        legacy(PATH, &json!(1), "initialize", params),
        Request::put(PATH),
        Request::options(PATH),
    ] {
        assert_readable(&bed.ask_as(PAGE, request).await, PAGE);
    }
    let unproven = bed.ask(call("any").header("origin", PAGE)).await;
    assert_eq!(unproven.status, 401);
    assert_readable(&unproven, PAGE);
    // A page on this machine, where the gateway listens there.
    let local = "http://localhost:6274";
    assert_readable(&bed.ask_as(local, call("any")).await, local);
}

#[tokio::test]
async fn no_other_page_is_told_anything_and_neither_is_who_is_none() {
    let bed = Bed::start().await;
    for origin in ["https://evil.example", "null", "http://app.example.com"] {
        let told = bed.ask(preflight(PATH, origin)).await;
        assert_eq!(told.status, 403, "{origin}");
        assert_untold(&told);
        let call = modern_call(PATH, &json!(1), "any", json!({}));
        let refused = bed.ask_as(origin, call).await;
        assert_eq!(refused.status, 403, "{origin}");
        assert_untold(&refused);
    }
    let call = modern_call(PATH, &json!(1), "any", json!({}));
    let two = call.clone().header("origin", "https://evil.example");
    assert_eq!(bed.ask_as(PAGE, two).await.status, 403);
    // What the server says of pages is nobody's.
    let plain = bed.ask(call.header("x-api-key", KEY)).await;
    assert_eq!(plain.status, 200);
    assert_untold(&plain);
}

#[tokio::test]
async fn the_control_plane_is_for_no_page_of_another_origin() {
    let own = free_address();
    let upstream = Upstream::start(friendly).await;
    let servers = json!([{ "id": "s", "url": upstream.url() }]);
    let gateway = Gateway::with(
        json!({ "servers": servers, "gateway": { "allowed_origins": [PAGE] },
        "admin": { "listen": own.to_string() } }),
    )
    .await;
    for (address, path) in [
        (gateway.address, "/conduit/servers"),
        (gateway.address, "/conduit/health"),
        (own, "/conduit/servers"),
    ] {
        let told = wire::ask(address, &preflight(path, PAGE)).await;
        assert_ne!(told.status, 204, "{path}");
        assert_untold(&told);
        let read = Request::get(path).header("origin", PAGE);
        assert_untold(&wire::ask(address, &read).await);
        let two = read.header("origin", "http://evil.example");
        assert_eq!(wire::ask(address, &two).await.status, 403, "{path}");
    }
}
