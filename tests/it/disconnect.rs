//! A client that goes away cancels its call in the modern era, and does not in the legacy era (protocol.md E22).

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::{
    gateway::Gateway,
    message::{legacy, legacy_call, modern, modern_call, post, said},
    upstream::{Recorded, Step, Upstream, end, event, friendly, json as json_answer, sse_head},
    wire::{self, Connection, Request},
    within,
};

const PATH: &str = "/mcp/fake";

async fn gateway(upstream: &Upstream) -> Gateway {
    Gateway::start(json!([{ "id": "fake", "url": upstream.url() }])).await
}

fn progress() -> Value {
    let params = json!({ "progressToken": 1, "progress": 1 });
    json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": params })
}

/// Answers a call with one event and then waits for the client to leave.
fn never_ends(request: &Recorded) -> Vec<Step> {
    match request.rpc_method().as_str() {
        "tools/call" | "subscriptions/listen" => {
            vec![sse_head(), event(&progress()), Step::AwaitDeparture]
        }
        _ => friendly(request),
    }
}

#[tokio::test]
async fn a_modern_client_that_closes_its_stream_closes_the_upstreams() {
    let upstream = Upstream::start(never_ends).await;
    let gateway = gateway(&upstream).await;
    let call = modern_call(PATH, &json!(1), "any", json!({}));
    let mut stream = wire::stream(gateway.address, &call).await;
    assert!(within("the first event", stream.event()).await.is_some());
    drop(stream);
    upstream.departures(1).await;
}

#[tokio::test]
async fn a_modern_client_that_leaves_before_any_answer_cancels_too() {
    let upstream = Upstream::start(|request| match request.rpc_method().as_str() {
        "tools/call" => vec![Step::AwaitDeparture],
        _ => friendly(request),
    })
    .await;
    let gateway = gateway(&upstream).await;
    let mut connection = Connection::open(gateway.address).await.unwrap();
    let call = modern_call(PATH, &json!(1), "any", json!({}));
    connection.send(&call).await.unwrap();
    upstream.first("tools/call").await;
    drop(connection);
    upstream.departures(1).await;
}

#[tokio::test]
async fn a_closed_subscription_ends_upstream() {
    let upstream = Upstream::start(never_ends).await;
    let gateway = gateway(&upstream).await;
    let params = json!({ "notifications": { "toolsListChanged": true } });
    let listen = modern(PATH, &json!(1), "subscriptions/listen", params);
    let mut stream = wire::stream(gateway.address, &listen).await;
    assert!(within("the first event", stream.event()).await.is_some());
    drop(stream);
    upstream.departures(1).await;
}

// Two clients leave, the legacy one first. Once the upstream has seen the modern one go, the gateway has had
// its chance to drop the legacy call; that call then still runs to its end.
#[tokio::test]
async fn a_legacy_call_goes_on_upstream_when_its_client_has_left() {
    let go_on = Arc::new(Notify::new());
    let finished = Arc::new(Notify::new());
    let steps = (Arc::clone(&go_on), Arc::clone(&finished));
    let upstream = Upstream::start(move |request| {
        let message = request.json();
        if message["params"]["name"] != "legacy" {
            return never_ends(request);
        }
        vec![
            sse_head(),
            event(&progress()),
            Step::Await(Arc::clone(&steps.0)),
            event(&said(&message["id"], "done")),
            end(),
            Step::Signal(Arc::clone(&steps.1)),
        ]
    })
    .await;
    let gateway = gateway(&upstream).await;
    let legacy = legacy_call(PATH, &json!(1), "legacy", json!({}));
    let mut legacy = wire::stream(gateway.address, &legacy).await;
    assert!(within("the first event", legacy.event()).await.is_some());
    let modern = modern_call(PATH, &json!(1), "modern", json!({}));
    let mut modern = wire::stream(gateway.address, &modern).await;
    assert!(within("the first event", modern.event()).await.is_some());
    drop(legacy);
    drop(modern);
    upstream.departures(1).await;
    go_on.notify_one();
    within("the upstream to finish its call", finished.notified()).await;
}

