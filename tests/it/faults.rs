//! An upstream that misbehaves costs its own call and nothing else: the client is told at once, what had arrived
//! is not lost, no half message passes for a whole one, and no call is made twice.
//!
//! The expected values are those of protocol.md B3, E10, E12 and E60 and of issue 2, items 5 and 7.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::{
    gateway::{Gateway, free_address},
    message::{is_reserved, modern, modern_call, said},
    upstream::{
        Recorded, Reuse, Step, Upstream, answer, chunk, end, event, friendly, head, sse_head,
    },
    wire::{self, Answer, Connection, Request},
    within,
};

const PATH: &str = "/mcp/fake";

fn call(id: &str) -> Request {
    modern_call(PATH, &json!(id), "any", json!({}))
}

/// A script that answers the tool `any` with these steps and everything else as a good server does.
fn faulty(steps: Vec<Step>) -> impl Fn(&Recorded) -> Vec<Step> + Send + Sync + 'static {
    move |request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        if body["params"]["name"] == "any" {
            return steps.clone();
        }
        friendly(request)
    }
}

async fn gateway(upstream: &Upstream) -> Gateway {
    Gateway::start(json!([{ "id": "fake", "url": upstream.url() }])).await
}

/// The client got an error of the gateway's own, with its id, and the gateway serves on.
async fn assert_told(gateway: &Gateway, what: &str, answer: &Answer, status: u16, id: &str) {
    assert_eq!(answer.status, status, "{what}: {answer:?}");
    assert!(answer.whole, "{what}: the error itself is cut");
    let body = answer.json();
    assert_eq!(body["id"], id, "{what}: {body}");
    let code = body["error"]["code"].as_i64().unwrap();
    assert!(
        !is_reserved(code),
        "{what}: {code} is not the gateway's to use"
    );
    assert!(
        body["error"]["message"].as_str().unwrap().contains("fake"),
        "{what}: {body}"
    );
    assert_serves(gateway).await;
}

async fn assert_serves(gateway: &Gateway) {
    let next = modern_call(PATH, &json!("next"), "good", json!({}));
    let answer = wire::ask(gateway.address, &next).await;
    assert_eq!(
        (answer.status, answer.json()),
        (200, said(&json!("next"), "ok"))
    );
}

#[tokio::test]
async fn an_upstream_that_answers_garbage_is_502() {
    let garbage: [&[u8]; 6] = [
        b"I am not HTTP\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS hello",
        b"HTTP/1.1 banana\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
        b"",
    ];
    for bytes in garbage {
        let what = String::from_utf8_lossy(bytes).into_owned();
        let upstream =
            Upstream::start(faulty(vec![Step::Write(bytes.to_vec()), Step::Close])).await;
        let gateway = gateway(&upstream).await;
        let answer = wire::ask(gateway.address, &call("g")).await;
        assert_told(&gateway, &what, &answer, 502, "g").await;
        assert_eq!(
            upstream.recorded("tools/call").len(),
            2,
            "{what}: called twice"
        );
    }
}

#[tokio::test]
async fn an_upstream_that_resets_before_it_answers_is_502() {
    let upstream = Upstream::start(faulty(vec![Step::Reset])).await;
    let gateway = gateway(&upstream).await;
    let answer = wire::ask(gateway.address, &call("r")).await;
    assert_told(&gateway, "reset", &answer, 502, "r").await;
}

#[tokio::test]
async fn an_upstream_that_refuses_connections_is_told_at_once() {
    let good = Upstream::start(friendly).await;
    let nobody = format!("http://{}/mcp", free_address());
    let gateway = Gateway::start(json!([
        { "id": "fake", "url": good.url() },
        { "id": "gone", "url": nobody },
    ]))
    .await;
    let gone = modern_call("/mcp/gone", &json!(1), "any", json!({}));
    let answer = wire::ask(gateway.address, &gone).await;
    assert!(matches!(answer.status, 502 | 503), "{answer:?}");
    let body = answer.json();
    assert_eq!(body["id"], 1);
    assert!(
        !is_reserved(body["error"]["code"].as_i64().unwrap()),
        "{body}"
    );
    assert!(
        body["error"]["message"].as_str().unwrap().contains("gone"),
        "{body}"
    );
    assert_serves(&gateway).await;
}

