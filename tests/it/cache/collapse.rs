//! Many callers that want the same, and one call.

use std::env;
use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::json;

use super::ask::{Ask, call};
use super::site::{Gate, Place, Say};
use super::{Bed, Tier, admin, control, forget, told};
use crate::support::wire::{self, Connection, Request};
use crate::support::{until, within};

/// How many call at once.
const N_CALLERS: usize = 1_000;
/// How often lists are asked for, where the environment does not say.
const N_LISTS: usize = 2_000;
const N_LISTS_VARIABLE: &str = "CONDUIT_CACHE_LISTS";
/// Connections that ask for lists.
const N_CONNECTIONS: usize = 32;

/// A server whose calls of these tools wait at the gate.
fn held(gate: &Gate) -> Place {
    let gate = gate.clone();
    let place = Place::new("s").cache(json!({ "default_ttl": 3600 }));
    place.says(move |asked| match (asked.method, asked.target()) {
        ("tools/call", "read") => Say::Held(gate.clone()),
        _ => Say::Usual,
    })
}

/// Opens a connection for each caller, and sends the call on it.
async fn send(bed: &Bed, asks: impl Iterator<Item = Ask>) -> Vec<Connection> {
    let sent = asks.map(|ask| async move {
        let mut connection = Connection::open(bed.gateway.address).await.unwrap();
        connection.send(&ask.request("/mcp/s")).await.unwrap();
        connection
    });
    within("all calls to be sent", join_all(sent)).await
}

/// Waits until so many wait for the one call besides the first.
async fn joined(bed: &Bed, wanted: usize) {
    until("all callers to wait", || async {
        let shown = inflight(bed).await;
        let flights = shown["inflight"].as_array().unwrap();
        let waiting = flights.iter().map(|one| one["coalesced"].as_u64().unwrap());
        (waiting.sum::<u64>() == wanted as u64).then_some(())
    })
    .await;
}

