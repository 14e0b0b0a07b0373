//! What of tasks is on the wire, on both sides of the gateway.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::{Mutex, mpsc};

use crate::support::gateway::Gateway;
use crate::support::message::{MODERN, legacy, modern, modern_body, post, result};
use crate::support::upstream::{
    Recorded, Step, Upstream, chunk, event, friendly, json as answer, sse_head,
};
use crate::support::wire::{self, Answer, EventStream, Request};
use crate::support::within;

const TASKS: &str = "io.modelcontextprotocol/tasks";
const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

/// A request of a client that understands tasks.
fn able(path: &str, id: &Value, method: &str, params: Value) -> Request {
    let names = ["name", "uri", "taskId"].iter();
    let name = names.filter_map(|key| params[*key].as_str()).next();
    let name = name.map(str::to_owned);
    let mut body = modern_body(id, method, params);
    body["params"]["_meta"][CAPABILITIES] = json!({ "extensions": { TASKS: {} } });
    let request = post(path, body.to_string())
        .header("mcp-protocol-version", MODERN)
        .header("mcp-method", method);
    match name {
        Some(name) => request.header("mcp-name", &name),
        None => request,
    }
}

/// What a server says of a task.
fn task(id: &str, status: &str) -> Value {
    json!({ "taskId": id, "status": status, "createdAt": "2026-07-28T00:00:00Z",
        "lastUpdatedAt": "2026-07-28T00:00:00Z", "ttlMs": null, "pollIntervalMs": 5 })
}

/// A tool's result that links to a resource of its server.
fn linked(uri: &str) -> Value {
    json!({ "content": [{ "type": "resource_link", "uri": uri, "name": "log" }] })
}

/// A server whose every call becomes the task `t.1`, whatever its client can do.
fn tasker(request: &Recorded) -> Vec<Step> {
    if request.method != "POST" {
        return friendly(request);
    }
    let message = request.json();
    let id = &message["id"];
    match request.rpc_method().as_str() {
        "server/discover" => answer(&result(id, discovered(true))),
        "tools/call" => {
            let mut made = task("t.1", "working");
            made["resultType"] = json!("task");
            answer(&result(id, made))
        }
        "tasks/get" => {
            let mut done = task("t.1", "completed");
            done["resultType"] = json!("complete");
            done["result"] = linked("file:///log");
            answer(&result(id, done))
        }
        "tasks/update" | "tasks/cancel" => answer(&result(id, json!({ "resultType": "complete" }))),
        _ => friendly(request),
    }
}

/// What a server says of itself.
fn discovered(has_tasks: bool) -> Value {
    let mut capabilities = json!({ "tools": {} });
    if has_tasks {
        capabilities["extensions"] = json!({ TASKS: {}, "com.example/other": {} });
    }
    json!({ "supportedVersions": [MODERN], "capabilities": capabilities,
        "resultType": "complete", "ttlMs": 0, "cacheScope": "private" })
}

/// A gateway in front of modern servers of these ids.
async fn gateway(servers: &[(&str, &Upstream)]) -> Gateway {
    let servers = servers
        .iter()
        .map(|(id, server)| json!({ "id": id, "url": server.url(), "era": "modern" }));
    Gateway::start(servers.collect()).await
}

async fn ask(gateway: &Gateway, request: &Request) -> Answer {
    wire::ask(gateway.address, request).await
}

// === refused ===

#[tokio::test]
async fn a_task_method_that_names_no_task_of_ours_is_refused_here() {
    let one = Upstream::start(tasker).await;
    let gateway = gateway(&[("one", &one)]).await;
    for (method, params, status, code) in [
        ("tasks/get", json!({}), 200, -32602),
        ("tasks/get", json!({ "taskId": 1 }), 200, -32602),
        ("tasks/cancel", json!({ "taskId": "t.1" }), 200, -32602),
        ("tasks/update", json!({ "taskId": "two.t.1" }), 200, -32602),
        // What 2026-07-28 does not have any more.
        ("tasks/list", json!({}), 404, -32601),
        ("tasks/result", json!({ "taskId": "one.t.1" }), 404, -32601),
    ] {
        let refused = ask(&gateway, &able("/mcp", &json!(1), method, params)).await;
        let error = refused.json();
        assert_eq!(error["error"]["code"], code, "{method}: {error}");
        assert_eq!(refused.status, status, "{method}: {error}");
        assert_eq!(error["id"], 1);
        assert!(one.recorded(method).is_empty(), "{method}");
    }
}

