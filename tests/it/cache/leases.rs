//! Gateways that take turns through Redis: one fetches what all want.

use futures_util::future::join_all;
use serde_json::json;

use super::ask::{Ask, call};
use super::site::{Gate, Place, Say, Site};
use super::{admin, config, control, is_shared, probe, told};
use crate::support::gateway::Gateway;
use crate::support::redis::Redis;
use crate::support::wire::{Connection, Request};
use crate::support::{until, within};

/// How many call at each gateway.
const N_CALLERS: usize = 50;

/// A server whose first reading waits at the gate.
fn held(gate: &Gate) -> Place {
    let gate = gate.clone();
    let place = Place::new("s").cache(json!({ "default_ttl": 3600 }));
    place.says(move |asked| match asked.target() {
        "read" if asked.n == 1 => Say::Held(gate.clone()),
        _ => Say::Usual,
    })
}

/// Two gateways on one Redis that wait so long for each other.
async fn pair(site: &Site, redis: &Redis, lease_ms: u32) -> [Gateway; 2] {
    let config = config(site, json!({ "l2": { "lease_ms": lease_ms } }), Some(redis));
    let gateways = tokio::join!(Gateway::with(config.clone()), Gateway::with(config));
    let gateways = <[Gateway; 2]>::from(gateways);
    for gateway in &gateways {
        is_shared(gateway).await;
    }
    gateways
}

async fn send(gateway: &Gateway, asks: impl Iterator<Item = Ask>) -> Vec<Connection> {
    let sent = asks.map(|ask| async move {
        let mut connection = Connection::open(gateway.address).await.unwrap();
        connection.send(&ask.request("/mcp/s")).await.unwrap();
        connection
    });
    within("all calls to be sent", join_all(sent)).await
}

/// Waits until so many wait besides the first.
async fn joined(gateway: &Gateway, wanted: usize) {
    until("all callers to wait", || async {
        let shown = control(gateway, Request::get("/conduit/dedup/inflight")).await;
        let flights = shown["inflight"].as_array().unwrap();
        let waiting = flights.iter().map(|one| one["coalesced"].as_u64().unwrap());
        (waiting.sum::<u64>() == wanted as u64).then_some(())
    })
    .await;
}

/// What becomes of all calls that were sent.
async fn tell(callers: &mut [Connection]) -> Vec<String> {
    let answers = callers.iter_mut().map(Connection::receive);
    let answers = within("all answers", join_all(answers)).await;
    answers.into_iter().map(|one| told(&one.unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn identical_calls_at_two_gateways_are_one_call_to_the_server() {
    let gate = Gate::default();
    let site = Site::start(vec![held(&gate), probe()]).await;
    let redis = Redis::started().await;
    // Long past the deadline of the test: whoever fetches for itself does not do so for want of patience.
    let gateways = pair(&site, &redis, 60_000).await;
    let mut callers = Vec::new();
    for gateway in &gateways {
        let asks = (0..N_CALLERS).map(|n| call("read", "{}").id(&n.to_string()));
        callers.push(send(gateway, asks).await);
    }
    gate.reached().await;
    for gateway in &gateways {
        joined(gateway, N_CALLERS - 1).await;
    }
    gate.open();
    let [first, second] = callers.as_mut_slice() else {
        panic!("two gateways")
    };
    let mut all = [tell(first).await, tell(second).await];
    // The one that fetched says so, and the other found it in Redis.
    all.sort();
    assert!(all[0].iter().all(|told| told == "HIT #1"), "{all:?}");
    assert!(all[1].iter().all(|told| told == "MISS #1"), "{all:?}");
    assert_eq!(site.count("s", "tools/call", "read"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_dies_while_it_fetches_keeps_the_other_waiting_for_the_lease_and_no_longer()
{
    let gate = Gate::default();
    let site = Site::start(vec![held(&gate), probe()]).await;
    let redis = Redis::started().await;
    let [first, second] = pair(&site, &redis, 2_000).await;
    let ask = call("read", "{}");
    let abandoned = send(&first, std::iter::once(ask.clone())).await;
    gate.reached().await;
    let asks = (0..N_CALLERS).map(|n| call("read", "{}").id(&n.to_string()));
    let mut callers = send(&second, asks).await;
    joined(&second, N_CALLERS - 1).await;
    // It is killed, and gives nothing back.
    drop(first);
    drop(abandoned);
    let told = tell(&mut callers).await;
    assert!(told.iter().all(|told| told == "MISS #2"), "{told:?}");
    assert_eq!(site.count("s", "tools/call", "read"), 2);
    assert_eq!(admin(&second, "stats").await["l2"]["connected"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_that_is_given_up_is_the_other_gateways_turn_at_once() {
    let gate = Gate::default();
    let site = Site::start(vec![held(&gate), probe()]).await;
    let redis = Redis::started().await;
    // Longer than the test waits for anything.
    let [first, second] = pair(&site, &redis, 60_000).await;
    let ask = call("read", "{}");
    let leaver = send(&first, std::iter::once(ask.clone())).await;
    gate.reached().await;
    let mut callers = send(&second, [ask.clone(), ask].into_iter()).await;
    joined(&second, 1).await;
    // Nobody waits for it any more.
    drop(leaver);
    assert_eq!(tell(&mut callers).await, ["MISS #2", "MISS #2"]);
}
