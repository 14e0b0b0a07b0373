//! What is spoken, and what is not.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Site;
use crate::support::message::modern_call;
use crate::support::process::Process;
use crate::support::tls::{Authority, Client, Files, Pair};
use crate::support::upstream::{Upstream, end, event, friendly, sse_head};
use crate::support::wire::{self, Request};
use crate::support::within;

#[tokio::test]
async fn a_call_is_answered_over_both_protocols_and_none_without_tls() {
    let site = Site::start(&json!({}), json!({})).await;
    let address = site.gateway.address;
    let client = Client::new(&site.authority);
    let call = modern_call("/mcp/a", &json!(1), "any", json!({}));
    for answer in [
        client.ask(address, &call).await,
        client.ask_h2(address, &call).await,
    ] {
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json()["id"], 1);
    }
    let stream = client.connect(address, &["h2", "http/1.1"]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
    let stream = client.connect(address, &[]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), None);

    let mut plain = TcpStream::connect(address).await.unwrap();
    plain
        .write_all(b"GET /conduit/readyz HTTP/1.1\r\n\r\n")
        .await
        .unwrap();
    let mut said = Vec::new();
    // It may be told in TLS what is wrong, or just be gone.
    drop(within("plain HTTP to be refused", plain.read_to_end(&mut said)).await);
    assert!(!said.starts_with(b"HTTP"), "{said:?}");
}

#[tokio::test]
async fn an_older_version_than_the_least_is_refused() {
    let site = Site::start(&json!({ "min_version": "TLSv1.3" }), json!({})).await;
    let old = Client::of(&site.authority, None, &[&rustls::version::TLS12]);
    let refused = old.connect(site.gateway.address, &[]).await.unwrap_err();
    assert!(refused.to_string().contains("ProtocolVersion"), "{refused}");
    let new = Client::of(&site.authority, None, &[&rustls::version::TLS13]);
    let request = Request::get("/conduit/readyz");
    assert_eq!(new.ask(site.gateway.address, &request).await.status, 200);
    let site = Site::start(&json!({}), json!({})).await;
    let old = Client::of(&site.authority, None, &[&rustls::version::TLS12]);
    assert_eq!(old.ask(site.gateway.address, &request).await.status, 200);
}

#[tokio::test]
async fn events_come_as_they_happen_over_both_protocols() {
    let upstream = Upstream::start(|request| match request.rpc_method().as_str() {
        "tools/call" => {
            let note = json!({ "jsonrpc": "2.0", "method": "notifications/progress",
                "params": { "progressToken": 1, "progress": 1 } });
            let last = json!({ "jsonrpc": "2.0", "id": request.json()["id"],
                "result": { "content": [], "resultType": "complete" } });
            vec![sse_head(), event(&note), event(&last), end()]
        }
        _ => friendly(request),
    })
    .await;
    let site = Site::before(upstream, &json!({}), json!({})).await;
    let client = Client::new(&site.authority);
    let call = modern_call("/mcp/a", &json!(7), "any", json!({}));
    for answer in [
        client.ask(site.gateway.address, &call).await,
        client.ask_h2(site.gateway.address, &call).await,
    ] {
        let text = answer.text();
        assert!(
            answer.whole && text.contains("notifications/progress"),
            "{text}"
        );
        assert_eq!(answer.last_json()["id"], 7);
    }
}

#[tokio::test]
async fn the_metadata_names_the_https_url_and_an_http_one_is_refused() {
    let oauth = |resource: &str| {
        json!({ "method": "jwt", "jwks_url": "http://127.0.0.1:1/jwks", "issuer": "https://idp.example",
            "oauth": { "resource": resource, "authorization_servers": ["https://idp.example"] } })
    };
    let config = json!({ "auth": oauth("https://gateway.example.com") });
    let site = Site::start(&json!({}), config).await;
    let client = Client::new(&site.authority);
    let path = "/.well-known/oauth-protected-resource/mcp/a";
    let told = client.ask(site.gateway.address, &Request::get(path)).await;
    assert_eq!(told.json()["resource"], "https://gateway.example.com/mcp/a");
    let said = check(
        &site.files,
        &json!({ "auth": oauth("http://gateway.example.com") }),
    )
    .await;
    assert!(
        said.contains("auth.oauth.resource: is an http: URL, but gateway.tls is on"),
        "{said}"
    );
}

