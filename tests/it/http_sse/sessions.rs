//! Sessions on well-behaved servers.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::server::OldServer;
use super::{PATH, Session, gateway, gateway_with, initialize};
use crate::support::gateway::Gateway;
use crate::support::message::{legacy, modern, modern_call};
use crate::support::until;
use crate::support::wire::{self, Request};

#[tokio::test]
async fn a_session_is_one_stream_and_its_messages_are_posted_in_order() {
    let server = OldServer::start().await;
    let headers = json!({ "headers": { "Authorization": "Bearer secret" } });
    let gateway = gateway_with(&format!("{}?key=1", server.url()), headers).await;
    let session = Session::open(&gateway).await;
    for n in 0..20 {
        session.tell("notifications/test", json!({ "n": n })).await;
    }
    let echo = session
        .text("echo", json!({ "message": "grüße 漢字" }))
        .await;
    assert_eq!(echo, "grüße 漢字");

    let opened = server.upstream.recorded_http("GET");
    assert_eq!(opened.len(), 1);
    assert_eq!(opened[0].target, "/sse?key=1");
    assert_eq!(opened[0].headers.get("accept"), Some("text/event-stream"));
    let posted = server.upstream.recorded_http("POST");
    let numbers: Vec<Value> = posted
        .iter()
        .map(|post| post.json()["params"]["n"].clone())
        .collect();
    assert_eq!(numbers[2..22], (0..20).map(Value::from).collect::<Vec<_>>());
    for request in opened.iter().chain(&posted) {
        assert_eq!(request.headers.get("authorization"), Some("Bearer secret"));
        assert_eq!(request.headers.get("mcp-session-id"), None);
    }
    for post in &posted {
        assert_eq!(post.target, "/message?session=0");
        assert_eq!(post.headers.get("content-type"), Some("application/json"));
    }
    let mut methods = server.posted(0);
    methods.retain(|method| method != "notifications/test");
    assert_eq!(
        methods,
        ["initialize", "notifications/initialized", "tools/call"]
    );
}

#[tokio::test]
async fn twenty_sessions_with_the_same_ids_get_their_own_answers() {
    let server = OldServer::start().await;
    let gateway = gateway(&server.url()).await;
    let clients = (0..20).map(|who| {
        let gateway = &gateway;
        async move {
            let session = Session::open(gateway).await;
            for _ in 0..5 {
                let message = format!("client {who}");
                let text = session.text("echo", json!({ "message": message })).await;
                assert_eq!(text, message);
            }
        }
    });
    join_all(clients).await;
    assert_eq!(server.upstream.recorded_http("GET").len(), 20);
    for number in 0..20 {
        assert_eq!(server.posted(number).len(), 7);
    }
}

#[tokio::test]
async fn progress_comes_on_the_calls_stream_under_the_clients_token() {
    let server = OldServer::start().await;
    let gateway = gateway(&server.url()).await;
    let session = Session::open(&gateway).await;
    let mut stream = wire::stream(gateway.address, &session.call("progress", json!({}))).await;
    let mut next =
        async || -> Value { serde_json::from_str(&stream.event().await.unwrap()).unwrap() };
    assert_eq!(next().await["params"]["progressToken"], "token");
    assert_eq!(next().await["id"], 2);
}

#[tokio::test]
async fn a_request_of_the_server_is_asked_on_the_calls_stream_and_answered_by_post() {
    let server = OldServer::start().await;
    let gateway = gateway(&server.url()).await;
    let session = Session::open(&gateway).await;
    let mut stream = wire::stream(gateway.address, &session.call("ask", json!({}))).await;
    let asked: Value = serde_json::from_str(&stream.event().await.unwrap()).unwrap();
    assert_eq!(asked["method"], "elicitation/create");
    let told = json!({ "jsonrpc": "2.0", "id": asked["id"], "result": { "action": "decline" } });
    session.deliver(&told).await;
    let answer: Value = serde_json::from_str(&stream.event().await.unwrap()).unwrap();
    assert_eq!(answer["result"]["content"][0]["text"], "decline");
    assert_eq!(answer["id"], 2);
}

#[tokio::test]
async fn what_no_call_waits_for_comes_on_the_event_stream() {
    let server = OldServer::start().await;
    let gateway = gateway(&server.url()).await;
    let session = Session::open(&gateway).await;
    let get = session.within(Request::get(PATH).header("accept", "text/event-stream"));
    let mut stream = wire::stream(gateway.address, &get).await;
    assert_eq!(stream.status, 200);
    let changed = json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" });
    server.outlet(0).send(&changed);
    let event: Value = serde_json::from_str(&stream.event().await.unwrap()).unwrap();
    assert_eq!(event, changed);
}

