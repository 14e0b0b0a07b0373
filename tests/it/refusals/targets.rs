//! What is refused because it is not there, or there twice.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::site::{assert_all, run};
use super::{Row, Speaker};
use crate::support::message::result;
use crate::support::upstream::{Recorded, Step, Upstream, friendly, json as json_answer};

pub(super) const CAUSED: &[&str] = &[
    "profile_unknown",
    "server_unknown",
    "target_ambiguous",
    "target_unknown",
];

fn rows() -> Vec<Row> {
    let unknown = |name, code, request: fn(Speaker) -> _| {
        Row::new(name, "target_unknown", (200, 200, code), request).within("/mcp")
    };
    vec![
        Row::new(
            "an unknown server",
            "server_unknown",
            (404, 404, -32601),
            |by| by.call("/mcp/nowhere", "any"),
        )
        .says(&["unknown server: nowhere", "use /mcp/{server}"])
        .log(json!({ "method": "tools/call", "tool_name": "any", "era": null })),
        Row::new(
            "an unknown profile",
            "profile_unknown",
            (404, 404, -32601),
            |by| by.call("/mcp/profile/nothing", "any"),
        )
        .says(&["unknown profile: nothing", "use /mcp/profile/{profile}"])
        .log(json!({ "method": "tools/call", "tool_name": "any", "era": null })),
        unknown("an unknown tool", -32602, |by| {
            by.call("/mcp", "nobody.any")
        })
        .says(&["unknown tool: nobody.any", "list the tools again"])
        .log(json!({ "method": "tools/call", "tool_name": "nobody.any", "era": null })),
        unknown("an unknown prompt", -32602, |by| {
            by.request("/mcp", "prompts/get", json!({ "name": "nobody.any" }))
        })
        .says(&["unknown prompt: nobody.any", "list the prompts again"])
        .log(json!({ "method": "prompts/get", "tool_name": "nobody.any", "era": null })),
        unknown("an unknown resource", -32602, |by| {
            by.request(
                "/mcp",
                "resources/read",
                json!({ "uri": "nobody+file:///x" }),
            )
        })
        .legacy_code(-32002)
        .says(&[
            "unknown resource: nobody+file:///x",
            "list the resources again",
        ])
        .log(json!({ "method": "resources/read", "tool_name": "nobody+file:///x", "era": null })),
    ]
}

fn ambiguous() -> Vec<Row> {
    vec![
        Row::new(
            "a tool of two servers",
            "target_ambiguous",
            (200, 200, -32602),
            |by| by.call("/mcp", "same"),
        )
        .within("/mcp")
        .says(&["same is ambiguous: servers s and t", "use /mcp/{server}"])
        .log(json!({ "method": "tools/call", "tool_name": "same", "era": null })),
    ]
}

/// A server with the tool `same`.
fn script(request: &Recorded) -> Vec<Step> {
    let tool = json!({ "name": "same", "inputSchema": { "type": "object" } });
    let list =
        json!({ "tools": [tool], "resultType": "complete", "ttlMs": 0, "cacheScope": "private" });
    match request.rpc_method().as_str() {
        "tools/list" => json_answer(&result(&request.json()["id"], list)),
        _ => friendly(request),
    }
}

#[tokio::test]
async fn what_is_not_there_is_refused_as_its_rows_say() {
    let upstream = Upstream::start(script).await;
    let mut seen = BTreeSet::new();
    let config = |router: Value| {
        json!({ "router": router, "servers": [
        { "id": "s", "url": upstream.url() }, { "id": "t", "url": upstream.url() },
    ] })
    };
    run(&config(json!({})), &rows(), &mut seen).await;
    let bare = config(json!({ "namespace_strategy": "none" }));
    run(&bare, &ambiguous(), &mut seen).await;
    assert_all(&seen, CAUSED);
    assert!(upstream.recorded("tools/call").is_empty());
}
