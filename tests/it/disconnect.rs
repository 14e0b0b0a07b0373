//! A client that goes away cancels its call in the modern era, and does not in the legacy era (protocol.md E22).

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::{
    gateway::Gateway,
    message::{legacy_call, modern, modern_call, said},
    upstream::{Recorded, Step, Upstream, end, event, friendly, sse_head},
    wire::{self, Connection},
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
