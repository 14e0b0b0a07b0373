//! Bodies of every size and framing arrive whole, up to the limit, and are 413 above it.

use serde_json::{Value, json};

use crate::support::{
    gateway::Gateway,
    message::{modern_call, said},
    upstream::{Recorded, Step, Upstream, end, event, friendly, json as answer_json, sse_head},
    wire::{self, Answer, Connection, Request},
    within,
};

const PATH: &str = "/mcp/fake";
const MIB: usize = 1024 * 1024;

/// A server that answers a call with the text that it got.
fn echo(request: &Recorded) -> Vec<Step> {
    if request.rpc_method() != "tools/call" {
        return friendly(request);
    }
    let message = request.json();
    let text = message["params"]["arguments"]["text"].as_str().unwrap();
    answer_json(&said(&message["id"], text))
}

struct Bed {
    upstream: Upstream,
    gateway: Gateway,
}

impl Bed {
    async fn start(max_body_bytes: Option<usize>) -> Self {
        let upstream = Upstream::start(echo).await;
        let mut config = json!({ "servers": [{ "id": "fake", "url": upstream.url() }] });
        if let Some(bytes) = max_body_bytes {
            config["gateway"]["max_body_bytes"] = json!(bytes);
        }
        let gateway = Gateway::with(config).await;
        Self { upstream, gateway }
    }

    async fn ask(&self, request: &Request) -> Answer {
        wire::ask(self.gateway.address, request).await
    }

    async fn ask_first(&self, request: &Request) -> Answer {
        within("an answer after 100", async {
            let mut connection = Connection::open(self.gateway.address).await.unwrap();
            connection.ask_first(request).await.unwrap()
        })
        .await
    }

    fn assert_echoed(&self, what: &str, id: &Value, text: &str, answer: &Answer) {
        assert_eq!(answer.status, 200, "{what}: {}", answer.text());
        assert!(answer.whole, "{what}: the answer is cut");
        assert!(
            answer.json() == said(id, text),
            "{what}: another text came back"
        );
        let recorded = self.upstream.recorded("tools/call");
        let arrived = recorded.iter().find(|one| one.json()["id"] == *id).unwrap();
        let sent = &arrived.json()["params"]["arguments"]["text"];
        assert!(sent == text, "{what}: another text arrived upstream");
        assert_eq!(arrived.headers.get("expect"), None, "{what}");
    }
}

/// A text of `bytes` bytes that is not the same at any two places, with multi-byte characters in it.
fn text(bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 16);
    for number in 0_u32.. {
        if text.len() >= bytes {
            break;
        }
        text += &format!("{number:x}ü,");
    }
    while text.len() > bytes {
        text.pop();
    }
    // The last character to go may have been a wide one.
    let missing = bytes - text.len();
    text + &"x".repeat(missing)
}

/// A call whose whole body has this many bytes.
fn call_of(id: &Value, body_bytes: usize) -> (Request, String) {
    let empty = modern_call(PATH, id, "echo", json!({ "text": "" })).body_bytes();
    let text = text(body_bytes - empty);
    (modern_call(PATH, id, "echo", json!({ "text": text })), text)
}

#[tokio::test]
async fn a_five_mebibyte_call_arrives_whole_however_it_is_framed() {
    let bed = Bed::start(None).await;
    let text = text(5 * MIB);
    let call = |id: &Value| modern_call(PATH, id, "echo", json!({ "text": text }));

    let id = json!("length");
    bed.assert_echoed("length", &id, &text, &bed.ask(&call(&id)).await);
    for chunk_bytes in [1_000, 65_536, 1_000_000] {
        let id = json!(format!("chunks of {chunk_bytes}"));
        let answer = bed.ask(&call(&id).chunked(chunk_bytes)).await;
        bed.assert_echoed("chunked", &id, &text, &answer);
    }
    let id = json!("expect");
    bed.assert_echoed("expect", &id, &text, &bed.ask_first(&call(&id)).await);
    let id = json!("expect, chunked");
    let answer = bed.ask_first(&call(&id).chunked(65_536)).await;
    bed.assert_echoed("expect, chunked", &id, &text, &answer);
    let id = json!("h2c");
    let answer = wire::ask_h2c(bed.gateway.address, &call(&id)).await;
    bed.assert_echoed("h2c", &id, &text, &answer);
}