#[tokio::test]
async fn a_task_name_that_is_not_the_bodys_is_a_header_mismatch() {
    let one = Upstream::start(tasker).await;
    let gateway = gateway(&[("one", &one)]).await;
    for (path, id) in [("/mcp", "one.t.1"), ("/mcp/one", "t.1")] {
        let request = able(path, &json!(1), "tasks/get", json!({ "taskId": id }))
            .without("mcp-name")
            .header("mcp-name", "one.t.2");
        let refused = ask(&gateway, &request).await;
        assert_eq!(refused.status, 400, "{path}: {refused:?}");
        assert_eq!(refused.json()["error"]["code"], -32020, "{path}");
    }
    assert!(one.recorded("tasks/get").is_empty());
}

#[tokio::test]
async fn a_legacy_client_is_told_that_it_cannot_take_a_task() {
    let one = Upstream::start(tasker).await;
    let gateway = gateway(&[("one", &one)]).await;
    for (path, tool) in [("/mcp/one", "any"), ("/mcp", "one.any")] {
        // It says that it knows tasks, in a handshake that has no word for them.
        let params = json!({ "protocolVersion": "2025-11-25",
            "capabilities": { "extensions": { TASKS: {}, "com.example/ui": {} }, "tasks": {} },
            "clientInfo": { "name": "test", "version": "1" } });
        let opened = ask(&gateway, &legacy(path, &json!(0), "initialize", params)).await;
        let offered = &opened.json()["result"]["capabilities"];
        assert_eq!(offered.get("extensions"), None, "{path}: {opened:?}");
        let session = opened.headers.get("mcp-session-id").unwrap().to_owned();
        let in_session = |method: &str, params: Value| {
            legacy(path, &json!(1), method, params).header("mcp-session-id", &session)
        };
        let params = json!({ "name": tool, "arguments": {}, "task": { "ttl": 1000 } });
        let refused = ask(&gateway, &in_session("tools/call", params)).await;
        let error = refused.last_json()["error"].clone();
        assert_eq!(error["code"], -31502, "{path}: {refused:?}");
        let message = error["message"].to_string();
        assert!(
            message.contains("one") && message.contains("task"),
            "{error}"
        );
        let seen = one.recorded("tools/call").pop().unwrap().json();
        assert_eq!(seen["params"].get("task"), None, "{path}");
        let declared = &seen["params"]["_meta"][CAPABILITIES];
        let wanted = json!({ "extensions": { "com.example/ui": {} } });
        assert_eq!(*declared, wanted, "{path}");

        // Nor has it a task to ask after.
        for method in ["tasks/get", "tasks/list", "tasks/result", "tasks/cancel"] {
            let params = json!({ "taskId": "one.t.1" });
            let refused = ask(&gateway, &in_session(method, params)).await;
            let error = &refused.last_json()["error"];
            assert_eq!(error["code"], -32601, "{path} {method}: {refused:?}");
            assert_eq!(refused.status, 200, "{path} {method}");
            assert!(one.recorded(method).is_empty(), "{path} {method}");
        }
    }
}

#[tokio::test]
async fn a_modern_client_that_knows_no_tasks_declares_none_to_any_server() {
    let one = Upstream::start(tasker).await;
    let gateway = gateway(&[("one", &one)]).await;
    let (stream, _) = listen(&gateway, "/mcp", modern, &["one.t.1"]).await;
    drop(stream);
    for (method, params) in [
        ("tools/call", json!({ "name": "one.any", "arguments": {} })),
        ("tools/list", json!({})),
        ("server/discover", json!({})),
    ] {
        ask(&gateway, &modern("/mcp", &json!(1), method, params)).await;
    }
    for method in [
        "tools/call",
        "tools/list",
        "server/discover",
        "subscriptions/listen",
    ] {
        for seen in one.recorded(method) {
            let params = &seen.json()["params"];
            assert_eq!(params["_meta"][CAPABILITIES], json!({}), "{method}");
            assert_eq!(
                params["notifications"].get("taskIds"),
                None,
                "{method}: {params}"
            );
        }
    }
}

// === offered ===

#[tokio::test]
async fn tasks_are_offered_where_a_server_has_them_and_nowhere_else() {
    let with = Upstream::start(tasker).await;
    let without = Upstream::start(friendly).await;
    let all = gateway(&[("with", &with), ("without", &without)]).await;
    let none = gateway(&[("without", &without)]).await;
    for (gateway, path, wanted) in [
        (&all, "/mcp", json!({ TASKS: {} })),
        (
            &all,
            "/mcp/with",
            json!({ TASKS: {}, "com.example/other": {} }),
        ),
        (&all, "/mcp/without", Value::Null),
        (&none, "/mcp", Value::Null),
    ] {
        let discover = able(path, &json!(1), "server/discover", json!({}));
        let discovered = ask(gateway, &discover).await.json();
        let extensions = &discovered["result"]["capabilities"]["extensions"];
        assert_eq!(*extensions, wanted, "{path}: {discovered}");
    }
}

// === names ===