/// A server of one era whose calls go on until the test allows them to end, or their client leaves.
struct Held {
    upstream: Upstream,
    gateway: Gateway,
    go_on: Arc<Notify>,
    finished: Arc<Notify>,
}

impl Held {
    /// With `begins`, the server has something to say before its answer.
    async fn start(era: &str, begins: bool) -> Self {
        let (go_on, finished) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let steps = (Arc::clone(&go_on), Arc::clone(&finished));
        let upstream = Upstream::start(move |request| {
            if request.rpc_method() != "tools/call" {
                return friendly(request);
            }
            let message = request.json();
            let mut progress = progress();
            progress["params"]["progressToken"] =
                message["params"]["_meta"]["progressToken"].clone();
            let said = said(&message["id"], "done");
            let wait = vec![Step::Await(Arc::clone(&steps.0))];
            let signal = vec![Step::Signal(Arc::clone(&steps.1))];
            if begins {
                let first = vec![sse_head(), event(&progress)];
                return [first, wait, vec![event(&said), end()], signal].concat();
            }
            [wait, json_answer(&said), signal].concat()
        })
        .await;
        let server = json!({ "id": "fake", "url": upstream.url(), "era": era });
        let gateway = Gateway::start(json!([server])).await;
        Self {
            upstream,
            gateway,
            go_on,
            finished,
        }
    }

    /// The headers of a legacy session, where the server's being legacy and without sessions leaves one.
    async fn open(&self, path: &str) -> Option<String> {
        let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": { "name": "test", "version": "1" } });
        let opened = legacy(path, &json!(0), "initialize", params);
        let opened = wire::ask(self.gateway.address, &opened).await;
        assert_eq!(opened.status, 200, "{opened:?}");
        opened.headers.get("mcp-session-id").map(str::to_owned)
    }

    /// Cancels the call, by a message of its own.
    async fn cancel(&self, path: &str, session: Option<&str>) {
        let cancelled = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled",
            "params": { "requestId": 1 } });
        let cancelled = post(path, cancelled.to_string());
        let cancelled = match session {
            Some(session) => cancelled.header("mcp-session-id", session),
            None => cancelled,
        };
        let taken = wire::ask(self.gateway.address, &cancelled).await;
        assert_eq!(taken.status, 202, "{taken:?}");
    }

    /// Sends a call, and leaves once the server is at it.
    async fn leave(&self, call: &Request, begins: bool) {
        if begins {
            let mut stream = wire::stream(self.gateway.address, call).await;
            assert!(within("the first event", stream.event()).await.is_some());
            return;
        }
        let mut connection = Connection::open(self.gateway.address).await.unwrap();
        connection.send(call).await.unwrap();
        self.upstream.first("tools/call").await;
    }
}

/// The endpoints of the server, and what its tool is called there.
const PLACES: [(&str, &str); 2] = [(PATH, "any"), ("/mcp", "fake.any")];

/// What a call of `tool` with a progress token says.
fn watched(tool: &str) -> Value {
    json!({ "name": tool, "arguments": {}, "_meta": { "progressToken": 1 } })
}

/// A watched legacy call.
fn legacy_watched(path: &str, tool: &str, session: Option<String>) -> Request {
    let call = legacy(path, &json!(1), "tools/call", watched(tool));
    match session {
        Some(session) => call.header("mcp-session-id", &session),
        None => call,
    }
}

#[tokio::test]
async fn a_legacy_client_that_leaves_cancels_nothing_at_a_server_of_either_era() {
    for (path, tool) in PLACES {
        for (era, begins) in [
            ("legacy", false),
            ("legacy", true),
            ("modern", false),
            ("modern", true),
        ] {
            let held = Held::start(era, begins).await;
            let session = held.open(path).await;
            held.leave(&legacy_watched(path, tool, session), begins)
                .await;
            // The gateway has had its chance to cancel once it has served somebody else.
            let other = modern(PATH, &json!(2), "tools/list", json!({}));
            assert_eq!(wire::ask(held.gateway.address, &other).await.status, 200);
            held.go_on.notify_one();
            let what = format!("{era} server at {path}, begun: {begins}");
            within(&what, held.finished.notified()).await;
            let cancelled = held.upstream.recorded("notifications/cancelled");
            assert!(cancelled.is_empty(), "{what}");
        }
    }
}

