//! What is refused for what the message is: JSON-RPC, era, headers against body, sessions.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::site::{assert_all, run};
use super::{Echo, LEGACY_ONLY, MODERN_ONLY, Row, Speaker};
use crate::support::message::{modern_body, post};
use crate::support::upstream::{Upstream, friendly};

pub(super) const CAUSED: &[&str] = &[
    "batch_unsupported",
    "cursor_invalid",
    "envelope_invalid",
    "header_malformed",
    "header_mismatch",
    "header_missing",
    "id_missing",
    "invalid_request",
    "method_not_found",
    "params_invalid",
    "parse_error",
    "session_malformed",
    "session_missing",
    "session_unknown",
    "sessions_full",
    "state_invalid",
    "too_deep",
    "version_unsupported",
];

const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";

fn call() -> crate::support::wire::Request {
    Speaker::Modern.call("/mcp/s", "any")
}

/// Text that is no message, from whoever.
fn texts() -> Vec<Row> {
    let post_as = |by: Speaker, text: String| {
        post("/mcp/s", text).header("mcp-protocol-version", by.version())
    };
    vec![
        Row::new("no JSON", "parse_error", (400, 400, -32700), move |by| {
            post_as(by, "{".to_owned())
        })
        .echo(Echo::Nothing)
        .says(&["JSON parse error", "send one JSON-RPC message"])
        .log(json!({ "method": "none" })),
        Row::new("deep JSON", "too_deep", (400, 400, -32600), move |by| {
            let nested = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
            post_as(
                by,
                format!(r#"{{"jsonrpc":"2.0","id":7,"method":"m","params":{nested}}}"#),
            )
        })
        .echo(Echo::Nothing)
        .says(&["nested too deeply (128)"]),
        Row::new(
            "no JSON-RPC",
            "invalid_request",
            (400, 400, -32600),
            move |by| post_as(by, r#"{"jsonrpc":"1.0","id":7,"method":"ping"}"#.to_owned()),
        )
        .echo(Echo::Nothing)
        .says(&["`jsonrpc` must be \"2.0\""]),
        Row::new(
            "a batch",
            "batch_unsupported",
            (400, 400, -32600),
            move |by| {
                post_as(
                    by,
                    r#"[{"jsonrpc":"2.0","id":7,"method":"ping"}]"#.to_owned(),
                )
            },
        )
        .echo(Echo::Nothing)
        .says(&["2025-03-26", "one by one"]),
        Row::new(
            "a call without an id",
            "id_missing",
            (400, 400, -32600),
            move |by| {
                let mut body = modern_body(&json!(7), "tools/call", json!({ "name": "any" }));
                body.as_object_mut().unwrap().remove("id");
                if by.is_legacy() {
                    body["params"].as_object_mut().unwrap().remove("_meta");
                }
                post_as(by, body.to_string())
            },
        )
        .echo(Echo::Nothing)
        .says(&["tools/call is a request", "send it with one"])
        .log(json!({ "method": "none" })),
        Row::new(
            "an empty batch",
            "invalid_request",
            (400, 400, -32600),
            move |by| post_as(by, "[]".to_owned()),
        )
        .echo(Echo::Nothing)
        .says(&["empty JSON-RPC batch"]),
    ]
}

/// A call that was never asked for more, at a server whose questions the gateway keeps for its clients.
fn states() -> Vec<Row> {
    vec![
        Row::new(
            "an invented state",
            "state_invalid",
            (200, 200, -32602),
            |by| {
                by.request(
                    "/mcp/old",
                    "tools/call",
                    json!({ "name": "any", "arguments": {},
                "requestState": "invented", "inputResponses": {} }),
                )
            },
        )
        .by(MODERN_ONLY)
        .server("old")
        .says(&["requestState", "make the request again without one"])
        .log(
            json!({ "server_id": "old", "method": "tools/call", "tool_name": "any", "era": null }),
        ),
    ]
}

/// What 2026-07-28 demands.
fn ladder() -> Vec<Row> {
    let enveloped = |change: fn(&mut Value)| {
        let params = json!({ "name": "any", "arguments": {} });
        let mut body = modern_body(&json!(7), "tools/call", params);
        change(&mut body["params"]["_meta"]);
        let version = body["params"]["_meta"][VERSION]
            .as_str()
            .unwrap_or("2026-07-28")
            .to_owned();
        post("/mcp/s", body.to_string())
            .header("mcp-protocol-version", &version)
            .header("mcp-method", "tools/call")
            .header("mcp-name", "any")
    };
    vec![
        Row::new(
            "half an envelope",
            "envelope_invalid",
            (400, 400, -32602),
            move |_| enveloped(|meta| drop(meta.as_object_mut().unwrap().remove(CAPABILITIES))),
        )
        .says(&[
            "io.modelcontextprotocol/clientCapabilities",
            "2026-07-28 needs it",
        ]),
        Row::new(
            "a later version",
            "version_unsupported",
            (400, 400, -32022),
            move |_| enveloped(|meta| meta[VERSION] = json!("2099-01-01")),
        )
        .says(&["2099-01-01", "use 2026-07-28"]),
        Row::new(
            "no name in the head",
            "header_missing",
            (400, 400, -32020),
            |_| call().without("mcp-name"),
        )
        .says(&["Mcp-Name is missing"]),
        Row::new(
            "another name in the head",
            "header_mismatch",
            (400, 400, -32020),
            |_| call().without("mcp-name").header("mcp-name", "other"),
        )
        .says(&["Mcp-Name does not match the body"]),
        Row::new(
            "broken base64 in the head",
            "header_malformed",
            (400, 400, -32020),
            |_| {
                call()
                    .without("mcp-name")
                    .header("mcp-name", "=?base64?!!!!?=")
            },
        )
        .says(&["Mcp-Name is not valid base64"]),
    ]
    .into_iter()
    .map(|row| row.by(MODERN_ONLY))
    .collect()
}

/// What names nothing that there is.
fn names() -> Vec<Row> {
    vec![
        Row::new(
            "an unknown legacy version",
            "version_unsupported",
            (400, 400, -32022),
            |_| {
                post(
                    "/mcp/s",
                    r#"{"jsonrpc":"2.0","id":7,"method":"tools/list"}"#,
                )
                .header("mcp-protocol-version", "1999-01-01")
            },
        )
        .by(&[Speaker::November])
        .says(&["1999-01-01", "2025-11-25"]),
        Row::new(
            "an unknown method",
            "method_not_found",
            (404, 404, -32601),
            |by| by.request("/mcp", "tools/sing", json!({})),
        )
        .within("/mcp")
        .legacy_status(200)
        .says(&["tools/sing", "not offered here"])
        .log(json!({ "method": "other", "era": null })),
        Row::new(
            "a call of nothing",
            "params_invalid",
            (200, 200, -32602),
            |by| by.request("/mcp", "tools/call", json!({ "arguments": {} })),
        )
        .within("/mcp")
        .says(&["`name` is missing"])
        .log(json!({ "method": "tools/call", "era": null })),
        Row::new(
            "an invented cursor",
            "cursor_invalid",
            (200, 200, -32602),
            |by| by.request("/mcp", "tools/list", json!({ "cursor": "x" })),
        )
        .within("/mcp")
        .says(&["cursor", "list again without one"])
        .log(json!({ "method": "tools/list", "era": null })),
    ]
}

fn sessions() -> Vec<Row> {
    let initialize = |by: Speaker| {
        by.request(
            "/mcp",
            "initialize",
            json!({ "protocolVersion": by.version(),
            "capabilities": {}, "clientInfo": { "name": "test", "version": "1" } }),
        )
    };
    vec![
        Row::new("no session", "session_missing", (400, 400, -32600), |by| {
            by.call("/mcp", "s.any")
        })
        .says(&["Mcp-Session-Id is missing", "initialize"])
        .log(json!({ "method": "tools/call", "era": "legacy" })),
        Row::new("a strange session id", "session_malformed", (400, 400, -32600), |by| {
            by.call("/mcp/s", "any").header("mcp-session-id", "a b")
        })
        .says(&["Mcp-Session-Id is malformed"]),
        Row::new("an invented session", "session_unknown", (404, 404, -31404), |by| {
            by.call("/mcp/s", "any").header("mcp-session-id", "invented")
        })
        .server("s")
        .says(&["session not found", "initialize a new one"])
        .log(json!({ "method": "tools/call", "era": "legacy", "server_id": "s", "tool_name": "any" })),
        Row::new("another endpoint's session", "session_unknown", (404, 404, -31404), |by| {
            by.call("/mcp/s", "any")
        })
        .within("/mcp")
        .server("s")
        .says(&["session not found"]),
        Row::new("one session more", "sessions_full", (503, 503, -31503), initialize)
            .says(&["too many sessions", "end one"])
            .headers(&[("retry-after", "1")])
            .log(json!({ "method": "initialize", "era": "legacy" })),
    ]
    .into_iter()
    .map(|row| row.by(LEGACY_ONLY))
    .collect()
}

#[tokio::test]
async fn what_a_message_is_is_refused_as_its_rows_say() {
    let upstream = Upstream::start(friendly).await;
    let mut seen = BTreeSet::new();
    let config = json!({ "servers": [{ "id": "s", "url": upstream.url() },
            { "id": "old", "url": upstream.url(), "era": "legacy" }],
        "router": { "health_check": { "enabled": false } } });
    let rows: Vec<Row> = [texts(), ladder(), names(), states()]
        .into_iter()
        .flatten()
        .collect();
    run(&config, &rows, &mut seen).await;
    let mut few = config;
    // One for each speaker of the one row that opens any.
    few["sessions"] = json!({ "max_sessions": LEGACY_ONLY.len() });
    run(&few, &sessions(), &mut seen).await;
    assert_all(&seen, CAUSED);
    assert!(upstream.recorded("tools/call").is_empty());
}
