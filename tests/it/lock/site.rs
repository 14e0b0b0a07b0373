//! A server whose tools change while it runs, and a gateway that locks them.

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::gateway::Gateway;
use crate::support::message::{legacy, modern, post, result, said};
use crate::support::until;
use crate::support::upstream::{Recorded, Step, Upstream, end, event, friendly, json, sse_head};
use crate::support::wire::{self, Answer, Request};

/// How a list is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// In a document.
    Json,
    /// In an event stream.
    Sse,
    /// In a document that anybody may keep for long.
    Cached,
    /// With a tool a page.
    Paged,
}

/// How a client asks: the endpoint, what stands before a tool's name there, and the era.
pub(super) type Way = (&'static str, &'static str, bool);

pub(super) const WAYS: [Way; 4] = [
    ("/mcp/s", "", true),
    ("/mcp/s", "", false),
    ("/mcp", "s.", true),
    ("/mcp", "s.", false),
];

pub(super) struct Site {
    pub(super) gateway: Gateway,
    pub(super) upstream: Upstream,
    pub(super) tools: Arc<Mutex<Vec<Value>>>,
    pub(super) folder: TempDir,
    more: Value,
}

/// A tool that says of itself what it is.
pub(super) fn tool(name: &str, description: &str) -> Value {
    json!({ "name": name, "description": description, "inputSchema": { "type": "object" } })
}

impl Site {
    /// A server with the tools `a` and `b`, of which nothing was approved.
    pub(super) async fn start(form: Form, more: Value) -> Self {
        let tools = Arc::new(Mutex::new(vec![tool("a", "first"), tool("b", "second")]));
        let offered = Arc::clone(&tools);
        let upstream = Upstream::start(move |request| serve(request, form, &offered.lock())).await;
        let folder = TempDir::new().unwrap();
        let gateway = Gateway::with(config(&upstream, &folder, &more)).await;
        Self {
            gateway,
            upstream,
            tools,
            folder,
            more,
        }
    }

    /// As [`Self::start`], with `block`, and both tools approved.
    pub(super) async fn approved(form: Form) -> Self {
        let site = Self::start(form, json!({ "tool_lock": "block" })).await;
        let done = site.approve_all().await;
        assert_eq!(done["approved"], json!(["a", "b"]), "{done}");
        site
    }

    pub(super) fn file(&self) -> PathBuf {
        self.folder.path().join("approved.lock")
    }

    pub(super) async fn restart(&mut self) {
        let config = config(&self.upstream, &self.folder, &self.more);
        self.gateway = Gateway::with(config).await;
    }

    /// Has the gateway read a configuration with `more` in it.
    pub(super) async fn reload(&self, more: &Value) -> Value {
        let config = config(&self.upstream, &self.folder, more);
        self.gateway.rewrite(config);
        self.gateway.reload().await.json()
    }

    pub(super) async fn ask(&self, request: &Request) -> Answer {
        wire::ask(self.gateway.address, request).await
    }

