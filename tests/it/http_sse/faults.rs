//! Servers that break, stall, refuse or lie.

use std::sync::Arc;

use serde_json::json;
use tokio::sync::Notify;

use super::server::{OldServer, friendly};
use super::{PATH, Session, error, gateway, gateway_with, refusal};
use crate::support::gateway::free_address;
use crate::support::message::legacy;
use crate::support::upstream::{Step, Upstream, answer, chunk, end, sse_head};
use crate::support::wire;

/// A server that answers every request with `steps`.
async fn always(steps: Vec<Step>) -> Upstream {
    Upstream::start(move |_| steps.clone()).await
}

async fn refusal_of(steps: Vec<Step>) -> (u16, String) {
    let server = always(steps).await;
    let gateway = gateway(&server.url()).await;
    refusal(&gateway).await
}

fn event(event: &str) -> Vec<Step> {
    vec![
        sse_head(),
        Step::Write(chunk(event.as_bytes())),
        Step::AwaitDeparture,
    ]
}

#[tokio::test]
async fn a_stream_that_is_refused_is_named_and_a_redirect_not_followed() {
    let elsewhere = OldServer::start().await;
    let url = elsewhere.url();
    for (status, headers) in [
        ("404 Not Found", vec![]),
        ("307 Temporary Redirect", vec![("location", url.as_str())]),
        ("503 Service Unavailable", vec![]),
    ] {
        let said = refusal_of(answer(status, &headers, b"")).await;
        let message = format!("server \"old\" answered HTTP {} to GET", &status[..3]);
        assert_eq!(said, (502, message));
    }
    assert!(elsewhere.upstream.recorded_http("GET").is_empty());
}

#[tokio::test]
async fn a_stream_that_wants_a_credential_is_an_error_of_the_gateways() {
    for status in ["401 Unauthorized", "403 Forbidden"] {
        let challenge = [("www-authenticate", "Bearer")];
        let said = refusal_of(answer(status, &challenge, b"")).await;
        let message = "server \"old\" wants a credential, and the gateway has none for it";
        assert_eq!(said, (502, message.to_owned()));
    }
}

#[tokio::test]
async fn what_is_no_event_stream_is_refused() {
    let json = answer("200 OK", &[("content-type", "application/json")], b"{}");
    let (status, message) = refusal_of(json).await;
    assert_eq!(status, 502);
    assert!(
        message.ends_with("something that is no event stream to GET"),
        "{message}"
    );
    let (_, message) = refusal_of(vec![Step::Write(b"hello\r\n\r\n".to_vec()), Step::Close]).await;
    assert!(message.ends_with("something that is not HTTP"), "{message}");
}

#[tokio::test]
async fn a_server_that_is_down_is_named() {
    let gateway = gateway(&format!("http://{}/sse", free_address())).await;
    let message = "server \"old\" cannot be connected to".to_owned();
    assert_eq!(refusal(&gateway).await, (502, message));
}

#[tokio::test]
async fn an_endpoint_on_another_origin_is_refused_and_nothing_posted_there() {
    let foreign = OldServer::start().await;
    let endpoint = format!("http://{}/message?session=0", foreign.upstream.address);
    let server = OldServer::with(move |_| endpoint.clone(), friendly).await;
    let gateway = gateway(&server.url()).await;
    let (status, message) = refusal(&gateway).await;
    assert_eq!(status, 502);
    assert!(message.contains("endpoint on another origin"), "{message}");
    server.upstream.departures(1).await;
    assert!(foreign.upstream.recorded_http("POST").is_empty());
    assert!(server.upstream.recorded_http("POST").is_empty());
}

#[tokio::test]
async fn an_endpoint_that_could_end_a_line_is_refused() {
    let (status, message) = refusal_of(event("event: endpoint\ndata: /m\ndata: X: y\n\n")).await;
    assert_eq!(status, 502);
    assert!(
        message.ends_with("named an endpoint that is no URL"),
        "{message}"
    );
}

#[tokio::test]
async fn an_absolute_endpoint_on_the_same_origin_is_taken() {
    let address = Arc::new(std::sync::OnceLock::new());
    let own = Arc::clone(&address);
    let endpoint = move |number| format!("http://{}/message?session={number}", own.get().unwrap());
    let server = OldServer::with(endpoint, friendly).await;
    address.set(server.upstream.address).unwrap();
    let gateway = gateway(&server.url()).await;
    let session = Session::open(&gateway).await;
    assert_eq!(session.text("echo", json!({ "message": "x" })).await, "x");
}

#[tokio::test]
async fn an_endpoint_that_is_never_named_is_waited_for_no_longer_than_a_connection() {
    let server = always(event("data: {}\n\n")).await;
    let gateway = gateway_with(&server.url(), json!({ "connect_timeout_ms": 2000 })).await;
    let message = "server \"old\" did not name its endpoint within 2000 ms".to_owned();
    assert_eq!(refusal(&gateway).await, (502, message));
    server.departures(1).await;
}

#[tokio::test]
async fn a_stream_that_ends_before_its_endpoint_is_told() {
    let (_, message) = refusal_of(vec![sse_head(), end(), Step::Close]).await;
    assert_eq!(message, "server \"old\" closed its event stream");
}