#[tokio::test]
async fn a_json_answer_that_is_cut_never_looks_whole() {
    let body = said(&json!("cut"), &"x".repeat(300_000))
        .to_string()
        .into_bytes();
    let length = body.len().to_string();
    let json_head = |framing: (&str, &str)| {
        Step::Write(head(
            "200 OK",
            &[("content-type", "application/json"), framing],
        ))
    };
    for kept in [0, 1, 1_000, 200_000] {
        let part = &body[..kept];
        let cuts = [
            vec![
                json_head(("content-length", &length)),
                Step::Write(part.to_vec()),
                Step::Close,
            ],
            vec![
                json_head(("content-length", &length)),
                Step::Write(part.to_vec()),
                Step::Reset,
            ],
            vec![
                json_head(("transfer-encoding", "chunked")),
                Step::Write(chunk(part)),
                Step::Close,
            ],
        ];
        for steps in cuts {
            let upstream = Upstream::start(faulty(steps)).await;
            let gateway = gateway(&upstream).await;
            let answer = wire::ask(gateway.address, &call("cut")).await;
            if answer.status == 200 {
                assert!(
                    !answer.whole,
                    "{kept} bytes of an answer pass for all of it"
                );
            } else {
                assert_told(&gateway, "cut", &answer, 502, "cut").await;
            }
            assert_serves(&gateway).await;
        }
    }
}

#[tokio::test]
async fn events_before_a_cut_arrive_and_half_an_event_does_not() {
    let first = json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progress": 1 } });
    for last in [Step::Close, Step::Reset] {
        let half = Step::Write(chunk(b"data: {\"jsonrpc\":\"2.0\",\"id\":\"sse\",\"res"));
        let cut = Arc::new(Notify::new());
        let steps = vec![
            sse_head(),
            event(&first),
            Step::Await(Arc::clone(&cut)),
            half,
            last,
        ];
        let upstream = Upstream::start(faulty(steps)).await;
        let gateway = gateway(&upstream).await;
        let mut stream = wire::stream(gateway.address, &call("sse")).await;
        assert_eq!(stream.status, 200);
        let event = within("the event before the cut", stream.event())
            .await
            .unwrap();
        assert_eq!(serde_json::from_str::<Value>(&event).unwrap(), first);
        cut.notify_one();
        // The stream ends, by an error that names the call or by nothing more.
        while let Some(event) = within("the end of the stream", stream.event()).await {
            let event: Value = serde_json::from_str(&event).expect("half an event got through");
            assert!(
                event["error"].is_object() && event["id"] == "sse",
                "{event}"
            );
        }
        assert_serves(&gateway).await;
    }
}

#[tokio::test]
async fn a_stalled_stream_delivers_what_it_has_and_is_kept_alive() {
    let first = json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progress": 1 } });
    let go_on = Arc::new(Notify::new());
    let last = event(&said(&json!("stall"), "late"));
    let steps = vec![
        sse_head(),
        event(&first),
        Step::Await(Arc::clone(&go_on)),
        last,
        end(),
    ];
    let upstream = Upstream::start(faulty(steps)).await;
    let gateway = Gateway::with(json!({
        "gateway": { "sse_keepalive_seconds": 1 },
        "servers": [{ "id": "fake", "url": upstream.url() }],
    }))
    .await;
    let mut stream = wire::stream(gateway.address, &call("stall")).await;
    let event = within("the event before the stall", stream.event())
        .await
        .unwrap();
    assert_eq!(serde_json::from_str::<Value>(&event).unwrap(), first);
    for _ in 0..2 {
        let comment = within("a keep-alive comment", stream.block())
            .await
            .unwrap();
        assert!(comment.starts_with(':'), "{comment:?}");
    }
    go_on.notify_one();
    let event = within("the event after the stall", stream.event())
        .await
        .unwrap();
    assert_eq!(event, said(&json!("stall"), "late").to_string());
    assert_eq!(within("the end", stream.event()).await, None);
}

#[tokio::test]
async fn an_upstream_that_never_answers_is_504_and_cancelled() {
    let upstream = Upstream::start(faulty(vec![Step::AwaitDeparture])).await;
    let server = json!({ "id": "fake", "url": upstream.url(), "timeout_ms": 300 });
    let gateway = Gateway::start(json!([server])).await;
    let answer = wire::ask(gateway.address, &call("slow")).await;
    assert_told(&gateway, "no header", &answer, 504, "slow").await;
    upstream.departures(1).await;
}

#[tokio::test]
async fn headers_that_dribble_do_not_reset_the_time_limit() {
    let mut steps = vec![Step::Write(b"HTTP/1.1 200 OK\r\n".to_vec())];
    steps.push(Step::AwaitDeparture);
    let upstream = Upstream::start(faulty(steps)).await;
    let server = json!({ "id": "fake", "url": upstream.url(), "timeout_ms": 300 });
    let gateway = Gateway::start(json!([server])).await;
    let answer = wire::ask(gateway.address, &call("dribble")).await;
    assert_told(&gateway, "half a header", &answer, 504, "dribble").await;
    upstream.departures(1).await;
}

