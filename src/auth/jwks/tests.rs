use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::*;
use crate::auth::signature::tests::signer::{self, Signer};

/// A provider that answers what it is told to, and counts how often it was asked.
#[derive(Default)]
struct Provider {
    document: Mutex<Option<String>>,
    asked: AtomicUsize,
}

impl Provider {
    fn say(&self, document: Option<&Value>) {
        *self.document.lock() = document.map(Value::to_string);
    }
}

#[async_trait]
impl Source for Provider {
    async fn fetch(&self) -> Result<Bytes, String> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let document = self.document.lock().clone();
        document.map(Into::into).ok_or_else(|| "is down".to_owned())
    }
}

const PACE: Pace = Pace {
    refresh: Duration::from_secs(3600),
    cooldown: Duration::from_secs(30),
};

fn start(provider: &Arc<Provider>) -> (Arc<Jwks>, CancellationToken) {
    let (jwks, stop) = (Arc::new(Jwks::new(PACE)), CancellationToken::new());
    let source = Arc::clone(provider) as Arc<dyn Source>;
    tokio::spawn(Arc::clone(&jwks).run(source, stop.clone()));
    (jwks, stop)
}

fn verdict(jwks: &Jwks, token: &str) -> Option<Verdict> {
    let token = Token::parse(token).unwrap();
    jwks.set().map(|set| set.verify(&token))
}

#[test]
fn a_key_id_is_compared_and_nothing_else() {
    let (one, other) = (Signer::p256("one"), Signer::p256("other"));
    let set = Set::read(signer::set(&[&one, &other]).to_string().as_bytes()).unwrap();
    let verify = |header: Value| {
        let token = one.sign_with(&header, &json!({}));
        set.verify(&Token::parse(&token).unwrap())
    };
    let named = |kid: &str| verify(json!({ "alg": "ES256", "kid": kid }));
    assert_eq!(named("one"), Verdict::Verified);
    assert_eq!(named("other"), Verdict::Forged);
    for kid in [
        "",
        "ONE",
        "*",
        "../one",
        "one' OR '1'='1",
        "one\u{0}",
        "/dev/null",
    ] {
        assert_eq!(named(kid), Verdict::Unknown, "{kid}");
    }
    assert_eq!(verify(json!({ "alg": "ES256" })), Verdict::Verified);
    // Keys that a token brings along are not looked at.
    let forger = Signer::p256("mine");
    let header = json!({ "alg": "ES256", "kid": "mine", "jwk": forger.jwk(), "jku": "http://x/" });
    let token = forger.sign_with(&header, &json!({}));
    let verdict = set.verify(&Token::parse(&token).unwrap());
    assert_eq!(verdict, Verdict::Unknown);
}

#[test]
fn a_token_without_a_key_id_is_tried_with_all_keys_of_its_kind() {
    let signers: Vec<Signer> = (0..9).map(|n| Signer::p256(&n.to_string())).collect();
    let all: Vec<&Signer> = signers.iter().collect();
    let set = Set::read(signer::set(&all).to_string().as_bytes()).unwrap();
    for signer in &signers {
        let token = signer.sign_with(&json!({ "alg": "ES256" }), &json!({}));
        let verdict = set.verify(&Token::parse(&token).unwrap());
        assert_eq!(verdict, Verdict::Verified);
    }
    let stranger = Signer::p256("x").sign_with(&json!({ "alg": "ES256" }), &json!({}));
    let verdict = set.verify(&Token::parse(&stranger).unwrap());
    assert_eq!(verdict, Verdict::Forged);
}

#[test]
fn keys_of_no_use_do_not_spoil_the_others() {
    let signer = Signer::ed25519("a");
    let odd = [
        json!(1),
        json!({}),
        json!({ "kty": "oct", "k": "AA" }),
        json!({ "kty": "X" }),
    ];
    let keys: Vec<Value> = odd.into_iter().chain([signer.jwk()]).collect();
    let set = Set::read(json!({ "keys": keys }).to_string().as_bytes()).unwrap();
    let token = signer.sign(&json!({}));
    let verdict = set.verify(&Token::parse(&token).unwrap());
    assert_eq!(verdict, Verdict::Verified);
    for document in ["", "[]", "{}", r#"{"keys":{}}"#, "<html>"] {
        assert!(Set::read(document.as_bytes()).is_none(), "{document}");
    }
}

#[tokio::test(start_paused = true)]
async fn many_unknown_keys_cause_one_fetch_in_a_cool_down() {
    let provider = Arc::new(Provider::default());
    let old = Signer::p256("old");
    provider.say(Some(&signer::set(&[&old])));
    let (jwks, _stop) = start(&provider);
    jwks.renew().await;
    assert_eq!(provider.asked.load(Ordering::Relaxed), 1);
    for _ in 0..100 {
        jwks.renew().await;
    }
    assert_eq!(provider.asked.load(Ordering::Relaxed), 1, "it just was");
    let new = Signer::p256("new");
    provider.say(Some(&signer::set(&[&old, &new])));
    tokio::time::advance(PACE.cooldown).await;
    futures_util::future::join_all((0..100).map(|_| jwks.renew())).await;
    assert_eq!(provider.asked.load(Ordering::Relaxed), 2);
    assert_eq!(
        verdict(&jwks, &new.sign(&json!({}))),
        Some(Verdict::Verified)
    );
}

#[tokio::test(start_paused = true)]
async fn keys_are_used_on_while_the_provider_is_down_or_answers_nonsense() {
    let provider = Arc::new(Provider::default());
    let signer = Signer::p256("a");
    let token = signer.sign(&json!({}));
    let (jwks, _stop) = start(&provider);
    jwks.renew().await;
    assert_eq!(verdict(&jwks, &token), None, "nothing was ever fetched");
    provider.say(Some(&signer::set(&[&signer])));
    tokio::time::sleep(RETRY_FIRST).await;
    assert_eq!(verdict(&jwks, &token), Some(Verdict::Verified));
    for document in [None, Some(json!({ "keys": [] })), Some(json!("x"))] {
        provider.say(document.as_ref());
        tokio::time::sleep(PACE.refresh).await;
        assert_eq!(verdict(&jwks, &token), Some(Verdict::Verified));
    }
    assert!(provider.asked.load(Ordering::Relaxed) > 3);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_the_provider_took_back_is_gone_with_the_next_fetch() {
    let provider = Arc::new(Provider::default());
    let (old, new) = (Signer::p256("old"), Signer::p256("new"));
    provider.say(Some(&signer::set(&[&old])));
    let (jwks, stop) = start(&provider);
    jwks.renew().await;
    provider.say(Some(&signer::set(&[&new])));
    tokio::time::sleep(PACE.refresh).await;
    assert_eq!(
        verdict(&jwks, &old.sign(&json!({}))),
        Some(Verdict::Unknown)
    );
    assert_eq!(
        verdict(&jwks, &new.sign(&json!({}))),
        Some(Verdict::Verified)
    );
    stop.cancel();
}
