//! Two servers behind a gateway whose access rules change, and what there is at them.

use serde_json::{Value, json};

use crate::support::gateway::Gateway;
use crate::support::message::{MODERN, legacy, post, result, said};
use crate::support::upstream::{
    Recorded, Step, Upstream, accepted, answer, end, event, json as json_answer, sse_head,
};
use crate::support::wire::{self, Answer, Request};

pub(super) const TOOLS: [&str; 6] = ["get_a", "get_b", "drop_a", "drop_b", "a.b.c", "one.get_a"];
const PROMPTS: [&str; 3] = ["greet", "get_a", "secret"];
const RESOURCES: [&str; 4] = [
    "file:///pub/a",
    "file:///priv/b",
    "file:///pub/%2e%2e/priv/b",
    "db://h/x",
];
const TEMPLATES: [&str; 3] = ["file:///pub/{x}", "file:///priv/{x}", "{+any}"];

/// A list, and how one of its items is used.
pub(super) struct KindOf {
    pub(super) list: &'static str,
    pub(super) member: &'static str,
    pub(super) key: &'static str,
    pub(super) call: &'static str,
    pub(super) items: &'static [&'static str],
}

pub(super) const KINDS: [KindOf; 4] = [
    KindOf {
        list: "tools/list",
        member: "tools",
        key: "name",
        call: "tools/call",
        items: &TOOLS,
    },
    KindOf {
        list: "prompts/list",
        member: "prompts",
        key: "name",
        call: "prompts/get",
        items: &PROMPTS,
    },
    KindOf {
        list: "resources/list",
        member: "resources",
        key: "uri",
        call: "resources/read",
        items: &RESOURCES,
    },
    KindOf {
        list: "resources/templates/list",
        member: "resourceTemplates",
        key: "uriTemplate",
        call: "completion/complete",
        items: &TEMPLATES,
    },
];

impl KindOf {
    /// The params of a use of an item.
    pub(super) fn params(&self, name: &str) -> Value {
        match self.call {
            "completion/complete" => json!({ "ref": { "type": "ref/resource", "uri": name },
                "argument": { "name": "x", "value": "" } }),
            "resources/read" => json!({ "uri": name }),
            _ => json!({ "name": name, "arguments": {} }),
        }
    }
}

/// How the servers answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// In documents, which may not be stored.
    Json,
    /// In event streams.
    Sse,
    /// In documents that anybody may store for long.
    Cached,
    /// As `Sse`, with news of two resources before each answer to a call.
    News,
}

/// The gateway and the servers `one` and `two`, the latter with sessions.
pub(super) struct Site {
    pub(super) gateway: Gateway,
    one: Upstream,
    two: Upstream,
    /// What else the gateway is configured with.
    more: Value,
}

impl Site {
    pub(super) async fn start(form: Form, acl: Value) -> Self {
        Self::with(form, acl, json!({}), "auto").await
    }

    pub(super) async fn with(form: Form, acl: Value, router: Value, era: &str) -> Self {
        Self::beside(form, acl, json!({ "router": router }), era).await
    }

    /// As [`Self::with`], beside other sections.
    pub(super) async fn beside(form: Form, acl: Value, more: Value, era: &str) -> Self {
        let one = Upstream::start(move |request| serve(request, form, "one")).await;
        let two = Upstream::start(move |request| serve(request, form, "two")).await;
        let gateway = Gateway::with(config(&one, &two, &acl, &more, era)).await;
        Self {
            gateway,
            one,
            two,
            more,
        }
    }

    pub(super) async fn reload(&self, acl: Value) {
        self.reload_in(acl, "auto").await;
    }

    /// As [`Self::reload`], with servers of an era.
    pub(super) async fn reload_in(&self, acl: Value, era: &str) {
        self.reload_beside(acl, &self.more, era).await;
    }

    /// As [`Self::reload_in`], beside other sections.
    pub(super) async fn reload_beside(&self, acl: Value, more: &Value, era: &str) {
        let config = config(&self.one, &self.two, &acl, more, era);
        self.gateway.rewrite(config);
        let answer = self.gateway.reload().await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.json()["errors"], json!([]), "{answer:?}");
    }

    pub(super) async fn ask(&self, request: &Request) -> Answer {
        wire::ask(self.gateway.address, request).await
    }

    pub(super) fn upstream(&self, id: &str) -> &Upstream {
        match id {
            "one" => &self.one,
            _ => &self.two,
        }
    }

    /// The names of all that clients used of a server.
    pub(super) fn calls(&self, id: &str) -> Vec<String> {
        let upstream = self.upstream(id);
        let calls = KINDS.iter().flat_map(|kind| {
            let seen = upstream.recorded(kind.call);
            seen.into_iter().map(|one| params(&one.json(), kind.call))
        });
        calls.collect()
    }

    /// A session at an endpoint; an empty text where it is opened without one.
    pub(super) async fn session(&self, path: &str) -> String {
        self.try_session(path).await.unwrap()
    }

    /// As [`Self::session`]; nothing where it is refused.
    pub(super) async fn try_session(&self, path: &str) -> Option<String> {
        let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": { "name": "test", "version": "1" } });
        let opened = self
            .ask(&legacy(path, &json!(1), "initialize", params))
            .await;
        if opened.status != 200 {
            return None;
        }
        let session = opened
            .headers
            .get("mcp-session-id")
            .unwrap_or_default()
            .to_owned();
        let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        let mut initialized = post(path, initialized.to_string());
        if !session.is_empty() {
            initialized = initialized.header("mcp-session-id", &session);
        }
        self.ask(&initialized).await;
        Some(session)
    }
}

