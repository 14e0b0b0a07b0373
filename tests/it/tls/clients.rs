//! Client certificates: who gets in, and as whom.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use super::Site;
use crate::support::message::{legacy, legacy_call, modern_call, post, result, said};
use crate::support::tls::{Authority, Client};
use crate::support::upstream::{Upstream, friendly, json as json_answer};
use crate::support::wire::{self, Answer, Request};
use crate::support::within;

/// A site whose clients need a certificate of `clients`, which is their only proof.
async fn site(clients: &Authority, tls: Value, mut config: Value, upstream: Upstream) -> Site {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("clients.pem");
    std::fs::write(&path, &clients.pem).unwrap();
    let mut section = tls;
    section["ca_path"] = json!(path);
    if config["auth"].is_null() {
        config["auth"] = json!({ "method": "mtls", "mtls": { "tenant_from": "subject-o" } });
    }
    Site::before(upstream, &section, config).await
}

async fn plain(clients: &Authority) -> Site {
    site(
        clients,
        json!({}),
        json!({}),
        Upstream::start(friendly).await,
    )
    .await
}

fn call() -> Request {
    modern_call("/mcp/a", &json!(1), "any", json!({}))
}

#[tokio::test]
async fn who_has_no_certificate_of_the_authority_can_do_nothing() {
    let clients = Authority::new("clients");
    let site = plain(&clients).await;
    let address = site.gateway.address;
    let stranger = Authority::new("clients").client("alice", &[], None);
    for (version, who) in [
        (&rustls::version::TLS12, None),
        (&rustls::version::TLS13, None),
        (&rustls::version::TLS12, Some(&stranger)),
        (&rustls::version::TLS13, Some(&stranger)),
    ] {
        let client = Client::of(&site.authority, who, &[version]);
        for request in [
            call(),
            Request::get("/conduit/readyz"),
            Request::get("/nothing"),
        ] {
            let answer = client.try_ask(address, &request).await;
            assert!(answer.is_err(), "{answer:?}");
        }
    }
    let alice = Client::with(&site.authority, &clients.client("alice", &[], None));
    assert_eq!(alice.ask(address, &call()).await.status, 200);
    let metrics = wire::ask(site.gateway.metrics, &Request::get("/"))
        .await
        .text();
    let name = r#"conduit_connections_closed_total{reason="tls_handshake"} "#;
    let refused = metrics.lines().find_map(|line| line.strip_prefix(name));
    let refused: u32 = refused.unwrap().parse().unwrap();
    // The gateway connects to itself once, to see that it listens.
    assert!((12..=13).contains(&refused), "{refused}");
}

#[tokio::test]
async fn where_certificates_are_optional_a_wrong_one_is_still_refused() {
    let clients = Authority::new("clients");
    let auth = json!({ "method": ["mtls", "api-key"],
        "api_keys": [{ "key": "k-bob", "client_id": "bob" }] });
    let upstream = Upstream::start(friendly).await;
    let tls = json!({ "client_auth": "optional" });
    let site = site(&clients, tls, json!({ "auth": auth }), upstream).await;
    let address = site.gateway.address;
    let none = Client::new(&site.authority);
    let refused = none.ask(address, &call()).await;
    assert_eq!(refused.status, 401, "{refused:?}");
    let with_key = |key: &str| call().header("x-api-key", key);
    assert_eq!(none.ask(address, &with_key("k-bob")).await.status, 200);
    let stranger = Authority::new("others").client("alice", &[], None);
    let stranger = Client::with(&site.authority, &stranger);
    assert!(stranger.try_ask(address, &with_key("k-bob")).await.is_err());
    let alice = Client::with(&site.authority, &clients.client("alice", &[], None));
    assert_eq!(alice.ask(address, &call()).await.status, 200);
    // A wrong key is not forgiven because of a certificate.
    assert_eq!(alice.ask(address, &with_key("wrong")).await.status, 401);
}

#[tokio::test]
async fn a_certificate_that_names_nobody_is_refused_and_says_why() {
    let clients = Authority::new("clients");
    let auth = json!({ "method": "mtls", "mtls": { "client_id_from": ["san-uri"] } });
    let upstream = Upstream::start(friendly).await;
    let site = site(&clients, json!({}), json!({ "auth": auth }), upstream).await;
    for uris in [&[][..], &["spiffe://a/1", "spiffe://a/2"][..]] {
        let client = Client::with(&site.authority, &clients.client("alice", uris, None));
        let refused = client.ask(site.gateway.address, &call()).await;
        assert_eq!(refused.status, 401);
        assert!(refused.text().contains("does not name exactly one client"));
    }
    let client = Client::with(
        &site.authority,
        &clients.client("x", &["spiffe://a/1"], None),
    );
    assert_eq!(client.ask(site.gateway.address, &call()).await.status, 200);
    for said in ["auth_certificate_name", "spiffe://a/1"] {
        let has_said = |line: &str| line.contains(said).then_some(());
        site.gateway.process.line(said, has_said).await;
    }
}