#[tokio::test]
async fn a_task_is_named_for_its_client_and_for_its_server_in_header_and_body_alike() {
    let (one, two) = (Upstream::start(tasker).await, Upstream::start(tasker).await);
    let gateway = gateway(&[("one", &one), ("two", &two)]).await;
    for (path, server, prefix) in [
        ("/mcp", &one, "one."),
        ("/mcp", &two, "two."),
        ("/mcp/one", &one, ""),
    ] {
        let params = json!({ "name": format!("{prefix}any"), "arguments": {} });
        let made = ask(&gateway, &able(path, &json!("a"), "tools/call", params)).await;
        let made = made.json();
        let mut wanted = task(&format!("{prefix}t.1"), "working");
        wanted["resultType"] = json!("task");
        assert_eq!(made["result"], wanted, "{path} {prefix}");
        let id = &made["result"]["taskId"];
        for (method, more) in [
            ("tasks/get", json!({})),
            (
                "tasks/update",
                json!({ "inputResponses": { "k": { "taskId": "t.1" } } }),
            ),
            ("tasks/cancel", json!({})),
        ] {
            let mut params = more.clone();
            params["taskId"] = id.clone();
            let before = (one.recorded(method).len(), two.recorded(method).len());
            let answered = ask(&gateway, &able(path, &json!("b"), method, params)).await;
            assert_eq!(answered.status, 200, "{path} {method}: {answered:?}");
            let after = (one.recorded(method).len(), two.recorded(method).len());
            assert_eq!(
                after.0 + after.1,
                before.0 + before.1 + 1,
                "{path} {method}"
            );
            let seen = server.recorded(method).pop().unwrap();
            assert_eq!(seen.headers.get("mcp-name"), Some("t.1"), "{path} {method}");
            let seen = seen.json()["params"].clone();
            assert_eq!(seen["taskId"], "t.1", "{path} {method}");
            assert_eq!(seen["inputResponses"], more["inputResponses"], "{path}");
            if method == "tasks/get" {
                let got = &answered.json()["result"];
                assert_eq!(got["taskId"], *id, "{path}");
                let uri = got["result"]["content"][0]["uri"].as_str().unwrap();
                let outer = prefix.replace('.', "+");
                assert_eq!(uri, format!("{outer}file:///log"), "{path}");
            }
        }
    }
}

#[tokio::test]
async fn a_task_id_of_any_letters_reaches_its_server_as_it_was() {
    let odd = " grüße.漢字/\"\\=?";
    let one = Upstream::start(|request| match request.rpc_method().as_str() {
        "tools/call" => {
            let mut made = task(" grüße.漢字/\"\\=?", "working");
            made["resultType"] = json!("task");
            answer(&result(&request.json()["id"], made))
        }
        _ => tasker(request),
    })
    .await;
    let gateway = gateway(&[("one", &one)]).await;
    let params = json!({ "name": "one.any", "arguments": {} });
    let made = ask(&gateway, &able("/mcp", &json!(1), "tools/call", params)).await;
    let id = made.json()["result"]["taskId"].clone();
    assert_eq!(id, format!("one.{odd}"));
    // The extension does not demand the header of its clients.
    let get = able("/mcp", &json!(1), "tasks/get", json!({ "taskId": id })).without("mcp-name");
    assert_eq!(ask(&gateway, &get).await.status, 200);
    let seen = one.first("tasks/get").await;
    assert_eq!(seen.json()["params"]["taskId"], odd);
    let name = seen.headers.get("mcp-name").unwrap();
    assert!(
        name.starts_with("=?base64?") && name.ends_with("?="),
        "{name}"
    );
}

// === listened to ===

/// A server that takes listeners, and what it tells them.
struct Told {
    upstream: Upstream,
    news: mpsc::UnboundedSender<Vec<u8>>,
}

impl Told {
    /// It honours all that it is asked for.
    async fn start() -> Self {
        let (news, source) = mpsc::unbounded_channel();
        let source = Arc::new(Mutex::new(source));
        let upstream = Upstream::start(move |request| {
            if request.rpc_method() != "subscriptions/listen" {
                return tasker(request);
            }
            let message = request.json();
            let acknowledged = json!({
                "jsonrpc": "2.0",
                "method": "notifications/subscriptions/acknowledged",
                "params": { "notifications": message["params"]["notifications"],
                    "_meta": { SUBSCRIPTION: message["id"] } },
            });
            let rest = Step::Forward(Arc::clone(&source));
            vec![sse_head(), event(&acknowledged), rest]
        })
        .await;
        Self { upstream, news }
    }

    /// Tells those who listen.
    fn tell(&self, method: &str, params: &Value) {
        let message = json!({ "jsonrpc": "2.0", "method": method, "params": params });
        let text = format!("event: message\ndata: {message}\n\n");
        self.news.send(chunk(text.as_bytes())).unwrap();
    }
}

