//! What is stored is found as it was, for as long as it may be used.

use std::sync::Arc;
use std::time::Instant;

use conduit::cache::entry::Entry;
use filters::cache::freshness::{Freshness, Lifetime, Staleness};
use filters::cache::policy::Share;
use filters::mcp::method::Method;
use filters::mcp::revision::Era;

use super::super::support::redis::Redis;
use super::{FRESH, Instance, aged, entry, key, origin, seconds, tool};

// === forms ===

#[tokio::test]
async fn what_one_instance_stores_another_finds_as_it_was() {
    let redis = Redis::started().await;
    let (one, other) = (
        Instance::started(&redis).await,
        Instance::started(&redis).await,
    );
    let origin = origin(Method::ResourcesRead, Some("file:///\u{e9} \"q\"\n"));
    let stored = Entry {
        era: Era::Legacy,
        text: "{\"a\":\"\u{1F600}\\n\n\"}".into(),
        ttl_span: None,
        ttl: None,
        share: Share::Tenant,
        ..aged(entry(&origin, 1), seconds(30))
    };
    let (text, before) = (stored.text.clone(), Instant::now());
    one.fetch(stored).await;
    let found = other.look_up(&origin, 1).await.found.unwrap();
    let age = found.age(Instant::now());
    assert!(age >= seconds(30), "{age:?}");
    assert!(age <= seconds(31) + before.elapsed(), "{age:?}");
    assert_eq!((found.key, found.origin), (key(1), origin));
    assert_eq!((found.era, found.share), (Era::Legacy, Share::Tenant));
    assert_eq!((found.ttl, found.ttl_span), (None, None));
    assert_eq!(found.text, text);
}

#[tokio::test]
async fn the_first_of_the_keys_that_is_there_is_found() {
    let redis = Redis::started().await;
    let one = Instance::started(&redis).await;
    let origin = tool("t");
    for n in [2, 3] {
        one.fetch(entry(&origin, n)).await;
    }
    let keys = [key(1), key(3), key(2)];
    let looked = one.tier.look_up(&origin, &keys).await.unwrap();
    assert_eq!(looked.found.unwrap().key, key(3));
}

#[tokio::test]
async fn a_look_up_asks_once() {
    let redis = Redis::started().await;
    let one = Instance::started(&redis).await;
    one.fetch(entry(&tool("t"), 1)).await;
    let () = redis.ask(redis::cmd("CONFIG").arg("RESETSTAT")).await;
    assert!(one.finds(&tool("t"), 1).await);
    assert!(!one.finds(&tool("t"), 2).await);
    let stats: String = redis.ask(redis::cmd("INFO").arg("commandstats")).await;
    assert!(stats.contains("cmdstat_evalsha:calls=2,"), "{stats}");
}

#[tokio::test]
async fn what_is_not_an_entry_of_that_origin_in_this_form_is_not_found() {
    let redis = Redis::started().await;
    let one = Instance::started(&redis).await;
    let origin = tool("t");
    let name = format!("test[1]:e:{}", key(1).hex());
    one.fetch(entry(&origin, 1)).await;
    let stored: String = redis.ask(redis::cmd("GET").arg(&name)).await;
    let changes = [
        ("\"version\":1", "\"version\":2"),
        ("\"server\":\"server\"", "\"server\":\"another\""),
        ("\"target\":\"t\"", "\"target\":\"u\""),
        ("tools/call", "resources/read"),
        ("\"modern\"", "\"postmodern\""),
        ("\"private\"", "\"yours\""),
        ("\"start\":22", "\"start\":20"),
        ("\"end\":28", "\"end\":2800"),
        ("100000}", "100000"),
        ("{\"version\"", "[\"version\""),
    ];
    for (from, to) in changes {
        let changed = stored.replace(from, to);
        assert_ne!(changed, stored, "{from}");
        let set = redis::cmd("SET")
            .arg(&name)
            .arg(changed)
            .arg("KEEPTTL")
            .clone();
        let () = redis.ask(&set).await;
        assert!(!one.finds(&origin, 1).await, "{to}");
    }
    let set = redis::cmd("SET")
        .arg(&name)
        .arg(&stored)
        .arg("KEEPTTL")
        .clone();
    let () = redis.ask(&set).await;
    assert!(one.finds(&origin, 1).await);
}

#[tokio::test]
async fn a_result_is_stored_up_to_its_bound_and_not_above() {
    let redis = Redis::started().await;
    let one = Instance::started(&redis).await;
    for (n, bytes, is_stored) in [(1, 1_000, true), (2, 1_001, false)] {
        let text = "x".repeat(bytes).into();
        let ttl_span = None;
        one.fetch(Entry {
            text,
            ttl_span,
            ..entry(&tool("t"), n)
        })
        .await;
        assert_eq!(one.finds(&tool("t"), n).await, is_stored, "{bytes}");
    }
}

