//! What operators see and do: the admin API, metrics, and how much is held.

use serde_json::{Value, json};

use super::ask::{Ask, call, read};
use super::site::{Gate, Place, Say};
use super::{Bed, TIERS, Tier, admin, control, forget, told};
use crate::support::until;
use crate::support::wire::{self, Connection, Request};

fn place(id: &str) -> Place {
    let place = Place::new(id).cache(json!({ "default_ttl": 3600,
        "overrides": { "read_more": { "tags": ["more"] } } }));
    place.says(|asked| match asked.method {
        "tools/call" => Say::Usual,
        _ => Say::With(json!({ "ttlMs": 3_600_000, "cacheScope": "public" })),
    })
}

#[tokio::test]
async fn an_administrator_drops_what_is_named_and_nothing_else() {
    for tier in TIERS {
        let bed = Bed::start(tier, json!({}), vec![place("s"), place("t")]).await;
        let all = [
            ("s", call("read", "{}")),
            ("s", call("read", r#"{"a":1}"#)),
            ("s", call("read_more", "{}")),
            ("s", read("r:1")),
            ("s", Ask::new("prompts/list")),
            ("t", call("read_more", "{}")),
        ];
        let hits = async || {
            let mut hits = String::new();
            for (server, ask) in &all {
                let told = bed.tells(server, ask).await;
                hits.push(if told.starts_with("HIT") { 'h' } else { 'm' });
            }
            hits
        };
        assert_eq!(hits().await, "mmmmmm");
        assert_eq!(hits().await, "hhhhhh");
        let shown = admin(&bed.gateway, "entries?server=s&tool=read_more").await;
        let key = shown["entries"][0]["key"].as_str().unwrap();
        for (path, deleted, wanted) in [
            ("/server/s/tool/read".to_owned(), json!(2), "mmhhhh"),
            ("/tag/more".to_owned(), json!(2), "hhmhhm"),
            ("/tag/nobodys".to_owned(), json!(0), "hhhhhh"),
            (format!("/key/{key}"), Value::Null, "hhmhhh"),
            ("/server/t".to_owned(), json!(1), "hhhhhm"),
            ("/server/s".to_owned(), json!(5), "mmmmmh"),
            ("/server/nobodys".to_owned(), json!(0), "hhhhhh"),
        ] {
            let answer = forget(&bed.gateway, &path).await;
            assert_eq!(
                answer["deleted_count"], deleted,
                "{tier:?} {path}: {answer}"
            );
            assert_eq!(hits().await, wanted, "{tier:?} {path}");
            assert_eq!(hits().await, "hhhhhh", "{tier:?} {path}");
        }
        forget(&bed.gateway, "").await;
        assert_eq!(hits().await, "mmmmmm", "{tier:?}");
    }
}

#[tokio::test]
async fn the_answers_of_the_admin_api_have_their_documented_shapes() {
    let bed = Bed::start(Tier::Redis, json!({}), vec![place("s")]).await;
    let gateway = &bed.gateway;
    assert_eq!(bed.tells("s", &call("read", "{}")).await, "MISS #1");
    let shown = admin(gateway, "entries?server=s").await;
    assert_eq!((&shown["count"], &shown["next"]), (&json!(1), &Value::Null));
    let entry = &shown["entries"][0];
    assert_eq!(entry["server"], "s");
    assert_eq!(
        (&entry["method"], &entry["target"]),
        (&json!("tools/call"), &json!("read"))
    );
    assert_eq!(
        (&entry["state"], &entry["share"]),
        (&json!("fresh"), &json!("private"))
    );
    assert!(!shown.to_string().contains('#'), "no results: {shown}");
    let key = entry["key"].as_str().unwrap();
    let dropped = forget(gateway, &format!("/key/{key}")).await;
    assert_eq!(dropped, json!({ "deleted": true, "key": key }));
    let dropped = forget(gateway, &format!("/key/{key}")).await;
    assert_eq!(dropped, json!({ "deleted": false, "key": key }));
    let dropped = forget(gateway, "/server/s").await;
    assert_eq!(dropped, json!({ "server_id": "s", "deleted_count": 0 }));
    let flushed = forget(gateway, "/l2/flush").await;
    assert_eq!(flushed["flushed"], true, "{flushed}");
    assert!(flushed["deleted_count"].is_u64() && flushed["flushed_at"].is_string());
    for name in ["hits", "misses", "writes", "writes_coalesced", "errors"] {
        let stats = admin(gateway, "stats").await;
        assert!(stats["l2"][name].is_u64(), "{name}: {stats}");
    }
    let plain = Bed::plain(vec![place("s")]).await;
    let flushed = forget(&plain.gateway, "/l2/flush").await;
    assert_eq!(
        flushed,
        json!({ "flushed": false, "reason": "L2 cache not configured" })
    );
}

#[tokio::test]
async fn the_admin_api_refuses_what_it_cannot_read_and_changes_without_its_header() {
    let bed = Bed::plain(vec![place("s")]).await;
    assert_eq!(bed.tells("s", &call("read", "{}")).await, "MISS #1");
    for (request, status) in [
        (
            Request::delete("/conduit/cache/key/short").header("x-conduit-admin", "1"),
            400,
        ),
        (Request::get("/conduit/cache/entries?after=short"), 400),
        (Request::delete("/conduit/cache"), 403),
        (Request::delete("/conduit/cache/server/s"), 403),
    ] {
        assert_eq!(
            wire::ask(bed.gateway.address, &request).await.status,
            status
        );
    }
    assert_eq!(bed.tells("s", &call("read", "{}")).await, "HIT #1");
}

#[tokio::test]
async fn all_entries_are_shown_page_by_page_and_each_once() {
    let bed = Bed::plain(vec![place("s")]).await;
    for n in 0..25 {
        bed.ask("s", &call("read", &format!(r#"{{"n":{n}}}"#)))
            .await;
    }
    let mut keys = Vec::new();
    let mut after = String::new();
    loop {
        let page = admin(&bed.gateway, &format!("entries?server=s&limit=10{after}")).await;
        let entries = page["entries"].as_array().unwrap();
        keys.extend(
            entries
                .iter()
                .map(|one| one["key"].as_str().unwrap().to_owned()),
        );
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(keys.len(), 25);
    keys.dedup();
    assert_eq!(keys.len(), 25);
    assert!(keys.is_sorted());
}

// === metrics ===

/// The sum of a metric over its labels.
async fn metric(bed: &Bed, name: &str) -> u64 {
    let request = Request::get("/conduit/metrics");
    let text = wire::ask(bed.gateway.address, &request).await.text();
    let of_it = |line: &&str| {
        let rest = line.strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
    };
    let values = text.lines().filter(of_it);
    let values = values.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap());
    values.sum()
}

async fn shows(bed: &Bed, name: &str, wanted: u64) {
    until(&format!("{name} to be {wanted}"), || async {
        (metric(bed, name).await == wanted).then_some(())
    })
    .await;
}

#[tokio::test]
async fn metrics_and_counts_move_and_a_skip_counts_once() {
    let bed = Bed::plain(vec![place("s")]).await;
    for (tool, wanted) in [
        ("read", "MISS #1"),
        ("read", "HIT #1"),
        ("read", "HIT #1"),
        ("read_more", "MISS #1"),
        ("plain", "SKIP #1"),
        ("plain", "SKIP #2"),
    ] {
        assert_eq!(bed.tells("s", &call(tool, "{}")).await, wanted);
    }
    shows(&bed, "conduit_cache_hits_total", 2).await;
    shows(&bed, "conduit_cache_misses_total", 2).await;
    shows(&bed, "conduit_cache_entries", 2).await;
    shows(&bed, "conduit_requests_total", 6).await;
    assert!(metric(&bed, "conduit_cache_bytes").await > 0);
    let stats = admin(&bed.gateway, "stats").await;
    let l1 = &stats["l1"];
    assert_eq!(
        [&l1["hits"], &l1["misses"], &l1["skips"], &l1["entries"]],
        [2, 2, 2, 2]
    );
    assert_eq!(l1["hitRate"], 0.5);
    forget(&bed.gateway, "/server/s").await;
    shows(&bed, "conduit_cache_entries", 0).await;
    shows(&bed, "conduit_cache_bytes", 0).await;
}

#[tokio::test]
async fn what_is_over_leaves_by_itself() {
    let place = Place::new("s").says(|_| Say::With(json!({ "ttlMs": 20 })));
    let bed = Bed::plain(vec![place]).await;
    for n in 0..50 {
        bed.ask("s", &read(&format!("r:{n}"))).await;
    }
    shows(&bed, "conduit_cache_entries", 0).await;
}

#[tokio::test]
async fn calls_in_flight_are_measured_while_they_are() {
    let gate = Gate::default();
    let hold = gate.clone();
    let place = place("s").says(move |asked| match asked.method {
        "tools/call" => Say::Held(hold.clone()),
        _ => Say::Usual,
    });
    let bed = Bed::plain(vec![place]).await;
    let ask = call("read", "{}");
    let watch = async {
        gate.reached().await;
        until("the second to wait", || async {
            let shown = control(&bed.gateway, Request::get("/conduit/dedup/inflight")).await;
            (shown["inflight"][0]["coalesced"] == 1).then_some(())
        })
        .await;
        shows(&bed, "conduit_dedup_inflight", 1).await;
        gate.open();
    };
    tokio::join!(bed.ask("s", &ask), bed.ask("s", &ask), watch);
    shows(&bed, "conduit_dedup_inflight", 0).await;
    shows(&bed, "conduit_dedup_coalesced_total", 1).await;
}

// === pressure ===

#[tokio::test]
async fn no_more_entries_are_held_than_allowed_and_what_is_used_stays() {
    const MAX: u64 = 512;
    let bed = Bed::start(
        Tier::Memory,
        json!({ "l1": { "max_entries": MAX } }),
        vec![place("s")],
    );
    let bed = bed.await;
    let mut connection = Connection::open(bed.gateway.address).await.unwrap();
    let mut tells = async |ask: &Ask| {
        let answer = connection.ask(&ask.request("/mcp/s")).await.unwrap();
        told(&answer)
    };
    let used = call("read", r#"{"n":"used"}"#);
    tells(&used).await;
    for n in 0..3 * MAX {
        tells(&call("read", &format!(r#"{{"n":{n}}}"#))).await;
        assert!(tells(&used).await.starts_with("HIT"), "{n}");
    }
    let first = call("read", r#"{"n":0}"#);
    assert!(tells(&first).await.starts_with("MISS"));
    let l1 = &admin(&bed.gateway, "stats").await["l1"];
    assert!(l1["entries"].as_u64() <= Some(MAX), "{l1}");
    assert!(l1["evictions"].as_u64() >= Some(2 * MAX), "{l1}");
}

#[tokio::test]
async fn no_more_bytes_are_held_than_allowed() {
    let place = place("s").says(|asked| match asked.method {
        "tools/call" => Say::With(json!({ "structuredContent": { "all": "x".repeat(50 * 1024) } })),
        _ => Say::Usual,
    });
    let bed = Bed::start(
        Tier::Memory,
        json!({ "l1": { "max_size_mb": 1 } }),
        vec![place],
    )
    .await;
    for n in 0..100 {
        bed.ask("s", &call("read", &format!(r#"{{"n":{n}}}"#)))
            .await;
    }
    let stats = admin(&bed.gateway, "stats").await;
    assert!(
        stats["l1"]["bytes"].as_u64() <= Some(1024 * 1024),
        "{stats}"
    );
    assert!(stats["l1"]["entries"].as_u64() >= Some(5), "{stats}");
}
