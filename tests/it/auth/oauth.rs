//! The gateway as an OAuth resource server.

use serde_json::{Value, json};

use super::{ask, bearer, start_with};
use crate::support::gateway::Gateway;
use crate::support::idp::{Provider, claims};
use crate::support::message::{legacy_call, modern, modern_call};
use crate::support::signer::Signer;
use crate::support::upstream::Upstream;
use crate::support::wire::Request;

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

struct Bed {
    gateway: Gateway,
    upstream: Upstream,
    signer: Signer,
    _provider: Provider,
}

impl Bed {
    async fn start() -> Self {
        let signer = Signer::ed25519("k");
        let provider = Provider::start(&[&signer]).await;
        let mut auth = provider.auth();
        auth.as_object_mut().unwrap().remove("audience");
        auth["oauth"] = json!({ "resource": "https://gw.example",
            "authorization_servers": ["https://idp.example"], "required_scopes": ["mcp"] });
        let server = json!({ "required_scopes": ["a:read"],
            "tool_scopes": { "write_*": ["a:write"], "*_all": ["a:admin"] } });
        let (gateway, upstream) = start_with(json!({ "auth": auth, "servers": [server] })).await;
        Self {
            gateway,
            upstream,
            signer,
            _provider: provider,
        }
    }

    fn token(&self, audience: &str, scopes: &str) -> String {
        let mut claims = claims("alice");
        claims["aud"] = json!(audience);
        claims["scope"] = json!(scopes);
        self.signer.sign(&claims)
    }
}

#[tokio::test]
async fn each_endpoint_says_where_its_tokens_come_from() {
    let bed = Bed::start().await;
    for (path, resource) in [
        ("", "/mcp"),
        ("/mcp", "/mcp"),
        ("/mcp/a", "/mcp/a"),
        ("/mcp/never-heard-of", "/mcp/never-heard-of"),
        ("/mcp/profile/default", "/mcp"),
        ("/sse", "/sse"),
        ("/mcp/a/sse", "/mcp/a"),
    ] {
        let answer = ask(&bed.gateway, &Request::get(&format!("{WELL_KNOWN}{path}"))).await;
        let expected = json!({
            "resource": format!("https://gw.example{resource}"),
            "authorization_servers": ["https://idp.example"],
            "scopes_supported": ["a:admin", "a:read", "a:write", "mcp"],
            "bearer_methods_supported": ["header"],
        });
        assert_eq!((answer.status, answer.json()), (200, expected), "{path}");
    }
    for path in ["/conduit", "/mcp/a/b", "/x"] {
        let answer = ask(&bed.gateway, &Request::get(&format!("{WELL_KNOWN}{path}"))).await;
        assert_eq!(answer.status, 404, "{path}");
    }
    assert_eq!(
        ask(&bed.gateway, &Request::post(WELL_KNOWN)).await.status,
        405
    );
}

#[tokio::test]
async fn without_oauth_there_is_no_metadata() {
    let (gateway, _upstream) = start_with(json!({})).await;
    assert_eq!(ask(&gateway, &Request::get(WELL_KNOWN)).await.status, 404);
}