#[tokio::test]
async fn of_two_that_wait_under_one_key_the_later_is_written() {
    let redis = Redis::started().await;
    let one = Instance::started(&redis).await;
    let origin = tool("t");
    let looked = one.look_up(&origin, 1).await;
    // Nothing else runs in between: this test has one thread.
    for text in ["1", "2", "3"] {
        let (text, ttl_span) = (text.into(), None);
        let newer = Entry {
            text,
            ttl_span,
            ..entry(&origin, 1)
        };
        one.tier.store(Arc::new(newer), &looked.versions);
    }
    one.written().await;
    let found = one.look_up(&origin, 1).await.found.unwrap();
    assert_eq!(&*found.text, "3");
    assert_eq!(one.tier.stats().writes_coalesced, 2);
}

// === time ===

#[tokio::test]
async fn what_an_operator_gave_a_time_is_fresh_longer_here_and_in_memory_as_long_as_a_new_one() {
    let redis = Redis::started().await;
    let one = Instance::started(&redis).await;
    let origin = tool("t");
    // (age when it is stored, what is left at most when it was found)
    for (n, age, left_max) in [(1, 0, 100), (2, 150, 100), (3, 250, 50)] {
        let stored = Entry {
            is_operators: true,
            ..entry(&origin, n)
        };
        one.fetch(aged(stored, seconds(age))).await;
        let found = one.look_up(&origin, n).await.found.unwrap();
        let Freshness::Fresh { left } = found.freshness(Instant::now()) else {
            panic!("{found:?}")
        };
        assert!(left <= seconds(left_max), "{left:?}");
        assert!(left > seconds(left_max) - super::PATIENT, "{left:?}");
    }
    let stored = Entry {
        is_operators: true,
        ..entry(&origin, 4)
    };
    one.fetch(aged(stored, seconds(300))).await;
    assert!(!one.finds(&origin, 4).await);
}

#[tokio::test]
async fn a_servers_own_time_is_never_exceeded() {
    let redis = Redis::started().await;
    let one = Instance::started(&redis).await;
    let origin = tool("t");
    one.fetch(aged(entry(&origin, 1), seconds(60))).await;
    let found = one.look_up(&origin, 1).await.found.unwrap();
    assert_eq!(found.lifetime.fresh(), FRESH);
    assert!(found.ttl_left(Instant::now()) <= seconds(40));
    one.fetch(aged(entry(&origin, 2), FRESH)).await;
    assert!(!one.finds(&origin, 2).await);
}

#[tokio::test]
async fn what_may_be_used_stale_is_kept_as_long() {
    let redis = Redis::started().await;
    let one = Instance::started(&redis).await;
    let origin = tool("t");
    let stale = |while_revalidate, if_error| Staleness {
        while_revalidate: seconds(while_revalidate),
        if_error: seconds(if_error),
    };
    let rows = [
        (1, stale(200, 0), Some(Freshness::WhileRevalidate)),
        (2, stale(0, 200), Some(Freshness::IfError)),
        (3, stale(0, 0), None),
    ];
    for (n, stale, expected) in rows {
        let lifetime = Lifetime::new(FRESH, stale);
        let stored = Entry {
            lifetime,
            ..entry(&origin, n)
        };
        one.fetch(aged(stored, FRESH + seconds(50))).await;
        let found = one.look_up(&origin, n).await.found;
        let freshness = found.map(|found| found.freshness(Instant::now()));
        assert_eq!(freshness, expected, "{stale:?}");
    }
}

#[tokio::test]
async fn what_redis_would_keep_longer_than_it_was_told_is_not_believed() {
    let redis = Redis::started().await;
    let one = Instance::started(&redis).await;
    let name = format!("test[1]:e:{}", key(1).hex());
    one.fetch(entry(&tool("t"), 1)).await;
    assert!(one.finds(&tool("t"), 1).await);
    for command in ["PEXPIRE", "PERSIST"] {
        let mut change = redis::cmd(command);
        change.arg(&name);
        if command == "PEXPIRE" {
            change.arg(200_000);
        }
        let () = redis.ask(&change).await;
        assert!(!one.finds(&tool("t"), 1).await, "{command}");
    }
}

#[tokio::test]
async fn what_is_promoted_is_found_in_memory() {
    let redis = Redis::started().await;
    let (one, other) = (
        Instance::started(&redis).await,
        Instance::started(&redis).await,
    );
    let origin = tool("t");
    one.fetch(entry(&origin, 1)).await;
    let stamp = other.memory.stamp(&origin.server);
    let found = other.look_up(&origin, 1).await.found.unwrap();
    other.memory.store(Arc::new(found), stamp).unwrap();
    let (entry, freshness) = other.memory.find(&key(1), Instant::now()).unwrap();
    assert_eq!(entry.origin, origin);
    assert!(matches!(freshness, Freshness::Fresh { .. }));
}
