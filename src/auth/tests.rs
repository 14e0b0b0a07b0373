use std::sync::Arc;

use filters::identity::Principal;
use filters::identity::Proof;
use filters::identity::resource::Spec as ResourceSpec;
use filters::identity::token::{Algorithm, Rules};
use http::HeaderValue;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::auth::api_key::{Key, fingerprint};
use crate::auth::jwks::{Jwks, Pace, Source};
use crate::auth::signature::tests::signer::{self, Signer};

const NOW: u64 = 1_000_000;
const LIMITS: Limits = Limits {
    failures_max: 3,
    window_seconds: 60,
};

/// Headers of a request.
type Headers<'a> = &'a [(&'static str, &'a str)];

struct Fixed(String);

#[async_trait::async_trait]
impl Source for Fixed {
    async fn fetch(&self) -> Result<bytes::Bytes, String> {
        Ok(self.0.clone().into())
    }
}

async fn verifier(set: &Value, audiences: &[&str]) -> Verifier {
    let jwks = Arc::new(Jwks::new(Pace {
        refresh: std::time::Duration::from_secs(60),
        cooldown: std::time::Duration::from_secs(60),
    }));
    let source: Arc<dyn Source> = Arc::new(Fixed(set.to_string()));
    tokio::spawn(Arc::clone(&jwks).run(source, CancellationToken::new()));
    jwks.renew().await;
    let spec = jwt::Spec {
        rules: Rules {
            issuer: Some("https://idp".to_owned()),
            client_claim: "sub".to_owned(),
            tenant_claim: "org_id".to_owned(),
            roles_claim: "roles".to_owned(),
        },
        audiences: audiences.iter().map(|one| (*one).to_owned()).collect(),
        is_for_all: false,
        algorithms: Algorithm::ALL.to_vec(),
    };
    Verifier::new(spec, jwks)
}

fn keys(keys: &[&str]) -> Keys {
    Keys::new(keys.iter().map(|text| {
        let key = Key {
            identity: Identity::new(Principal {
                client: format!("client-{text}").into(),
                proof: Proof::ApiKey,
                ..Principal::anonymous()
            }),
            expires: None,
        };
        (fingerprint(text), key)
    }))
}

fn authenticator(keys: Keys, jwt: Option<Verifier>) -> Authenticator {
    Authenticator {
        methods: Some(Methods {
            certificates: None,
            keys,
            jwt,
            limits: LIMITS,
        }),
        resource: Some(Resource::new(ResourceSpec {
            base: "https://gw".to_owned(),
            ..ResourceSpec::default()
        })),
        ..Authenticator::open()
    }
}

/// Asks from `source` with these headers; the client, or why not.
async fn ask_from(
    authenticator: &Authenticator,
    throttle: &Throttle,
    source: [u8; 4],
    headers: &[(&'static str, &str)],
) -> Result<String, &'static str> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, HeaderValue::from_str(value).unwrap());
    }
    let attempt = Attempt {
        peer: None,
        headers: &map,
        source: Some(source.into()),
        path: "/mcp/a",
        now: NOW,
    };
    let identified = authenticator.identify(&attempt, throttle).await;
    identified
        .map(|identity| identity.principal.client.to_string())
        .map_err(|refusal| refusal.label())
}