/// What `conduit check` says of these files, and more of a config, which it must not accept.
async fn check(files: &Files, more: &serde_json::Value) -> String {
    let mut config = more.clone();
    if config["gateway"].is_null() {
        config["gateway"]["tls"] = files.section(&json!({}));
    }
    files.write("conduit.yml", &config.to_string());
    let path = files.path("conduit.yml");
    let arguments = ["check".as_ref(), "--config".as_ref(), path.as_os_str()];
    let process = Process::spawn(env!("CARGO_BIN_EXE_conduit"), arguments, &[]);
    assert_eq!(
        process.finish().await.code(),
        Some(78),
        "{}",
        process.output()
    );
    process.output()
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named_with_what_to_do() {
    let authority = Authority::new("servers");
    let (good, other) = (authority.server(), authority.server());
    let pair = |cert: &str, key: &str| Pair {
        cert: cert.to_owned(),
        key: key.to_owned(),
    };
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let torn = good.cert.replace("-----END", "----");
    for (pair, expected) in [
        (
            pair("", &good.key),
            vec!["gateway.tls.cert_path: ", "holds no certificate"],
        ),
        (
            pair(&good.cert, ""),
            vec!["gateway.tls.key_path: ", "holds no private key"],
        ),
        (
            pair(&good.cert, &other.key),
            vec![
                "gateway.tls.key_path: ",
                "the key does not belong to the certificate",
            ],
        ),
        (
            pair(&good.cert, encrypted),
            vec!["gateway.tls.key_path: ", "encrypted with a passphrase"],
        ),
        (
            pair(&torn, ""),
            vec![
                "gateway.tls.cert_path: ",
                "is not valid PEM",
                "gateway.tls.key_path: ",
            ],
        ),
    ] {
        let said = check(&Files::new(&pair), &json!({})).await;
        for text in expected {
            assert!(said.contains(text), "{text:?} not in {said}");
        }
        let secret: Vec<&str> = good
            .key
            .lines()
            .filter(|line| !line.starts_with('-'))
            .collect();
        assert!(
            secret.iter().all(|line| !said.contains(line)),
            "a key was told"
        );
    }
}

#[tokio::test]
async fn settings_that_cannot_be_used_are_named_with_what_to_do() {
    let files = Files::new(&Authority::new("servers").server());
    files.write("ca.pem", "nothing\n");
    let tls = files.section(&json!({ "ca_path": files.path("ca.pem") }));
    let said = check(&files, &json!({ "gateway": { "tls": tls } })).await;
    assert!(
        said.contains("gateway.tls.ca_path: ") && said.contains("holds no certificate"),
        "{said}"
    );
    let tls = files.section(&json!({ "key_path": "/no/such" }));
    let said = check(&files, &json!({ "gateway": { "tls": tls } })).await;
    assert!(
        said.contains("gateway.tls.key_path: the file does not exist"),
        "{said}"
    );
    let said = check(&files, &json!({ "auth": { "method": "mtls" } })).await;
    assert!(
        said.contains("auth.method: mtls needs client certificates"),
        "{said}"
    );
}

#[tokio::test]
async fn an_expired_certificate_is_warned_of_and_seen_in_the_metrics() {
    let authority = Authority::new("servers");
    let files = Files::new(&authority.expired_server());
    let config = json!({ "gateway": { "tls": files.section(&json!({})) } });
    let gateway = crate::support::gateway::Gateway::with(config).await;
    let said = gateway.process.output();
    assert!(said.contains("the certificate has expired"), "{said}");
    let metrics = wire::ask(gateway.metrics, &Request::get("/")).await.text();
    let name = "conduit_tls_certificate_end_timestamp_seconds 10098";
    assert!(metrics.contains(name), "{metrics}");
}
