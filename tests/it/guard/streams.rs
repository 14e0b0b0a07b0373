//! A session's own stream under guardrails: what a rule refuses is not on it, and all else is.

use serde_json::{Value, json};

use super::CARD;
use crate::support::gateway::Gateway;
use crate::support::message::{LEGACY, legacy, legacy_call, post, result};
use crate::support::upstream::{
    Recorded, Step, Upstream, accepted, answer, chunk, end, friendly, json as answer_json, sse_head,
};
use crate::support::wire::{self, Answer, EventStream, Request};
use crate::support::{until, within};

/// An event with an id.
fn event(id: u32, message: &Value) -> Step {
    let text = format!("id: e{id}\nevent: message\ndata: {message}\n\n");
    Step::Write(chunk(text.as_bytes()))
}

fn log(text: &str) -> Value {
    json!({ "jsonrpc": "2.0", "method": "notifications/message",
        "params": { "level": "info", "data": text } })
}

fn asking(id: &str, method: &str, text: &str) -> Value {
    let mut message = json!({ "jsonrpc": "2.0", "id": id, "method": method });
    if !text.is_empty() {
        let content = json!({ "type": "text", "text": text });
        message["params"] = json!({ "messages": [{ "role": "user", "content": content }],
            "maxTokens": 1 });
    }
    message
}

/// A server of the legacy era whose sessions have this stream.
async fn server(is_stateful: bool, stream: Vec<Step>) -> Upstream {
    let serve = move |request: &Recorded| match (&*request.method, &*request.rpc_method()) {
        ("GET", _) => stream.clone(),
        ("DELETE", _) => answer("204 No Content", &[], b""),
        (_, "initialize") => {
            let message = request.json();
            let said = json!({ "protocolVersion": LEGACY, "capabilities": { "tools": {}, "logging": {} },
                "serverInfo": { "name": "fake", "version": "1" } });
            let body = result(&message["id"], said).to_string();
            let mut headers = vec![("content-type", "application/json")];
            if is_stateful {
                headers.push(("mcp-session-id", "theirs"));
            }
            answer("200 OK", &headers, body.as_bytes())
        }
        (_, "server/discover") => {
            let error = json!({ "code": -32601, "message": "no such method" });
            answer_json(&json!({ "jsonrpc": "2.0", "id": request.json()["id"], "error": error }))
        }
        (_, "") => accepted(),
        _ => friendly(request),
    };
    Upstream::start(serve).await
}

struct Bed {
    gateway: Gateway,
    upstream: Upstream,
}

impl Bed {
    async fn start(is_stateful: bool, action: &str, mut stream: Vec<Step>) -> Self {
        stream.insert(0, sse_head());
        stream.push(Step::AwaitDeparture);
        Self::of(server(is_stateful, stream).await, action).await
    }

    async fn of(upstream: Upstream, action: &str) -> Self {
        let mut rule = json!({ "name": "cards", "on": ["results", "sampling"], "action": action,
            "conditions": [{ "detect": ["card"] }] });
        if action == "transform" {
            rule["transform"] = json!([{ "redact_found": ["card"] }]);
        }
        let gateway = Gateway::with(json!({
            "servers": [{ "id": "fake", "url": upstream.url() }],
            "guardrails": { "enabled": true, "rules": [rule] },
        }))
        .await;
        Self { gateway, upstream }
    }

    async fn ask(&self, request: &Request) -> Answer {
        wire::ask(self.gateway.address, request).await
    }

    /// Opens a session, and what stands behind it.
    async fn session(&self, path: &str) -> String {
        let said = json!({ "protocolVersion": LEGACY, "capabilities": { "sampling": {} },
            "clientInfo": { "name": "c", "version": "1" } });
        let opened = self.ask(&legacy(path, &json!(0), "initialize", said)).await;
        let session = opened.headers.get("mcp-session-id").unwrap().to_owned();
        let tool = if path == "/mcp" { "fake.echo" } else { "echo" };
        let call = legacy_call(path, &json!(1), tool, json!({})).header("mcp-session-id", &session);
        assert_eq!(self.ask(&call).await.status, 200);
        session
    }

    async fn hear(&self, request: &Request) -> EventStream {
        let stream = wire::stream(self.gateway.address, request).await;
        assert_eq!(stream.status, 200);
        stream
    }

    /// What the server was told in a message with this id.
    async fn told(&self, id: &str) -> Value {
        until(&format!("the server to be told of {id}"), || async {
            let all = self.upstream.recorded("");
            let messages = all.iter().filter(|one| one.method == "POST");
            messages
                .map(Recorded::json)
                .find(|message| message["id"] == *id)
        })
        .await
    }
}

fn get(path: &str) -> Request {
    Request::get(path)
        .header("accept", "text/event-stream")
        .header("mcp-protocol-version", LEGACY)
}

async fn next(stream: &mut EventStream) -> String {
    let next = within("an event on the stream", stream.event()).await;
    next.unwrap()
}

#[tokio::test]
async fn what_a_rule_blocks_is_not_on_a_sessions_stream_and_all_else_is() {
    let told = vec![
        event(1, &log(CARD)),
        event(2, &log("harmless")),
        event(3, &log(&format!("again {CARD}"))),
        event(4, &log("and more")),
    ];
    for path in ["/mcp/fake", "/mcp"] {
        let bed = Bed::start(true, "block", told.clone()).await;
        let session = bed.session(path).await;
        let mut stream = bed
            .hear(&get(path).header("mcp-session-id", &session))
            .await;
        for expected in ["harmless", "and more"] {
            let told = next(&mut stream).await;
            assert!(told.contains(expected), "{path}: {told}");
        }
    }
}