fn config(one: &Upstream, two: &Upstream, acl: &Value, more: &Value, era: &str) -> Value {
    let server =
        |id: &str, upstream: &Upstream| json!({ "id": id, "url": upstream.url(), "era": era });
    let mut config = json!({
        "servers": [server("one", one), server("two", two)],
        "connect": { "profiles": [{ "id": "only-one", "server_ids": ["one"] }] },
        "acl": acl,
    });
    for (section, value) in more.as_object().unwrap() {
        config[section] = value.clone();
    }
    config
}

/// What a use of something names.
pub(super) fn params(message: &Value, method: &str) -> String {
    let params = &message["params"];
    let name = match method {
        "completion/complete" => &params["ref"]["uri"],
        "resources/read" | "resources/subscribe" => &params["uri"],
        _ => &params["name"],
    };
    name.as_str().unwrap_or_default().to_owned()
}

/// Whether a server did what was asked.
pub(super) fn is_done(answer: &Answer) -> bool {
    answer.status == 200 && answer.last_json()["result"].is_object()
}

/// The names in an answer to a list request.
pub(super) fn names(list: &str, answer: &Value) -> Vec<String> {
    let kind = KINDS.iter().find(|kind| kind.list == list).unwrap();
    let items = answer["result"][kind.member].as_array();
    let items = items.unwrap_or_else(|| panic!("no list: {answer}")).iter();
    items
        .map(|item| item[kind.key].as_str().unwrap().to_owned())
        .collect()
}

fn serve(request: &Recorded, form: Form, id: &str) -> Vec<Step> {
    if request.method == "GET" && form == Form::News {
        let mut steps = vec![sse_head()];
        steps.extend(news().map(|one| event(&one)));
        steps.push(Step::AwaitDeparture);
        return steps;
    }
    if request.method != "POST" {
        return answer("405 Method Not Allowed", &[("allow", "POST")], b"");
    }
    let message = request.json();
    let Some(asked) = message.get("id") else {
        return accepted();
    };
    let method = request.rpc_method();
    let done = done(&message, asked, form, id);
    if method == "initialize" {
        let json = ("content-type", "application/json");
        let headers = [json, ("mcp-session-id", "session-of-two")];
        let has_sessions = id == "two" || form == Form::News;
        let headers = if has_sessions {
            &headers[..]
        } else {
            &headers[..1]
        };
        return answer("200 OK", headers, done.to_string().as_bytes());
    }
    match form {
        Form::Json | Form::Cached => json_answer(&done),
        Form::Sse | Form::News => {
            let mut steps = vec![sse_head()];
            if form == Form::News && method == "tools/call" {
                steps.extend(news().map(|one| event(&one)));
            }
            steps.extend([event(&done), end()]);
            steps
        }
    }
}

fn lifetime(form: Form) -> (u64, &'static str) {
    match form {
        Form::Cached => (600_000, "public"),
        Form::Json | Form::Sse | Form::News => (0, "private"),
    }
}

fn list_of(asked: &Value, list: &str, form: Form) -> Value {
    let kind = KINDS.iter().find(|kind| kind.list == list).unwrap();
    let items = kind.items.iter().map(|name| {
        let mut item = json!({ "name": name, "inputSchema": { "type": "object" } });
        item[kind.key] = json!(name);
        item
    });
    let items: Value = items.collect();
    let (ttl, scope) = lifetime(form);
    let mut listed = json!({ "resultType": "complete", "ttlMs": ttl, "cacheScope": scope });
    listed[kind.member] = items;
    result(asked, listed)
}

/// News of a resource that is secret, and of one that is not.
fn news() -> impl Iterator<Item = Value> {
    let uris = ["file:///priv/b", "file:///pub/a"].into_iter();
    uris.map(|uri| {
        json!({ "jsonrpc": "2.0", "method": "notifications/resources/updated",
            "params": { "uri": uri } })
    })
}

/// The server's answer.
fn done(message: &Value, asked: &Value, form: Form, id: &str) -> Value {
    let info = json!({ "name": id, "version": "1" });
    let capabilities = json!({ "tools": { "listChanged": true }, "prompts": {}, "completions": {},
        "resources": { "subscribe": true }, "logging": {} });
    let told = format!("instructions of {id}");
    match message["method"].as_str().unwrap_or_default() {
        "initialize" => result(
            asked,
            json!({
                "protocolVersion": message["params"]["protocolVersion"],
                "capabilities": capabilities, "serverInfo": info, "instructions": told,
            }),
        ),
        "server/discover" => result(
            asked,
            json!({
                "supportedVersions": [MODERN], "capabilities": capabilities, "instructions": told,
                "resultType": "complete", "ttlMs": 0, "cacheScope": "private",
                "_meta": { "io.modelcontextprotocol/serverInfo": info },
            }),
        ),
        "ping" => result(asked, json!({})),
        "completion/complete" => {
            let completion = json!({ "values": ["v"] });
            result(
                asked,
                json!({ "completion": completion, "resultType": "complete" }),
            )
        }
        "resources/read" => {
            let content = json!({ "uri": message["params"]["uri"], "text": "t" });
            let (ttl, scope) = lifetime(form);
            result(
                asked,
                json!({ "contents": [content], "resultType": "complete", "ttlMs": ttl,
                "cacheScope": scope }),
            )
        }
        "prompts/get" => result(asked, json!({ "messages": [], "resultType": "complete" })),
        list if list.ends_with("/list") => list_of(asked, list, form),
        _ => said(asked, "ok"),
    }
}