#[tokio::test]
async fn a_stream_that_falls_silent_ends_with_an_error_and_is_cancelled() {
    let upstream = Upstream::start(faulty(vec![sse_head(), Step::AwaitDeparture])).await;
    for bound in ["idle_timeout_ms", "max_duration_ms"] {
        let mut server = json!({ "id": "fake", "url": upstream.url() });
        server[bound] = json!(500);
        let gateway = Gateway::start(json!([server])).await;
        let mut stream = wire::stream(gateway.address, &call("silent")).await;
        let event = within("the error", stream.event()).await.expect(bound);
        let event: Value = serde_json::from_str(&event).unwrap();
        assert_eq!(event["id"], "silent", "{bound}: {event}");
        assert!(event["error"]["code"].is_i64(), "{bound}: {event}");
        assert_eq!(within("the end", stream.event()).await, None);
        assert_serves(&gateway).await;
    }
    upstream.departures(2).await;
}

// Warms one connection up, so that the next call goes out on it, and is then cut there. The server's era is
// configured: asking for it would be the first request.
async fn second_request(upstream: &Upstream, second: &Request) -> (Gateway, Answer) {
    let server = json!({ "id": "fake", "url": upstream.url(), "era": "modern" });
    let gateway = Gateway::start(json!([server])).await;
    let mut connection = Connection::open(gateway.address).await.unwrap();
    let first = modern_call(PATH, &json!("first"), "good", json!({}));
    let answer = within("the first answer", connection.ask(&first))
        .await
        .unwrap();
    assert_eq!(answer.status, 200);
    let answer = within("the second answer", connection.ask(second))
        .await
        .unwrap();
    (gateway, answer)
}

/// A server that reads the second request of a connection and then closes without a word.
fn closes_after_reading(request: &Recorded) -> Vec<Step> {
    if request.nth_on_connection > 0 {
        return vec![Step::Close];
    }
    friendly(request)
}

#[tokio::test]
async fn a_call_that_was_read_on_a_reused_connection_is_not_made_again() {
    let upstream = Upstream::start(closes_after_reading).await;
    let (_gateway, answer) = second_request(&upstream, &call("once")).await;
    let calls = upstream.recorded("tools/call");
    let made = calls
        .iter()
        .filter(|one| one.json()["id"] == "once")
        .count();
    assert_eq!(made, 1, "made {made} times");
    assert_eq!(answer.status, 502, "{answer:?}");
    assert_eq!(answer.json()["id"], "once");
}

#[tokio::test]
async fn a_list_on_a_reused_connection_that_closes_is_asked_again() {
    for reuse in [Reuse::Welcome, Reuse::ClosedUnread] {
        let upstream = Upstream::with(reuse, closes_after_reading).await;
        let list = modern(PATH, &json!("list"), "tools/list", json!({}));
        let (_gateway, answer) = second_request(&upstream, &list).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.json()["id"], "list");
    }
}

#[tokio::test]
async fn a_call_on_a_reused_connection_that_closes_unread_is_made_at_most_once() {
    let upstream = Upstream::with(Reuse::ClosedUnread, friendly).await;
    let (_gateway, answer) = second_request(&upstream, &call("unread")).await;
    let calls = upstream.recorded("tools/call");
    let made = calls
        .iter()
        .filter(|one| one.json()["id"] == "unread")
        .count();
    assert!(made <= 1, "made {made} times");
    assert_eq!(answer.json()["id"], "unread");
    assert_eq!(
        answer.status,
        if made == 1 { 200 } else { 502 },
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_line_of_a_mebibyte_and_a_thousand_small_events_come_through_in_order() {
    let long = json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "data": "y".repeat(1 << 20) } });
    let numbered = |number: usize| json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progress": number } });
    let mut steps = vec![sse_head(), event(&long)];
    steps.extend((0..1_000).map(|number| event(&numbered(number))));
    steps.extend([event(&said(&json!("many"), "done")), end()]);
    let upstream = Upstream::start(faulty(steps)).await;
    let gateway = gateway(&upstream).await;
    let mut stream = wire::stream(gateway.address, &call("many")).await;
    let mut next = async || {
        let event = within("an event", stream.event()).await?;
        Some(serde_json::from_str::<Value>(&event).unwrap())
    };
    assert!(next().await.unwrap() == long, "the long line has changed");
    for number in 0..1_000 {
        assert_eq!(next().await.unwrap(), numbered(number));
    }
    assert_eq!(next().await.unwrap(), said(&json!("many"), "done"));
    assert_eq!(next().await, None);
}

#[tokio::test]
async fn an_upstream_answer_that_is_no_mcp_keeps_its_status() {
    let page = b"<html>busy</html>";
    let steps = answer(
        "503 Service Unavailable",
        &[("content-type", "text/html"), ("retry-after", "7")],
        page,
    );
    let upstream = Upstream::start(faulty(steps)).await;
    let gateway = gateway(&upstream).await;
    let answer = wire::ask(gateway.address, &call("html")).await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.headers.get("retry-after"), Some("7"));
    assert_serves(&gateway).await;
}
