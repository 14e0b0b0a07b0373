//! The upstream of every measurement: an MCP server that does next to nothing.
//!
//! One thread, keep-alive, answers put together before the first request; an id is found by a search,
//! not by a parse. It must be several times faster than what it is used to measure.
//!
//! **Invariant:** the answer to one request is written before the next is read: no pipelining.

pub(crate) mod request;
pub(crate) mod stdio;

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::{Buf, BytesMut};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::guard::{KEY_SET, PATH_KEY_SET};
use crate::mcp::{self, Answer};
use crate::stub::request::{Method, Request};
use crate::workload::{Shape, Workload};

/// Where the bench, not a gateway, asks how many event streams are open.
pub(crate) const PATH_STREAMS: &str = "/bench/streams";
/// Where the bench asks how many calls of tools have come.
pub(crate) const PATH_CALLS: &str = "/bench/calls";
/// Where the bench makes every open event stream deliver one event.
pub(crate) const PATH_FIRE: &str = "/bench/fire";

/// How long the slow tool takes: long enough for a thousand callers to come.
const SLOW: Duration = Duration::from_millis(500);

const JSON_HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
const EVENTS_HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n";
const ACCEPTED: &str = "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n";
const NO_CONTENT: &str = "HTTP/1.1 204 No Content\r\n\r\n";
const NOT_ALLOWED: &str = "HTTP/1.1 405 Method Not Allowed\r\ncontent-length: 0\r\n\r\n";

/// What all connections share.
struct Stub {
    answers: Vec<(Workload, Answer)>,
    calls: AtomicU64,
    streams: AtomicU64,
    sessions: AtomicU64,
    fired: watch::Sender<u64>,
}

/// The two members of a message that matter when it is not a call of ours.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    method: Option<&'a str>,
}

/// Serves on `port` of the loopback until the process ends.
///
/// # Errors
/// When the port cannot be bound.
pub(crate) async fn serve(port: u16) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .with_context(|| format!("stub: cannot listen on port {port}"))?;
    let stub = Arc::new(Stub {
        answers: Workload::ALL.map(|w| (w, Answer::to_workload(w))).into(),
        calls: AtomicU64::new(0),
        streams: AtomicU64::new(0),
        sessions: AtomicU64::new(0),
        fired: watch::Sender::new(0),
    });
    loop {
        let (stream, _) = listener.accept().await.context("stub: cannot accept")?;
        let stub = Arc::clone(&stub);
        // A connection that breaks is the other side's affair: it sees the cut and reports it.
        tokio::spawn(async move { stub.converse(stream).await.ok() });
    }
}

impl Stub {
    async fn converse(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut buffer = BytesMut::with_capacity(16 * 1024);
        let mut out = Vec::with_capacity(1024);
        while let Some(request) = request::read(&mut stream, &mut buffer).await? {
            out.clear();
            match (request.method, request.path.as_str()) {
                (Method::Post, PATH_FIRE) => {
                    self.fired.send_modify(|n| *n += 1);
                    stream.write_all(ACCEPTED.as_bytes()).await?;
                }
                (Method::Get, PATH_STREAMS) => {
                    write_number(&mut stream, &mut out, &self.streams).await?;
                }
                (Method::Get, PATH_CALLS) => {
                    write_number(&mut stream, &mut out, &self.calls).await?;
                }
                (Method::Get, PATH_KEY_SET) => write_text(&mut stream, &mut out, KEY_SET).await?,
                (Method::Post, _) => self.answer(&mut stream, &request, &mut out).await?,
                (Method::Get, _) => return self.hold_stream(&mut stream).await,
                (Method::Delete, _) => stream.write_all(NO_CONTENT.as_bytes()).await?,
                (Method::Other, _) => stream.write_all(NOT_ALLOWED.as_bytes()).await?,
            }
        }
        Ok(())
    }

    /// Answers a POST: a call of ours at once, anything else after a parse.
    async fn answer(
        &self,
        stream: &mut TcpStream,
        request: &Request,
        out: &mut Vec<u8>,
    ) -> io::Result<()> {
        let body = request.body.as_ref();
        let (Some(workload), Some(id)) = (mcp::find_workload(body), mcp::find_id(body)) else {
            return self.answer_slowly(stream, body, out).await;
        };
        let Some((_, answer)) = self.answers.iter().find(|(known, _)| *known == workload) else {
            return self.answer_slowly(stream, body, out).await;
        };
        self.calls.fetch_add(1, Ordering::Relaxed);
        if workload == Workload::Slow1k {
            tokio::time::sleep(SLOW).await;
        }
        match workload.shape() {
            Shape::Json => {
                out.extend_from_slice(JSON_HEAD.as_bytes());
                write_json(stream, out, answer, id).await
            }
            Shape::Events => write_events(stream, out, answer, id).await,
        }
    }

