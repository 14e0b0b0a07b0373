//! What operators see.

use serde_json::json;

use super::Bed;
use crate::support::wire::Request;

#[tokio::test]
async fn what_is_checked_is_what_is_enforced() {
    let bed = Bed::start(json!([
        { "name": "other", "action": "block", "clients": ["bob"] },
        { "name": "big", "action": "block", "severity": "high", "message": "too much",
          "conditions": [{ "field": "n", "operator": "gt", "value": 5 }] },
    ]))
    .await;
    for (n, action) in [(9, "block"), (1, "allow")] {
        let path = format!(
            "/conduit/guardrails/check?client=anonymous&server=fake&tool=echo&args=%7B%22n%22%3A{n}%7D"
        );
        let told = bed.get(&path).await;
        assert_eq!(told["action"], action, "{told}");
        assert_eq!(told["considered"][0]["outcome"], "is not for this client");
        let answer = bed.call("echo", json!({ "n": n })).await;
        assert_eq!(answer["error"].is_object(), action == "block", "{answer}");
    }
    let told = bed
        .ask(&Request::get("/conduit/guardrails/check?client=a"))
        .await;
    assert_eq!(told.status, 400);
    let stats = bed.get("/conduit/guardrails/stats").await;
    assert_eq!(stats["total_blocks"], 1, "a check counts nothing: {stats}");
}

#[tokio::test]
async fn the_rules_are_shown_without_the_urls_they_tell() {
    let bed = Bed::start(json!([
        { "name": "r", "action": "alert", "webhook": "https://hooks.example/hush" },
    ]))
    .await;
    let rules = bed.ask(&Request::get("/conduit/guardrails/rules")).await;
    assert!(!rules.text().contains("hush"), "{rules:?}");
    assert_eq!(rules.json()["rules"][0]["has_webhook"], true);
    assert_eq!(rules.json()["default_action"], "allow");
}