#[tokio::test]
async fn what_a_rule_changes_is_changed_on_a_sessions_stream() {
    let told = vec![event(1, &log(&format!("at {CARD}, ok")))];
    for path in ["/mcp/fake", "/mcp"] {
        let bed = Bed::start(true, "transform", told.clone()).await;
        let session = bed.session(path).await;
        let mut stream = bed
            .hear(&get(path).header("mcp-session-id", &session))
            .await;
        let told = next(&mut stream).await;
        assert!(!told.contains(CARD), "{path}: {told}");
        assert!(
            told.contains("at ") && told.contains(", ok"),
            "{path}: {told}"
        );
    }
}

#[tokio::test]
async fn a_servers_question_reaches_the_client_and_its_answer_the_server() {
    let sampling = "sampling/createMessage";
    let told = vec![
        event(1, &asking("bad", sampling, CARD)),
        event(2, &asking("alive", "ping", "")),
        event(3, &asking("good", sampling, "harmless")),
    ];
    for path in ["/mcp/fake", "/mcp"] {
        let bed = Bed::start(true, "block", told.clone()).await;
        let session = bed.session(path).await;
        let mut stream = bed
            .hear(&get(path).header("mcp-session-id", &session))
            .await;
        // A gateway that is a session's only client answers for it.
        if path == "/mcp/fake" {
            let told: Value = serde_json::from_str(&next(&mut stream).await).unwrap();
            assert_eq!(told["method"], "ping", "{told}");
            let said = result(&told["id"], json!({})).to_string();
            let said = post(path, said).header("mcp-session-id", &session);
            assert_eq!(bed.ask(&said).await.status, 202);
        }
        let told: Value = serde_json::from_str(&next(&mut stream).await).unwrap();
        assert_eq!(told["method"], sampling, "{path}: {told}");
        let said = json!({ "role": "assistant", "model": "m",
            "content": { "type": "text", "text": format!("hello {path}") } });
        let said = result(&told["id"], said).to_string();
        let said = post(path, said)
            .header("mcp-protocol-version", LEGACY)
            .header("mcp-session-id", &session);
        assert_eq!(bed.ask(&said).await.status, 202);
        assert_eq!(bed.told("alive").await["result"], json!({}), "{path}");
        assert_eq!(bed.told("bad").await["error"]["code"], -32000, "{path}");
        let good = bed.told("good").await;
        assert_eq!(good["result"]["role"], "assistant", "{path}: {good}");
    }
}

#[tokio::test]
async fn event_ids_and_the_one_to_go_on_from_are_kept() {
    let told = vec![
        Step::Write(chunk(b"id: e0\nretry: 5\ndata:\n\n")),
        event(1, &log(CARD)),
        event(2, &log("harmless")),
    ];
    let bed = Bed::start(true, "block", told).await;
    let session = bed.session("/mcp/fake").await;
    let again = get("/mcp/fake")
        .header("mcp-session-id", &session)
        .header("last-event-id", "e41");
    let mut stream = bed.hear(&again).await;
    let mut told = String::new();
    while !told.contains("harmless") {
        told += &within("a block", stream.block()).await.unwrap();
    }
    assert!(
        told.contains("id: e0") && told.contains("retry: 5"),
        "{told}"
    );
    assert!(told.contains("id: e2") && !told.contains(CARD), "{told}");
    let seen = bed.upstream.recorded_http("GET");
    let named = |one: &Recorded| one.headers.get("last-event-id") == Some("e41");
    assert!(seen.iter().any(named), "{seen:?}");
}

#[tokio::test]
async fn nothing_in_another_spelling_gets_past_a_rule_on_a_stream() {
    let raw = |text: String| Step::Write(chunk(text.as_bytes()));
    let late = result(
        &json!(7),
        json!({ "content": [{ "type": "text", "text": CARD }] }),
    );
    let told = vec![
        raw(format!(": {CARD}\n\n")),
        raw(format!(": {CARD}\ndata: {}\n\n", log("first"))),
        raw(format!("data: {CARD}\n\n")),
        raw(format!("nonsense: {CARD}\ndata: {}\n\n", log("second"))),
        raw(format!("event: {CARD}\ndata: {}\n\n", log("third"))),
        raw(format!("data: [{}]\n\n", log(CARD))),
        raw(format!(
            "data: {}\r\rdata: {}\r\n\r\n",
            log(CARD),
            log("fourth")
        )),
        event(1, &late),
        // Its end never comes.
        raw(format!("data: {}\n", log(CARD))),
        end(),
        Step::Close,
    ];
    let bed = Bed::start(true, "block", told).await;
    let session = bed.session("/mcp/fake").await;
    let hear = get("/mcp/fake").header("mcp-session-id", &session);
    let answer = bed.ask(&hear).await;
    let text = answer.text();
    assert!(!text.contains(CARD), "{text}");
    for expected in ["first", "second", "fourth", r#""id":7"#, "-32000"] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    // It is of a kind that clients take for no message.
    assert!(!text.contains("third"), "{text}");
}

#[tokio::test]
async fn a_server_without_sessions_has_its_stream_under_a_rule() {
    let told = vec![event(1, &log(CARD)), event(2, &log("harmless"))];
    let bed = Bed::start(false, "block", told).await;
    let mut stream = bed.hear(&get("/mcp/fake")).await;
    let told = next(&mut stream).await;
    assert!(told.contains("harmless"), "{told}");
}

#[tokio::test]
async fn a_server_that_has_no_stream_says_so_under_a_rule() {
    let none = answer("405 Method Not Allowed", &[("allow", "POST, DELETE")], b"");
    let bed = Bed::of(server(true, none).await, "block").await;
    let session = bed.session("/mcp/fake").await;
    let hear = get("/mcp/fake").header("mcp-session-id", &session);
    assert_eq!(bed.ask(&hear).await.status, 405);
}