    /// What the admin API says of the server.
    pub(super) async fn state(&self) -> Value {
        let answer = self.ask(&Request::get("/conduit/lock")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["servers"][0].clone()
    }

    /// `tool standing` for each tool.
    pub(super) async fn standings(&self) -> Vec<String> {
        let state = self.state().await;
        let rows = state["tools"].as_array().unwrap().iter();
        let word = |value: &Value| value.as_str().unwrap().to_owned();
        rows.map(|row| format!("{} {}", word(&row["tool"]), word(&row["standing"])))
            .collect()
    }

    /// Waits until the gateway has seen the tools like this.
    pub(super) async fn stand(&self, expected: &[&str]) {
        until("the tools to be seen", || async {
            (self.standings().await == expected).then_some(())
        })
        .await;
    }

    pub(super) async fn order(&self, body: Value) -> Answer {
        let request = Request::post("/conduit/lock/approve")
            .header("x-conduit-admin", "1")
            .header("content-type", "application/json")
            .body(body.to_string());
        self.ask(&request).await
    }

    pub(super) async fn approve_all(&self) -> Value {
        let digest = self.state().await["pending_digest"].clone();
        let answer = self.order(json!({ "server": "s", "digest": digest })).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    async fn request(&self, (path, _, is_modern): Way, method: &str, params: Value) -> Request {
        if is_modern {
            return modern(path, &json!(1), method, params);
        }
        let opening = json!({ "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": { "name": "test", "version": "1" } });
        let opened = self
            .ask(&legacy(path, &json!(1), "initialize", opening))
            .await;
        let request = legacy(path, &json!(1), method, params);
        match opened.headers.get("mcp-session-id") {
            Some(session) => {
                let initialized =
                    json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
                let initialized = post(path, initialized.to_string());
                self.ask(&initialized.header("mcp-session-id", session))
                    .await;
                request.header("mcp-session-id", session)
            }
            None => request,
        }
    }

    /// `name description` of each tool that is listed, all pages of it.
    pub(super) async fn list(&self, way: Way) -> Vec<String> {
        let mut listed = Vec::new();
        let mut params = json!({});
        loop {
            let request = self.request(way, "tools/list", params).await;
            let answer = self.ask(&request).await;
            let result = answer.last_json()["result"].clone();
            let tools = result["tools"].as_array();
            let tools = tools.unwrap_or_else(|| panic!("no list by {way:?}: {answer:?}"));
            listed.extend(tools.iter().map(|tool| {
                let name = tool["name"].as_str().unwrap().strip_prefix(way.1).unwrap();
                format!(
                    "{name} {}",
                    tool["description"].as_str().unwrap_or_default()
                )
            }));
            match &result["nextCursor"] {
                Value::String(cursor) => params = json!({ "cursor": cursor }),
                _ => return listed,
            }
        }
    }

    /// What a call is told.
    pub(super) async fn call(&self, way: Way, tool: &str) -> Value {
        let name = format!("{}{tool}", way.1);
        let params = json!({ "name": name, "arguments": {} });
        let request = self.request(way, "tools/call", params).await;
        self.ask(&request).await.last_json()
    }

    /// How often the server was called.
    pub(super) fn n_calls(&self) -> usize {
        self.upstream.recorded("tools/call").len()
    }
}

/// Whether a call was done.
pub(super) fn is_done(answer: &Value) -> bool {
    answer["result"].is_object()
}

/// Why a call was refused.
pub(super) fn refused(answer: &Value) -> String {
    let error = &answer["error"];
    assert_eq!(error["code"], -31403, "{answer}");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("`conduit lock approve`"), "{message}");
    assert!(message.contains(r#"of server "s""#), "{message}");
    message.to_owned()
}

fn config(upstream: &Upstream, folder: &TempDir, more: &Value) -> Value {
    let mut config = more.clone();
    let mut server = json!({ "id": "s", "url": upstream.url(), "forward_authorization": true });
    if let Some(own) = more["x-server"].as_object() {
        for (name, value) in own {
            server[name] = value.clone();
        }
    }
    config["servers"] = json!([server]);
    config["tool_lock_file"] = json!(folder.path().join("approved.lock"));
    config
}

fn serve(request: &Recorded, form: Form, tools: &[Value]) -> Vec<Step> {
    if request.method != "POST" {
        return friendly(request);
    }
    let message = request.json();
    let Some(id) = message.get("id") else {
        return friendly(request);
    };
    match request.rpc_method().as_str() {
        "tools/list" => {
            let listed = listed(request, &message, form, tools);
            answer(form, &result(id, listed))
        }
        "tools/call" => answer(form, &said(id, "done")),
        _ => friendly(request),
    }
}

fn answer(form: Form, message: &Value) -> Vec<Step> {
    match form {
        Form::Json | Form::Cached | Form::Paged => json(message),
        Form::Sse => vec![sse_head(), event(message), end()],
    }
}

fn listed(request: &Recorded, message: &Value, form: Form, tools: &[Value]) -> Value {
    let (ttl, scope) = match form {
        Form::Cached => (600_000, "public"),
        Form::Json | Form::Sse | Form::Paged => (0, "private"),
    };
    let mut tools = tools.to_vec();
    // Who brings a credential is shown a tool as theirs.
    if let Some(credential) = request.headers.get("authorization") {
        tools[0]["description"] = json!(credential);
    }
    let mut listed = json!({ "resultType": "complete", "ttlMs": ttl, "cacheScope": scope });
    if form == Form::Paged {
        let cursor = message["params"]["cursor"].as_str().unwrap_or("0");
        let at: usize = cursor.parse().unwrap();
        if at + 1 < tools.len() {
            listed["nextCursor"] = json!((at + 1).to_string());
        }
        tools = tools.drain(..).skip(at).take(1).collect();
    }
    listed["tools"] = json!(tools);
    listed
}