#[tokio::test]
async fn a_message_on_several_lines_is_one_and_other_events_are_none() {
    let server = OldServer::start().await;
    let gateway = gateway(&server.url()).await;
    let session = Session::open(&gateway).await;
    assert_eq!(session.text("lines", json!({})).await, "lines");
    assert_eq!(session.text("ping", json!({})).await, "pong");
}

#[tokio::test]
async fn a_modern_client_is_served_over_a_stream_that_the_gateway_holds() {
    let server = OldServer::start().await;
    let gateway = gateway(&server.url()).await;
    let request = modern(PATH, &json!(7), "server/discover", json!({}));
    let answer = wire::ask(gateway.address, &request).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.headers.get("mcp-session-id"), None);
    let result = &answer.json()["result"];
    assert_eq!(result["supportedVersions"], json!(["2026-07-28"]));
    assert_eq!(result["capabilities"]["tools"], json!({}));
    let call = modern_call(PATH, &json!("mine"), "echo", json!({ "message": "x" }));
    let answer = wire::ask(gateway.address, &call).await;
    let answer = answer.json();
    assert_eq!(answer["id"], "mine");
    assert_eq!(answer["result"]["resultType"], "complete");
    assert_eq!(answer["result"]["content"][0]["text"], "x");
    // The server sees a client of its own revision, which says nothing of the modern one.
    for post in server.upstream.recorded("tools/call") {
        assert_eq!(post.json()["params"].get("_meta"), None);
        assert_eq!(post.headers.get("mcp-method"), None);
    }
}

#[tokio::test]
async fn delete_closes_the_stream_after_what_was_sent_before() {
    let server = OldServer::start().await;
    let gateway = gateway(&server.url()).await;
    let session = Session::open(&gateway).await;
    session.tell("notifications/last", json!({})).await;
    let answer = session.ask(Request::delete(PATH)).await;
    assert_eq!(answer.status, 204);
    server.upstream.departures(1).await;
    assert_eq!(server.posted(0).last().unwrap(), "notifications/last");
    let gone = session
        .ask(legacy(PATH, &json!(3), "tools/list", json!({})))
        .await;
    assert_eq!(gone.status, 404);
}

#[tokio::test]
async fn an_idle_stream_is_closed_and_opened_again_when_its_session_needs_one() {
    let server = OldServer::start().await;
    let gateway = gateway_with(&server.url(), json!({ "session_idle_seconds": 1 })).await;
    let session = Session::open(&gateway).await;
    server.upstream.departures(1).await;
    assert_eq!(session.text("echo", json!({ "message": "x" })).await, "x");
    let wanted = ["initialize", "notifications/initialized", "tools/call"];
    assert_eq!(server.posted(0), wanted[..2]);
    assert_eq!(server.posted(1), wanted);
}

#[tokio::test]
async fn a_gateway_that_ends_closes_every_stream() {
    let server = OldServer::start().await;
    let gateway = gateway(&server.url()).await;
    let (_one, _two) = (Session::open(&gateway).await, Session::open(&gateway).await);
    gateway.process.signal("TERM");
    server.upstream.departures(2).await;
    assert!(gateway.process.finish().await.success());
}

#[tokio::test]
async fn sessions_stop_at_their_bound_and_go_on_below_it() {
    let server = OldServer::start().await;
    let gateway = gateway_with(&server.url(), json!({ "max_sessions": 1 })).await;
    let session = Session::open(&gateway).await;
    let (status, message) = super::refusal(&gateway).await;
    assert_eq!(status, 503);
    assert!(
        message.contains("too many sessions (at most 1)"),
        "{message}"
    );
    assert_eq!(session.ask(Request::delete(PATH)).await.status, 204);
    until("the place is free", || async {
        let answer = wire::ask(gateway.address, &initialize()).await;
        (answer.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn messages_go_to_the_replica_that_holds_the_stream() {
    let (one, two) = (OldServer::start().await, OldServer::start().await);
    let gateway = gateway_with(&one.url(), json!({ "replicas": [two.url()] })).await;
    for _ in 0..4 {
        let session = Session::open(&gateway).await;
        session.text("echo", json!({ "message": "here" })).await;
    }
    for server in [&one, &two] {
        assert_eq!(server.upstream.recorded_http("GET").len(), 2);
        for number in 0..2 {
            let wanted = ["initialize", "notifications/initialized", "tools/call"];
            assert_eq!(server.posted(number), wanted);
        }
    }
}

#[tokio::test]
async fn a_replica_that_is_down_is_passed_over() {
    let server = OldServer::start().await;
    let down = format!("http://{}/sse", crate::support::gateway::free_address());
    let servers = json!([{ "id": "old", "transport": "http+sse", "url": down,
        "replicas": [server.url()] }]);
    let gateway = Gateway::start(servers).await;
    for _ in 0..2 {
        let session = Session::open(&gateway).await;
        assert_eq!(
            session.text("echo", json!({ "message": "here" })).await,
            "here"
        );
    }
}
