//! Messages that the gateway takes apart before they go on, as every call is where its server has a
//! `cache` section: what is passed on must be the same as of those that simply pass.

use serde_json::{Value, json};

use super::{Bed, PATH, with_session};
use crate::support::message::{legacy_call, modern_call};
use crate::support::upstream::{Recorded, Step, accepted, answer, friendly};
use crate::support::wire::{Answer, Request};

const CHALLENGE: &str = r#"Bearer resource_metadata="https://example.com/meta""#;

/// A server that is asked for its tools before a call goes on.
fn apart(forwards_authorization: bool) -> Value {
    json!({ "forward_authorization": forwards_authorization, "cache": { "default_ttl": 60 } })
}

/// Refuses every call so, and is friendly else.
fn refusing(
    status: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
) -> impl Fn(&Recorded) -> Vec<Step> + Send + Sync + 'static {
    let rest = with_session(|_| accepted());
    move |request| match request.rpc_method().as_str() {
        "tools/call" => answer(status, headers, body.as_bytes()),
        _ => rest(request),
    }
}

impl Bed {
    /// Sends a call, and makes sure that it was taken apart.
    async fn ask_apart(&self, request: &Request) -> Answer {
        let answer = self.ask(request).await;
        self.upstream.first("tools/list").await;
        answer
    }

    /// The same call as clients of all kinds send it.
    async fn calls(&self) -> [Request; 3] {
        let session = self.open().await;
        let bare = legacy_call(PATH, &json!(1), "any", json!({}));
        let in_session = legacy_call(PATH, &json!(1), "any", json!({}));
        [
            modern_call(PATH, &json!(1), "any", json!({})),
            bare,
            in_session.header("mcp-session-id", &session),
        ]
    }
}

#[tokio::test]
async fn a_refusal_without_an_mcp_answer_comes_back_as_the_server_gave_it() {
    type Refusal = (
        &'static str,
        &'static [(&'static str, &'static str)],
        &'static str,
    );
    let refusals: [Refusal; 4] = [
        ("403 Forbidden", &[], ""),
        (
            "403 Forbidden",
            &[("content-type", "application/json")],
            r#"{"error":"insufficient_scope"}"#,
        ),
        (
            "429 Too Many Requests",
            &[("content-type", "text/plain"), ("retry-after", "7")],
            "slow down",
        ),
        (
            "503 Service Unavailable",
            &[("content-type", "text/html"), ("retry-after", "120")],
            "<h1>Back soon</h1>",
        ),
    ];
    for (status, headers, body) in refusals {
        // A 403 is for who sent the credential.
        let is_clients = status.starts_with("403");
        let bed = Bed::start(apart(is_clients), refusing(status, headers, body)).await;
        for call in bed.calls().await {
            let refused = bed.ask_apart(&call).await;
            assert_eq!(refused.status.to_string(), status[..3], "{refused:?}");
            assert_eq!(refused.text(), body, "{status}");
            for (name, value) in headers {
                assert_eq!(refused.headers.get(name), Some(*value), "{refused:?}");
            }
            assert!(refused.whole, "{refused:?}");
        }
    }
}

// An OAuth client that gets no challenge cannot log in; one that gets somebody else's would log in there.
#[tokio::test]
async fn a_challenge_comes_back_where_it_is_the_clients_and_nowhere_else() {
    for is_clients in [true, false] {
        for (media, body) in [
            ("text/plain", "no token"),
            (
                "application/json",
                r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32001,"message":"no token"}}"#,
            ),
        ] {
            let headers = [("content-type", media), ("www-authenticate", CHALLENGE)];
            let rest = with_session(|_| accepted());
            let bed = Bed::start(apart(is_clients), move |request| {
                match request.rpc_method().as_str() {
                    "tools/call" => answer("401 Unauthorized", &headers, body.as_bytes()),
                    _ => rest(request),
                }
            })
            .await;
            for call in bed.calls().await {
                let call = call.header("authorization", "Bearer stale");
                let refused = bed.ask_apart(&call).await;
                if is_clients {
                    assert_eq!(
                        (refused.status, refused.text().as_str()),
                        (401, body),
                        "{refused:?}"
                    );
                } else {
                    assert_eq!(refused.status, 502, "{refused:?}");
                    assert!(!refused.text().contains("no token"), "{refused:?}");
                }
                let told = refused.headers.get("www-authenticate");
                assert_eq!(told, is_clients.then_some(CHALLENGE), "{refused:?}");
            }
        }
    }
}

// To a legacy client, 404 means that its session is lost: its session with the gateway is not.
#[tokio::test]
async fn a_page_that_is_not_found_does_not_end_the_clients_session() {
    let script = refusing("404 Not Found", &[("content-type", "text/html")], "nothing");
    let bed = Bed::start(apart(false), script).await;
    let [_, bare, in_session] = bed.calls().await;
    assert_eq!(bed.ask_apart(&bare).await.status, 404);
    let refused = bed.ask_apart(&in_session).await;
    assert_eq!(refused.status, 502, "{refused:?}");
    assert_eq!(refused.json()["id"], 1);
}

#[tokio::test]
async fn a_legacy_call_without_a_session_keeps_its_headers() {
    let bed = Bed::start(apart(false), friendly).await;
    let call = || {
        legacy_call(PATH, &json!(1), "any", json!({}))
            .header("mcp-vendor-shard", "7")
            .without("accept")
            .without("mcp-protocol-version")
    };
    let choosy = call()
        .header("accept", "application/json")
        .header("mcp-protocol-version", "2025-06-18");
    let silent = call().header("accept", "*/*");
    for request in [&choosy, &silent] {
        assert_eq!(bed.ask_apart(request).await.status, 200);
    }
    let seen = bed.upstream.recorded("tools/call");
    let header = |n: usize, name: &str| seen[n].headers.get(name).map(str::to_owned);
    assert_eq!(
        header(0, "mcp-protocol-version").as_deref(),
        Some("2025-06-18")
    );
    assert_eq!(header(0, "accept").as_deref(), Some("application/json"));
    assert_eq!(header(1, "mcp-protocol-version"), None);
    let both = Some("application/json, text/event-stream");
    assert_eq!(header(1, "accept").as_deref(), both);
    for n in 0..2 {
        assert_eq!(header(n, "mcp-vendor-shard").as_deref(), Some("7"));
        assert_eq!(header(n, "mcp-session-id"), None);
    }
}
