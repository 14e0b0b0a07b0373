//! A fake MCP server that does what it is told, wrong things included, and remembers what it was asked.
//!
//! A script is a function from a request to the steps of its answer. Steps are raw bytes and events on the
//! connection, so that a test can cut, stall or garble an answer at any byte.

use std::{io, net::SocketAddr, sync::Arc};

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::{Notify, mpsc, watch},
    task::JoinHandle,
};

use super::{
    http1::{Framing, Headers, Reader},
    message, until, within,
};

/// One request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
    /// How many requests the same connection had carried before.
    pub(crate) nth_on_connection: usize,
}

impl Recorded {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The JSON-RPC method, or an empty text for GET and DELETE.
    pub(crate) fn rpc_method(&self) -> String {
        let message: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        message["method"].as_str().unwrap_or_default().to_owned()
    }
}

/// One step of an answer.
#[derive(Clone)]
pub(crate) enum Step {
    /// Writes bytes as they are.
    Write(Vec<u8>),
    /// Waits until the test allows the next step; the answer ends here if the client leaves first.
    Await(Arc<Notify>),
    /// Writes what the test sends, until it stops sending; the answer ends here if the client leaves first.
    Forward(Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<Vec<u8>>>>),
    /// Tells the test that the script has come this far.
    Signal(Arc<Notify>),
    /// Waits until the client has gone, and counts it.
    AwaitDeparture,
    /// Closes the connection in good order.
    Close,
    /// Breaks the connection (RST).
    Reset,
}

/// When a connection that is used again is closed under the client's feet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reuse {
    Welcome,
    /// As soon as the second request arrives, before a byte of it is read.
    ClosedUnread,
}

type Script = dyn Fn(&Recorded) -> Vec<Step> + Send + Sync;

struct Shared {
    script: Box<Script>,
    reuse: Reuse,
    recorded: Mutex<Vec<Recorded>>,
    departures: watch::Sender<usize>,
}

impl Shared {
    fn departed(&self) {
        self.departures.send_modify(|count| *count += 1);
    }
}

/// The running server; gone on drop.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: JoinHandle<()>,
}

impl Upstream {
    /// Serves `script` on a free port.
    pub(crate) async fn start<S>(script: S) -> Self
    where
        S: Fn(&Recorded) -> Vec<Step> + Send + Sync + 'static,
    {
        Self::with(Reuse::Welcome, script).await
    }

    pub(crate) async fn with<S>(reuse: Reuse, script: S) -> Self
    where
        S: Fn(&Recorded) -> Vec<Step> + Send + Sync + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            script: Box::new(script),
            reuse,
            recorded: Mutex::default(),
            departures: watch::Sender::new(0),
        });
        let acceptor = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self {
            address,
            shared,
            acceptor,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// The MCP requests so far; health checks of the gateway are `initialize` or `server/discover` and `ping`,
    /// so tests look for the method that they sent.
    pub(crate) fn recorded(&self, rpc_method: &str) -> Vec<Recorded> {
        let all = self.shared.recorded.lock();
        let wanted = |one: &&Recorded| one.rpc_method() == rpc_method;
        all.iter().filter(wanted).cloned().collect()
    }

    /// All requests of one HTTP method so far.
    pub(crate) fn recorded_http(&self, method: &str) -> Vec<Recorded> {
        let all = self.shared.recorded.lock();
        all.iter()
            .filter(|one| one.method == method)
            .cloned()
            .collect()
    }

    /// Waits for the first request with this JSON-RPC method.
    pub(crate) async fn first(&self, rpc_method: &str) -> Recorded {
        until(&format!("the upstream to see {rpc_method}"), || async {
            self.recorded(rpc_method).into_iter().next()
        })
        .await
    }

    /// Waits until this many clients have left in the middle of their answer.
    pub(crate) async fn departures(&self, wanted: usize) {
        let mut seen = self.shared.departures.subscribe();
        within("the upstream to see its client leave", async {
            seen.wait_for(|count| *count >= wanted).await.unwrap();
        })
        .await;
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        // A connection that the gateway breaks is its own test's business; the script has said what it had to.
        tokio::spawn(async move { drop(serve(stream, &shared).await) });
    }
}