#[tokio::test]
async fn a_challenge_leads_to_the_metadata_of_its_endpoint() {
    let bed = Bed::start().await;
    let challenge = async |request: Request| {
        let answer = ask(&bed.gateway, &request).await;
        assert_eq!(answer.status, 401, "{answer:?}");
        let challenge = answer.headers.get("www-authenticate");
        challenge.unwrap_or_default().to_owned()
    };
    let metadata = format!("https://gw.example{WELL_KNOWN}");
    let call = modern_call("/mcp/a", &json!(1), "any", json!({}));
    assert_eq!(
        challenge(call.clone()).await,
        format!(r#"Bearer scope="mcp a:read", resource_metadata="{metadata}/mcp/a""#)
    );
    assert_eq!(
        challenge(bearer(call, "wrong")).await,
        format!(
            r#"Bearer error="invalid_token", scope="mcp a:read", resource_metadata="{metadata}/mcp/a""#
        )
    );
    assert_eq!(
        challenge(Request::get("/mcp")).await,
        format!(r#"Bearer scope="mcp", resource_metadata="{metadata}/mcp""#)
    );
}

#[tokio::test]
async fn a_token_for_one_endpoint_is_none_for_another() {
    let bed = Bed::start().await;
    let scopes = "mcp a:read";
    let status = async |path: &str, tool: &str, audience: &str| {
        let call = modern_call(path, &json!(1), tool, json!({}));
        let token = bed.token(audience, scopes);
        ask(&bed.gateway, &bearer(call, &token)).await.status
    };
    let (one, all) = ("https://gw.example/mcp/a", "https://gw.example/mcp");
    assert_eq!(status("/mcp/a", "any", one).await, 200);
    assert_eq!(
        status("/mcp/a", "any", "HTTPS://GW.example/mcp/a/").await,
        200
    );
    assert_eq!(status("/mcp", "a.any", all).await, 200);
    for audience in [
        all,
        "https://gw.example",
        "https://gw.example/mcp/b",
        "conduit",
        "",
    ] {
        assert_eq!(status("/mcp/a", "any", audience).await, 401, "{audience}");
    }
    assert_eq!(status("/mcp", "a.any", one).await, 401);
}

#[tokio::test]
async fn a_call_that_needs_more_is_told_all_that_it_needs() {
    let bed = Bed::start().await;
    let (one, all) = ("https://gw.example/mcp/a", "https://gw.example/mcp");
    let metadata = format!("https://gw.example{WELL_KNOWN}");
    let needed = "mcp a:read a:admin a:write";
    let calls = [
        (
            one,
            "/mcp/a",
            modern_call("/mcp/a", &json!(1), "write_all", json!({})),
        ),
        (
            one,
            "/mcp/a",
            legacy_call("/mcp/a", &json!(1), "write_all", json!({})),
        ),
        (
            all,
            "/mcp",
            modern_call("/mcp", &json!(1), "a.write_all", json!({})),
        ),
    ];
    for (audience, path, call) in calls {
        let token = bed.token(audience, "mcp a:read a:write");
        let answer = ask(&bed.gateway, &bearer(call.clone(), &token)).await;
        assert_eq!(answer.status, 403, "{answer:?}");
        let challenge = answer.headers.get("www-authenticate").unwrap();
        let expected = format!(
            r#"Bearer error="insufficient_scope", scope="{needed}", resource_metadata="{metadata}{path}""#
        );
        assert_eq!(challenge, expected);
        assert_eq!(answer.json()["id"], 1, "{answer:?}");
        let token = bed.token(audience, needed);
        let answer = ask(&bed.gateway, &bearer(call, &token)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    assert_eq!(bed.upstream.recorded("tools/call").len(), 3);
}

#[tokio::test]
async fn an_endpoints_own_scopes_are_asked_for_before_the_message_is_read() {
    let bed = Bed::start().await;
    let list: Value = json!({});
    let list = modern("/mcp/a", &json!(1), "tools/list", list);
    let token = bed.token("https://gw.example/mcp/a", "mcp");
    assert_eq!(ask(&bed.gateway, &bearer(list, &token)).await.status, 403);
    let get = bearer(Request::get("/mcp/a"), &token);
    assert_eq!(ask(&bed.gateway, &get).await.status, 403);
}

#[tokio::test]
async fn who_lacks_a_servers_scopes_sees_its_lists_at_all_servers_and_does_not_listen_to_it() {
    let bed = Bed::start().await;
    let token = |scopes: &str| bed.token("https://gw.example/mcp", scopes);
    for method in ["tools/list", "prompts/list", "resources/list"] {
        let list = modern("/mcp", &json!(1), method, json!({}));
        let answer = ask(&bed.gateway, &bearer(list, &token("mcp"))).await;
        assert!(answer.json()["result"].is_object(), "{method}: {answer:?}");
    }
    let filter = json!({ "notifications": { "resourceSubscriptions": ["a+demo://readme"] } });
    for path in ["/mcp", "/mcp/profile/default"] {
        let listen = modern(path, &json!(1), "subscriptions/listen", filter.clone());
        let refused = ask(&bed.gateway, &bearer(listen, &token("mcp"))).await;
        assert_eq!(refused.status, 403, "{path}: {refused:?}");
        let challenge = refused.headers.get("www-authenticate").unwrap();
        assert!(challenge.contains(r#"scope="mcp a:read""#), "{challenge}");
    }
    assert!(bed.upstream.recorded("subscriptions/listen").is_empty());
}
