//! Tokens of an authorization server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{Bed, assert_refused, call, proof};
use crate::support::until;
use crate::support::upstream::{Recorded, Step, Upstream, answer, friendly};
use crate::support::wire::{self, Request};

/// A fake authorization server: it numbers its tokens.
pub(super) struct Issuer {
    pub(super) server: Upstream,
    is_down: Arc<AtomicBool>,
}

impl Issuer {
    /// One whose tokens are good for so many seconds.
    pub(super) async fn start(seconds: u64) -> Self {
        let is_down = Arc::new(AtomicBool::new(false));
        let (down, count) = (Arc::clone(&is_down), AtomicUsize::new(0));
        let server = Upstream::start(move |request| {
            if down.load(Ordering::Relaxed) {
                let said = br#"{"error":"invalid_client","error_description":"not client-s3cret"}"#;
                return answer("503 Service Unavailable", &[], said);
            }
            if request.method != "POST" {
                return answer("404 Not Found", &[], b"");
            }
            let n = count.fetch_add(1, Ordering::Relaxed) + 1;
            token(&format!("token-{n}"), seconds)
        })
        .await;
        Self { server, is_down }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/token", self.server.address)
    }

    fn asked(&self) -> Vec<Recorded> {
        self.server.recorded_http("POST")
    }

    /// The `upstream_auth` section of a server whose tokens are had here.
    fn auth(&self) -> Value {
        json!({ "oauth": { "token_url": self.url(), "client_id": "conduit",
            "client_secret": "client-s3cret", "scopes": ["a", "b"], "audience": "api" } })
    }
}

pub(super) fn token(text: &str, seconds: u64) -> Vec<Step> {
    let document = json!({ "access_token": text, "token_type": "Bearer", "expires_in": seconds });
    let headers = [("content-type", "application/json")];
    answer("200 OK", &headers, document.to_string().as_bytes())
}