async fn ask(
    authenticator: &Authenticator,
    headers: &[(&'static str, &str)],
) -> Result<String, &'static str> {
    ask_from(authenticator, &Throttle::default(), [192, 0, 2, 1], headers).await
}

#[tokio::test]
async fn only_a_key_of_the_list_is_a_key() {
    let authenticator = authenticator(keys(&["k1", "k2"]), None);
    let rows: [(Headers<'_>, Result<&str, &str>); 9] = [
        (&[], Err("auth_missing")),
        (&[("authorization", "Bearer k1")], Ok("client-k1")),
        (&[("x-api-key", "k2")], Ok("client-k2")),
        (&[("authorization", "Bearer k3")], Err("auth_key_unknown")),
        (&[("authorization", "Bearer K1")], Err("auth_key_unknown")),
        (&[("authorization", "Bearer")], Err("auth_malformed")),
        (&[("authorization", "Basic azE6")], Err("auth_scheme")),
        (
            &[("authorization", "Bearer k1"), ("x-api-key", "k2")],
            Err("auth_conflict"),
        ),
        (
            &[
                ("authorization", "Bearer k1"),
                ("authorization", "Bearer k1"),
            ],
            Err("auth_duplicate"),
        ),
    ];
    for (headers, expected) in rows {
        let asked = ask(&authenticator, headers).await;
        assert_eq!(asked.as_deref(), expected.as_ref().copied(), "{headers:?}");
    }
}

#[tokio::test]
async fn forged_tokens_are_none() {
    let (rsa, forger) = (Signer::rsa("k"), Signer::p256("k"));
    let set = signer::set(&[&rsa]);
    let authenticator = authenticator(Keys::default(), Some(verifier(&set, &["api"]).await));
    let claims = json!({ "iss": "https://idp", "aud": "api", "sub": "a", "exp": NOW + 60 });
    let with = |member: &str, value: Value| {
        let mut claims = claims.clone();
        claims[member] = value;
        rsa.sign(&claims)
    };
    let header = |alg: &str| json!({ "alg": alg, "kid": "k", "typ": "JWT" });
    let public = rsa.jwk()["n"].as_str().unwrap().to_owned();
    let rows = [
        (rsa.sign(&claims), Ok("a")),
        (
            signer::unsigned(&header("none"), &claims),
            Err("auth_algorithm"),
        ),
        (
            signer::hmac(&header("HS256"), &claims, public.as_bytes()),
            Err("auth_algorithm"),
        ),
        // The public key as a secret, under the name of the algorithm that it is for.
        (
            signer::hmac(&header("RS256"), &claims, public.as_bytes()),
            Err("auth_signature"),
        ),
        // Signed by the right kind of somebody else.
        (forger.sign(&claims), Err("auth_kid_unknown")),
        (with("iss", json!("https://evil")), Err("auth_issuer")),
        (with("aud", json!("other")), Err("auth_audience")),
        (with("aud", Value::Null), Err("auth_claims")),
        (with("aud", json!("https://gw/mcp/a")), Ok("a")),
        (with("aud", json!("https://gw/mcp")), Err("auth_audience")),
        (with("exp", json!(NOW - 60)), Err("auth_token_expired")),
        (with("exp", Value::Null), Err("auth_claims")),
        (
            with("nbf", json!(NOW + 61)),
            Err("auth_token_not_yet_valid"),
        ),
        (with("sub", Value::Null), Err("auth_claims")),
        ("a.b.c".to_owned(), Err("auth_token_malformed")),
        ("abc".to_owned(), Err("auth_token_malformed")),
    ];
    for (token, expected) in rows {
        let value = format!("Bearer {token}");
        let asked = ask(&authenticator, &[("authorization", &value)]).await;
        assert_eq!(asked.as_deref(), expected.as_ref().copied(), "{token}");
    }
    let token = rsa.sign(&claims);
    let as_key = ask(&authenticator, &[("x-api-key", &token)]).await;
    assert_eq!(as_key, Err("auth_key_unknown"), "a token is no key");
}

#[tokio::test]
async fn each_of_several_methods_suffices() {
    let signer = Signer::ed25519("k");
    let jwt = verifier(&signer::set(&[&signer]), &["api"]).await;
    let authenticator = authenticator(keys(&["k1"]), Some(jwt));
    let claims = json!({ "iss": "https://idp", "aud": "api", "sub": "a", "exp": NOW + 60 });
    let token = format!("Bearer {}", signer.sign(&claims));
    let bearer = |value: &'static str| [("authorization", value)];
    assert_eq!(
        ask(&authenticator, &[("authorization", &*token)])
            .await
            .as_deref(),
        Ok("a")
    );
    let key = ask(&authenticator, &bearer("Bearer k1")).await;
    assert_eq!(key.as_deref(), Ok("client-k1"));
    let wrong = ask(&authenticator, &bearer("Bearer k2")).await;
    assert_eq!(wrong, Err("auth_key_unknown"));
}

#[tokio::test]
async fn a_source_that_guesses_is_held_up_and_its_clients_are_not() {
    let signer = Signer::ed25519("k");
    let jwt = verifier(&signer::set(&[&signer]), &["api"]).await;
    let authenticator = authenticator(keys(&["known", "new"]), Some(jwt));
    let claims = json!({ "iss": "https://idp", "aud": "api", "sub": "a", "exp": NOW + 60 });
    let token = format!("Bearer {}", signer.sign(&claims));
    let throttle = Throttle::default();
    let (here, there) = ([192, 0, 2, 1], [192, 0, 2, 2]);
    let ask = |source, value: &str| {
        let value = value.to_owned();
        let (authenticator, throttle) = (&authenticator, &throttle);
        async move { ask_from(authenticator, throttle, source, &[("x-api-key", &value)]).await }
    };
    assert_eq!(ask(here, "known").await.as_deref(), Ok("client-known"));
    for _ in 0..LIMITS.failures_max {
        assert_eq!(ask(here, "guess").await, Err("auth_key_unknown"));
    }
    assert_eq!(ask(here, "guess").await, Err("auth_throttled"));
    // A guess that is right is not told from one that is wrong.
    assert_eq!(ask(here, "new").await, Err("auth_throttled"));
    assert_eq!(ask(here, "known").await.as_deref(), Ok("client-known"));
    assert_eq!(ask(there, "new").await.as_deref(), Ok("client-new"));
    // Nobody guesses a signature.
    let signed = [("authorization", token.as_str())];
    let asked = ask_from(&authenticator, &throttle, here, &signed).await;
    assert_eq!(asked.as_deref(), Ok("a"));
    let missing = ask_from(&authenticator, &throttle, here, &[]).await;
    assert_eq!(missing, Err("auth_missing"), "that is no guess");
}

#[tokio::test]
async fn without_methods_a_header_names_the_tenant_and_proves_nothing() {
    let authenticator = Authenticator {
        tenant_header: Some(HeaderName::from_static("x-tenant")),
        is_isolated: true,
        ..Authenticator::open()
    };
    let tenant = |values: &[&str]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("x-tenant", HeaderValue::from_str(value).unwrap());
        }
        let identity = authenticator.unproven(&headers);
        identity.map(|identity| {
            assert_eq!(*identity.principal, Principal::anonymous());
            identity.tenant.as_deref().map(str::to_owned)
        })
    };
    assert_eq!(tenant(&[]), Ok(None));
    assert_eq!(tenant(&["acme"]), Ok(Some("acme".to_owned())));
    assert!(tenant(&["acme", "other"]).is_err() && tenant(&[""]).is_err());
}

#[test]
fn authorization_names_a_tenant_that_outlives_its_token() {
    let token = |claims: Value| signer::unsigned(&json!({}), &claims);
    let of = |claims: Value| of_authorization(&format!("Bearer {}", token(claims)));
    assert_eq!(of(json!({ "tenant_id": "t", "sub": "s", "iat": 1 })), "t");
    assert_eq!(of(json!({ "sub": "s", "iat": 2 })), "s");
    let (one, other) = (
        of_authorization("Bearer one"),
        of_authorization("Bearer two"),
    );
    assert!(one != other && !one.contains("one") && is_name(&one));
}
