//! Entries of a batch that are refused: the others are served, and each refusal is counted.

use serde_json::{Value, json};

use super::site::{Site, Statuses};
use crate::support::gateway::free_address;
use crate::support::message::post;
use crate::support::until;
use crate::support::upstream::{Upstream, friendly};
use crate::support::wire::Request;

fn entry(id: u32, method: &str, name: &str) -> Value {
    let params = json!({ "name": name, "arguments": {} });
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

fn batch(path: &str, entries: &[Value]) -> Request {
    post(path, json!(entries).to_string()).header("mcp-protocol-version", "2025-03-26")
}

#[tokio::test]
async fn each_entry_that_is_refused_is_counted_and_the_line_tells_of_the_first() {
    let upstream = Upstream::start(friendly).await;
    let gone = format!("http://{}/mcp", free_address());
    let deny = json!([{ "server": "s", "tools": ["drop_*"] }]);
    let config = json!({
        "acl": { "enabled": true, "policies": [{ "name": "most", "clients": ["*"], "deny": deny }] },
        "guardrails": { "enabled": true, "rules": [
            { "name": "no", "action": "block", "tools": ["held"] }] },
        "router": { "health_check": { "enabled": false } },
        "servers": [
            { "id": "s", "url": upstream.url(), "era": "legacy" },
            { "id": "gone", "url": gone, "era": "legacy" },
        ],
    });
    let site = Site::start(config, Statuses::Own).await;
    let own = [
        entry(1, "tools/call", "any"),
        entry(2, "tools/call", "drop_a"),
        entry(3, "tools/call", "drop_b"),
        entry(4, "tools/call", "held"),
        json!({ "jsonrpc": "2.0", "id": 5 }),
    ];
    let lost = [entry(1, "tools/call", "any")];
    for (trace, path, entries, errors, reason) in [
        (
            "batch-1",
            "/mcp/s",
            &own[..],
            [(2, -32000), (3, -32000), (4, -32000)].as_slice(),
            "acl_denied",
        ),
        (
            "batch-2",
            "/mcp/gone",
            &lost,
            &[(1, -31502)],
            "upstream_connect",
        ),
    ] {
        let request = batch(path, entries).header("x-conduit-trace-id", trace);
        let answer = site.ask(&request).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let answers = answer.json();
        for (id, code) in errors {
            let mut answers = answers.as_array().unwrap().iter();
            let found = answers.find(|one| one["id"] == *id).unwrap();
            assert_eq!(found["error"]["code"], *code, "{found}");
        }
        let named = format!("\"trace_id\":\"{trace}\"");
        let line = site.gateway.process.line("its line", |line| {
            line.contains(&named).then(|| line.to_owned())
        });
        let line: Value = serde_json::from_str(&line.await).unwrap();
        assert_eq!(line["reason"], reason, "{line}");
        assert_eq!(line["status"], "success", "{line}");
    }
    for (server, label, n) in [
        ("s", "acl_denied", 2),
        ("s", "guardrail_block", 1),
        ("s", "invalid_request", 1),
        ("gone", "upstream_connect", 1),
    ] {
        let series = format!(r#"conduit_errors_total{{server="{server}",type="{label}"}} {n}"#);
        until(&series, || async {
            let counts = site.ask(&Request::get("/conduit/metrics")).await.text();
            counts.lines().any(|line| line == series).then_some(())
        })
        .await;
    }
    assert_eq!(upstream.recorded("tools/call").len(), 1);
}
