//! No redirect is followed, whoever is asked: what a server, a webhook, a provider of keys or an issuer
//! names in `Location` is asked for nothing, and told nothing.
//!
//! Issue 5, item 8.

use serde_json::{Value, json};

use crate::support::gateway::Gateway;
use crate::support::idp::{ISSUER, claims};
use crate::support::message::{legacy, legacy_call, modern, modern_call};
use crate::support::signer::{self, Signer};
use crate::support::until;
use crate::support::upstream::{Recorded, Step, Upstream, answer, friendly};
use crate::support::wire::{self, Request};

const STATUSES: [&str; 5] = [
    "301 Moved Permanently",
    "302 Found",
    "303 See Other",
    "307 Temporary Redirect",
    "308 Permanent Redirect",
];

/// A server that redirects to another one, which would do whatever it is asked.
struct Lure {
    redirecting: Upstream,
    elsewhere: Upstream,
}

impl Lure {
    /// One that redirects whatever `is_redirected` picks.
    async fn start(
        status: &'static str,
        is_redirected: fn(&Recorded) -> bool,
        elsewhere: impl Fn(&Recorded) -> Vec<Step> + Send + Sync + 'static,
    ) -> Self {
        let elsewhere = Upstream::start(elsewhere).await;
        let origin = format!("http://{}", elsewhere.address);
        let redirecting = Upstream::start(move |request| match is_redirected(request) {
            true => {
                let location = format!("{origin}{}", request.target);
                answer(status, &[("location", &location)], b"")
            }
            false => friendly(request),
        })
        .await;
        Self {
            redirecting,
            elsewhere,
        }
    }

    /// How often the redirecting server was asked.
    fn n_asked(&self) -> usize {
        n_requests(&self.redirecting)
    }

    fn assert_untouched(&self) {
        assert_eq!(n_requests(&self.elsewhere), 0, "a redirect was followed");
    }
}

fn n_requests(server: &Upstream) -> usize {
    let methods = ["GET", "POST", "DELETE", "HEAD", "PUT"].into_iter();
    methods
        .map(|method| server.recorded_http(method).len())
        .sum()
}

async fn ask(gateway: &Gateway, request: &Request) -> wire::Answer {
    wire::ask(gateway.address, request).await
}

fn initialize(path: &str) -> Request {
    let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": { "name": "t", "version": "1" } });
    legacy(path, &json!(1), "initialize", params)
}

