//! What is refused for who is calling, or for nobody knowing who.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::site::{assert_all, run};
use super::{Echo, Row, Speaker};
use crate::support::gateway::free_address;
use crate::support::idp::{Provider, claims, now};
use crate::support::signer::Signer;
use crate::support::upstream::{Upstream, friendly};
use crate::support::wire::Request;

pub(super) const CAUSED: &[&str] = &[
    "auth_audience",
    "auth_conflict",
    "auth_duplicate",
    "auth_key_expired",
    "auth_key_unknown",
    "auth_missing",
    "auth_scheme",
    "auth_scope",
    "auth_signature",
    "auth_throttled",
    "auth_token_expired",
    "auth_token_malformed",
    "auth_unavailable",
];

fn call(by: Speaker) -> Request {
    by.call("/mcp/s", "any")
}

/// Nobody is believed: what all such rows have in common.
fn denied(
    name: &'static str,
    label: &'static str,
    series: &'static str,
    says: &'static str,
    request: impl Fn(Request) -> Request + Send + Sync + 'static,
) -> Row {
    Row::new(name, label, (401, 200, -31401), move |by| request(call(by)))
        .echo(Echo::IdIfCompatible)
        .says(&["Authentication failed: ", says])
        .headers(&[("www-authenticate", "")])
        .also(series)
        .log(json!({ "method": "none", "client_id": "anonymous",
            "error_message": "source 127.0.0.1" }))
}