async fn serve(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = Reader::new(stream);
    for nth_on_connection in 0.. {
        if nth_on_connection > 0 && shared.reuse == Reuse::ClosedUnread {
            // Unread bytes in the socket make the kernel answer with RST.
            reader.stream.readable().await?;
            return Ok(());
        }
        let Some((method, target, headers)) = reader.request_head().await? else {
            return Ok(());
        };
        let mut framing = Framing::of(&headers, Framing::Ended);
        let mut body = Vec::new();
        while let Some(piece) = reader.piece(&mut framing).await? {
            body.extend(piece);
        }
        let recorded = Recorded {
            method,
            target,
            headers,
            body,
            nth_on_connection,
        };
        shared.recorded.lock().push(recorded.clone());
        for step in (shared.script)(&recorded) {
            match step {
                Step::Write(bytes) => reader.stream.write_all(&bytes).await?,
                Step::Await(notify) => tokio::select! {
                    () = notify.notified() => {}
                    () = reader.closed() => {
                        shared.departed();
                        return Ok(());
                    }
                },
                Step::Forward(source) => {
                    let mut source = source.lock().await;
                    loop {
                        let bytes = tokio::select! {
                            bytes = source.recv() => bytes,
                            () = reader.closed() => {
                                shared.departed();
                                return Ok(());
                            }
                        };
                        let Some(bytes) = bytes else { break };
                        reader.stream.write_all(&bytes).await?;
                    }
                }
                Step::Signal(notify) => notify.notify_one(),
                Step::AwaitDeparture => {
                    reader.closed().await;
                    shared.departed();
                    return Ok(());
                }
                Step::Close => return reader.stream.shutdown().await,
                Step::Reset => {
                    reader.stream.set_zero_linger()?;
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

// === answers ===

/// A complete answer with a body of a declared length.
pub(crate) fn answer(status: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<Step> {
    let mut bytes = head(status, headers);
    bytes.truncate(bytes.len() - 2);
    bytes.extend(format!("content-length: {}\r\n\r\n", body.len()).bytes());
    bytes.extend(body);
    vec![Step::Write(bytes)]
}

/// What a well-behaved server of both eras answers; scripts fall back on it, health checks live on it.
pub(crate) fn friendly(request: &Recorded) -> Vec<Step> {
    if request.method != "POST" {
        return answer("405 Method Not Allowed", &[("allow", "POST")], b"");
    }
    let message = request.json();
    let Some(id) = message.get("id") else {
        return accepted();
    };
    let info = json!({ "name": "fake", "version": "1" });
    let capabilities = json!({ "tools": {} });
    match message["method"].as_str().unwrap_or_default() {
        "initialize" => json(&message::result(
            id,
            json!({
                "protocolVersion": message["params"]["protocolVersion"],
                "capabilities": capabilities,
                "serverInfo": info,
            }),
        )),
        "server/discover" => json(&message::result(
            id,
            json!({
                "supportedVersions": [message::MODERN],
                "capabilities": capabilities,
                "resultType": "complete",
                "ttlMs": 0,
                "cacheScope": "private",
                "_meta": { "io.modelcontextprotocol/serverInfo": info },
            }),
        )),
        "ping" => json(&message::result(id, json!({}))),
        "tools/list" => json(&message::result(
            id,
            json!({ "tools": [], "resultType": "complete", "ttlMs": 0, "cacheScope": "private" }),
        )),
        _ => json(&message::said(id, "ok")),
    }
}

/// A complete JSON answer, `200`.
pub(crate) fn json(body: &Value) -> Vec<Step> {
    let headers = [("content-type", "application/json")];
    answer("200 OK", &headers, body.to_string().as_bytes())
}

/// `202`, as for a notification.
pub(crate) fn accepted() -> Vec<Step> {
    answer("202 Accepted", &[], b"")
}

/// A status line and headers, the blank line included.
pub(crate) fn head(status: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status}\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    (head + "\r\n").into_bytes()
}

/// The head of an event stream, chunked.
pub(crate) fn sse_head() -> Step {
    let headers = [
        ("content-type", "text/event-stream"),
        ("transfer-encoding", "chunked"),
    ];
    Step::Write(head("200 OK", &headers))
}

/// One server-sent event as one chunk.
pub(crate) fn event(message: &Value) -> Step {
    Step::Write(chunk(
        format!("event: message\ndata: {message}\n\n").as_bytes(),
    ))
}

/// One chunk of a chunked body; nothing for no bytes, as an empty chunk is the end of the body.
pub(crate) fn chunk(bytes: &[u8]) -> Vec<u8> {
    if bytes.is_empty() {
        return Vec::new();
    }
    let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
    chunk.extend(bytes);
    chunk.extend(b"\r\n");
    chunk
}

/// The end of a chunked body.
pub(crate) fn end() -> Step {
    Step::Write(b"0\r\n\r\n".to_vec())
}