#[tokio::test]
async fn bodies_around_every_buffer_boundary_arrive_whole() {
    let bed = Bed::start(None).await;
    for body_bytes in [1_000, 65_535, 65_536, 65_537, 131_071, 131_073, MIB + 1] {
        for chunk_bytes in [None, Some(1_024), Some(65_536)] {
            let id = json!(format!("{body_bytes}/{chunk_bytes:?}"));
            let (call, text) = call_of(&id, body_bytes);
            let call = match chunk_bytes {
                Some(size) => call.chunked(size),
                None => call,
            };
            bed.assert_echoed(id.as_str().unwrap(), &id, &text, &bed.ask(&call).await);
        }
    }
}

#[tokio::test]
async fn a_body_at_the_limit_is_served_and_one_byte_more_is_413() {
    let limit = 2 * MIB;
    let bed = Bed::start(Some(limit)).await;
    for chunk_bytes in [None, Some(100_000)] {
        let framed = |request: Request| match chunk_bytes {
            Some(size) => request.chunked(size),
            None => request,
        };
        let id = json!(format!("at the limit, {chunk_bytes:?}"));
        let (call, text) = call_of(&id, limit);
        bed.assert_echoed("at the limit", &id, &text, &bed.ask(&framed(call)).await);

        let (call, _) = call_of(&json!("above"), limit + 1);
        let answer = bed.ask(&framed(call)).await;
        assert_eq!(answer.status, 413, "{chunk_bytes:?}: {}", answer.text());
        assert!(answer.json()["error"]["code"].is_i64());
    }
    let (call, _) = call_of(&json!("above"), limit + 1);
    let answer = wire::ask_h2c(bed.gateway.address, &call).await;
    assert_eq!(answer.status, 413, "h2c: {}", answer.text());

    let upstream_saw = bed.upstream.recorded("tools/call");
    assert!(upstream_saw.iter().all(|one| one.json()["id"] != "above"));
}

#[tokio::test]
async fn a_body_that_is_announced_too_large_is_413_before_it_is_sent() {
    let bed = Bed::start(Some(MIB)).await;
    let (call, _) = call_of(&json!("announced"), MIB + 1);
    let status = within("an answer to the announcement", async {
        let mut connection = Connection::open(bed.gateway.address).await.unwrap();
        connection.announce(&call).await.unwrap()
    })
    .await;
    assert_eq!(status, 413);
}

#[tokio::test]
async fn results_of_a_mebibyte_come_back_whole_as_json_and_as_one_line_of_an_event() {
    let bed = Bed::start(None).await;
    let id = json!("json");
    let (call, text) = call_of(&id, MIB + 12_345);
    bed.assert_echoed("json", &id, &text, &bed.ask(&call).await);

    let upstream = Upstream::start(|request| {
        if request.rpc_method() != "tools/call" {
            return friendly(request);
        }
        let message = request.json();
        let result = said(&message["id"], &self::text(MIB));
        vec![sse_head(), event(&result), end()]
    })
    .await;
    let gateway = Gateway::start(json!([{ "id": "fake", "url": upstream.url() }])).await;
    let call = modern_call(PATH, &json!(1), "any", json!({}));
    let mut stream = wire::stream(gateway.address, &call).await;
    let data = within("a long event", stream.event()).await.unwrap();
    let message: Value = serde_json::from_str(&data).unwrap();
    assert!(
        message == said(&json!(1), &self::text(MIB)),
        "another event came back"
    );
    assert_eq!(within("the end", stream.event()).await, None);
}
