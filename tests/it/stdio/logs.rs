//! Log messages of modern calls: they name no call, and reach the one that asked.

use std::time::Duration;

use serde_json::Value;

use super::client::Client;
use super::{Running, modern, modern_with_logs, run, until};

/// Most children that one server's modern clients have.
const CHILDREN_MAX: usize = 8;

/// A call that has logged and goes on; the pid of its child.
async fn logging(running: &Running, who: usize) -> (Client, Value) {
    let mut client = running.client().await;
    let call = modern_with_logs("1", "log-and-hang", &format!(r#""who":{who}"#));
    client.open("POST", &call).await;
    let log = client.event().await.unwrap();
    assert_eq!(log["method"], "notifications/message");
    assert_eq!(log["params"]["data"]["who"], who);
    (client, log["params"]["data"]["pid"].clone())
}

#[tokio::test]
async fn calls_at_the_same_time_get_their_own_log_messages() {
    let running = run(|_| {}).await;
    let mut calls = Vec::new();
    for who in 0..CHILDREN_MAX {
        let call = logging(&running, who).await;
        assert!(
            !calls.iter().any(|(_, pid)| *pid == call.1),
            "each has a child to itself"
        );
        calls.push(call);
    }
    assert_eq!(running.supervisor.status().dropped, 0);
    // There is no place for one more: it shares the first child, and nobody hears its messages.
    let mut client = running.client().await;
    let tell = modern_with_logs("1", "tell", r#""method":"notifications/message""#);
    assert_eq!(client.post(&tell).await.json()["id"], 1);
    let status = running.supervisor.status();
    assert_eq!((status.dropped, status.children), (1, CHILDREN_MAX));
    drop(calls);
    running.end().await;
}

#[tokio::test]
async fn a_call_that_wants_no_log_messages_stays_with_the_first_child() {
    let running = run(|_| {}).await;
    let (_first, pid) = logging(&running, 1).await;
    let (_second, other) = logging(&running, 2).await;
    assert_ne!(pid, other);
    let mut listener = running.client().await;
    let listen = modern_with_logs("7", "subscriptions/listen", r#""notifications":{}"#);
    listener.open("POST", &listen).await;
    listener.event().await.unwrap();
    let mut client = running.client().await;
    let echo = client.post(&modern("1", "echo", "")).await.json();
    assert_eq!(echo["result"]["pid"], pid);
    client.post(&modern("1", "change", "")).await;
    let change = listener.event().await.unwrap();
    assert_eq!(change["method"], "notifications/tools/list_changed");
    drop(listener);
    running.end().await;
}

#[tokio::test]
async fn log_messages_take_no_more_processes_than_there_may_be() {
    let running = run(|spec| spec.processes_max = 1).await;
    let (_first, _) = logging(&running, 1).await;
    let mut client = running.client().await;
    let tell = modern_with_logs("1", "tell", r#""method":"notifications/message""#);
    assert_eq!(client.post(&tell).await.json()["id"], 1);
    let status = running.supervisor.status();
    assert_eq!((status.dropped, status.children), (1, 1));
    running.end().await;
}

#[tokio::test]
async fn a_child_that_was_started_for_log_messages_ends_when_it_is_idle() {
    let running = run(|spec| spec.session_idle = Duration::from_millis(100)).await;
    let first = logging(&running, 1).await;
    let second = logging(&running, 2).await;
    drop(second);
    until("the first child is left", || {
        running.supervisor.status().children == 1
    })
    .await;
    drop(first);
    running.end().await;
}
