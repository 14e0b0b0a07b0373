//! What the URLs of rules are told.

use serde_json::{Value, json};

use super::Bed;
use crate::support::message::modern;
use crate::support::until;
use crate::support::upstream::{Upstream, accepted, answer};
use crate::support::wire::Request;

fn guardrails(url: &str, webhooks: Value) -> Value {
    json!({
        "enabled": true,
        "webhooks": webhooks,
        "rules": [{ "name": "tell", "action": "alert", "severity": "critical", "webhook": url }],
    })
}

async fn told(bed: &Bed, result: &str) {
    let line = format!(r#"conduit_guardrail_webhooks_total{{result="{result}"}} 1"#);
    until(&line, || async {
        let metrics = bed.ask(&Request::get("/conduit/metrics")).await.text();
        metrics.contains(&line).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_match_is_told_signed_and_redacted_until_it_is_taken() {
    let tries = std::sync::atomic::AtomicUsize::new(0);
    let receiver =
        Upstream::start(
            move |_| match tries.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
                0 => answer("503 Service Unavailable", &[], b""),
                _ => accepted(),
            },
        )
        .await;
    let secret = "0123456789abcdef0123456789abcdef";
    let webhooks = json!({ "secret": secret, "allow_private": true });
    let url = format!("{}/hook?x=1", receiver.url());
    let bed = Bed::with(guardrails(&url, webhooks), json!({})).await;
    let arguments = json!({ "token": "hush", "to": "a@b.org", "n": 1 });
    assert!(bed.call("echo", arguments).await["result"].is_object());
    told(&bed, "delivered").await;

    let posts = receiver.recorded_http("POST");
    assert_eq!(posts.len(), 2, "one more, because the first was refused");
    let event = posts[1].json();
    assert_eq!(event["event"], "guardrail_alert");
    assert_eq!(event["rule_name"], "tell");
    assert_eq!(event["severity"], "critical");
    assert_eq!(event["tool_name"], "echo");
    let shown = json!({ "token": "[REDACTED]", "to": "[REDACTED:email]", "n": 1 });
    assert_eq!(event["tool_args"], shown);
    let signature = posts[1].headers.get("x-conduit-signature").unwrap();
    let seconds = signature
        .strip_prefix("t=")
        .unwrap()
        .split(',')
        .next()
        .unwrap();
    let seconds = seconds.parse().unwrap();
    let expected = filters::net::sign::signature(secret.as_bytes(), seconds, &posts[1].body);
    assert_eq!(signature, expected);
    assert!(posts[1].target.ends_with("?x=1"), "{}", posts[1].target);
}

#[tokio::test]
async fn a_webhook_goes_to_no_private_address_unless_it_may() {
    let receiver = Upstream::start(|_| accepted()).await;
    let bed = Bed::with(guardrails(&receiver.url(), json!({})), json!({})).await;
    assert!(bed.call("echo", json!({})).await["result"].is_object());
    told(&bed, "failed").await;
    assert_eq!(receiver.recorded_http("POST").len(), 0);
}

#[tokio::test]
async fn what_is_secret_in_a_uri_reaches_neither_a_webhook_nor_a_list_of_approvals() {
    let receiver = Upstream::start(|_| accepted()).await;
    let mut rules = guardrails(&receiver.url(), json!({ "allow_private": true }));
    rules["rules"][0]["on"] = json!(["resources"]);
    rules["rules"][0]["action"] = json!("require_approval");
    let approvals = json!({ "governance": { "approvals": { "enabled": true } } });
    let bed = Bed::with(rules, approvals).await;
    let uri = "db://u:hunter2@x/?password=hunter3&access_token=hunter4&page=7";
    let read = modern(
        "/mcp/fake",
        &json!(1),
        "resources/read",
        json!({ "uri": uri }),
    );
    assert_eq!(bed.ask(&read).await.json()["error"]["code"], -32011);
    told(&bed, "delivered").await;

    let posts = receiver.recorded_http("POST");
    let event = posts[0].json();
    let listed = bed
        .ask(&Request::get("/conduit/governance/approvals"))
        .await;
    let shown = "db://[REDACTED]@x/?password=[REDACTED]&access_token=[REDACTED]&page=7";
    assert_eq!(event["tool_name"], shown);
    assert_eq!(event["tool_args"]["uri"], shown);
    assert_eq!(listed.json()["approvals"][0]["tool_name"], shown);
    for text in [event.to_string(), listed.text()] {
        assert!(!text.contains("hunter"), "{text}");
    }
}
