//! Clients that take their time: each is waited for as long as is configured, and no longer.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Site;
use crate::support::gateway::Gateway;
use crate::support::message::modern_call;
use crate::support::slow::dribble;
use crate::support::tls::Client;
use crate::support::upstream::{Upstream, friendly};
use crate::support::wire::{self, Answer, Request};
use crate::support::within;

async fn plain(connections: Value) -> (Gateway, Upstream) {
    let upstream = Upstream::start(friendly).await;
    let config = json!({ "gateway": { "connections": connections },
        "servers": [{ "id": "a", "url": upstream.url() }] });
    (Gateway::with(config).await, upstream)
}

async fn closed(metrics: std::net::SocketAddr, reason: &str) -> bool {
    let text = wire::ask(metrics, &Request::get("/")).await.text();
    text.contains(&format!(
        "conduit_connections_closed_total{{reason=\"{reason}\"}}"
    ))
}

#[tokio::test]
async fn a_head_that_never_ends_ends_the_connection() {
    let (gateway, _upstream) = plain(json!({ "head_timeout_ms": 300 })).await;
    for head in [
        "",
        "P",
        "GET /conduit/readyz HTTP/1.1\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let stream = TcpStream::connect(gateway.address).await.unwrap();
        let said = dribble(stream, head, "x-a: b\r\n").await;
        assert!(!said.starts_with(b"HTTP/1.1 200"), "{head:?}");
    }
    let silent = TcpStream::connect(gateway.address).await.unwrap();
    assert!(dribble(silent, "", "").await.is_empty());
    assert!(closed(gateway.metrics, "idle").await);
}

#[tokio::test]
async fn the_next_head_must_come_within_the_idle_time() {
    let (gateway, _upstream) = plain(json!({ "idle_timeout_ms": 300 })).await;
    let request = format!(
        "GET /conduit/readyz HTTP/1.1\r\nhost: {}\r\n\r\n",
        gateway.address
    );
    for more in ["", "GET / HTTP/1.1\r\nx: y\r\n"] {
        let stream = TcpStream::connect(gateway.address).await.unwrap();
        let said = dribble(stream, &(request.clone() + more), "").await;
        assert!(said.starts_with(b"HTTP/1.1 200"), "{said:?}");
    }
    // Over HTTP/2 as well.
    let stream = TcpStream::connect(gateway.address).await.unwrap();
    let (mut sender, driver) = wire::connect_h2(stream).await.unwrap();
    let url = format!("http://{}", gateway.address);
    let asked = wire::hyper_request(&url, &Request::get("/conduit/readyz"));
    assert_eq!(sender.send_request(asked).await.unwrap().status(), 200);
    within("the idle connection to end", driver)
        .await
        .unwrap()
        .ok();
    assert!(sender.is_closed());
}

#[tokio::test]
async fn a_body_that_never_ends_is_answered_and_the_connection_closed() {
    let bounds = json!({ "body_pause_ms": 200, "body_timeout_ms": 400 });
    let (gateway, _upstream) = plain(bounds).await;
    let head = format!(
        "POST /mcp/a HTTP/1.1\r\nhost: {}\r\ncontent-length: 100000\r\n\r\n",
        gateway.address
    );
    for more in ["", " "] {
        let stream = TcpStream::connect(gateway.address).await.unwrap();
        let said = dribble(stream, &(head.clone() + "{"), more).await;
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(said.starts_with("HTTP/1.1 408"), "{more:?}: {said}");
    }
}

#[tokio::test]
async fn a_handshake_that_never_ends_ends_the_connection() {
    let config = json!({ "gateway": { "connections": { "handshake_timeout_ms": 300 } } });
    let site = Site::start(&json!({}), config).await;
    for head in ["", "\x16\x03\x01"] {
        let stream = TcpStream::connect(site.gateway.address).await.unwrap();
        let (mut read, mut write) = stream.into_split();
        write.write_all(head.as_bytes()).await.unwrap();
        let mut said = Vec::new();
        drop(within("the connection to be closed", read.read_to_end(&mut said)).await);
        assert!(said.is_empty());
    }
    assert!(closed(site.gateway.metrics, "tls_timeout").await);
}

#[tokio::test]
async fn a_head_that_never_ends_ends_a_connection_of_tls_too() {
    let config = json!({ "gateway": { "connections": { "head_timeout_ms": 300 } } });
    let site = Site::start(&json!({}), config).await;
    let client = Client::new(&site.authority);
    for (protocol, head) in [
        ("http/1.1", "GET /conduit/readyz HTTP/1.1\r\n"),
        ("http/1.1", ""),
        ("h2", ""),
        ("h2", "PRI * HTTP/2.0"),
    ] {
        let stream = client
            .connect(site.gateway.address, &[protocol])
            .await
            .unwrap();
        let said = dribble(stream, head, "").await;
        assert!(!said.starts_with(b"HTTP/1.1 200"), "{protocol}: {said:?}");
    }
    assert!(closed(site.gateway.metrics, "idle").await);
}

#[tokio::test]
async fn headers_are_bounded_in_number_and_bytes() {
    let bounds = json!({ "max_headers": 32, "max_header_bytes": 4096 });
    let (gateway, _upstream) = plain(bounds).await;
    let padded = |n: usize, bytes: usize| {
        let mut request = modern_call("/mcp/a", &json!(1), "any", json!({}));
        for index in 0..n {
            request = request.header(&format!("x-{index}"), &"v".repeat(bytes));
        }
        request
    };
    for (request, is_fine) in [
        (padded(8, 10), true),
        (padded(40, 1), false),
        (padded(1, 3000), true),
        (padded(1, 4096), false),
    ] {
        let answers: [Answer; 2] = [
            wire::ask(gateway.address, &request).await,
            wire::ask_h2c(gateway.address, &request).await,
        ];
        for answer in answers {
            assert_eq!(answer.status, if is_fine { 200 } else { 431 });
        }
    }
}

#[tokio::test]
async fn a_connection_more_than_the_most_is_closed_at_once() {
    let (gateway, _upstream) = plain(json!({ "max": 2 })).await;
    let ask = |connection: wire::Connection| async move {
        connection.exchange(&Request::get("/conduit/readyz")).await
    };
    let open = async || wire::Connection::open(gateway.address).await.unwrap();
    let mut held = Vec::new();
    for _ in 0..2 {
        // Whoever asked whether the gateway is ready may still be leaving.
        let connection = crate::support::until("a place", || async {
            let mut connection = open().await;
            let answer = connection.ask(&Request::get("/conduit/readyz")).await;
            answer
                .is_ok_and(|answer| answer.status == 200)
                .then_some(connection)
        });
        held.push(connection.await);
    }
    assert!(within("a refusal", ask(open().await)).await.is_err());
    assert!(closed(gateway.metrics, "full").await);
    held.clear();
    crate::support::until("a place", || async { ask(open().await).await.ok() }).await;
}
