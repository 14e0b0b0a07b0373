//! API keys.

use serde_json::{Value, json};

use super::{ask, bearer, calls, metrics, start, start_with, ways_in};
use crate::support::message::modern_call;
use crate::support::until;
use crate::support::wire::{Connection, Request};

fn auth() -> Value {
    json!({ "method": "api-key", "api_keys": [
        "plain",
        { "key": "owned", "client_id": "alice", "tenant_id": "acme" },
        { "key": "old", "label": "laptop", "expires_at": "2020-01-01" },
        { "key": "lasting", "expires_at": "2999-12-31T12:00:00Z" },
    ] })
}

fn call() -> Request {
    modern_call("/mcp/a", &json!(1), "any", json!({}))
}

#[tokio::test]
async fn every_way_in_is_closed_to_who_has_no_key() {
    let (gateway, upstream) = start(auth()).await;
    for request in ways_in() {
        let answer = ask(&gateway, &request).await;
        assert_eq!(answer.status, 401, "{answer:?}");
        assert_eq!(answer.headers.get("www-authenticate"), Some("Bearer"));
        assert_eq!(answer.json()["error"]["code"], -31401);
    }
    assert!(upstream.recorded("tools/call").is_empty());
    let counted = metrics(&gateway).await;
    let expected = format!(
        r#"conduit_auth_failures_total{{reason="auth_missing"}} {}"#,
        ways_in().len()
    );
    assert!(counted.contains(&expected), "{counted}");
}

#[tokio::test]
async fn a_key_opens_every_endpoint_and_goes_no_further() {
    let (gateway, upstream) = start(auth()).await;
    for key in ["plain", "owned", "lasting"] {
        for request in calls() {
            let answer = ask(&gateway, &bearer(request.clone(), key)).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            let answer = ask(&gateway, &request.header("x-api-key", key)).await;
            assert_eq!(answer.status, 200, "{answer:?}");
        }
    }
    let seen = upstream.recorded("tools/call");
    assert_eq!(seen.len(), 3 * 3 * 2);
    for request in seen {
        assert_eq!(request.headers.get("authorization"), None);
        assert_eq!(request.headers.get("x-api-key"), None);
    }
}

#[tokio::test]
async fn a_key_may_be_written_as_its_digest() {
    let digest = "sha256:".to_owned() + &hex("hashed");
    let (gateway, _upstream) = start(json!({ "method": "api_key", "api_keys": [digest] })).await;
    assert_eq!(ask(&gateway, &bearer(call(), "hashed")).await.status, 200);
    let as_written = ask(&gateway, &bearer(call(), &digest)).await;
    assert_eq!(as_written.status, 401, "the digest is no key");
}

