//! What is refused for what HTTP says of it: before the body is read, or while it is.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::site::{assert_all, run};
use super::{Echo, MODERN_ONLY, Row};
use crate::support::message::post;
use crate::support::upstream::{Upstream, friendly};
use crate::support::wire::Request;

pub(super) const CAUSED: &[&str] = &[
    "body_timeout",
    "body_too_large",
    "head_too_large",
    "header_repeated",
    "host_forbidden",
    "http_method",
    "origin_forbidden",
    "path_unknown",
];

fn config(upstream: &Upstream) -> Value {
    json!({
        "gateway": { "max_body_bytes": 2000,
            "connections": { "max_headers": 30, "body_pause_ms": 200 } },
        "servers": [{ "id": "s", "url": upstream.url() }],
    })
}

fn heads() -> Vec<Row> {
    vec![
        Row::new(
            "a foreign host",
            "host_forbidden",
            (421, 421, -31421),
            |by| by.call("/mcp/s", "any").header("host", "evil.example"),
        )
        .echo(Echo::Nothing)
        .says(&["Host", "gateway.allowed_hosts"])
        .log(json!({ "method": "none", "http_method": "POST" })),
        Row::new(
            "a foreign origin",
            "origin_forbidden",
            (403, 403, -31403),
            |by| {
                by.call("/mcp/s", "any")
                    .header("origin", "https://evil.example")
            },
        )
        .echo(Echo::Nothing)
        .says(&["Origin", "gateway.allowed_origins"])
        .log(json!({ "method": "none", "http_method": "POST" })),
        Row::new("many headers", "head_too_large", (431, 431, -32600), |by| {
            (0..31).fold(by.call("/mcp/s", "any"), |request, n| {
                request.header(&format!("x-{n}"), "v")
            })
        })
        .echo(Echo::Nothing)
        .says(&["more than 30 headers", "send fewer"])
        .log(json!({ "method": "none" })),
        Row::new(
            "two credentials",
            "header_repeated",
            (400, 400, -32600),
            |by| {
                by.call("/mcp/s", "any")
                    .header("authorization", "Bearer one")
                    .header("authorization", "Bearer two")
            },
        )
        .echo(Echo::Nothing)
        .says(&["Authorization", "send it once"])
        .log(json!({ "method": "none", "http_method": "POST" })),
        Row::new(
            "two approvals",
            "header_repeated",
            (400, 400, -32600),
            |by| {
                by.call("/mcp/s", "any")
                    .header("x-conduit-approval-id", "one")
                    .header("x-conduit-approval-id", "two")
            },
        )
        .echo(Echo::Nothing)
        .says(&["X-Conduit-Approval-Id", "send it once"])
        .log(json!({ "method": "none", "http_method": "POST" })),
    ]
}

fn paths() -> Vec<Row> {
    vec![
        Row::new(
            "an unknown path",
            "path_unknown",
            (404, 404, -32601),
            |by| by.call("/nothing", "any"),
        )
        .echo(Echo::Nothing)
        .says(&["/mcp/{server}"])
        .log(json!({ "method": "none", "http_method": "POST" })),
        Row::new("a PUT", "http_method", (405, 405, -32600), |_| {
            Request::put("/mcp/s").body("{}")
        })
        .by(MODERN_ONLY)
        .echo(Echo::Nothing)
        .says(&["GET, POST, DELETE"])
        .headers(&[("allow", "GET, POST, DELETE")])
        .log(json!({ "method": "none", "http_method": "PUT" })),
        Row::new(
            "a POST to a stream",
            "http_method",
            (405, 405, -32600),
            |_| post("/sse", "{}"),
        )
        .by(MODERN_ONLY)
        .echo(Echo::Nothing)
        .says(&["GET"])
        .headers(&[("allow", "GET")]),
        Row::new(
            "a GET of messages",
            "http_method",
            (405, 405, -32600),
            |_| Request::get("/message"),
        )
        .by(MODERN_ONLY)
        .echo(Echo::Nothing)
        .says(&["POST"])
        .headers(&[("allow", "POST")])
        .log(json!({ "http_method": "GET" })),
    ]
}

fn bodies() -> Vec<Row> {
    let long = |by: super::Speaker| {
        let arguments = json!({ "text": "x".repeat(3000) });
        by.request(
            "/mcp/s",
            "tools/call",
            json!({ "name": "any", "arguments": arguments }),
        )
    };
    vec![
        Row::new("a long body", "body_too_large", (413, 413, -32600), long)
            .echo(Echo::Nothing)
            .says(&["at most 2000 bytes", "gateway.max_body_bytes"])
            .log(json!({ "method": "none" })),
        Row::new(
            "a long body in chunks",
            "body_too_large",
            (413, 413, -32600),
            move |by| long(by).chunked(100),
        )
        .echo(Echo::Nothing)
        .says(&["at most 2000 bytes", "gateway.max_body_bytes"])
        .log(json!({ "method": "none" })),
        Row::new("half a body", "body_timeout", (408, 408, -32600), |_| {
            post("/mcp/s", "{").header("content-length", "100")
        })
        .by(MODERN_ONLY)
        .echo(Echo::Nothing)
        .says(&[
            "did not arrive in time",
            "gateway.connections.body_timeout_ms",
        ])
        .log(json!({ "method": "none" })),
    ]
}

#[tokio::test]
async fn what_http_says_of_a_request_is_refused_as_its_rows_say() {
    let upstream = Upstream::start(friendly).await;
    let mut seen = BTreeSet::new();
    for rows in [heads(), paths(), bodies()] {
        run(&config(&upstream), &rows, &mut seen).await;
    }
    assert_all(&seen, CAUSED);
    assert!(upstream.recorded("tools/call").is_empty());
}