fn keys() -> Vec<Row> {
    vec![
        denied(
            "no credential",
            "auth_missing",
            r#"conduit_auth_failures_total{reason="auth_missing"}"#,
            "send `Authorization: Bearer <credential>` or `X-API-Key`",
            |request| request,
        )
        .headers(&[("www-authenticate", "Bearer")]),
        denied(
            "another scheme",
            "auth_scheme",
            r#"conduit_auth_failures_total{reason="auth_scheme"}"#,
            "must be `Bearer <credential>`",
            |request| request.header("authorization", "Basic cGxhaW4="),
        ),
        denied(
            "two headers",
            "auth_duplicate",
            r#"conduit_auth_failures_total{reason="auth_duplicate"}"#,
            "send it once",
            |request| {
                request
                    .header("x-api-key", "plain")
                    .header("x-api-key", "plain")
            },
        ),
        denied(
            "two credentials",
            "auth_conflict",
            r#"conduit_auth_failures_total{reason="auth_conflict"}"#,
            "send one",
            |request| {
                request
                    .header("x-api-key", "plain")
                    .header("authorization", "Bearer old")
            },
        ),
        denied(
            "a wrong key",
            "auth_key_unknown",
            r#"conduit_auth_failures_total{reason="auth_key_unknown"}"#,
            "send one that the gateway was given",
            |request| request.header("authorization", "Bearer guess"),
        )
        .headers(&[("www-authenticate", r#"Bearer error="invalid_token""#)]),
        denied(
            "an old key",
            "auth_key_expired",
            r#"conduit_auth_failures_total{reason="auth_key_expired"}"#,
            "get a new one",
            |request| request.header("authorization", "Bearer old"),
        ),
    ]
}

/// A token for the endpoint, but for one change.
fn token(signer: &Signer, change: fn(&mut Value)) -> String {
    let mut claims = claims("alice");
    claims["aud"] = json!("https://gw.example/mcp/s");
    claims["scope"] = json!("mcp");
    change(&mut claims);
    format!("Bearer {}", signer.sign(&claims))
}

fn scopes(signer: &Signer) -> Vec<Row> {
    let unscoped = token(signer, |claims| claims["scope"] = json!("nothing"));
    let scoped = token(signer, |_| {});
    vec![
        Row::new(
            "no scope for the endpoint",
            "auth_scope",
            (403, 200, -31403),
            move |by| call(by).header("authorization", &unscoped),
        )
        .echo(Echo::IdIfCompatible)
        .says(&["this needs mcp", "get a token"])
        .headers(&[("www-authenticate", "")])
        .also(r#"conduit_auth_failures_total{reason="auth_scope"}"#)
        .log(json!({ "client_id": "alice", "error_message": "source 127.0.0.1" })),
        Row::new(
            "no scope for the tool",
            "auth_scope",
            (403, 200, -31403),
            move |by| {
                by.call("/mcp/s", "write_it")
                    .header("authorization", &scoped)
            },
        )
        .says(&["this needs mcp s:write", "get a token"])
        .headers(&[("www-authenticate", "")])
        .server("s")
        .also(r#"conduit_auth_failures_total{reason="auth_scope"}"#)
        .log(
            json!({ "client_id": "alice", "server_id": "s", "tool_name": "write_it",
            "method": "tools/call", "era": null }),
        ),
    ]
}

fn tokens(signer: &Signer) -> Vec<Row> {
    let token = |change: fn(&mut Value)| token(signer, change);
    let with = |bearer: String| move |request: Request| request.header("authorization", &bearer);
    let forged = Signer::ed25519("k");
    let forged = format!("Bearer {}", forged.sign(&claims("alice")));
    let (old, other) = (
        token(|claims| claims["exp"] = json!(now() - 3600)),
        token(|claims| claims["aud"] = json!("https://other.example")),
    );
    vec![
        denied(
            "no token",
            "auth_token_malformed",
            r#"conduit_auth_failures_total{reason="auth_token_malformed"}"#,
            "not a signed JWT",
            with("Bearer plain".to_owned()),
        ),
        denied(
            "an old token",
            "auth_token_expired",
            r#"conduit_auth_failures_total{reason="auth_token_expired"}"#,
            "get a new one",
            with(old),
        ),
        denied(
            "a token for something else",
            "auth_audience",
            r#"conduit_auth_failures_total{reason="auth_audience"}"#,
            "get one for this endpoint",
            with(other),
        ),
        denied(
            "a forged token",
            "auth_signature",
            r#"conduit_auth_failures_total{reason="auth_signature"}"#,
            "signature is not valid",
            with(forged),
        ),
    ]
}

fn throttled() -> Vec<Row> {
    let guess = |by: Speaker| call(by).header("authorization", "Bearer guess");
    let first = |request: Request| request.header("authorization", "Bearer guess");
    vec![
        denied(
            "a first guess",
            "auth_key_unknown",
            r#"conduit_auth_failures_total{reason="auth_key_unknown"}"#,
            "not known",
            first,
        )
        .by(&[Speaker::Modern]),
        Row::new("another guess", "auth_throttled", (429, 200, -31429), guess)
            .echo(Echo::IdIfCompatible)
            .says(&["too many wrong credentials", "try again in"])
            .headers(&[("retry-after", "")])
            .also(r#"conduit_auth_failures_total{reason="auth_throttled"}"#)
            .log(json!({ "error_message": "source 127.0.0.1" })),
    ]
}

fn unavailable(signer: &Signer) -> Vec<Row> {
    let token = format!("Bearer {}", signer.sign(&claims("alice")));
    vec![
        Row::new(
            "no keys to be had",
            "auth_unavailable",
            (503, 503, -31503),
            move |by| call(by).header("authorization", &token),
        )
        .echo(Echo::IdIfCompatible)
        .says(&["identity provider", "try again later"])
        .headers(&[("retry-after", "1")])
        .also(r#"conduit_auth_failures_total{reason="auth_unavailable"}"#)
        .log(json!({ "error_message": "source 127.0.0.1" })),
    ]
}

#[tokio::test]
async fn who_is_not_believed_or_let_in_is_refused_as_its_rows_say() {
    let upstream = Upstream::start(friendly).await;
    let mut seen = BTreeSet::new();
    let config =
        |auth: Value| json!({ "auth": auth, "servers": [{ "id": "s", "url": upstream.url() }] });
    let some = json!(["plain", { "key": "old", "expires_at": "2020-01-01" }]);
    let auth = json!({ "method": "api-key", "api_keys": some, "throttle": { "max_failures": 0 } });
    run(&config(auth.clone()), &keys(), &mut seen).await;
    let mut strict = auth;
    strict["throttle"] = json!({ "max_failures": 1, "window_seconds": 86400 });
    run(&config(strict), &throttled(), &mut seen).await;

    let signer = Signer::ed25519("k");
    let provider = Provider::start(&[&signer]).await;
    let mut auth = provider.auth();
    auth.as_object_mut().unwrap().remove("audience");
    auth["throttle"] = json!({ "max_failures": 0 });
    auth["oauth"] = json!({ "resource": "https://gw.example",
        "authorization_servers": ["https://idp.example"], "required_scopes": ["mcp"] });
    let mut config_of_tokens = config(auth);
    config_of_tokens["servers"][0]["tool_scopes"] = json!({ "write_*": ["s:write"] });
    let rows: Vec<Row> = tokens(&signer).into_iter().chain(scopes(&signer)).collect();
    run(&config_of_tokens, &rows, &mut seen).await;

    let nowhere = json!({ "method": "jwt", "jwks_url": format!("http://{}", free_address()),
        "issuer": "https://idp.example", "audience": "conduit" });
    run(&config(nowhere), &unavailable(&signer), &mut seen).await;
    assert_all(&seen, CAUSED);
    assert!(upstream.recorded("tools/call").is_empty());
}
