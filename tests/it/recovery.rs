//! What the gateway knows of servers comes right again by itself: headers of tools, lists, and the streams
//! that tell of changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::mpsc::{self, UnboundedSender};

use crate::support::gateway::Gateway;
use crate::support::message::{MODERN, legacy, legacy_call, modern, result, said};
use crate::support::upstream::{
    Recorded, Step, Upstream, answer, chunk, event, friendly, json as answer_json, sse_head,
};
use crate::support::wire::{self, EventStream};
use crate::support::within;

const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

/// A gateway in front of servers of these ids.
async fn gateway(servers: &[(&str, &Upstream)]) -> Gateway {
    let servers = servers
        .iter()
        .map(|(id, server)| json!({ "id": id, "url": server.url(), "era": "modern" }));
    Gateway::start(servers.collect()).await
}

/// A list of one tool that need not be read again for long.
fn tools(id: &Value, properties: &Value) -> Vec<Step> {
    let schema = json!({ "type": "object", "properties": properties });
    let tools = json!([{ "name": "any", "inputSchema": schema }]);
    answer_json(&result(
        id,
        json!({ "tools": tools, "resultType": "complete", "ttlMs": 3_600_000,
            "cacheScope": "public" }),
    ))
}

async fn next(stream: &mut EventStream) -> Value {
    let event = within("an event", stream.event()).await.unwrap();
    serde_json::from_str(&event).unwrap()
}

/// A modern client that listens; what was acknowledged is read.
async fn listen(gateway: &Gateway, notifications: Value) -> EventStream {
    let params = json!({ "notifications": notifications });
    let listen = modern("/mcp", &json!("sub"), "subscriptions/listen", params);
    let mut stream = wire::stream(gateway.address, &listen).await;
    let acknowledged = next(&mut stream).await;
    assert_eq!(
        acknowledged["params"]["notifications"], notifications,
        "{acknowledged}"
    );
    stream
}

// === headers ===

/// A server whose tool wants its region in a header, which its list says only since the first call; with
/// `forever`, whatever the header says is wrong.
fn strict(forever: bool) -> impl Fn(&Recorded) -> Vec<Step> + Send + Sync + 'static {
    let is_called = AtomicBool::new(false);
    move |request| {
        if request.method != "POST" {
            return friendly(request);
        }
        let id = request.json()["id"].clone();
        match request.rpc_method().as_str() {
            "tools/list" if is_called.load(Ordering::Acquire) => {
                let region = json!({ "type": "string", "x-mcp-header": "Region" });
                tools(&id, &json!({ "region": region }))
            }
            "tools/list" => tools(&id, &json!({ "region": { "type": "string" } })),
            "tools/call" => {
                is_called.store(true, Ordering::Release);
                if !forever && request.headers.get("mcp-param-region") == Some("eu") {
                    return answer_json(&said(&id, "ok"));
                }
                let error = json!({ "jsonrpc": "2.0", "id": id,
                    "error": { "code": -32020, "message": "header mismatch" } });
                let headers = [("content-type", "application/json")];
                answer("400 Bad Request", &headers, error.to_string().as_bytes())
            }
            _ => friendly(request),
        }
    }
}

/// Opens a legacy session and calls the tool in it.
async fn call_strict(gateway: &Gateway, path: &str, tool: &str) -> Value {
    let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": { "name": "test", "version": "1" } });
    let opened = legacy(path, &json!(0), "initialize", params);
    let opened = wire::ask(gateway.address, &opened).await;
    let session = opened.headers.get("mcp-session-id").unwrap();
    let call = legacy_call(path, &json!(1), tool, json!({ "region": "eu" }));
    let called = wire::ask(gateway.address, &call.header("mcp-session-id", session)).await;
    called.last_json()
}

/// The endpoints of the server, and what its tool is called there.
const PLACES: [(&str, &str); 2] = [("/mcp/one", "any"), ("/mcp", "one.any")];

#[tokio::test]
async fn a_call_whose_headers_always_are_refused_is_made_twice_and_no_more() {
    for (path, tool) in PLACES {
        let one = Upstream::start(strict(true)).await;
        let gateway = gateway(&[("one", &one)]).await;
        let refused = call_strict(&gateway, path, tool).await;
        assert_eq!(refused["error"]["code"], -31502, "{path}: {refused}");
        assert_eq!(one.recorded("tools/call").len(), 2, "{path}");
    }
}

#[tokio::test]
async fn a_call_whose_headers_are_refused_is_made_again_with_the_tool_as_it_is_now() {
    for (path, tool) in PLACES {
        let one = Upstream::start(strict(false)).await;
        let gateway = gateway(&[("one", &one)]).await;
        let called = call_strict(&gateway, path, tool).await;
        assert_eq!(called["result"]["content"][0]["text"], "ok", "{path}");
        let regions = one.recorded("tools/call");
        let regions = regions
            .iter()
            .map(|call| call.headers.get("mcp-param-region"));
        assert_eq!(regions.collect::<Vec<_>>(), [None, Some("eu")], "{path}");
    }
}

// === lists ===

