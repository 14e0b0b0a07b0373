//! The control plane's own listeners wait for nobody longer than the gateway's does.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use super::start;
use crate::support::gateway::{Gateway, free_address};
use crate::support::slow::dribble;
use crate::support::upstream::Upstream;
use crate::support::wire::{self, Request};
use crate::support::{until, within};

/// Most connections of one of these listeners.
const PLACES: usize = 256;

struct Bed {
    gateway: Gateway,
    _upstream: Upstream,
    admin: SocketAddr,
}

impl Bed {
    async fn start(connections: Value) -> Self {
        let admin = free_address();
        let (gateway, _upstream) = start(json!({ "admin": { "listen": admin.to_string() },
            "gateway": { "connections": connections } }))
        .await;
        Self {
            gateway,
            _upstream,
            admin,
        }
    }

    /// Each listener, with a path that it answers.
    fn places(&self) -> [(SocketAddr, &'static str); 2] {
        [
            (self.admin, "/conduit/servers"),
            (self.gateway.metrics, "/"),
        ]
    }
}

fn head(address: SocketAddr, path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n")
}

#[tokio::test]
async fn a_head_that_never_ends_ends_the_connection() {
    let bed = Bed::start(json!({ "head_timeout_ms": 300 })).await;
    for (address, path) in bed.places() {
        for (head, more) in [
            (String::new(), ""),
            ("G".to_owned(), ""),
            (head(address, path), ""),
            (head(address, path), "x-a: b\r\n"),
        ] {
            let stream = TcpStream::connect(address).await.unwrap();
            let said = dribble(stream, &head, more).await;
            assert!(!said.starts_with(b"HTTP/1.1 200"), "{path} {head:?}");
        }
    }
}

#[tokio::test]
async fn a_head_that_never_ends_ends_a_connection_of_the_socket_too() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("admin.sock");
    let listen = format!("unix:{}", socket.display());
    let (_gateway, _upstream) = start(json!({ "admin": { "listen": listen },
        "gateway": { "connections": { "head_timeout_ms": 300 } } }))
    .await;
    let stream = UnixStream::connect(&socket).await.unwrap();
    let said = dribble(stream, "GET /conduit/servers HTTP/1.1\r\n", "x: y\r\n").await;
    assert!(!said.starts_with(b"HTTP/1.1 200"), "{said:?}");
}

#[tokio::test]
async fn the_next_head_must_come_within_the_idle_time() {
    let bed = Bed::start(json!({ "idle_timeout_ms": 300 })).await;
    for (address, path) in bed.places() {
        for more in ["", "GET / HTTP/1.1\r\nx: y\r\n"] {
            let request = format!("{}\r\n{more}", head(address, path));
            let stream = TcpStream::connect(address).await.unwrap();
            let said = dribble(stream, &request, "").await;
            assert!(said.starts_with(b"HTTP/1.1 200"), "{path}: {said:?}");
        }
    }
}

#[tokio::test]
async fn a_body_may_take_longer_than_a_head() {
    let bed = Bed::start(json!({ "head_timeout_ms": 200, "idle_timeout_ms": 200 })).await;
    let request = format!(
        "POST /conduit/config/reload HTTP/1.1\r\nhost: {}\r\nx-conduit-admin: 1\r\n\
         content-length: 100\r\nconnection: close\r\n\r\n",
        bed.admin
    );
    let stream = TcpStream::connect(bed.admin).await.unwrap();
    // A byte each 5 ms.
    let said = dribble(stream, &request, " ").await;
    assert!(said.starts_with(b"HTTP/1.1 200"), "{said:?}");
}

#[tokio::test]
async fn a_head_is_as_long_as_the_gateways_at_most() {
    let bed = Bed::start(json!({ "max_headers": 32, "max_header_bytes": 4096 })).await;
    let padded = |path: &str, n: usize, bytes: usize| {
        let request = Request::get(path);
        (0..n).fold(request, |request, index| {
            request.header(&format!("x-{index}"), &"v".repeat(bytes))
        })
    };
    for (address, path) in bed.places() {
        for (n, bytes, status) in [(8, 10, 200), (40, 1, 431), (1, 3000, 200), (1, 4096, 431)] {
            let answer = wire::ask(address, &padded(path, n, bytes)).await;
            assert_eq!(answer.status, status, "{path} {n} {bytes}");
        }
    }
}

/// A connection that was answered once, and is kept.
async fn served(address: SocketAddr, path: &str) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let request = format!("{}\r\n", head(address, path));
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut first = [0; 12];
    let read = within("an answer, or an end", stream.read_exact(&mut first)).await;
    read.ok().map(|_| stream)
}

#[tokio::test]
async fn a_connection_more_than_the_most_is_closed_at_once() {
    let bed = Bed::start(json!({})).await;
    for (address, path) in bed.places() {
        let mut held = Vec::new();
        while held.len() < PLACES {
            // Whoever asked whether the gateway is ready may still be leaving.
            held.push(until("a place", || served(address, path)).await);
        }
        assert!(served(address, path).await.is_none(), "{path}");
        held.clear();
        until("a place", || served(address, path)).await;
    }
}
