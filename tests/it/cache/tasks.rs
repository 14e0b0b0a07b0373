//! Calls that a task answers: what they make stale goes once more when the task is over.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::ask::{Ask, Era, call};
use super::site::{Asked, Place, Say, Speech};
use super::{Bed, number, told};
use crate::support::until;
use crate::support::upstream::{Step, chunk, event, sse_head};
use crate::support::within;

const EXTENSION: &str = r#"{"extensions":{"io.modelcontextprotocol/tasks":{}}}"#;

/// Where a client and its server meet.
const WAYS: [(Speech, Era, &str); 5] = [
    (Speech::ModernJson, Era::Modern, "/mcp/s"),
    (Speech::ModernSse, Era::Modern, "/mcp/s"),
    (Speech::LegacyJson, Era::Legacy, "/mcp/s"),
    (Speech::LegacySse, Era::Legacy, "/mcp/s"),
    (Speech::ModernJson, Era::Modern, "/mcp"),
];

/// What a server says of the task `t`.
fn task(era: Era, status: &str, ttl_ms: u64) -> Value {
    let mut task = json!({ "taskId": "t", "status": status, "createdAt": "2026-07-28T00:00:00Z",
        "lastUpdatedAt": "2026-07-28T00:00:00Z" });
    match era {
        Era::Modern => task["ttlMs"] = json!(ttl_ms),
        Era::Legacy => task["ttl"] = json!(ttl_ms),
    }
    task
}

/// A server whose `destroy` becomes a task, which is over when it is asked for the second time.
fn tasker(speech: Speech, era: Era, ttl_ms: u64) -> Place {
    let place = Place::new("s").speaks(speech);
    let place = place.cache(json!({ "default_ttl": 3600 }));
    place.says(move |asked| say(asked, era, ttl_ms))
}

fn say(asked: &Asked<'_>, era: Era, ttl_ms: u64) -> Say {
    match (asked.method, asked.target()) {
        ("tools/call", "destroy") => {
            let mut begun = task(era, "working", ttl_ms);
            Say::Result(match era {
                Era::Modern => {
                    begun["resultType"] = json!("task");
                    begun
                }
                Era::Legacy => json!({ "task": begun }),
            })
        }
        ("tasks/get", _) => {
            let status = ["working", "completed"][usize::from(asked.n > 1)];
            let mut shown = task(era, status, ttl_ms);
            shown["resultType"] = json!("complete");
            Say::Result(shown)
        }
        ("tasks/result", _) => Say::Result(json!({ "content": [] })),
        _ => Say::Usual,
    }
}

fn in_era(ask: Ask, era: Era) -> Ask {
    match era {
        Era::Modern => ask.able(EXTENSION),
        Era::Legacy => ask.legacy(),
    }
}