#[tokio::test]
async fn a_server_that_comes_late_is_listed_without_being_asked_for_and_listeners_are_told() {
    let is_up = Arc::new(AtomicBool::new(false));
    let comes = Arc::clone(&is_up);
    let late = Upstream::start(move |request| {
        if !comes.load(Ordering::Acquire) {
            return vec![Step::Close];
        }
        match request.rpc_method().as_str() {
            "tools/list" => tools(&request.json()["id"], &json!({})),
            _ => friendly(request),
        }
    })
    .await;
    let here = Upstream::start(friendly).await;
    let gateway = gateway(&[("here", &here), ("late", &late)]).await;
    let mut stream = listen(&gateway, json!({ "toolsListChanged": true })).await;
    let list = async || {
        let list = modern("/mcp", &json!(1), "tools/list", json!({}));
        wire::ask(gateway.address, &list).await.json()["result"].clone()
    };
    let without = list().await;
    assert_eq!(without["tools"], json!([]), "{without}");
    let missing = &without["_meta"]["io.conduit/servers"]["late"]["status"];
    assert_eq!(*missing, "unavailable", "{without}");
    assert!(late.recorded("tools/list").is_empty());

    is_up.store(true, Ordering::Release);
    late.first("tools/list").await;
    let told = next(&mut stream).await;
    assert_eq!(told["method"], "notifications/tools/list_changed");
    let whole = list().await;
    assert_eq!(whole["tools"][0]["name"], "late.any", "{whole}");
    let missing = &whole["_meta"]["io.conduit/servers"];
    assert_eq!(*missing, Value::Null, "{whole}");
}

// === changes ===

/// A server that tells of changes until its streams are broken.
struct Teller {
    upstream: Upstream,
    /// What is written to reaches the stream; one that is dropped breaks it.
    streams: Arc<Mutex<Vec<UnboundedSender<Vec<u8>>>>>,
    /// How many more listeners are turned away.
    n_refusals: Arc<AtomicUsize>,
}

impl Teller {
    async fn start() -> Self {
        let streams = Arc::new(Mutex::new(Vec::new()));
        let n_refusals = Arc::new(AtomicUsize::new(0));
        let (opened, refusals) = (Arc::clone(&streams), Arc::clone(&n_refusals));
        let upstream = Upstream::start(move |request| match request.rpc_method().as_str() {
            "server/discover" => {
                let capabilities = json!({ "tools": { "listChanged": true },
                    "resources": { "subscribe": true } });
                let discovered = json!({ "supportedVersions": [MODERN],
                    "capabilities": capabilities, "resultType": "complete", "ttlMs": 0,
                    "cacheScope": "private" });
                answer_json(&result(&request.json()["id"], discovered))
            }
            "tools/list" => tools(&request.json()["id"], &json!({})),
            "subscriptions/listen" => {
                let left = refusals.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| {
                    left.checked_sub(1)
                });
                if left.is_ok() {
                    return answer("503 Service Unavailable", &[], b"");
                }
                let message = request.json();
                let acknowledged = json!({
                    "jsonrpc": "2.0",
                    "method": "notifications/subscriptions/acknowledged",
                    "params": { "notifications": message["params"]["notifications"],
                        "_meta": { SUBSCRIPTION: message["id"] } },
                });
                let (sender, source) = mpsc::unbounded_channel();
                opened.lock().push(sender);
                let rest = Step::Forward(Arc::new(tokio::sync::Mutex::new(source)));
                vec![sse_head(), event(&acknowledged), rest, Step::Reset]
            }
            _ => friendly(request),
        })
        .await;
        Self {
            upstream,
            streams,
            n_refusals,
        }
    }

    /// Breaks every stream, and turns the next `n_refusals` listeners away.
    fn cut(&self, n_refusals: usize) {
        self.n_refusals.store(n_refusals, Ordering::Release);
        self.streams.lock().clear();
    }

    /// Tells of a change on the streams that there are.
    fn tell(&self, method: &str, params: &Value) {
        let message = json!({ "jsonrpc": "2.0", "method": method, "params": params });
        let event = chunk(format!("event: message\ndata: {message}\n\n").as_bytes());
        for stream in self.streams.lock().iter() {
            // One that took the place of another has nobody at its end.
            stream.send(event.clone()).ok();
        }
    }
}

#[tokio::test]
async fn a_stream_of_changes_that_breaks_is_opened_again_and_nothing_is_missed() {
    let teller = Teller::start().await;
    let gateway = gateway(&[("one", &teller.upstream)]).await;
    let uri = "one+file:///a";
    let wanted = json!({ "toolsListChanged": true, "resourceSubscriptions": [uri] });
    let mut stream = listen(&gateway, wanted).await;
    for n_refusals in [0, 2] {
        teller.cut(n_refusals);
        // Both may have changed while nobody was told.
        let mut told = [next(&mut stream).await, next(&mut stream).await];
        told.sort_by_key(|one| one["method"].as_str().unwrap().to_owned());
        assert_eq!(told[0]["method"], "notifications/resources/updated");
        assert_eq!(told[0]["params"]["uri"], uri);
        assert_eq!(told[0]["params"]["_meta"][SUBSCRIPTION], "sub");
        assert_eq!(told[1]["method"], "notifications/tools/list_changed");

        teller.tell(
            "notifications/resources/updated",
            &json!({ "uri": "file:///a", "n": n_refusals }),
        );
        let told = next(&mut stream).await;
        assert_eq!(told["params"]["uri"], uri, "{told}");
        assert_eq!(told["params"]["n"], n_refusals, "{told}");
        teller.tell("notifications/tools/list_changed", &json!({}));
        let told = next(&mut stream).await;
        assert_eq!(told["method"], "notifications/tools/list_changed");
    }
}