#[tokio::test]
async fn what_a_server_redirects_is_sent_nowhere_else() {
    for status in STATUSES {
        let lure = Lure::start(status, |_| true, friendly).await;
        let servers = json!([{ "id": "s", "url": lure.redirecting.url(),
            "headers": { "Authorization": "Bearer gateways-own" } }]);
        let config = json!({ "servers": servers, "cache": { "enabled": true } });
        let gateway = Gateway::with(config).await;
        for request in [
            modern_call("/mcp/s", &json!(1), "any", json!({})),
            modern_call("/mcp", &json!(1), "s.any", json!({})),
            legacy_call("/mcp/s", &json!(1), "any", json!({})),
            modern("/mcp/s", &json!(1), "tools/list", json!({})),
            modern("/mcp", &json!(1), "tools/list", json!({})),
            modern("/mcp/s", &json!(1), "server/discover", json!({})),
            initialize("/mcp/s"),
            initialize("/mcp"),
            Request::get("/mcp/s").header("accept", "text/event-stream"),
            Request::delete("/mcp/s").header("mcp-session-id", "none"),
        ] {
            let given = ask(&gateway, &request).await;
            let text = given.text();
            assert!(!text.contains(r#""text":"ok""#), "{status}: {given:?}");
        }
        assert!(lure.n_asked() > 0);
        lure.assert_untouched();
    }
}

#[tokio::test]
async fn a_call_that_is_redirected_once_the_server_is_known_is_sent_nowhere_else() {
    let is_call = |request: &Recorded| request.rpc_method() == "tools/call";
    let lure = Lure::start("307 Temporary Redirect", is_call, friendly).await;
    let gateway = Gateway::start(json!([{ "id": "s", "url": lure.redirecting.url() }])).await;
    for request in [
        modern_call("/mcp/s", &json!(1), "any", json!({})),
        modern_call("/mcp", &json!(1), "s.any", json!({})),
        legacy_call("/mcp/s", &json!(1), "any", json!({})),
    ] {
        let given = ask(&gateway, &request).await;
        let text = given.text();
        assert!(!text.contains(r#""text":"ok""#), "{given:?}");
    }
    assert!(!lure.redirecting.recorded("tools/call").is_empty());
    lure.assert_untouched();
}

#[tokio::test]
async fn a_webhook_that_redirects_is_not_told_elsewhere() {
    for status in STATUSES {
        let lure = Lure::start(status, |_| true, friendly).await;
        let server = Upstream::start(friendly).await;
        let rule = json!({ "name": "tell", "action": "alert", "webhook": lure.redirecting.url() });
        let guardrails = json!({ "enabled": true, "rules": [rule],
            "webhooks": { "allow_private": true } });
        let servers = json!([{ "id": "s", "url": server.url() }]);
        let config = json!({ "servers": servers, "guardrails": guardrails });
        let gateway = Gateway::with(config).await;
        ask(
            &gateway,
            &modern_call("/mcp/s", &json!(1), "any", json!({})),
        )
        .await;
        let line = r#"conduit_guardrail_webhooks_total{result="failed"} 1"#;
        until("the webhook to be given up", || async {
            let metrics = ask(&gateway, &Request::get("/conduit/metrics")).await;
            metrics.text().contains(line).then_some(())
        })
        .await;
        assert!(lure.n_asked() > 0);
        lure.assert_untouched();
    }
}

#[tokio::test]
async fn keys_that_are_redirected_are_not_fetched_elsewhere() {
    for status in STATUSES {
        let signer = Signer::p256("k");
        let keys = signer::set(&[&signer]).to_string();
        let lure = Lure::start(
            status,
            |_| true,
            move |_| {
                let kind = [("content-type", "application/jwk-set+json")];
                answer("200 OK", &kind, keys.as_bytes())
            },
        )
        .await;
        let server = Upstream::start(friendly).await;
        let auth = json!({ "method": "jwt", "jwks_url": lure.redirecting.url(), "issuer": ISSUER,
            "audience": "conduit", "jwks_cooldown_seconds": 1 });
        let servers = json!([{ "id": "s", "url": server.url() }]);
        let gateway = Gateway::with(json!({ "servers": servers, "auth": auth })).await;
        let token = signer.sign(&claims("alice"));
        let call = modern_call("/mcp/s", &json!(1), "any", json!({}))
            .header("authorization", &format!("Bearer {token}"));
        let given = ask(&gateway, &call).await;
        assert!(matches!(given.status, 401 | 503), "{status}: {given:?}");
        assert!(server.recorded("tools/call").is_empty());
        assert!(lure.n_asked() > 0);
        lure.assert_untouched();
    }
}

#[tokio::test]
async fn an_issuers_metadata_that_is_redirected_is_not_read_elsewhere() {
    for status in STATUSES {
        // Elsewhere it would be right, but for where it is.
        let lure = Lure::start(
            status,
            |_| true,
            |request| {
                let host = request.headers.get("host").unwrap_or_default();
                let document = json!({ "issuer": format!("http://{host}"),
                "token_endpoint": format!("http://{host}/token") });
                let kind = [("content-type", "application/json")];
                answer("200 OK", &kind, document.to_string().as_bytes())
            },
        )
        .await;
        let server = Upstream::start(friendly).await;
        let issuer = format!("http://{}", lure.redirecting.address);
        let oauth: Value = json!({ "issuer": issuer, "client_id": "conduit",
            "client_secret": "client-s3cret" });
        let servers =
            json!([{ "id": "s", "url": server.url(), "upstream_auth": { "oauth": oauth } }]);
        let gateway = Gateway::start(servers).await;
        let given = ask(
            &gateway,
            &modern_call("/mcp/s", &json!(1), "any", json!({})),
        )
        .await;
        assert_eq!(given.status, 502, "{status}: {given:?}");
        assert!(server.recorded("tools/call").is_empty());
        assert!(lure.n_asked() > 0);
        lure.assert_untouched();
    }
}
