//! Certificates that are renewed while the gateway runs.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Site;
use crate::support::tls::{Authority, Client, shown};
use crate::support::wire::Request;
use crate::support::{until, within};

async fn certificate(site: &Site) -> Vec<u8> {
    let client = Client::new(&site.authority);
    shown(&client.connect(site.gateway.address, &[]).await.unwrap())
}

async fn reload(site: &Site) -> Value {
    let request = Request::post("/conduit/config/reload").header("x-conduit-admin", "1");
    let client = Client::new(&site.authority);
    client.ask(site.gateway.address, &request).await.json()
}

/// Waits until the gateway has said this.
async fn told(site: &Site, what: &str) {
    let has_said = |line: &str| line.contains(what).then_some(());
    site.gateway.process.line(what, has_said).await;
}

#[tokio::test]
async fn new_handshakes_get_the_new_certificate_and_open_connections_go_on() {
    let site = Site::start(&json!({ "watch_seconds": 0 }), json!({})).await;
    let client = Client::new(&site.authority);
    let mut open = client
        .connect(site.gateway.address, &["http/1.1"])
        .await
        .unwrap();
    let before = certificate(&site).await;
    site.files.put(&site.authority.server());
    assert_eq!(certificate(&site).await, before, "nobody has said so yet");
    site.gateway.process.signal("HUP");
    told(&site, "TLS certificate renewed").await;
    let after = certificate(&site).await;
    assert_ne!(after, before);
    let request = format!(
        "GET /conduit/readyz HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n",
        site.gateway.address
    );
    open.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    within("the open connection", open.read_to_end(&mut answer))
        .await
        .unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{answer:?}");

    site.files.put(&site.authority.server());
    let report = reload(&site).await;
    assert_eq!(
        report["reloaded"],
        json!(["gateway.tls (files)"]),
        "{report}"
    );
    assert_ne!(certificate(&site).await, after);
    let report = reload(&site).await;
    assert_eq!(report["reloaded"], json!([]), "{report}");
}

#[tokio::test]
async fn a_broken_file_changes_nothing_and_is_told() {
    let site = Site::start(&json!({ "watch_seconds": 0 }), json!({})).await;
    let before = certificate(&site).await;
    // The new key came, its certificate did not.
    site.files.write("key.pem", &site.authority.server().key);
    let report = reload(&site).await;
    let errors = report["errors"].to_string();
    assert!(errors.contains("gateway.tls.key_path: "), "{report}");
    assert!(errors.contains("does not belong"), "{report}");
    assert_eq!(certificate(&site).await, before);
    let client = Client::new(&site.authority);
    let metrics = Request::get("/conduit/metrics");
    let metrics = client.ask(site.gateway.address, &metrics).await.text();
    let failed = r#"conduit_tls_renewals_total{result="failed"} 1"#;
    assert!(metrics.contains(failed), "{metrics}");
}

#[tokio::test]
async fn files_that_change_are_found_without_being_told() {
    let site = Site::start(&json!({ "watch_seconds": 1 }), json!({})).await;
    let before = certificate(&site).await;
    site.files.write("cert.pem", "broken");
    told(&site, "cannot be used; the old ones stay").await;
    assert_eq!(certificate(&site).await, before);
    site.files.put(&site.authority.server());
    until("the new certificate", || async {
        (certificate(&site).await != before).then_some(())
    })
    .await;
}

#[tokio::test]
async fn authorities_and_versions_change_with_a_reload_and_tls_itself_does_not() {
    let site = Site::start(&json!({ "watch_seconds": 0 }), json!({})).await;
    let clients = Authority::new("clients");
    site.files.write("ca.pem", &clients.pem);
    let mut config = site.config.clone();
    let more = json!({ "ca_path": site.files.path("ca.pem"), "min_version": "TLSv1.3" });
    config["gateway"]["tls"] = site.files.section(&more);
    site.gateway.rewrite(config.clone());
    let report = reload(&site).await;
    assert_eq!(report["reloaded"], json!(["gateway.tls"]), "{report}");
    let (address, readyz) = (site.gateway.address, Request::get("/conduit/readyz"));
    let nobody = Client::new(&site.authority);
    assert!(nobody.try_ask(address, &readyz).await.is_err());
    let pair = clients.client("alice", &[], None);
    let old = Client::of(&site.authority, Some(&pair), &[&rustls::version::TLS12]);
    assert!(old.connect(address, &[]).await.is_err());
    let alice = Client::with(&site.authority, &pair);
    assert_eq!(alice.ask(address, &readyz).await.status, 200);

    config["gateway"]["tls"]["enabled"] = json!(false);
    site.gateway.rewrite(config);
    let request = Request::post("/conduit/config/reload").header("x-conduit-admin", "1");
    let report = alice.ask(address, &request).await.json();
    let skipped = json!(["gateway.tls.enabled (needs a restart)"]);
    assert_eq!(report["skipped"], skipped, "{report}");
    assert_eq!(alice.ask(address, &readyz).await.status, 200);
}
