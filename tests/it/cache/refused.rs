//! What a server refuses reaches its callers as it would without a cache, and is asked for once.

use futures_util::future::join_all;
use serde_json::json;
use tokio::sync::Notify;

use super::ask::{Ask, call};
use super::site::{Place, Say, Speech};
use super::{Bed, control};
use crate::support::upstream::{Step, answer};
use crate::support::wire::{Connection, Request};
use crate::support::{until, within};
use std::sync::Arc;

const N_CALLERS: usize = 50;

/// A server that refuses calls with these bytes, once the test lets it; its first.
fn refusing(speech: Speech, status: &'static str, headers: &'static [(&str, &str)]) -> Place {
    let place = Place::new("s").speaks(speech);
    let place = place.cache(json!({ "default_ttl": 3600 }));
    let place = place.config("forward_authorization", json!(true));
    place.says(move |asked| match asked.method {
        "tools/call" => Say::Steps(answer(status, headers, b"no")),
        _ => Say::Usual,
    })
}

const PAGE: &[(&str, &str)] = &[
    ("content-type", "text/plain"),
    ("www-authenticate", "Bearer scope=x"),
    ("retry-after", "7"),
];

#[tokio::test]
async fn a_page_reaches_clients_of_both_eras_as_it_is() {
    for speech in [Speech::ModernJson, Speech::LegacyJson] {
        for status in [
            "401 Unauthorized",
            "403 Forbidden",
            "429 Too Many",
            "503 Down",
        ] {
            let bed = Bed::plain(vec![refusing(speech, status, PAGE)]).await;
            for tool in ["read", "destroy"] {
                for ask in [call(tool, "{}"), call(tool, "{}").legacy()] {
                    let refused = bed.ask("s", &ask.by("alice")).await;
                    assert_eq!(
                        (refused.status.to_string(), refused.text()),
                        (status[..3].to_owned(), "no".to_owned()),
                        "{speech:?} {tool}"
                    );
                    for (name, value) in PAGE {
                        assert_eq!(refused.headers.get(name), Some(*value), "{speech:?} {tool}");
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn a_challenge_with_an_error_reaches_its_caller() {
    let place = refusing(Speech::ModernJson, "", PAGE).says(|asked| match asked.method {
        "tools/call" => {
            let error = json!({ "jsonrpc": "2.0", "id": asked.message["id"],
                "error": { "code": -32001, "message": "who?" } });
            let mut headers = PAGE.to_vec();
            headers[0].1 = "application/json";
            let text = error.to_string();
            Say::Steps(answer("401 Unauthorized", &headers, text.as_bytes()))
        }
        _ => Say::Usual,
    });
    let bed = Bed::plain(vec![place]).await;
    let refused = bed.ask("s", &call("read", "{}").id("7").by("alice")).await;
    assert_eq!(refused.status, 401, "{refused:?}");
    let challenge = refused.headers.get("www-authenticate");
    assert_eq!(challenge, Some("Bearer scope=x"));
    assert_eq!(refused.json()["id"], 7);
    assert_eq!(refused.json()["error"]["code"], -32001);
}

async fn send(bed: &Bed, asks: impl Iterator<Item = Ask>) -> Vec<Connection> {
    let sent = asks.map(|ask| async move {
        let mut connection = Connection::open(bed.gateway.address).await.unwrap();
        connection.send(&ask.request("/mcp/s")).await.unwrap();
        connection
    });
    within("all calls to be sent", join_all(sent)).await
}

async fn joined(bed: &Bed, wanted: usize) {
    until("all callers to wait", || async {
        let shown = control(&bed.gateway, Request::get("/conduit/dedup/inflight")).await;
        let flights = shown["inflight"].as_array().unwrap();
        let waiting = flights.iter().map(|one| one["coalesced"].as_u64().unwrap());
        (waiting.sum::<u64>() == wanted as u64).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_reaches_all_who_wait_and_is_asked_for_once() {
    let open = Arc::new(Notify::new());
    let gate = Arc::clone(&open);
    let place = refusing(Speech::ModernJson, "", PAGE).says(move |asked| match asked.method {
        "tools/call" => {
            let mut steps = vec![Step::Await(Arc::clone(&gate))];
            steps.extend(answer("401 Unauthorized", PAGE, b"no"));
            Say::Steps(steps)
        }
        _ => Say::Usual,
    });
    let bed = Bed::plain(vec![place]).await;
    let ask = |n: usize| call("read", "{}").by("alice").id(&n.to_string());
    let mut callers = send(&bed, (0..N_CALLERS).map(ask)).await;
    joined(&bed, N_CALLERS - 1).await;
    open.notify_one();
    let answers = callers.iter_mut().map(Connection::receive);
    for refused in within("all answers", join_all(answers)).await {
        let refused = refused.unwrap();
        assert_eq!((refused.status, refused.text()), (401, "no".to_owned()));
    }
    assert_eq!(bed.site.count("s", "tools/call", "read"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waited_for_a_call_that_failed_its_first_caller_alone_waits_for_one_more() {
    // The first call is refused as no server of its era would.
    let open = Arc::new(Notify::new());
    let gate = Arc::clone(&open);
    let place =
        refusing(Speech::ModernJson, "", PAGE).says(move |asked| match (asked.method, asked.n) {
            ("tools/call", 1) => {
                let error = json!({ "jsonrpc": "2.0", "id": asked.message["id"],
                    "error": { "code": -32020, "message": "a header is wrong" } });
                let mut steps = vec![Step::Await(Arc::clone(&gate))];
                let json = [("content-type", "application/json")];
                let text = error.to_string();
                steps.extend(answer("400 Bad Request", &json, text.as_bytes()));
                Say::Steps(steps)
            }
            _ => Say::Usual,
        });
    let bed = Bed::plain(vec![place]).await;
    let ask = |n: usize| call("read", "{}").by("alice").id(&n.to_string());
    let mut callers = send(&bed, (0..N_CALLERS).map(ask)).await;
    joined(&bed, N_CALLERS - 1).await;
    open.notify_one();
    let answers = callers.iter_mut().map(Connection::receive);
    for answer in within("all answers", join_all(answers)).await {
        assert_eq!(answer.unwrap().status, 200);
    }
    // One for all, one for the first alone, and one for all others.
    assert_eq!(bed.site.count("s", "tools/call", "read"), 3);
}

#[tokio::test]
async fn an_old_result_that_is_being_refreshed_is_waited_for_by_nobody() {
    let open = Arc::new(Notify::new());
    let gate = Arc::clone(&open);
    let place = Place::new("s").says(move |asked| match (asked.method, asked.n) {
        ("tools/list", 2) => Say::Steps(vec![Step::Await(Arc::clone(&gate))]),
        _ => Say::With(json!({ "ttlMs": 1 })),
    });
    let bed = Bed::plain(vec![place]).await;
    let list = Ask::new("tools/list");
    bed.ask("s", &list).await;
    bed.reach("s", "stale").await;
    for _ in 0..5 {
        bed.ask("s", &list).await;
    }
    let shown = control(&bed.gateway, Request::get("/conduit/dedup/inflight")).await;
    assert_eq!(shown["inflight"][0]["coalesced"], 0, "{shown}");
    open.notify_one();
}
