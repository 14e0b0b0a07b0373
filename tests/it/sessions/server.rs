//! A legacy server with sessions, which it can forget.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::support::message::{LEGACY, result};
use crate::support::upstream::{
    Recorded, Step, Upstream, accepted, answer, friendly, json as answer_json, sse_head,
};

/// What the tests' client calls itself: the gateway opens sessions on its own account, too.
pub(super) const CLIENT: &str = "tests";

/// How the server says that it does not know a session.
#[derive(Clone, Copy, Debug)]
pub(super) enum Refusal {
    /// As the protocol has it.
    NotFound,
    /// As the TypeScript SDK's examples do.
    BadRequest,
    /// As `rmcp` does.
    Rmcp,
}

impl Refusal {
    fn steps(self) -> Vec<Step> {
        let json = [("content-type", "application/json")];
        match self {
            Self::NotFound => error("404 Not Found", -32001, "Session not found"),
            Self::BadRequest => error(
                "400 Bad Request",
                -32000,
                "Bad Request: No valid session ID provided",
            ),
            Self::Rmcp => answer(
                "422 Unprocessable Entity",
                &json[..0],
                b"Unexpected message, expect initialize request",
            ),
        }
    }
}

fn error(status: &str, code: i32, message: &str) -> Vec<Step> {
    let error = json!({ "code": code, "message": message });
    let body = json!({ "jsonrpc": "2.0", "id": null, "error": error });
    let headers = [("content-type", "application/json")];
    answer(status, &headers, body.to_string().as_bytes())
}

#[derive(Default)]
struct State {
    known: Vec<String>,
    /// The params of every `initialize` of the tests' client, and the session that it began.
    opened: Vec<(String, Value)>,
    n_opened: usize,
}

/// The server.
pub(super) struct SessionServer {
    pub(super) upstream: Upstream,
    state: Arc<Mutex<State>>,
}

impl SessionServer {
    pub(super) async fn start(refusal: Refusal) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let upstream = Upstream::start(move |request| serve(request, refusal, &shared)).await;
        Self { upstream, state }
    }

    /// Forgets every session, as one does that was started again.
    pub(super) fn forget(&self) {
        self.state.lock().known.clear();
    }

    /// The sessions of the tests' clients, in the order they were opened.
    pub(super) fn sessions(&self) -> Vec<String> {
        let state = self.state.lock();
        state.opened.iter().map(|(id, _)| id.clone()).collect()
    }

    /// What the tests' clients said when they opened them.
    pub(super) fn handshakes(&self) -> Vec<Value> {
        let state = self.state.lock();
        state.opened.iter().map(|(_, said)| said.clone()).collect()
    }

    /// The messages that were posted in a session, in order.
    pub(super) fn posted(&self, session: &str) -> Vec<Value> {
        let all = self.upstream.recorded_http("POST");
        let own = |one: &&Recorded| one.headers.get("mcp-session-id") == Some(session);
        all.iter().filter(own).map(Recorded::json).collect()
    }
}

fn serve(request: &Recorded, refusal: Refusal, state: &Mutex<State>) -> Vec<Step> {
    if request.rpc_method() == "initialize" {
        return open(&request.json(), state);
    }
    let named = request.headers.get("mcp-session-id");
    let is_known = named.is_some_and(|id| state.lock().known.iter().any(|known| known == id));
    if !is_known {
        return refusal.steps();
    }
    match request.method.as_str() {
        "GET" => vec![sse_head(), Step::AwaitDeparture],
        "DELETE" => {
            state
                .lock()
                .known
                .retain(|known| Some(known.as_str()) != named);
            answer("204 No Content", &[], b"")
        }
        _ => call(request),
    }
}

fn open(message: &Value, state: &Mutex<State>) -> Vec<Step> {
    let mut state = state.lock();
    let id = format!("theirs-{}", state.n_opened);
    state.n_opened += 1;
    state.known.push(id.clone());
    if message["params"]["clientInfo"]["name"] == CLIENT {
        state.opened.push((id.clone(), message["params"].clone()));
    }
    let capabilities = json!({ "tools": {}, "logging": {}, "resources": { "subscribe": true } });
    let handshake = json!({ "protocolVersion": LEGACY, "capabilities": capabilities,
        "serverInfo": { "name": "sessions", "version": "1" } });
    let body = result(&message["id"], handshake).to_string();
    let headers = [
        ("content-type", "application/json"),
        ("mcp-session-id", &id),
    ];
    answer("200 OK", &headers, body.as_bytes())
}

fn call(request: &Recorded) -> Vec<Step> {
    let message = request.json();
    let id = &message["id"];
    match message["method"].as_str() {
        None => accepted(),
        Some("tools/call") if message["params"]["name"] == "missing" => {
            let error = json!({ "code": -32002, "message": "nothing of that name" });
            let body = json!({ "jsonrpc": "2.0", "id": id, "error": error });
            let headers = [("content-type", "application/json")];
            answer("404 Not Found", &headers, body.to_string().as_bytes())
        }
        Some("tools/list" | "tools/call") => friendly(request),
        Some("resources/list") => answer_json(&result(id, json!({ "resources": [] }))),
        Some(_) if id.is_null() => accepted(),
        Some(_) => answer_json(&result(id, json!({}))),
    }
}
