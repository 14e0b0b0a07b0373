//! What the cache has a say in and does not answer passes to its server as if there were no cache.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::ask::{Ask, call, read};
use super::site::{Place, Say, Speech};
use super::{Bed, number};
use crate::support::gateway::Gateway;
use crate::support::message::{LEGACY, legacy, legacy_call, result, said};
use crate::support::upstream::{
    Recorded, Step, Upstream, answer, chunk, end, friendly, head, json as document, sse_head,
};
use crate::support::wire::{self, Answer, Request};
use crate::support::{until, within};

/// More than a fetch for several callers holds.
const LARGE_BYTES: usize = 32 * 1024 * 1024 + 1;

/// How a large answer comes.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// Its head says how long it is.
    Counted,
    Chunked,
    Stream,
}

fn large(id: &Value, form: Form) -> Vec<Step> {
    let text = "x".repeat(LARGE_BYTES);
    let content = json!([{ "type": "text", "text": text }]);
    let contents = json!([{ "uri": "r:1", "text": text }]);
    let given = json!({ "content": content, "contents": contents, "ttlMs": 3_600_000,
        "resultType": "complete" });
    let text = result(id, given).to_string();
    let json = ("content-type", "application/json");
    match form {
        Form::Counted => answer("200 OK", &[json], text.as_bytes()),
        Form::Chunked => {
            let head = head("200 OK", &[json, ("transfer-encoding", "chunked")]);
            vec![
                Step::Write(head),
                Step::Write(chunk(text.as_bytes())),
                end(),
            ]
        }
        Form::Stream => {
            let event = chunk(format!("data: {text}\n\n").as_bytes());
            vec![sse_head(), Step::Write(event), end()]
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_too_long_to_share_passes_to_its_caller() {
    let rows = [
        (Speech::ModernJson, call("read", "{}"), Form::Counted),
        (Speech::ModernJson, read("r:1"), Form::Chunked),
        (Speech::ModernSse, call("read", "{}"), Form::Stream),
        (
            Speech::LegacyJson,
            call("read", "{}").legacy(),
            Form::Counted,
        ),
    ];
    for (speech, ask, form) in rows {
        let place = Place::new("s").speaks(speech);
        let place = place.cache(json!({ "default_ttl": 3600 }));
        let place = place.says(move |asked| match asked.method {
            "tools/call" | "resources/read" => Say::Steps(large(&asked.message["id"], form)),
            _ => Say::Usual,
        });
        let bed = Bed::plain(vec![place]).await;
        // Who asks first has it asked for once more; who comes after that asks as if for himself.
        for n in [2, 3] {
            let answer = bed.ask("s", &ask).await;
            assert_eq!((answer.status, answer.whole), (200, true), "{form:?}");
            assert!(answer.body.len() > LARGE_BYTES, "{form:?}");
            let (method, target) = match ask.method() {
                "tools/call" => ("tools/call", "read"),
                other => (other, "r:1"),
            };
            assert_eq!(bed.site.count("s", method, target), n, "{form:?}");
        }
    }
}

// === headers ===

#[tokio::test]
async fn what_a_header_may_change_is_not_shared() {
    let list = || Ask::new("tools/list");
    let place = Place::new("s").cache(json!({ "default_ttl": 3600, "share": "public" }));
    let bed = Bed::plain(vec![place.says(|asked| match asked.method {
        "tools/list" => Say::With(json!({ "ttlMs": 3_600_000 })),
        _ => Say::Usual,
    })])
    .await;
    for (ask, method, target) in [
        (list(), "tools/list", ""),
        (call("read", "{}"), "tools/call", "read"),
    ] {
        bed.ask("s", &ask).await;
        let before = bed.site.count("s", method, target);
        let strange = ask.clone().header("mcp-strange", "a");
        for n in 1..3 {
            bed.ask("s", &strange).await;
            assert_eq!(bed.site.count("s", method, target), before + n, "{method}");
        }
        let told = bed.tells("s", &ask).await;
        assert!(told.starts_with("HIT"), "{method}: {told}");
        let seen = bed.site.upstream().recorded(method).pop().unwrap();
        assert_eq!(seen.headers.get("mcp-strange"), Some("a"));
    }
}

#[tokio::test]
async fn baggage_goes_with_what_is_asked_for_one_caller_only() {
    let place = Place::new("s").cache(json!({ "default_ttl": 3600 }));
    let bed = Bed::plain(vec![place]).await;
    for (tool, seen) in [("read", None), ("destroy", Some("tenant=a"))] {
        let ask = call(tool, "{}").header("baggage", "tenant=a");
        assert_eq!(bed.ask("s", &ask).await.status, 200);
        let last = bed.site.upstream().recorded("tools/call").pop().unwrap();
        assert_eq!(last.headers.get("baggage"), seen, "{tool}");
    }
}

// === streams ===

const SESSION: &str = "theirs";

/// A server of sessions whose `destroy` takes its time, and can be resumed.
fn resumable(request: &Recorded, n_read: &Mutex<usize>, hold: &Arc<Notify>) -> Vec<Step> {
    let resumed = request.headers.get("last-event-id");
    if request.method == "GET" && resumed == Some("e1") {
        let event = format!("id: e2\ndata: {}\n\n", said(&json!(9), "done"));
        return vec![sse_head(), Step::Write(chunk(event.as_bytes())), end()];
    }
    if request.method != "POST" {
        return friendly(request);
    }
    let message = request.json();
    let id = &message["id"];
    match (request.rpc_method().as_str(), &message["params"]["name"]) {
        ("initialize", _) => {
            let opened = result(
                id,
                json!({ "protocolVersion": LEGACY, "capabilities": { "tools": {} },
                    "serverInfo": { "name": "s", "version": "1" } }),
            );
            let headers = [
                ("content-type", "application/json"),
                ("mcp-session-id", SESSION),
            ];
            answer("200 OK", &headers, opened.to_string().as_bytes())
        }
        ("tools/list", _) => {
            let tool = |name: &str, hint: &str| {
                json!({ "name": name, "inputSchema": { "type": "object" },
                    "annotations": { hint: true } })
            };
            let tools = [
                tool("read", "readOnlyHint"),
                tool("destroy", "destructiveHint"),
            ];
            document(&result(id, json!({ "tools": tools })))
        }
        ("tools/call", name) if name == "read" => {
            let mut n = n_read.lock();
            *n += 1;
            document(&said(id, &format!("#{n}.")))
        }
        ("tools/call", _) => {
            let event = "id: e1\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"level\":\"info\",\"data\":1}}\n\n";
            let hold = Step::Await(Arc::clone(hold));
            vec![sse_head(), Step::Write(chunk(event.as_bytes())), hold]
        }
        _ => friendly(request),
    }
}

struct Client {
    gateway: Gateway,
    session: String,
}

impl Client {
    async fn open(upstream: &Upstream) -> Self {
        let gateway = Gateway::start(json!([{ "id": "s", "url": upstream.url(), "era": "legacy",
            "cache": { "default_ttl": 3600 } }]))
        .await;
        let params = json!({ "protocolVersion": LEGACY, "capabilities": {},
            "clientInfo": { "name": "test", "version": "1" } });
        let request = legacy("/mcp/s", &json!(0), "initialize", params);
        let opened = wire::ask(gateway.address, &request).await;
        let session = opened.headers.get("mcp-session-id").unwrap().to_owned();
        Self { gateway, session }
    }

    fn request(&self, request: Request) -> Request {
        request.header("mcp-session-id", &self.session)
    }

    async fn ask(&self, request: Request) -> Answer {
        wire::ask(self.gateway.address, &self.request(request)).await
    }

    /// The number of what is read.
    async fn read(&self) -> Option<usize> {
        let request = legacy_call("/mcp/s", &json!(1), "read", json!({}));
        number(&self.ask(request).await.text())
    }
}

#[tokio::test]
async fn a_write_can_be_resumed_and_is_settled_before_its_answer_is_heard_there() {
    let hold = Arc::new(Notify::new());
    let upstream = {
        let (n_read, hold) = (Mutex::new(0), Arc::clone(&hold));
        Upstream::start(move |request| resumable(request, &n_read, &hold)).await
    };
    let client = Client::open(&upstream).await;
    assert_eq!(client.read().await, Some(1));
    assert_eq!(client.read().await, Some(1));
    let write = legacy_call("/mcp/s", &json!(9), "destroy", json!({}));
    let mut stream = wire::stream(client.gateway.address, &client.request(write)).await;
    let first = within("the first event", stream.block()).await.unwrap();
    assert!(first.starts_with("id: e1\n"), "{first}");
    drop(stream);
    until("the write to be given up", || async {
        (client.read().await == Some(2)).then_some(())
    })
    .await;
    assert_eq!(client.read().await, Some(2));
    let resume = Request::get("/mcp/s").header("accept", "text/event-stream");
    let resume = resume.header("last-event-id", "e1");
    let mut stream = wire::stream(client.gateway.address, &client.request(resume)).await;
    let last = within("the answer", stream.block()).await.unwrap();
    assert!(
        last.starts_with("id: e2\n") && last.contains("done"),
        "{last}"
    );
    assert_eq!(client.read().await, Some(3));
    hold.notify_one();
}