// A client that gives a call up does both at once; here the gateway has noticed that it left when it cancels.
#[tokio::test]
async fn a_legacy_client_that_has_left_can_still_cancel_its_call() {
    for (path, tool) in PLACES {
        for (era, begins) in [
            ("legacy", false),
            ("legacy", true),
            ("modern", false),
            ("modern", true),
        ] {
            let held = Held::start(era, begins).await;
            let session = held.open(path).await;
            let call = legacy_watched(path, tool, session.clone());
            held.leave(&call, begins).await;
            let is_left = |line: &str| {
                let parts = [r#""method":"tools/call""#, r#""status":"cancelled""#];
                parts.iter().all(|part| line.contains(part)).then_some(())
            };
            let what = format!("{era} server at {path}, begun: {begins}: the call to be left");
            held.gateway.process.line(&what, is_left).await;
            held.cancel(path, session.as_deref()).await;
            if era == "modern" {
                held.upstream.departures(1).await;
            } else {
                let told = held.upstream.first("notifications/cancelled").await.json();
                let made = held.upstream.first("tools/call").await.json();
                assert_eq!(told["params"]["requestId"], made["id"], "{what}");
            }
        }
    }
}

#[tokio::test]
async fn a_modern_client_that_leaves_cancels_its_call_at_a_legacy_server() {
    for (path, tool) in PLACES {
        for begins in [false, true] {
            let held = Held::start("legacy", begins).await;
            let call = modern(path, &json!("mine"), "tools/call", watched(tool));
            held.leave(&call, begins).await;
            let cancelled = held.upstream.first("notifications/cancelled").await;
            let made = held.upstream.first("tools/call").await.json();
            let named = &cancelled.json()["params"]["requestId"];
            assert_eq!(*named, made["id"], "{path}");
            assert_ne!(*named, "mine", "{path}");
        }
    }
}

#[tokio::test]
async fn a_legacy_call_that_its_client_cancels_ends_at_a_modern_server() {
    for (path, tool) in PLACES {
        let held = Held::start("modern", true).await;
        let session = held.open(path).await.unwrap();
        let call = legacy_watched(path, tool, Some(session.clone()));
        let mut stream = wire::stream(held.gateway.address, &call).await;
        assert!(within("the first event", stream.event()).await.is_some());
        held.cancel(path, Some(&session)).await;
        held.upstream.departures(1).await;
        assert_eq!(within("the end", stream.event()).await, None);
    }
}

#[tokio::test]
async fn one_client_that_leaves_does_not_disturb_another() {
    let release = Arc::new(Notify::new());
    let gate = Arc::clone(&release);
    let upstream = Upstream::start(move |request| {
        let message = request.json();
        match message["params"]["name"].as_str() {
            Some("stay") => vec![
                sse_head(),
                event(&progress()),
                Step::Await(Arc::clone(&gate)),
                event(&said(&message["id"], "stayed")),
                end(),
            ],
            Some("leave") => vec![sse_head(), event(&progress()), Step::AwaitDeparture],
            _ => friendly(request),
        }
    })
    .await;
    let gateway = gateway(&upstream).await;
    let open = async |tool: &str| {
        let call = modern_call(PATH, &json!(1), tool, json!({}));
        let mut stream = wire::stream(gateway.address, &call).await;
        assert!(within("the first event", stream.event()).await.is_some());
        stream
    };
    let mut stays = open("stay").await;
    drop(open("leave").await);
    upstream.departures(1).await;
    release.notify_one();
    let last = within("the result", stays.event()).await.unwrap();
    assert_eq!(last, said(&json!(1), "stayed").to_string());
}