/// Listens for tasks, with the requests that `speak` makes; the stream and what it acknowledged.
async fn listen(
    gateway: &Gateway,
    path: &str,
    speak: fn(&str, &Value, &str, Value) -> Request,
    ids: &[&str],
) -> (EventStream, Value) {
    let params = json!({ "notifications": { "taskIds": ids } });
    let listen = speak(path, &json!("sub"), "subscriptions/listen", params);
    let mut stream = wire::stream(gateway.address, &listen).await;
    assert_eq!(stream.status, 200);
    let acknowledged = next(&mut stream).await;
    assert_eq!(
        acknowledged["method"],
        "notifications/subscriptions/acknowledged"
    );
    (stream, acknowledged["params"].clone())
}

async fn next(stream: &mut EventStream) -> Value {
    let event = within("an event", stream.event()).await.unwrap();
    serde_json::from_str(&event).unwrap()
}

#[tokio::test]
async fn who_listens_for_tasks_hears_of_its_own_by_the_ids_that_it_knows() {
    let (one, two) = (Told::start().await, Told::start().await);
    let gateway = gateway(&[("one", &one.upstream), ("two", &two.upstream)]).await;
    let asked = ["one.t.1", "two.t.1", "two.t.2", "three.t.1", "t.1"];
    let (mut stream, acknowledged) = listen(&gateway, "/mcp", able, &asked).await;
    let honoured = json!({ "taskIds": ["one.t.1", "two.t.1", "two.t.2"] });
    assert_eq!(acknowledged["notifications"], honoured);
    assert_eq!(acknowledged["_meta"][SUBSCRIPTION], "sub");
    for (server, ids) in [(&one, json!(["t.1"])), (&two, json!(["t.1", "t.2"]))] {
        let seen = server.upstream.recorded("subscriptions/listen").pop();
        let seen = seen.unwrap().json()["params"].clone();
        assert_eq!(seen["notifications"], json!({ "taskIds": ids }));
        let declared = json!({ "extensions": { TASKS: {} } });
        assert_eq!(seen["_meta"][CAPABILITIES], declared);
    }
    for (server, id) in [("one", "t.1"), ("two", "t.2"), ("two", "t.1")] {
        let told = if server == "one" { &one } else { &two };
        // Another client's task comes first.
        told.tell("notifications/tasks", &task("t.9", "working"));
        let mut done = task(id, "completed");
        done["result"] = linked("file:///log");
        done["_meta"] = json!({ SUBSCRIPTION: 77, "com.example/k": 1 });
        told.tell("notifications/tasks", &done);
        let heard = next(&mut stream).await;
        assert_eq!(heard["method"], "notifications/tasks");
        let mut wanted = task(&format!("{server}.{id}"), "completed");
        wanted["result"] = linked(&format!("{server}+file:///log"));
        wanted["_meta"] = json!({ SUBSCRIPTION: "sub", "com.example/k": 1 });
        assert_eq!(heard["params"], wanted);
    }
}

#[tokio::test]
async fn who_listens_at_one_server_hears_of_tasks_by_the_servers_ids() {
    let one = Told::start().await;
    let gateway = gateway(&[("one", &one.upstream)]).await;
    let (mut stream, acknowledged) = listen(&gateway, "/mcp/one", able, &["t.1"]).await;
    assert_eq!(acknowledged["notifications"], json!({ "taskIds": ["t.1"] }));
    one.tell("notifications/tasks", &task("t.1", "working"));
    assert_eq!(next(&mut stream).await["params"]["taskId"], "t.1");
}

#[tokio::test]
async fn who_does_not_know_tasks_is_not_told_of_any() {
    let one = Told::start().await;
    let gateway = gateway(&[("one", &one.upstream)]).await;
    let (mut other, _) = listen(&gateway, "/mcp", able, &["one.t.1"]).await;
    let notifications =
        json!({ "taskIds": ["one.t.1"], "resourceSubscriptions": ["one+file:///a"] });
    let params = json!({ "notifications": notifications });
    let request = modern("/mcp", &json!(1), "subscriptions/listen", params);
    let mut stream = wire::stream(gateway.address, &request).await;
    let acknowledged = next(&mut stream).await["params"].clone();
    let honoured = json!({ "resourceSubscriptions": ["one+file:///a"] });
    assert_eq!(acknowledged["notifications"], honoured);
    // Both are told by one stream, which took the place of the first one's.
    one.upstream.departures(1).await;
    one.tell("notifications/tasks", &task("t.1", "working"));
    one.tell(
        "notifications/resources/updated",
        &json!({ "uri": "file:///a" }),
    );
    assert_eq!(next(&mut other).await["params"]["taskId"], "one.t.1");
    assert_eq!(next(&mut stream).await["params"]["uri"], "one+file:///a");
}
