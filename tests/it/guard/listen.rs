//! `subscriptions/listen` under guardrails: each resource is judged as if it was subscribed to by itself.

use serde_json::{Value, json};

use super::Bed;
use crate::support::message::{modern, modern_body};
use crate::support::wire::{self, Request};

const SECRET: &str = "file:///secret/x";
const OPEN: &str = "file:///open/x";

fn listen(path: &str, uris: &Value) -> Request {
    let filter = json!({ "notifications": { "resourceSubscriptions": uris } });
    modern(path, &json!(1), "subscriptions/listen", filter)
}

#[tokio::test]
async fn a_resource_that_is_blocked_is_not_listened_for_at_any_endpoint() {
    let rules = json!([{ "name": "no", "on": ["resources"], "action": "block",
        "tools": ["file:///secret/*"] }]);
    let bed = Bed::start(rules).await;
    for (path, prefix) in [
        ("/mcp/fake", ""),
        ("/mcp", "fake+"),
        ("/mcp/profile/default", "fake+"),
    ] {
        let named = |uri: &str| format!("{prefix}{uri}");
        for uris in [json!([named(SECRET)]), json!([named(OPEN), named(SECRET)])] {
            let refused = bed.ask(&listen(path, &uris)).await.last_json();
            let message = refused["error"]["message"].as_str().unwrap_or_default();
            assert!(message.contains("\"no\""), "{path} {uris}: {refused}");
        }
    }
    let heard = bed.upstream.recorded("subscriptions/listen");
    let is_told = |one: &crate::support::upstream::Recorded| {
        String::from_utf8_lossy(&one.body).contains("secret")
    };
    assert!(!heard.iter().any(is_told));
    // What no rule is about is listened for.
    let mut listening = wire::stream(bed.gateway.address, &listen("/mcp", &json!([]))).await;
    let acknowledged = listening.event().await.unwrap();
    assert!(acknowledged.contains("acknowledged"), "{acknowledged}");
}

#[tokio::test]
async fn what_two_readers_could_read_otherwise_is_not_listened_for() {
    let rules = json!([{ "name": "no", "on": ["resources"], "action": "block",
        "tools": ["file:///secret/*"] }]);
    let bed = Bed::start(rules).await;
    let asked = listen("/mcp/fake", &json!([OPEN]));
    let filter = json!({ "notifications": { "resourceSubscriptions": [OPEN] } });
    let text = modern_body(&json!(1), "subscriptions/listen", filter).to_string();
    for (from, to) in [
        (
            r#""notifications":"#,
            r#""notifications":{"resourceSubscriptions":["file:///secret/x"]},"notifications":"#,
        ),
        (
            r#""resourceSubscriptions":"#,
            r#""resourceSubscriptions":["file:///secret/x"],"resourceSubscriptions":"#,
        ),
        (
            r#""resourceSubscriptions":"#,
            r#""ResourceSubscriptions":["file:///secret/x"],"resourceSubscriptions":"#,
        ),
    ] {
        let doubled = asked.clone().body(text.replacen(from, to, 1));
        let refused = bed.ask(&doubled).await.last_json();
        assert_eq!(refused["error"]["code"], -32602, "{to}: {refused}");
    }
    assert!(bed.upstream.recorded("subscriptions/listen").is_empty());
}