#[tokio::test]
async fn a_stream_that_closes_fails_its_calls_and_is_opened_again_for_the_next() {
    let server = OldServer::start().await;
    let gateway = gateway(&server.url()).await;
    let (one, two) = (Session::open(&gateway).await, Session::open(&gateway).await);
    let call = one.call("silence", json!({}));
    let calling = wire::ask(gateway.address, &call);
    let (answer, ()) = tokio::join!(calling, async {
        server.upstream.first("tools/call").await;
        server.close(0);
    });
    let message = "server \"old\" closed its event stream".to_owned();
    assert_eq!(error(&answer), (502, message));
    let again = one.text("echo", json!({ "message": "again" })).await;
    assert_eq!(again, "again");
    let undisturbed = two.text("echo", json!({ "message": "still here" })).await;
    assert_eq!(undisturbed, "still here");
    assert_eq!(server.upstream.recorded_http("GET").len(), 3);
    let opened = ["initialize", "notifications/initialized", "tools/call"];
    for number in 0..3 {
        // The call that failed may have been made: it is not made again.
        assert_eq!(server.posted(number), opened, "stream {number}");
    }
}

#[tokio::test]
async fn a_message_that_is_refused_ends_its_stream_and_the_next_has_a_new_one() {
    let server = OldServer::with(
        |number| format!("message?session={number}"),
        |request, outlet| match request.rpc_method().as_str() {
            "tools/call" => answer("410 Gone", &[], b"no such session"),
            _ => friendly(request, outlet),
        },
    )
    .await;
    let gateway = gateway(&server.url()).await;
    let session = Session::open(&gateway).await;
    let answer = wire::ask(
        gateway.address,
        &session.call("echo", json!({ "message": "x" })),
    )
    .await;
    let message = "server \"old\" answered HTTP 410 to POST".to_owned();
    assert_eq!(error(&answer), (502, message));
    server.upstream.departures(1).await;
    let listed = session
        .ask(legacy(PATH, &json!(3), "tools/list", json!({})))
        .await;
    assert_eq!((listed.status, &listed.json()["id"]), (200, &json!(3)));
    let opened = ["initialize", "notifications/initialized"];
    assert_eq!(server.posted(0), [&opened[..], &["tools/call"]].concat());
    assert_eq!(server.posted(1), [&opened[..], &["tools/list"]].concat());
}

#[tokio::test]
async fn a_server_that_accepts_a_call_when_it_is_done_can_ask_meanwhile() {
    let done = Arc::new(Notify::new());
    let until_done = Arc::clone(&done);
    let server = OldServer::with(
        |number| format!("/message?session={number}"),
        move |request, outlet| {
            let accepted = friendly(request, outlet);
            if request.rpc_method() == "tools/call" {
                return [vec![Step::Await(Arc::clone(&until_done))], accepted].concat();
            }
            if request.json().get("result").is_some() {
                until_done.notify_one();
            }
            accepted
        },
    )
    .await;
    let gateway = gateway(&server.url()).await;
    let session = Session::open(&gateway).await;
    let mut stream = wire::stream(gateway.address, &session.call("ask", json!({}))).await;
    let asked: serde_json::Value = serde_json::from_str(&stream.event().await.unwrap()).unwrap();
    let told = json!({ "jsonrpc": "2.0", "id": asked["id"], "result": { "action": "accept" } });
    session.deliver(&told).await;
    let answer: serde_json::Value = serde_json::from_str(&stream.event().await.unwrap()).unwrap();
    assert_eq!(answer["result"]["content"][0]["text"], "accept");
    assert_eq!(session.text("echo", json!({ "message": "x" })).await, "x");
}

#[tokio::test]
async fn a_call_that_is_never_answered_is_timed_out_and_cancelled_and_the_session_goes_on() {
    let server = OldServer::start().await;
    let gateway = gateway_with(&server.url(), json!({ "timeout_ms": 500 })).await;
    let session = Session::open(&gateway).await;
    let answer = wire::ask(gateway.address, &session.call("silence", json!({}))).await;
    let message = "server \"old\" did not answer within 500 ms".to_owned();
    assert_eq!(error(&answer), (504, message));
    server.upstream.first("notifications/cancelled").await;
    assert_eq!(session.text("echo", json!({ "message": "x" })).await, "x");
}

#[tokio::test]
async fn a_message_past_the_bound_ends_its_session_and_says_so() {
    let server = OldServer::start().await;
    let gateway = gateway(&server.url()).await;
    let session = Session::open(&gateway).await;
    let call = session.call("silence", json!({}));
    let calling = wire::ask(gateway.address, &call);
    let (answer, ()) = tokio::join!(calling, async {
        server.upstream.first("tools/call").await;
        let max = conduit::stdio::LINE_BYTES_MAX;
        server
            .outlet(0)
            .raw(&format!("data: {}\n\n", "x".repeat(max + 100)));
    });
    let (status, message) = error(&answer);
    assert_eq!(status, 502);
    assert!(
        message.contains("sent a message of more than 16777216 bytes"),
        "{message}"
    );
    server.upstream.departures(1).await;
}

#[tokio::test]
async fn noise_on_the_stream_is_passed_over() {
    let server = OldServer::start().await;
    let gateway = gateway(&server.url()).await;
    let session = Session::open(&gateway).await;
    let outlet = server.outlet(0);
    for noise in [
        "data: no json\n\n",
        "data: [1]\n\n",
        "event: endpoint\ndata: /other\n\n",
        "data\n\n",
        "\u{0}\n\n",
    ] {
        outlet.raw(noise);
    }
    assert_eq!(session.text("echo", json!({ "message": "x" })).await, "x");
}
