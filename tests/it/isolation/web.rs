//! A legacy server over HTTP that repeats the tag of each call in all that it says about it. Its
//! sessions number their questions alike.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::support::message::{self, LEGACY};
use crate::support::upstream::{self, Recorded, Step, Upstream, chunk};

type Stream = mpsc::UnboundedSender<Vec<u8>>;

#[derive(Default)]
struct Session {
    stream: Option<Stream>,
    /// What waits for a stream.
    news: Vec<Vec<u8>>,
    watched: HashSet<String>,
    asked: HashMap<u64, Asked>,
    n_asked: u64,
}

/// A call that waits for its client.
struct Asked {
    id: Value,
    tag: String,
    stream: Stream,
}

#[derive(Default)]
struct Sessions {
    sessions: HashMap<String, Session>,
    n_sessions: u64,
}

pub(super) async fn start() -> Upstream {
    let sessions = Mutex::new(Sessions::default());
    Upstream::start(move |request| sessions.lock().answer(request)).await
}

impl Sessions {
    fn answer(&mut self, request: &Recorded) -> Vec<Step> {
        if request.rpc_method() == "initialize" {
            return self.open(&request.json());
        }
        let id = request.headers.get("mcp-session-id").unwrap_or_default();
        let Some(session) = self.sessions.get_mut(id) else {
            return upstream::answer("404 Not Found", &[], b"");
        };
        match request.method.as_str() {
            "GET" => {
                let (stream, steps) = stream();
                for event in session.news.drain(..) {
                    stream.send(event).unwrap();
                }
                session.stream = Some(stream);
                steps
            }
            "DELETE" => {
                self.sessions.remove(id);
                upstream::answer("204 No Content", &[], b"")
            }
            _ => self.message(id, &request.json()),
        }
    }

    fn open(&mut self, message: &Value) -> Vec<Step> {
        self.n_sessions += 1;
        let id = format!("web-{}", self.n_sessions);
        self.sessions.insert(id.clone(), Session::default());
        let result = json!({ "protocolVersion": LEGACY, "serverInfo": { "name": "web", "version": "1" },
            "capabilities": { "tools": {}, "logging": {}, "resources": { "subscribe": true } } });
        let body = message::result(&message["id"], result).to_string();
        let headers = [
            ("content-type", "application/json"),
            ("mcp-session-id", id.as_str()),
        ];
        upstream::answer("200 OK", &headers, body.as_bytes())
    }

    fn message(&mut self, session: &str, message: &Value) -> Vec<Step> {
        let (id, params) = (&message["id"], &message["params"]);
        let uri = params["uri"].as_str().unwrap_or_default().to_owned();
        let own = self.sessions.get_mut(session).unwrap();
        let result = match message["method"].as_str() {
            None => {
                own.answered(message);
                return upstream::accepted();
            }
            Some(_) if id.is_null() => return upstream::accepted(),
            Some("tools/list") => {
                let tools = ["echo", "ask", "log", "touch"]
                    .map(|name| json!({ "name": name, "inputSchema": { "type": "object" } }));
                json!({ "tools": tools })
            }
            Some("resources/list") => json!({ "resources": [] }),
            Some("resources/templates/list") => json!({ "resourceTemplates": [] }),
            Some("resources/subscribe") => {
                own.watched.insert(uri);
                json!({})
            }
            Some("resources/unsubscribe") => {
                own.watched.remove(&uri);
                json!({})
            }
            Some("tools/call") => return self.call(session, id, params),
            Some(_) => json!({}),
        };
        upstream::json(&message::result(id, result))
    }

    fn call(&mut self, session: &str, id: &Value, params: &Value) -> Vec<Step> {
        let arguments = &params["arguments"];
        let tag = arguments["tag"].as_str().unwrap();
        let mut steps = vec![upstream::sse_head()];
        let token = &params["_meta"]["progressToken"];
        if !token.is_null() {
            let progress = json!({ "progressToken": token, "progress": 1, "message": tag });
            steps.push(notification("notifications/progress", progress));
        }
        match params["name"].as_str().unwrap() {
            "ask" => {
                let own = self.sessions.get_mut(session).unwrap();
                let (asked, forward) = own.ask(id, tag);
                steps.push(asked);
                steps.push(forward);
            }
            "touch" => {
                self.touch(&arguments["uri"]);
                steps.push(upstream::event(&message::said(id, tag)));
            }
            "log" => {
                let log = json!({ "level": "info", "data": tag });
                steps.push(notification("notifications/message", log));
                steps.push(upstream::event(&message::said(id, tag)));
            }
            _ => steps.push(upstream::event(&message::said(id, tag))),
        }
        steps.push(upstream::end());
        steps
    }

    fn touch(&mut self, uri: &Value) {
        let updated = json!({ "jsonrpc": "2.0", "method": "notifications/resources/updated",
            "params": { "uri": uri } });
        let uri = uri.as_str().unwrap();
        let sessions = self.sessions.values_mut();
        for session in sessions.filter(|one| one.watched.contains(uri)) {
            match &session.stream {
                // Its reader may have gone.
                Some(stream) => drop(stream.send(event(&updated))),
                None => session.news.push(event(&updated)),
            }
        }
    }
}

impl Session {
    fn ask(&mut self, id: &Value, tag: &str) -> (Step, Step) {
        self.n_asked += 1;
        let (sender, receiver) = mpsc::unbounded_channel();
        let asked = Asked {
            id: id.clone(),
            tag: tag.to_owned(),
            stream: sender,
        };
        self.asked.insert(self.n_asked, asked);
        let schema = json!({ "type": "object", "properties": { "tag": { "type": "string" } } });
        let question = json!({ "jsonrpc": "2.0", "id": self.n_asked, "method": "elicitation/create",
            "params": { "message": tag, "requestedSchema": schema } });
        (upstream::event(&question), forward(receiver))
    }

    /// The client's answer to a question; one that was not asked here does nothing.
    fn answered(&mut self, message: &Value) {
        let asked = message["id"].as_u64().and_then(|id| self.asked.remove(&id));
        let Some(Asked { id, tag, stream }) = asked else {
            return;
        };
        let told = message["result"]["content"]["tag"]
            .as_str()
            .unwrap_or("nothing");
        let answer = message::said(&id, &format!("{tag}|{tag}|{told}"));
        stream.send(event(&answer)).ok();
    }
}

fn stream() -> (Stream, Vec<Step>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (sender, vec![upstream::sse_head(), forward(receiver)])
}

fn forward(receiver: mpsc::UnboundedReceiver<Vec<u8>>) -> Step {
    Step::Forward(Arc::new(tokio::sync::Mutex::new(receiver)))
}

fn notification(method: &str, params: Value) -> Step {
    upstream::event(&json!({ "jsonrpc": "2.0", "method": method, "params": params }))
}

fn event(message: &Value) -> Vec<u8> {
    chunk(format!("event: message\ndata: {message}\n\n").as_bytes())
}
