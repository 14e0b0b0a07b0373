//! A server of the HTTP+SSE transport that does what it is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::mpsc::{self, UnboundedSender};

use crate::support::message::{result, said};
use crate::support::upstream::{
    self, Recorded, Step, Upstream, accepted, answer, chunk, end, sse_head,
};

/// The event streams by their number; a closed one is none.
type Streams = Arc<Mutex<Vec<Option<UnboundedSender<Vec<u8>>>>>>;

/// A server whose streams can be written to and closed.
pub(super) struct OldServer {
    pub(super) upstream: Upstream,
    streams: Streams,
    is_renewed: Arc<AtomicBool>,
}

/// Sends messages on the stream that a message belongs to.
pub(super) struct Outlet {
    stream: Option<UnboundedSender<Vec<u8>>>,
}

impl Outlet {
    pub(super) fn send(&self, message: &Value) {
        self.raw(&format!("event: message\r\ndata: {message}\r\n\r\n"));
    }

    pub(super) fn raw(&self, text: &str) {
        if let Some(stream) = &self.stream {
            stream.send(chunk(text.as_bytes())).ok();
        }
    }
}

impl OldServer {
    /// A server that does nothing wrong: it echoes, and answers what it is asked.
    pub(super) async fn start() -> Self {
        Self::with(|number| format!("/message?session={number}"), friendly).await
    }

    /// A server that names `endpoint` (of the stream's number) and takes messages with `take`.
    pub(super) async fn with<E, T>(endpoint: E, take: T) -> Self
    where
        E: Fn(usize) -> String + Send + Sync + 'static,
        T: Fn(&Recorded, &Outlet) -> Vec<Step> + Send + Sync + 'static,
    {
        let streams = Streams::default();
        let shared = Arc::clone(&streams);
        let is_renewed = Arc::new(AtomicBool::new(false));
        let renewed = Arc::clone(&is_renewed);
        let upstream = Upstream::start(move |request| match request.method.as_str() {
            _ if renewed.load(Ordering::Relaxed) => upstream::friendly(request),
            "POST" if request.target == "/sse" => answer("405 Method Not Allowed", &[], b""),
            "GET" => {
                let (sender, receiver) = mpsc::unbounded_channel();
                let mut streams = shared.lock();
                let named = endpoint(streams.len());
                let event = format!(": hello\n\nevent: endpoint\ndata: {named}\n\n");
                streams.push(Some(sender));
                let first = Step::Write(chunk(event.as_bytes()));
                let rest = Step::Forward(Arc::new(tokio::sync::Mutex::new(receiver)));
                vec![sse_head(), first, rest, end(), Step::Close]
            }
            "POST" => {
                let number = request.target.rsplit_once('=').map(|(_, number)| number);
                let number: Option<usize> = number.and_then(|number| number.parse().ok());
                let stream = number.and_then(|number| shared.lock().get(number).cloned()?);
                take(request, &Outlet { stream })
            }
            _ => answer("405 Method Not Allowed", &[], b""),
        })
        .await;
        Self {
            upstream,
            streams,
            is_renewed,
        }
    }

    /// From now on it speaks Streamable HTTP; its streams end.
    pub(super) fn renew(&self) {
        self.is_renewed.store(true, Ordering::Relaxed);
        self.streams
            .lock()
            .iter_mut()
            .for_each(|stream| *stream = None);
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/sse", self.upstream.address)
    }

    /// Ends the stream of that number.
    pub(super) fn close(&self, number: usize) {
        self.streams.lock()[number] = None;
    }

    /// Writes to the stream of that number.
    pub(super) fn outlet(&self, number: usize) -> Outlet {
        let stream = self.streams.lock()[number].clone();
        Outlet { stream }
    }

    /// The methods of all posted messages to the stream of that number, in order.
    pub(super) fn posted(&self, number: usize) -> Vec<String> {
        let all = self.upstream.recorded_http("POST");
        let target = format!("/message?session={number}");
        let own = all.iter().filter(|request| request.target == target);
        own.map(Recorded::rpc_method).collect()
    }
}

/// What a well-behaved server does with a message.
pub(super) fn friendly(request: &Recorded, outlet: &Outlet) -> Vec<Step> {
    let message = request.json();
    let Some(id) = message.get("id") else {
        return accepted();
    };
    if let Some(told) = message.get("result") {
        // The client's answer to what the tool `ask` asked ends its call.
        let call: u64 = id.as_str().unwrap()["ask-".len()..].parse().unwrap();
        let action = told["action"].as_str().unwrap();
        outlet.send(&said(&json!(call), action));
        return accepted();
    }
    let params = &message["params"];
    match message["method"].as_str().unwrap() {
        "initialize" => outlet.send(&result(
            id,
            json!({ "protocolVersion": params["protocolVersion"], "capabilities": { "tools": {} },
                "serverInfo": { "name": "old", "version": "1" } }),
        )),
        "tools/call" => call(id, params, outlet),
        _ => outlet.send(&result(id, json!({}))),
    }
    accepted()
}

fn call(id: &Value, params: &Value, outlet: &Outlet) {
    let arguments = &params["arguments"];
    match params["name"].as_str().unwrap() {
        "echo" => outlet.send(&said(id, arguments["message"].as_str().unwrap())),
        "lines" => {
            // One message on several lines of data.
            let text = serde_json::to_string_pretty(&said(id, "lines")).unwrap();
            let data: String = text.lines().map(|line| format!("data: {line}\n")).collect();
            outlet.raw(&format!("id: 7\n{data}\n"));
        }
        "ping" => {
            outlet.raw(": ping\n\nevent: ping\ndata: {}\n\n");
            outlet.send(&said(id, "pong"));
        }
        "silence" => {}
        "ask" => outlet.send(&json!({ "jsonrpc": "2.0", "id": format!("ask-{id}"),
            "method": "elicitation/create", "params": { "message": "?" } })),
        "progress" => {
            let progress =
                json!({ "progressToken": params["_meta"]["progressToken"], "progress": 1 });
            outlet.send(&json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": progress }));
            outlet.send(&said(id, "done"));
        }
        other => panic!("unknown tool {other}"),
    }
}