    async fn answer_slowly(
        &self,
        stream: &mut TcpStream,
        body: &[u8],
        out: &mut Vec<u8>,
    ) -> io::Result<()> {
        let envelope: Envelope<'_> = serde_json::from_slice(body)?;
        let (Some(id), Some(method)) = (envelope.id, envelope.method) else {
            return stream.write_all(ACCEPTED.as_bytes()).await;
        };
        let Some(result) = mcp::result_of(method) else {
            out.extend_from_slice(b"HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\n");
            return write_json(
                stream,
                out,
                &Answer::method_not_found(),
                id.get().as_bytes(),
            )
            .await;
        };
        out.extend_from_slice(JSON_HEAD.as_bytes());
        if method == "initialize" {
            let session = self.sessions.fetch_add(1, Ordering::Relaxed);
            out.extend_from_slice(format!("mcp-session-id: bench-{session}\r\n").as_bytes());
        }
        write_json(
            stream,
            out,
            &Answer::with_result(&result),
            id.get().as_bytes(),
        )
        .await
    }

    /// Holds an idle event stream open: one event each time the bench fires, until either side leaves.
    async fn hold_stream(&self, stream: &mut TcpStream) -> io::Result<()> {
        let mut fired = self.fired.subscribe();
        let _open = Open::count(&self.streams);
        stream
            .write_all(format!("{EVENTS_HEAD}3\r\n:\n\n\r\n").as_bytes())
            .await?;
        let mut unread = [0; 64];
        loop {
            tokio::select! {
                changed = fired.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    let notice = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
                    stream.write_all(&chunk(&event(notice))).await?;
                }
                read = stream.read(&mut unread) => {
                    if read? == 0 {
                        return Ok(());
                    }
                }
            }
        }
    }
}

/// Counts an event stream for as long as it lives.
struct Open<'a>(&'a AtomicU64);

impl<'a> Open<'a> {
    fn count(streams: &'a AtomicU64) -> Self {
        streams.fetch_add(1, Ordering::Relaxed);
        Self(streams)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn write_number(
    stream: &mut TcpStream,
    out: &mut Vec<u8>,
    number: &AtomicU64,
) -> io::Result<()> {
    write_text(stream, out, &number.load(Ordering::Relaxed).to_string()).await
}

async fn write_text(stream: &mut TcpStream, out: &mut Vec<u8>, text: &str) -> io::Result<()> {
    out.extend_from_slice(JSON_HEAD.as_bytes());
    extend_length(out, text.len());
    out.extend_from_slice(text.as_bytes());
    stream.write_all(out).await
}

/// Completes the head in `out` and writes it with the answer: one system call, no copy of the text.
async fn write_json(
    stream: &mut TcpStream,
    out: &mut Vec<u8>,
    answer: &Answer,
    id: &[u8],
) -> io::Result<()> {
    extend_length(out, answer.len(id.len()));
    out.extend_from_slice(answer.before_id);
    out.extend_from_slice(id);
    stream
        .write_all_buf(&mut Buf::chain(out.as_slice(), answer.after_id.as_slice()))
        .await
}

/// Two writes, as a server makes them that reports progress before it is done.
async fn write_events(
    stream: &mut TcpStream,
    out: &mut Vec<u8>,
    answer: &Answer,
    id: &[u8],
) -> io::Result<()> {
    let token = String::from_utf8_lossy(id);
    out.extend_from_slice(EVENTS_HEAD.as_bytes());
    out.extend_from_slice(&chunk(&event(&mcp::progress(&token))));
    stream.write_all(out).await?;
    tokio::task::yield_now().await;
    let response = [answer.before_id, id, answer.after_id.as_slice()].concat();
    out.clear();
    out.extend_from_slice(&chunk(&event(&String::from_utf8_lossy(&response))));
    out.extend_from_slice(b"0\r\n\r\n");
    stream.write_all(out).await
}

fn extend_length(out: &mut Vec<u8>, bytes: usize) {
    out.extend_from_slice(b"content-length: ");
    out.extend_from_slice(itoa::Buffer::new().format(bytes).as_bytes());
    out.extend_from_slice(b"\r\n\r\n");
}

fn event(message: &str) -> String {
    format!("event: message\ndata: {message}\n\n")
}

fn chunk(text: &str) -> Vec<u8> {
    format!("{:x}\r\n{text}\r\n", text.len()).into_bytes()
}