async fn open_session(client: &Client, site: &Site) -> String {
    let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": { "name": "test", "version": "1" } });
    let request = legacy("/mcp", &json!(1), "initialize", params);
    let opened = client.ask(site.gateway.address, &request).await;
    let session = opened.headers.get("mcp-session-id").unwrap().to_owned();
    let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let initialized = post("/mcp", initialized.to_string()).header("mcp-session-id", &session);
    let told = client.ask(site.gateway.address, &initialized).await;
    assert_eq!(told.status, 202, "{told:?}");
    session
}

#[tokio::test]
async fn a_session_of_one_certificate_is_404_for_another() {
    let clients = Authority::new("clients");
    let site = plain(&clients).await;
    let client = |name: &str, tenant: Option<&str>| {
        Client::with(&site.authority, &clients.client(name, &[], tenant))
    };
    let alice = client("alice", Some("acme"));
    let session = open_session(&alice, &site).await;
    let request = legacy_call("/mcp", &json!(2), "a.any", json!({}));
    let request = request.header("mcp-session-id", &session);
    let address = site.gateway.address;
    for thief in [
        client("bob", Some("acme")),
        client("alice", Some("other")),
        client("alice", None),
    ] {
        assert_eq!(thief.ask(address, &request).await.status, 404);
        assert_eq!(thief.ask_h2(address, &request).await.status, 404);
    }
    // Another certificate of the same client is the same client, over either protocol.
    let renewed = client("alice", Some("acme"));
    assert_eq!(renewed.ask(address, &request).await.status, 200);
    assert_eq!(renewed.ask_h2(address, &request).await.status, 200);
}

/// A server whose every read is answered with another number.
async fn counting() -> Upstream {
    let count = AtomicU64::new(0);
    Upstream::start(move |request| match request.rpc_method().as_str() {
        "tools/list" => {
            let tool = json!({ "name": "read", "inputSchema": { "type": "object" },
                "annotations": { "readOnlyHint": true } });
            let id = &request.json()["id"];
            json_answer(&result(
                id,
                json!({ "tools": [tool], "resultType": "complete",
                "ttlMs": 60_000, "cacheScope": "public" }),
            ))
        }
        "tools/call" => {
            let n = count.fetch_add(1, Ordering::Relaxed);
            json_answer(&said(&request.json()["id"], &n.to_string()))
        }
        _ => friendly(request),
    })
    .await
}

fn read_in(answer: &Answer) -> String {
    answer.json()["result"]["content"][0]["text"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn each_stream_of_each_connection_is_its_own_certificates() {
    let clients = Authority::new("clients");
    let upstream = counting().await;
    let cache = json!({ "cache": { "enabled": true, "l1": { "max_entries": 100 } } });
    let site = site(&clients, json!({}), cache, upstream).await;
    let address = site.gateway.address;
    let url = format!("https://{address}");
    let mut senders = Vec::new();
    for name in ["alice", "bob"] {
        let pair = clients.client(name, &[], Some("acme"));
        let client = Client::with(&site.authority, &pair);
        let stream = client.connect(address, &["h2"]).await.unwrap();
        senders.push(wire::connect_h2(stream).await.unwrap());
    }
    // Turn by turn over two connections: what one read is found again by it, and by it only.
    let mut seen = [None, None];
    for _ in 0..3 {
        for (index, (sender, _)) in senders.iter_mut().enumerate() {
            let request = modern_call("/mcp/a", &json!(1), "read", json!({}));
            let request = wire::hyper_request(&url, &request);
            let response = within("an answer", sender.send_request(request))
                .await
                .unwrap();
            let body = http_body_util::BodyExt::collect(response.into_body())
                .await
                .unwrap();
            let text = String::from_utf8(body.to_bytes().to_vec()).unwrap();
            let read: Value = serde_json::from_str(&text).unwrap();
            let read = read["result"]["content"][0]["text"]
                .as_str()
                .unwrap()
                .to_owned();
            let known = seen[index].get_or_insert_with(|| read.clone());
            assert_eq!(*known, read, "client {index}");
        }
    }
    assert_ne!(seen[0], seen[1], "one client was given another's result");
    let pair = clients.client("alice", &[], Some("acme"));
    let again = Client::with(&site.authority, &pair);
    let request = modern_call("/mcp/a", &json!(1), "read", json!({}));
    assert_eq!(Some(read_in(&again.ask(address, &request).await)), seen[0]);
}
