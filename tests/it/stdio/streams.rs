//! Streams: who gets what, and what ends them.

use std::time::Duration;

use serde_json::json;

use super::{legacy, modern, modern_with_token, run, until};

#[tokio::test]
async fn a_request_of_the_server_is_asked_on_the_calls_stream_and_answered_by_post() {
    let running = run(|_| {}).await;
    let mut client = running.session().await;
    let mut side = client.again().await;
    let call = legacy(
        "5",
        "ask",
        r#""method":"elicitation/create","params":{"message":"who?"}"#,
    );
    let head = client.open("POST", &call).await;
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    let asked = client.event().await.unwrap();
    assert_eq!(asked["method"], "elicitation/create");
    let answer = json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "accept"}});
    let posted = side.post(&answer.to_string()).await;
    assert_eq!((posted.status, posted.text.as_str()), (202, ""));
    let last = client.event().await.unwrap();
    assert_eq!(last["id"], 5);
    assert_eq!(last["result"]["answer"]["result"]["action"], "accept");
    assert!(client.event().await.is_none());
    running.end().await;
}

#[tokio::test]
async fn what_no_call_waits_for_goes_to_the_event_stream_or_waits_for_one() {
    let running = run(|_| {}).await;
    let mut client = running.session().await;
    let tell = |method: &str| legacy("1", "tell-after", &format!(r#""method":"{method}""#));
    client.post(&tell("notifications/early")).await;
    let mut stream = client.again().await;
    assert_eq!(stream.open("GET", "").await.status, 200);
    assert_eq!(client.again().await.request("GET").await.status, 409);
    client.post(&tell("notifications/late")).await;
    assert_eq!(
        stream.event().await.unwrap()["method"],
        "notifications/early"
    );
    assert_eq!(
        stream.event().await.unwrap()["method"],
        "notifications/late"
    );
    drop(stream);
    // The stream may be opened again as soon as the old one is known to be gone.
    let mut again = client.again().await;
    while again.open("GET", "").await.status != 200 {
        again = client.again().await;
    }
    running.end().await;
}

#[tokio::test]
async fn changes_prefer_the_event_stream_and_calls_stay_json() {
    let running = run(|_| {}).await;
    let mut client = running.session().await;
    let mut stream = client.again().await;
    stream.open("GET", "").await;
    let tell = legacy(
        "1",
        "tell",
        r#""method":"notifications/tools/list_changed""#,
    );
    let answer = client.post(&tell).await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let event = stream.event().await.unwrap();
    assert_eq!(event["method"], "notifications/tools/list_changed");
    let tell = legacy("2", "tell", r#""method":"notifications/message","times":2"#);
    assert_eq!(client.post(&tell).await.events().len(), 3);
    running.end().await;
}

#[tokio::test]
async fn a_modern_client_that_goes_away_cancels_its_own_call() {
    let running = run(|_| {}).await;
    let mut other = running.client().await;
    let mut client = running.client().await;
    client.send("POST", &modern("1", "hang", "")).await;
    until("the call is pending", || {
        running.supervisor.status().pending == 1
    })
    .await;
    drop(client);
    let answer = other.post(&modern("1", "was-cancelled", "")).await.json();
    assert_eq!(answer["result"]["cancelled"], true);
    assert_eq!(running.supervisor.status().pending, 0);
    running.end().await;
}

#[tokio::test]
async fn a_legacy_client_that_goes_away_cancels_nothing_and_one_that_says_so_does() {
    let running = run(|_| {}).await;
    let mut client = running.session().await;
    let mut gone = client.again().await;
    gone.send("POST", &legacy("\"a\"", "hang", "")).await;
    until("the call is pending", || {
        running.supervisor.status().pending == 1
    })
    .await;
    drop(gone);
    client
        .post(&legacy("\"b\"", "slow-echo", r#""seconds":0.1"#))
        .await;
    assert_eq!(running.supervisor.status().pending, 1);
    let cancel =
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"a"}}"#;
    assert_eq!(client.post(cancel).await.status, 202);
    let answer = client.post(&legacy("1", "was-cancelled", "")).await.json();
    assert_eq!(answer["result"]["cancelled"], true);
    running.end().await;
}

#[tokio::test]
async fn listens_have_their_own_ids_and_end_as_the_server_ends_them() {
    let running = run(|_| {}).await;
    let listen = |id: &str| {
        modern(
            id,
            "subscriptions/listen",
            r#""notifications":{"toolsListChanged":true}"#,
        )
    };
    let subscription = |event: &serde_json::Value| {
        event["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"].clone()
    };
    let mut listeners = Vec::new();
    for id in ["1", "\"1\""] {
        let mut listener = running.client().await;
        listener.open("POST", &listen(id)).await;
        let ack = listener.event().await.unwrap();
        assert_eq!(ack["method"], "notifications/subscriptions/acknowledged");
        listeners.push((listener, id));
    }
    let mut client = running.client().await;
    client.post(&modern("1", "change", "")).await;
    for (listener, id) in &mut listeners {
        let event = listener.event().await.unwrap();
        assert_eq!(event["method"], "notifications/tools/list_changed");
        assert_eq!(subscription(&event).to_string(), *id);
    }
    client.post(&modern("1", "end-listens", "")).await;
    for (listener, id) in &mut listeners {
        let last = listener.event().await.unwrap();
        assert_eq!(last["id"].to_string(), *id);
        let meta = &last["result"]["_meta"]["io.modelcontextprotocol/subscriptionId"];
        assert_eq!(meta.to_string(), *id);
        assert!(listener.event().await.is_none());
    }
    let mut cut = running.client().await;
    cut.open("POST", &listen("9")).await;
    cut.event().await.unwrap();
    client
        .post(&modern("1", "end-listens", r#""how":"cancel""#))
        .await;
    assert!(cut.event().await.is_none());
    running.end().await;
}

#[tokio::test]
async fn a_listen_ends_with_a_result_at_shutdown() {
    let running = run(|_| {}).await;
    let mut listener = running.client().await;
    listener
        .open("POST", &modern("3", "subscriptions/listen", ""))
        .await;
    listener.event().await.unwrap();
    running.end().await;
    let last = listener.event().await.unwrap();
    assert_eq!(last["result"]["resultType"], "complete");
    assert!(listener.event().await.is_none());
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_cancelled_and_only_that_one() {
    let running = run(|spec| spec.call_timeout = Duration::from_secs(2)).await;
    let mut client = running.client().await;
    // Once the child is up, a timeout is the call's own.
    client.post(&modern("0", "echo", "")).await;
    let late = client.post(&modern("1", "hang", "")).await;
    assert_eq!(late.error().0, 504);
    assert_eq!(late.json()["id"], 1);
    assert!(late.error().2.contains("2000 ms"), "{late:?}");
    let answer = client.post(&modern("1", "was-cancelled", "")).await.json();
    assert_eq!(answer["result"]["cancelled"], true);
    running.end().await;
}

#[tokio::test]
async fn a_client_that_does_not_read_loses_its_stream_and_nobody_else_notices() {
    let running = run(|spec| spec.line_bytes_max = 64 * 1024).await;
    let mut slow = running.client().await;
    let flood = modern_with_token("1", "progress", r#""steps":100000,"who":1"#, "1");
    slow.send("POST", &flood).await;
    let mut client = running.client().await;
    for _ in 0..100 {
        let answer = client.post(&modern("1", "echo", r#""value":2"#)).await;
        assert_eq!(answer.json()["result"]["echo"], 2);
    }
    until("the flood is over", || {
        running.supervisor.status().pending == 0
    })
    .await;
    assert_eq!(slow.head().await.status, 200);
    let mut last = serde_json::Value::Null;
    while let Some(event) = slow.event().await {
        last = event;
    }
    assert!(
        last["error"]["message"]
            .as_str()
            .unwrap()
            .contains("too slowly"),
        "{last}"
    );
    running.end().await;
}
