//! Tokens of an identity provider.

use serde_json::{Value, json};

use super::{ask, bearer, calls, metrics, start};
use crate::support::gateway::Gateway;
use crate::support::idp::{Provider, claims, now};
use crate::support::message::modern_call;
use crate::support::signer::{self, Signer};
use crate::support::until;

/// The status that a call with this token is answered with.
async fn status(gateway: &Gateway, token: &str) -> u16 {
    let call = modern_call("/mcp/a", &json!(1), "any", json!({}));
    ask(gateway, &bearer(call, token)).await.status
}

#[tokio::test]
async fn a_token_opens_every_endpoint_and_goes_no_further() {
    let signers = [Signer::rsa("r"), Signer::p256("p"), Signer::ed25519("e")];
    let provider = Provider::start(&signers.each_ref()).await;
    let (gateway, upstream) = start(provider.auth()).await;
    for signer in &signers {
        let token = signer.sign(&claims("alice"));
        for request in calls() {
            let answer = ask(&gateway, &bearer(request, &token)).await;
            assert_eq!(answer.status, 200, "{answer:?}");
        }
    }
    for request in upstream.recorded("tools/call") {
        assert_eq!(request.headers.get("authorization"), None);
    }
    until("the client to be logged", || async {
        let log = gateway.process.output();
        log.contains(r#""client_id":"alice""#).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_the_provider_did_not_say_is_refused() {
    let signer = Signer::rsa("k");
    let provider = Provider::start(&[&signer]).await;
    let (gateway, upstream) = start(provider.auth()).await;
    let good = claims("alice");
    let with = |member: &str, value: Value| {
        let mut claims = good.clone();
        claims[member] = value;
        signer.sign(&claims)
    };
    let header = |alg: &str| json!({ "alg": alg, "kid": "k" });
    let public = signer.jwk()["n"].as_str().unwrap().to_owned();
    let good_token = signer.sign(&good);
    let (signed, _) = good_token.rsplit_once('.').unwrap();
    for (what, token) in [
        ("alg none", signer::unsigned(&header("none"), &good)),
        ("no signature", format!("{signed}.")),
        (
            "HS256 with the public key",
            signer::hmac(&header("HS256"), &good, public.as_bytes()),
        ),
        (
            "RS256 that is an HMAC",
            signer::hmac(&header("RS256"), &good, public.as_bytes()),
        ),
        ("another's signature", Signer::p256("k").sign(&good)),
        (
            "a key that is a path",
            signer.sign_with(&json!({ "alg": "RS256", "kid": "../k" }), &good),
        ),
        ("another issuer", with("iss", json!("https://evil.example"))),
        ("another audience", with("aud", json!("somebody"))),
        ("expired", with("exp", json!(now() - 61))),
        ("not begun", with("nbf", json!(now() + 3600))),
        ("nobody's", with("sub", json!(""))),
    ] {
        let call = modern_call("/mcp/a", &json!(1), "any", json!({}));
        let answer = ask(&gateway, &bearer(call, &token)).await;
        assert_eq!(answer.status, 401, "{what}: {answer:?}");
        let challenge = answer.headers.get("www-authenticate");
        assert_eq!(challenge, Some(r#"Bearer error="invalid_token""#), "{what}");
    }
    assert!(upstream.recorded("tools/call").is_empty());
    assert_eq!(status(&gateway, &good_token).await, 200);
    assert_eq!(
        status(&gateway, &with("exp", json!(now() - 30))).await,
        200,
        "within the skew"
    );
    let counted = metrics(&gateway).await;
    for reason in [
        "algorithm",
        "signature",
        "kid_unknown",
        "issuer",
        "audience",
        "claims",
    ] {
        let reason = format!(r#"{{reason="auth_{reason}"}}"#);
        assert!(counted.contains(&reason), "{reason}: {counted}");
    }
}

#[tokio::test]
async fn keys_rotate_without_a_restart() {
    let (old, new) = (Signer::p256("old"), Signer::p256("new"));
    let provider = Provider::start(&[&old]).await;
    let (gateway, _upstream) = start(provider.auth()).await;
    assert_eq!(status(&gateway, &old.sign(&claims("alice"))).await, 200);
    provider.rotate(&[&new]);
    until("the new key to be known", || async {
        let status = status(&gateway, &new.sign(&claims("alice"))).await;
        (status == 200).then_some(())
    })
    .await;
    // What was verified before is not believed any more, either.
    assert_eq!(status(&gateway, &old.sign(&claims("alice"))).await, 401);
}

#[tokio::test]
async fn a_key_that_is_renewed_under_the_same_id_is_fetched_before_its_time() {
    let (old, new) = (Signer::p256("same"), Signer::p256("same"));
    let provider = Provider::start(&[&old]).await;
    let mut auth = provider.auth();
    // Failures up to then are the provider's, and throttle nobody here.
    auth["throttle"] = json!({ "max_failures": 0 });
    let (gateway, _upstream) = start(auth).await;
    assert_eq!(status(&gateway, &old.sign(&claims("alice"))).await, 200);
    provider.rotate(&[&new]);
    until("the renewed key to be known", || async {
        let status = status(&gateway, &new.sign(&claims("alice"))).await;
        (status == 200).then_some(())
    })
    .await;
    assert_eq!(status(&gateway, &old.sign(&claims("alice"))).await, 401);
}

#[tokio::test]
async fn a_provider_that_is_down_locks_nobody_out() {
    let signer = Signer::p256("k");
    let provider = Provider::start(&[&signer]).await;
    let mut auth = provider.auth();
    auth["jwks_refresh_seconds"] = json!(1);
    let (gateway, upstream) = start(auth.clone()).await;
    assert_eq!(status(&gateway, &signer.sign(&claims("alice"))).await, 200);
    provider.fail();
    let before = provider.n_asked();
    until("the provider to be asked in vain", || async {
        (provider.n_asked() > before + 1).then_some(())
    })
    .await;
    assert_eq!(status(&gateway, &signer.sign(&claims("bob"))).await, 200);
    // Nor does a reload just then, of something else.
    auth["audience"] = json!(["conduit", "other"]);
    let servers = json!([{ "id": "a", "url": upstream.url() }]);
    gateway.rewrite(json!({ "servers": servers, "auth": auth }));
    assert_eq!(gateway.reload().await.json()["reloaded"], json!(["auth"]));
    assert_eq!(status(&gateway, &signer.sign(&claims("carol"))).await, 200);
}

#[tokio::test]
async fn nobody_is_believed_or_blamed_before_there_are_keys() {
    let signer = Signer::p256("k");
    let provider = Provider::start(&[]).await;
    provider.fail();
    let (gateway, _upstream) = start(provider.auth()).await;
    let token = signer.sign(&claims("alice"));
    let call = modern_call("/mcp/a", &json!(1), "any", json!({}));
    let answer = ask(&gateway, &bearer(call, &token)).await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(answer.headers.get("retry-after"), Some("1"));
    provider.rotate(&[&signer]);
    until("the keys to be known", || async {
        (status(&gateway, &token).await == 200).then_some(())
    })
    .await;
}