#[tokio::test]
async fn one_token_is_asked_for_with_the_clients_secret_and_serves_all() {
    let issuer = Issuer::start(3600).await;
    let server = json!({ "upstream_auth": issuer.auth() });
    let bed = Bed::start(server, friendly).await;
    let answers = join_all((0..20).map(|_| bed.call())).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(bed.proofs(), vec!["Bearer token-1"; 20]);
    let asked = issuer.asked();
    assert_eq!(asked.len(), 1);
    let basic = STANDARD.encode("conduit:client-s3cret");
    assert_eq!(proof(&asked[0]), format!("Basic {basic}"));
    let form = String::from_utf8(asked[0].body.clone()).unwrap();
    let resource = filters::mask::percent_encoded(&bed.upstream.url());
    let wanted =
        format!("grant_type=client_credentials&scope=a%20b&audience=api&resource={resource}");
    assert_eq!(form, wanted);
    let media = asked[0].headers.get("content-type");
    assert_eq!(media, Some("application/x-www-form-urlencoded"));
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends() {
    let issuer = Issuer::start(2).await;
    let server = json!({ "upstream_auth": issuer.auth() });
    let bed = Bed::start(server, friendly).await;
    until("the third token", || async {
        assert_eq!(bed.call().await.status, 200);
        let last = bed.proofs().pop();
        (last.as_deref() == Some("Bearer token-3")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn renewals_are_counted_by_how_they_end() {
    let issuer = Issuer::start(3600).await;
    issuer.is_down.store(true, Ordering::Relaxed);
    let server = json!({ "upstream_auth": issuer.auth() });
    let bed = Bed::start(server, friendly).await;
    assert_eq!(bed.call().await.status, 502);
    issuer.is_down.store(false, Ordering::Relaxed);
    until("a token", || async {
        (bed.call().await.status == 200).then_some(())
    })
    .await;
    let metrics = bed.ask(&Request::get("/conduit/metrics")).await.text();
    let counted = |outcome: &str| {
        let name = "conduit_upstream_credential_renewals_total";
        let line = format!(r#"{name}{{outcome="{outcome}",server="s"}} "#);
        let count = metrics.lines().find_map(|one| one.strip_prefix(&*line));
        count.map_or(0, |count| count.parse().unwrap())
    };
    assert_eq!(counted("renewed"), 1, "{metrics}");
    assert!(counted("failed") >= 1, "{metrics}");
}

/// Refuses calls with one token.
fn refusing(
    token: &'static str,
    is_refusing: Arc<AtomicBool>,
) -> impl Fn(&Recorded) -> Vec<Step> + Send + Sync + 'static {
    move |request| {
        let is_meant = request.rpc_method() == "tools/call" && proof(request).contains(token);
        if is_meant && is_refusing.load(Ordering::Relaxed) {
            let headers = [("www-authenticate", "Bearer error=invalid_token")];
            return answer("401 Unauthorized", &headers, b"no");
        }
        friendly(request)
    }
}

#[tokio::test]
async fn a_refused_token_is_renewed_once_for_all_and_the_calls_sent_once_more() {
    let issuer = Issuer::start(3600).await;
    let server = json!({ "upstream_auth": issuer.auth() });
    let script = refusing("token-1", Arc::new(AtomicBool::new(true)));
    let bed = Bed::start(server, script).await;
    let answers = join_all((0..20).map(|_| bed.call())).await;
    assert!(
        answers.iter().all(|answer| answer.status == 200),
        "{answers:?}"
    );
    assert_eq!(issuer.asked().len(), 2);
    let proofs = bed.proofs();
    let served = proofs.iter().filter(|proof| *proof == "Bearer token-2");
    assert_eq!(served.count(), 20);
    assert!(proofs.len() <= 40, "none more than twice");
}

#[tokio::test]
async fn a_server_that_refuses_every_token_costs_one_renewal_and_not_one_a_call() {
    let issuer = Issuer::start(3600).await;
    let server = json!({ "upstream_auth": issuer.auth() });
    let bed = Bed::start(server, refusing("token", Arc::new(AtomicBool::new(true)))).await;
    for _ in 0..5 {
        assert_refused(&bed.call().await, 401);
    }
    assert_eq!(issuer.asked().len(), 2);
    // Once more for the first call only.
    assert_eq!(bed.proofs().len(), 6);
}

#[tokio::test]
async fn a_token_serves_on_while_no_other_is_to_be_had() {
    let issuer = Issuer::start(3600).await;
    let server = json!({ "upstream_auth": issuer.auth() });
    let is_refusing = Arc::new(AtomicBool::new(false));
    let bed = Bed::start(server, refusing("token-1", Arc::clone(&is_refusing))).await;
    assert_eq!(bed.call().await.status, 200);
    issuer.is_down.store(true, Ordering::Relaxed);
    is_refusing.store(true, Ordering::Relaxed);
    assert_refused(&bed.call().await, 401);
    is_refusing.store(false, Ordering::Relaxed);
    assert_eq!(bed.call().await.status, 200);
    assert_eq!(bed.proofs().pop().as_deref(), Some("Bearer token-1"));
    let why = "token endpoint answered HTTP 503: invalid_client";
    let told = |line: &str| line.contains(why).then_some(());
    bed.gateway.process.line(why, told).await;
    let output = bed.gateway.process.output();
    assert!(!output.contains("s3cret"), "{output}");
}

#[tokio::test]
async fn without_a_first_token_calls_are_refused_until_there_is_one() {
    let issuer = Issuer::start(3600).await;
    issuer.is_down.store(true, Ordering::Relaxed);
    let server = json!({ "upstream_auth": issuer.auth() });
    let bed = Bed::start(server, friendly).await;
    let refused = bed.call().await;
    assert_eq!(refused.status, 502, "{refused:?}");
    assert!(bed.proofs().is_empty());
    issuer.is_down.store(false, Ordering::Relaxed);
    until("a token", || async {
        let answer = wire::ask(bed.gateway.address, &call()).await;
        (answer.status == 200).then_some(())
    })
    .await;
    assert_eq!(bed.proofs(), ["Bearer token-1"]);
}