/// A question about the task.
fn about(method: &'static str, id: &str, era: Era) -> Ask {
    let ask = Ask::new(method).with(&format!(r#""taskId":"{id}""#));
    in_era(ask.header("mcp-name", id), era)
}

/// What is given of a tool that only reads.
async fn read(bed: &Bed, era: Era) -> String {
    bed.tells("s", &in_era(call("read", "{}"), era)).await
}

/// Has the task begin, and something read while it goes on.
async fn begin(bed: &Bed, era: Era, path: &str) -> String {
    assert_eq!(read(bed, era).await, "MISS #1");
    let tool = if path == "/mcp" {
        "s.destroy"
    } else {
        "destroy"
    };
    let begun = bed.ask_at(path, &in_era(call(tool, "{}"), era)).await;
    let result = &begun.last_json()["result"];
    let id = [&result["taskId"], &result["task"]["taskId"]];
    let id = id.into_iter().find_map(Value::as_str);
    assert_eq!(read(bed, era).await, "MISS #2");
    assert_eq!(read(bed, era).await, "HIT #2");
    id.unwrap_or_else(|| panic!("no task: {begun:?}"))
        .to_owned()
}

#[tokio::test]
async fn what_is_read_while_a_task_goes_on_is_not_kept_when_it_is_seen_to_be_over() {
    for (speech, era, path) in WAYS {
        let bed = Bed::plain(vec![tasker(speech, era, 3_600_000)]).await;
        let id = begin(&bed, era, path).await;
        let ask = about("tasks/get", &id, era);
        for (status, wanted) in [("working", "HIT #2"), ("completed", "MISS #3")] {
            let seen = bed.ask_at(path, &ask).await.last_json();
            assert_eq!(seen["result"]["status"], status, "{speech:?}: {seen}");
            assert_eq!(read(&bed, era).await, wanted, "{speech:?} {path}");
        }
        // It is over once.
        bed.ask_at(path, &ask).await;
        assert_eq!(read(&bed, era).await, "HIT #3", "{speech:?} {path}");
    }
}

#[tokio::test]
async fn what_is_read_while_a_task_goes_on_is_not_kept_when_its_result_is_given() {
    for speech in [Speech::LegacyJson, Speech::LegacySse] {
        let bed = Bed::plain(vec![tasker(speech, Era::Legacy, 3_600_000)]).await;
        let id = begin(&bed, Era::Legacy, "/mcp/s").await;
        let given = bed.ask("s", &about("tasks/result", &id, Era::Legacy)).await;
        assert_eq!(given.status, 200, "{given:?}");
        assert_eq!(read(&bed, Era::Legacy).await, "MISS #3");
    }
}

#[tokio::test]
async fn what_is_read_while_a_task_goes_on_is_not_kept_when_nobody_asks_for_it() {
    for (speech, era, path) in WAYS {
        let place = tasker(speech, era, 1);
        let bed = Bed::plain(vec![place]).await;
        let read = in_era(call("read", "{}"), era);
        assert_eq!(bed.tells("s", &read).await, "MISS #1");
        let tool = if path == "/mcp" {
            "s.destroy"
        } else {
            "destroy"
        };
        bed.ask_at(path, &in_era(call(tool, "{}"), era)).await;
        until("the task to be over", || async {
            let answer = bed.ask("s", &read).await;
            (number(&answer.text()) > Some(2)).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_legacy_clients_call_that_a_modern_server_makes_a_task_is_over_with_it() {
    let bed = Bed::plain(vec![tasker(Speech::ModernJson, Era::Modern, 3_600_000)]).await;
    let read = || async { bed.tells("s", &call("read", "{}")).await };
    assert_eq!(read().await, "MISS #1");
    // It has no word for tasks.
    let refused = bed.ask("s", &call("destroy", "{}").legacy()).await;
    assert!(told(&refused).contains("error"), "{refused:?}");
    assert_eq!(read().await, "MISS #2");
    for wanted in ["HIT #2", "MISS #3"] {
        bed.ask("s", &about("tasks/get", "t", Era::Modern)).await;
        assert_eq!(read().await, wanted);
    }
}

#[tokio::test]
async fn what_is_read_while_a_task_goes_on_is_not_kept_when_its_server_tells_of_its_end() {
    let (news, source) = mpsc::unbounded_channel();
    let source = Arc::new(tokio::sync::Mutex::new(source));
    let place = tasker(Speech::ModernJson, Era::Modern, 3_600_000).says(move |asked| {
        if asked.method != "subscriptions/listen" {
            return say(asked, Era::Modern, 3_600_000);
        }
        let acknowledged = json!({ "jsonrpc": "2.0",
            "method": "notifications/subscriptions/acknowledged",
            "params": { "notifications": asked.params()["notifications"],
                "_meta": { "io.modelcontextprotocol/subscriptionId": asked.message["id"] } } });
        // The gateway listens, too, to something else.
        let rest = match asked.params()["notifications"]["taskIds"].is_array() {
            true => Step::Forward(Arc::clone(&source)),
            false => Step::AwaitDeparture,
        };
        Say::Steps(vec![sse_head(), event(&acknowledged), rest])
    });
    let bed = Bed::plain(vec![place]).await;
    begin(&bed, Era::Modern, "/mcp/s").await;
    let listen = Ask::new("subscriptions/listen").with(r#""notifications":{"taskIds":["t"]}"#);
    let listen = listen.able(EXTENSION).request("/mcp/s");
    let mut stream = crate::support::wire::stream(bed.gateway.address, &listen).await;
    for (status, wanted) in [
        (None, "HIT #2"),
        (Some("working"), "HIT #2"),
        (Some("failed"), "MISS #3"),
    ] {
        if let Some(status) = status {
            let message = json!({ "jsonrpc": "2.0", "method": "notifications/tasks",
                "params": task(Era::Modern, status, 3_600_000) });
            let text = format!("event: message\ndata: {message}\n\n");
            news.send(chunk(text.as_bytes())).unwrap();
        }
        within("the server's word", stream.event()).await.unwrap();
        assert_eq!(read(&bed, Era::Modern).await, wanted, "{status:?}");
    }
}
