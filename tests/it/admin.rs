//! Who may operate the gateway: the admin key, the CSRF header, listeners, and what is open to whom.
//!
//! Issue 5, item 9.

mod listeners;
mod patience;
mod routes;
mod throttle;

use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::support::gateway::Gateway;
use crate::support::upstream::{Upstream, friendly};
use crate::support::wire::{self, Request};
use crate::support::within;

const KEY: &str = "s3cret";

/// Where something listens.
#[derive(Clone, Copy)]
enum Place<'a> {
    Tcp(SocketAddr),
    Unix(&'a Path),
}

/// What it answers.
#[derive(Debug)]
struct Told {
    status: u16,
    head: String,
    body: String,
}

impl Told {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    fn is_secured(&self) -> bool {
        let wanted = [
            "x-content-type-options: nosniff",
            "x-frame-options: deny",
            "cache-control: no-store",
            "referrer-policy: no-referrer",
        ];
        wanted.iter().all(|header| self.head.contains(header))
    }
}

async fn ask(place: Place<'_>, request: &Request) -> Told {
    match place {
        Place::Tcp(address) => {
            let answer = wire::ask(address, request).await;
            let headers = answer.headers.0.iter();
            let lines = headers.map(|(name, value)| format!("{name}: {value}\n"));
            Told {
                status: answer.status,
                head: lines.collect::<String>().to_ascii_lowercase(),
                body: answer.text(),
            }
        }
        Place::Unix(path) => within("an answer", over(path, request)).await,
    }
}

/// Asks over a unix socket, where every connection is used once.
async fn over(path: &Path, request: &Request) -> Told {
    let mut stream = UnixStream::connect(path).await.unwrap();
    let request = request.clone().header("connection", "close");
    stream.write_all(&request.bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    Told {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    }
}

/// A gateway in front of one friendly server `a`.
async fn start(mut config: Value) -> (Gateway, Upstream) {
    let upstream = Upstream::start(friendly).await;
    config["servers"] = json!([{ "id": "a", "url": upstream.url() }]);
    (Gateway::with(config).await, upstream)
}

fn keyed(request: Request, key: &str) -> Request {
    request.header("x-admin-key", key)
}

fn change(request: Request) -> Request {
    request.header("x-conduit-admin", "1")
}
