//! Tokens that are written, or stand in a variable or a file.

use serde_json::json;
use tempfile::TempDir;

use super::{Bed, PATH, assert_refused, call, call_in, legacy_only, proof, sociable};
use crate::support::gateway::Gateway;
use crate::support::message::{legacy, modern, modern_call, result};
use crate::support::until;
use crate::support::upstream::{Upstream, answer, friendly, json};
use crate::support::wire::{self, Request};

const TOKEN: &str = "Bearer written-token";

#[tokio::test]
async fn every_request_to_a_server_carries_the_gateways_token_and_nobody_elses() {
    for script in [sociable, legacy_only] {
        let server = json!({ "upstream_auth": { "bearer": { "token": "written-token" } },
            "cache": { "default_ttl": 60 } });
        let bed = Bed::start(server, script).await;
        let mine = |request: Request| request.header("authorization", "Bearer clients-own");
        assert_eq!(bed.ask(&mine(call())).await.status, 200);
        let session = bed.open().await;
        assert_eq!(bed.ask(&mine(call_in(&session))).await.status, 200);
        let aggregated = modern("/mcp", &json!(2), "tools/list", json!({}));
        assert_eq!(bed.ask(&mine(aggregated)).await.status, 200);
        let listed = legacy(PATH, &json!(3), "tools/list", json!({}));
        let listed = listed.header("mcp-session-id", &session);
        assert_eq!(bed.ask(&mine(listed)).await.status, 200);
        let ended = Request::delete(PATH).header("mcp-session-id", &session);
        bed.ask(&mine(ended)).await;
        until("the session to be ended", || async {
            let ended = bed.upstream.recorded_http("DELETE");
            (!ended.is_empty()).then_some(())
        })
        .await;
        let all = ["POST", "GET", "DELETE"].map(|verb| bed.upstream.recorded_http(verb));
        for request in all.iter().flatten() {
            assert_eq!(proof(request), TOKEN, "{request:?}");
        }
        // Health checks are among them.
        let asked = bed.upstream.recorded("server/discover");
        assert!(asked.iter().any(|one| {
            let id = one.json()["id"].as_str().map(str::to_owned);
            id.is_some_and(|id| id.starts_with("conduit-health"))
        }));
    }
}

#[tokio::test]
async fn a_token_may_stand_in_a_variable() {
    let upstream = Upstream::start(friendly).await;
    let server = json!({ "id": "s", "url": upstream.url(),
        "upstream_auth": { "bearer": { "env": "TICKETS_TOKEN" } } });
    let config = json!({ "servers": [server] });
    let gateway = Gateway::among(config, &[("TICKETS_TOKEN", "variable-token")]).await;
    assert_eq!(wire::ask(gateway.address, &call()).await.status, 200);
    let seen = upstream.first("tools/call").await;
    assert_eq!(proof(&seen), "Bearer variable-token");
}

#[tokio::test]
async fn a_file_that_changes_is_used_without_a_restart_and_survives_its_loss() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "first-token\n").unwrap();
    let server = json!({ "upstream_auth": { "bearer": { "file": file } } });
    let bed = Bed::start(server, friendly).await;
    assert_eq!(bed.call().await.status, 200);
    assert_eq!(bed.proofs(), ["Bearer first-token"]);
    std::fs::write(&file, "second-token").unwrap();
    until("the second token", || async {
        assert_eq!(bed.call().await.status, 200);
        let last = bed.proofs().pop();
        (last.as_deref() == Some("Bearer second-token")).then_some(())
    })
    .await;
    std::fs::remove_file(&file).unwrap();
    let lost = "Credential could not be renewed";
    let told = |line: &str| line.contains(lost).then_some(());
    bed.gateway.process.line(lost, told).await;
    assert_eq!(bed.call().await.status, 200);
    assert_eq!(bed.proofs().pop().as_deref(), Some("Bearer second-token"));
}

