//! A raw client of either era: one HTTP/2 connection, and every message looked at.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_util::task::AbortOnDropHandle;

use crate::support::message::{LEGACY, MODERN};

const META: &str = "io.modelcontextprotocol";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Era {
    Legacy,
    Modern,
}

/// A client, and its session at one endpoint where it is a legacy one.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) era: Era,
    pub(super) path: String,
    pub(super) session: Option<String>,
    address: SocketAddr,
    sender: SendRequest<Full<Bytes>>,
    _driver: Arc<AbortOnDropHandle<()>>,
}

/// What a request says about itself besides its params.
#[derive(Clone, Copy, Default)]
pub(super) struct About<'a> {
    pub(super) token: Option<&'a Value>,
    pub(super) wants_log: bool,
}

/// The messages of one answer, as they come.
pub(super) struct Messages {
    pub(super) status: StatusCode,
    is_stream: bool,
    body: Incoming,
    pending: Vec<u8>,
}

impl Client {
    /// Connects, and opens a session where the era has them.
    pub(super) async fn open(address: SocketAddr, era: Era, path: &str) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let io = TokioIo::new(stream);
        let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
        let driver = tokio::spawn(async move { drop(connection.await) });
        let mut client = Self {
            era,
            path: path.to_owned(),
            session: None,
            address,
            sender,
            _driver: Arc::new(AbortOnDropHandle::new(driver)),
        };
        if era == Era::Legacy {
            client.initialize().await;
        }
        client
    }

    async fn initialize(&mut self) {
        let params = json!({ "protocolVersion": LEGACY, "capabilities": { "elicitation": {} },
            "clientInfo": { "name": "tagged", "version": "1" } });
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params });
        let response = self.send("POST", &body.to_string(), &[]).await;
        let session = response.headers().get("mcp-session-id");
        let session = session.unwrap_or_else(|| panic!("no session: {response:?}"));
        self.session = Some(session.to_str().unwrap().to_owned());
        let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        assert_eq!(self.tell(&initialized).await, StatusCode::ACCEPTED);
    }

    /// The same client with another session id, or at another endpoint.
    pub(super) fn posing(&self, path: &str, session: Option<&str>) -> Self {
        let mut client = self.clone();
        path.clone_into(&mut client.path);
        client.session = session.map(str::to_owned);
        client
    }

    /// Sends a request.
    pub(super) async fn ask(
        &self,
        id: &Value,
        method: &str,
        mut params: Value,
        about: About<'_>,
    ) -> Messages {
        let target = ["name", "uri"].iter().find_map(|key| params[*key].as_str());
        let target = target.map(str::to_owned);
        if let Some(token) = about.token {
            params["_meta"]["progressToken"] = token.clone();
        }
        let mut headers = Vec::new();
        if self.era == Era::Modern {
            params["_meta"][format!("{META}/protocolVersion")] = json!(MODERN);
            params["_meta"][format!("{META}/clientCapabilities")] = json!({ "elicitation": {} });
            if about.wants_log {
                params["_meta"][format!("{META}/logLevel")] = json!("debug");
            }
            headers.push(("mcp-method", method));
            if let Some(target) = &target {
                headers.push(("mcp-name", target));
            }
        }
        let body = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let response = self.send("POST", &body.to_string(), &headers).await;
        Messages::of(response)
    }

    /// Sends what has no answer.
    pub(super) async fn tell(&self, message: &Value) -> StatusCode {
        self.send("POST", &message.to_string(), &[]).await.status()
    }

    /// Opens the session's own stream.
    pub(super) async fn listen(&self) -> Messages {
        Messages::of(self.send("GET", "", &[]).await)
    }

    /// Ends the session.
    pub(super) async fn end(&self) -> StatusCode {
        self.send("DELETE", "", &[]).await.status()
    }

    async fn send(&self, method: &str, body: &str, more: &[(&str, &str)]) -> Response<Incoming> {
        let version = match self.era {
            Era::Legacy => LEGACY,
            Era::Modern => MODERN,
        };
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{}{}", self.address, self.path))
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", version);
        for (name, value) in more {
            request = request.header(*name, *value);
        }
        if let Some(session) = &self.session {
            request = request.header("mcp-session-id", session);
        }
        let request = request
            .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))
            .unwrap();
        let mut sender = self.sender.clone();
        sender.ready().await.unwrap();
        sender.send_request(request).await.unwrap()
    }
}

impl Messages {
    fn of(response: Response<Incoming>) -> Self {
        let kind = response.headers().get("content-type");
        let is_stream = kind.is_some_and(|kind| kind == "text/event-stream");
        Self {
            status: response.status(),
            is_stream,
            body: response.into_body(),
            pending: Vec::new(),
        }
    }

    /// The next message; nothing at the end.
    pub(super) async fn next(&mut self) -> Option<Value> {
        if !self.is_stream {
            let whole = (&mut self.body).collect().await.ok()?.to_bytes();
            return serde_json::from_slice(&whole).ok();
        }
        loop {
            while let Some(at) = memchr::memmem::find(&self.pending, b"\n\n") {
                let block: Vec<u8> = self.pending.drain(..at + 2).collect();
                let block = String::from_utf8(block).unwrap();
                let data = block.lines().find_map(|line| line.strip_prefix("data:"));
                if let Some(data) = data.map(str::trim).filter(|data| !data.is_empty()) {
                    return Some(serde_json::from_str(data).unwrap());
                }
            }
            let frame = self.body.frame().await?.ok()?;
            if let Ok(data) = frame.into_data() {
                self.pending.extend(data);
            }
        }
    }

    /// The last message of an answer that has nothing else.
    pub(super) async fn only(mut self) -> Value {
        let first = self.next().await;
        first.unwrap_or_else(|| panic!("no message, HTTP {}", self.status))
    }
}