async fn inflight(bed: &Bed) -> serde_json::Value {
    control(&bed.gateway, Request::get("/conduit/dedup/inflight")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_identical_calls_are_one_and_get_equal_answers_though_the_first_leaves() {
    for tier in [Tier::Memory, Tier::Redis] {
        let gate = Gate::default();
        let bed = Bed::start(tier, json!({}), vec![held(&gate)]).await;
        let ask = |n: usize| call("read", "{}").id(&n.to_string());
        let leader = send(&bed, std::iter::once(ask(0))).await;
        gate.reached().await;
        let mut others = send(&bed, (1..N_CALLERS).map(ask)).await;
        joined(&bed, N_CALLERS - 1).await;
        drop(leader);
        gate.open();
        let answers = others.iter_mut().map(Connection::receive);
        let answers = within("all answers", join_all(answers)).await;
        for (at, answer) in answers.into_iter().enumerate() {
            let answer = answer.unwrap();
            let status = answer.headers.get("x-conduit-cache-status");
            assert_eq!(status, Some("MISS"), "{tier:?}: {answer:?}");
            let wanted = format!(
                r##"{{"jsonrpc":"2.0","id":{},"result":{{"content":[{{"type":"text","text":"#1."}}],"resultType":"complete"}}}}"##,
                at + 1
            );
            assert_eq!(answer.text(), wanted);
        }
        assert_eq!(bed.site.count("s", "tools/call", "read"), 1, "{tier:?}");
        assert_eq!(bed.tells("s", &ask(0)).await, "HIT #1");
        assert_eq!(inflight(&bed).await["count"], 0);
        assert_eq!(
            admin(&bed.gateway, "stats").await["coalesced"],
            N_CALLERS - 1
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_with_other_credentials_do_not_wait_for_each_other() {
    let gates = [Gate::default(), Gate::default()];
    let of = gates.clone();
    let place = Place::new("s").cache(json!({ "default_ttl": 3600 }));
    let place = place.config("forward_authorization", json!(true));
    let place = place.says(move |asked| match asked.method {
        "tools/call" => {
            let who = asked.request.headers.get("authorization");
            Say::Held(of[usize::from(who == Some("Bearer bob"))].clone())
        }
        _ => Say::Usual,
    });
    let bed = Bed::plain(vec![place]).await;
    let who = |n: usize| ["alice", "bob"][n % 2];
    let asks = (0..100).map(|n| call("read", "{}").id(&n.to_string()).by(who(n)));
    let mut callers = send(&bed, asks).await;
    joined(&bed, 98).await;
    for gate in &gates {
        gate.open();
    }
    let answers = callers.iter_mut().map(Connection::receive);
    let answers = within("all answers", join_all(answers)).await;
    let told: Vec<String> = answers.into_iter().map(|one| told(&one.unwrap())).collect();
    for n in 2..told.len() {
        assert_eq!(told[n], told[n % 2], "{n}");
    }
    assert_ne!(told[0], told[1]);
    assert_eq!(bed.site.count("s", "tools/call", "read"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_never_cached_is_sent_each_time() {
    let place = Place::new("s").cache(json!({ "default_ttl": 3600 }));
    let bed = Bed::plain(vec![place]).await;
    let bed = &bed;
    for tool in ["destroy", "plain"] {
        let lanes = (0..N_CONNECTIONS).map(|lane| async move {
            let mut connection = Connection::open(bed.gateway.address).await.unwrap();
            let request = call(tool, "{}").request("/mcp/s");
            for _ in (lane..N_CALLERS).step_by(N_CONNECTIONS) {
                let answer = connection.ask(&request).await.unwrap();
                assert!(told(&answer).starts_with("SKIP #"), "{answer:?}");
            }
        });
        within("all calls", join_all(lanes)).await;
        assert_eq!(bed.site.count("s", "tools/call", tool), N_CALLERS);
    }
}

#[tokio::test]
async fn a_failure_reaches_all_who_wait_and_is_not_kept() {
    let gate = Arc::new(tokio::sync::Notify::new());
    let open = Arc::clone(&gate);
    let place = Place::new("s").cache(json!({ "default_ttl": 3600 }));
    let place = place.says(move |asked| match (asked.method, asked.n) {
        ("tools/call", 1) => Say::Steps(vec![
            crate::support::upstream::Step::Await(Arc::clone(&open)),
            crate::support::upstream::Step::Reset,
        ]),
        _ => Say::Usual,
    });
    let bed = Bed::plain(vec![place]).await;
    let asks = (0..50).map(|n| call("read", "{}").id(&n.to_string()));
    let mut callers = send(&bed, asks).await;
    joined(&bed, 49).await;
    gate.notify_one();
    let answers = callers.iter_mut().map(Connection::receive);
    for (at, answer) in within("all answers", join_all(answers))
        .await
        .into_iter()
        .enumerate()
    {
        let answer = answer.unwrap().json();
        assert_eq!(answer["error"]["code"], -31502, "{answer}");
        assert_eq!(answer["id"], at);
    }
    assert_eq!(bed.site.count("s", "tools/call", "read"), 1);
    assert_eq!(bed.tells("s", &call("read", "{}")).await, "MISS #2");
}

#[tokio::test]
async fn what_is_being_fetched_is_shown_until_it_came() {
    let gate = Gate::default();
    let bed = Bed::plain(vec![held(&gate)]).await;
    assert_eq!(inflight(&bed).await, json!({ "count": 0, "inflight": [] }));
    let mut callers = send(&bed, (0..3).map(|n| call("read", "{}").id(&n.to_string()))).await;
    joined(&bed, 2).await;
    let shown = inflight(&bed).await;
    assert_eq!(shown["count"], 1);
    let one = &shown["inflight"][0];
    assert_eq!(one["server"], "s");
    assert_eq!(
        (&one["method"], &one["target"]),
        (&json!("tools/call"), &json!("read"))
    );
    assert_eq!(one["coalesced"], 2);
    assert_eq!(one["key"].as_str().map(str::len), Some(64));
    assert!(one["startedAt"].as_u64() > Some(1_600_000_000_000), "{one}");
    gate.open();
    for caller in &mut callers {
        assert_eq!(told(&caller.receive().await.unwrap()), "MISS #1");
    }
    assert_eq!(inflight(&bed).await["count"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_asked_for_once_each_time_it_is_over() {
    let n_lists = match env::var(N_LISTS_VARIABLE) {
        Ok(text) => text.parse().unwrap(),
        Err(_) => N_LISTS,
    };
    let place = |id: &str| {
        Place::new(id).says(|_| Say::With(json!({ "ttlMs": 3_600_000, "cacheScope": "public" })))
    };
    let bed = Bed::plain(vec![place("s"), place("t")]).await;
    // At one server until its time is over, which the administrator says here.
    for n in 1..=3 {
        ask_for_lists(&bed, "/mcp/s", n_lists).await;
        assert_eq!(bed.site.count("s", "tools/list", ""), n);
        forget(&bed.gateway, "/server/s").await;
    }
    // At all of them the merged list stands for as long as the servers promise.
    let before = bed.site.count("s", "tools/list", "");
    ask_for_lists(&bed, "/mcp", n_lists).await;
    assert!(bed.site.count("s", "tools/list", "") <= before + 1);
    assert_eq!(bed.site.count("t", "tools/list", ""), 1);
}

async fn ask_for_lists(bed: &Bed, path: &str, n_lists: usize) {
    let lanes = (0..N_CONNECTIONS).map(|lane| async move {
        let mut connection = Connection::open(bed.gateway.address).await.unwrap();
        let request = Ask::new("tools/list").request(path);
        let mut first: Option<wire::Answer> = None;
        for _ in (lane..n_lists).step_by(N_CONNECTIONS) {
            let answer = connection.ask(&request).await.unwrap();
            let tools = |answer: &wire::Answer| answer.json()["result"]["tools"].clone();
            match &first {
                Some(first) => assert_eq!(tools(&answer), tools(first)),
                None => first = Some(answer),
            }
        }
    });
    within("all lists", join_all(lanes)).await;
}