#[tokio::test]
async fn a_file_that_changed_is_read_before_a_refusal_is_told() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "first-token").unwrap();
    let server = json!({ "upstream_auth": { "bearer": { "file": file } } });
    let path = file.clone();
    let bed = Bed::start(server, move |request| {
        if request.rpc_method() == "tools/call" && proof(request) == "Bearer first-token" {
            std::fs::write(&path, "second-token").unwrap();
            return answer("401 Unauthorized", &[], b"");
        }
        friendly(request)
    })
    .await;
    assert_eq!(bed.call().await.status, 200);
    assert_eq!(bed.proofs(), ["Bearer first-token", "Bearer second-token"]);
}

#[tokio::test]
async fn without_a_token_a_server_is_not_asked() {
    let server = json!({ "upstream_auth": { "bearer": { "file": "/nowhere/at/all" } } });
    let bed = Bed::start(server, friendly).await;
    let refused = bed.call().await;
    assert_eq!(refused.status, 502, "{refused:?}");
    let message = refused.json()["error"]["message"].to_string();
    assert!(message.contains("credential is not to be had"), "{message}");
    assert!(bed.proofs().is_empty());
}

#[tokio::test]
async fn a_token_that_is_refused_is_an_error_of_the_gateways() {
    for status in ["401 Unauthorized", "403 Forbidden"] {
        for server in [
            json!({ "upstream_auth": { "bearer": { "token": "written-token" } } }),
            json!({ "headers": { "authorization": "Bearer written-token" } }),
        ] {
            let bed = Bed::start(server, move |request| {
                if request.rpc_method() != "tools/call" {
                    return sociable(request);
                }
                let headers = [("www-authenticate", "Bearer realm=up")];
                answer(status, &headers, b"written-token is wrong")
            })
            .await;
            let session = bed.open().await;
            for request in [call(), call_in(&session)] {
                let refused = bed.ask(&request).await;
                assert_refused(&refused, status[..3].parse().unwrap());
                assert!(!refused.told().contains("written-token"), "{refused:?}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_cached_belongs_to_the_credential_and_not_to_its_token_of_today() {
    let folder = TempDir::new().unwrap();
    let file = |name: &str, token: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, token).unwrap();
        path
    };
    let (one, other) = (file("one", "first-token"), file("other", "other-token"));
    let bed = Bed::start(
        json!({ "upstream_auth": { "bearer": { "file": one } }, "cache": { "default_ttl": 60 } }),
        |request| match request.rpc_method().as_str() {
            "tools/list" => json(&result(
                &request.json()["id"],
                json!({ "tools": [{ "name": "read", "inputSchema": { "type": "object" },
                    "annotations": { "readOnlyHint": true } }], "resultType": "complete",
                    "ttlMs": 60_000, "cacheScope": "private" }),
            )),
            _ => friendly(request),
        },
    )
    .await;
    let status = async || {
        let read = modern_call(PATH, &json!(1), "read", json!({}));
        let answer = bed.ask(&read).await;
        let found = answer.headers.get("x-conduit-cache-status");
        found.unwrap_or_else(|| panic!("{answer:?}")).to_owned()
    };
    assert_eq!(
        (status().await, status().await),
        ("MISS".into(), "HIT".into())
    );
    std::fs::write(&one, "second-token").unwrap();
    until("the second token", || async {
        // Of another tool, which is not cached.
        bed.call().await;
        let last = bed.proofs().pop();
        (last.as_deref() == Some("Bearer second-token")).then_some(())
    })
    .await;
    assert_eq!(status().await, "HIT");
    let server = json!({ "upstream_auth": { "bearer": { "file": other } },
        "cache": { "default_ttl": 60 } });
    let servers = json!([super::entry(server, &bed.upstream)]);
    bed.gateway.rewrite(json!({ "servers": servers }));
    assert_eq!(bed.gateway.reload().await.status, 200);
    assert_eq!(status().await, "MISS");
    assert_eq!(bed.proofs().pop().as_deref(), Some("Bearer other-token"));
}