fn hex(text: &str) -> String {
    use sha2::Digest;
    let digest = sha2::Sha256::digest(text);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn what_is_not_one_right_key_is_refused_and_told_nobody() {
    let (gateway, upstream) = start(auth()).await;
    let long = "k".repeat(100 * 1024);
    let rows = [
        (
            vec![("authorization", "Bearer secret-guess")],
            "auth_key_unknown",
        ),
        (vec![("authorization", "Bearer ownedx")], "auth_key_unknown"),
        (vec![("authorization", "Bearer own ed")], "auth_malformed"),
        (vec![("authorization", "Bearer")], "auth_malformed"),
        (vec![("authorization", "Basic b3duZWQ6")], "auth_scheme"),
        (vec![("authorization", "owned")], "auth_scheme"),
        (vec![("x-api-key", "")], "auth_malformed"),
        (vec![("x-api-key", "OWNED")], "auth_key_unknown"),
        (vec![("authorization", "Bearer old")], "auth_key_expired"),
        (
            vec![("authorization", "Bearer owned"), ("x-api-key", "plain")],
            "auth_conflict",
        ),
        (
            vec![
                ("authorization", "Bearer owned"),
                ("authorization", "Bearer owned"),
            ],
            "auth_duplicate",
        ),
        (
            vec![("x-api-key", "owned"), ("x-api-key", "owned")],
            "auth_duplicate",
        ),
    ];
    for (headers, reason) in &rows {
        let with = |request: Request, (name, value): &(&str, &str)| request.header(name, value);
        let request = headers.iter().fold(call(), with);
        let answer = ask(&gateway, &request).await;
        assert_eq!(answer.status, 401, "{reason}: {answer:?}");
        let counted = metrics(&gateway).await;
        assert!(
            counted.contains(&format!(r#"{{reason="{reason}"}}"#)),
            "{reason}"
        );
    }
    let answer = ask(&gateway, &bearer(call(), &long)).await;
    assert!((400..500).contains(&answer.status), "{answer:?}");
    assert_eq!(ask(&gateway, &bearer(call(), "owned")).await.status, 200);
    assert_eq!(upstream.recorded("tools/call").len(), 1);
    until("the failures to be logged", || async {
        let log = gateway.process.output();
        (log.contains("auth_duplicate") && log.contains("source 127.0.0.1")).then_some(())
    })
    .await;
    let log = gateway.process.output();
    assert!(
        !log.contains("secret-guess") && !log.contains("b3duZWQ6"),
        "{log}"
    );
    assert!(log.contains(r#""tenant_id":"acme""#), "{log}");
}

#[tokio::test]
async fn a_refusal_comes_before_the_body() {
    let (gateway, _upstream) = start(auth()).await;
    let mut connection = Connection::open(gateway.address).await.unwrap();
    assert_eq!(connection.announce(&call()).await.unwrap(), 401);
}

#[tokio::test]
async fn a_source_that_guesses_too_often_is_told_to_wait() {
    let mut auth = auth();
    auth["throttle"] = json!({ "max_failures": 3, "window_seconds": 86400 });
    let (gateway, _upstream) = start(auth).await;
    assert_eq!(ask(&gateway, &bearer(call(), "owned")).await.status, 200);
    for _ in 0..3 {
        assert_eq!(ask(&gateway, &bearer(call(), "guess")).await.status, 401);
    }
    let throttled = ask(&gateway, &bearer(call(), "guess")).await;
    assert_eq!(throttled.status, 429, "{throttled:?}");
    let wait = throttled.headers.get("retry-after").unwrap();
    assert!(
        (1..=86400).contains(&wait.parse::<u32>().unwrap()),
        "{wait}"
    );
    // One that is right, but was never used from here, waits, too; one that was does not.
    assert_eq!(ask(&gateway, &bearer(call(), "plain")).await.status, 429);
    assert_eq!(ask(&gateway, &bearer(call(), "owned")).await.status, 200);
    let counted = metrics(&gateway).await;
    assert!(
        counted.contains(r#"{reason="auth_throttled"} 2"#),
        "{counted}"
    );
}

#[tokio::test]
async fn clients_of_mcp_conduit_are_refused_with_200_and_their_own_id() {
    let config = json!({ "auth": auth(), "compat": { "always_200": true } });
    let (gateway, _upstream) = start_with(config).await;
    let request = modern_call("/mcp/a", &json!("mine"), "any", json!({}));
    let answer = ask(&gateway, &request).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let message = answer.json();
    assert_eq!(
        (&message["id"], &message["error"]["code"]),
        (&json!("mine"), &json!(-31401))
    );
    assert_eq!(answer.headers.get("www-authenticate"), None);
}

#[tokio::test]
async fn keys_change_with_the_configuration() {
    let (gateway, upstream) = start(auth()).await;
    let servers = json!([{ "id": "a", "url": upstream.url() }]);
    let keys = json!({ "method": "api-key", "api_keys": ["new"] });
    gateway.rewrite(json!({ "servers": servers, "auth": keys }));
    let report = gateway.reload().await.json();
    assert_eq!(report["reloaded"], json!(["auth"]), "{report}");
    assert_eq!(ask(&gateway, &bearer(call(), "new")).await.status, 200);
    assert_eq!(ask(&gateway, &bearer(call(), "owned")).await.status, 401);
    gateway.rewrite(json!({ "servers": servers }));
    gateway.reload().await;
    assert_eq!(ask(&gateway, &call()).await.status, 200);
}

#[tokio::test]
async fn nothing_that_is_told_holds_a_secret() {
    let secrets = [
        "key-7f3a-plain",
        "key-91bc-owned",
        "guess-55e0",
        "tok.en-2b.61-sig",
    ];
    let [plain, owned, guess, token] = secrets;
    let auth = json!({ "method": ["api-key", "jwt"], "jwks_url": "http://127.0.0.1:1/keys?secret-4c1d",
        "issuer": "i", "audience": "a",
        "api_keys": [plain, { "key": owned, "client_id": "alice" }] });
    let (gateway, upstream) = start(auth).await;
    let mut told = String::new();
    for credential in secrets {
        for request in ways_in() {
            if request.is_post() {
                told += &ask(&gateway, &bearer(request, credential)).await.told();
            }
        }
    }
    // Wrong keys in a file that is refused, too.
    gateway.rewrite(
        json!({ "auth": { "method": "api-key", "api_keys": [plain, plain, [owned]] },
        "servers": [{ "id": "a", "url": upstream.url() }] }),
    );
    told += &gateway.reload().await.told();
    for path in [
        "health",
        "readyz",
        "version",
        "metrics",
        "servers",
        "cache/stats",
    ] {
        told += &ask(&gateway, &Request::get(&format!("/conduit/{path}")))
            .await
            .told();
    }
    until("the failures to be logged", || async {
        gateway
            .process
            .output()
            .contains("auth_key_unknown")
            .then_some(())
    })
    .await;
    told += &gateway.process.output();
    for secret in [plain, owned, guess, token, "secret-4c1d"] {
        assert!(!told.contains(secret), "{secret}: {told}");
    }
    for request in upstream.recorded("tools/call") {
        let headers = format!("{:?}", request.headers);
        assert!(!headers.contains("key-"), "{headers}");
    }
}
