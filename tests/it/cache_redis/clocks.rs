//! Clocks that jump: Redis's, which may, and ours, which the age of nothing is told by.
//!
//! What Redis is told to keep it keeps until a time of day. Its clock set forward by some time is that
//! time less that is left of everything, and set back more: so the tests set clocks without one.

use std::time::{Duration, Instant};

use filters::cache::freshness::{Freshness, Lifetime, Staleness};

use super::super::support::redis::Redis;
use super::{FRESH, Instance, aged, entry, key, seconds, tool};

/// How old the entry is when the clock is set.
const AGE: Duration = Duration::from_secs(40);
/// What a slow machine may take between storing and looking.
const SLACK: Duration = Duration::from_secs(20);

/// Sets Redis's clock forward by so many seconds, or back, as far as an entry goes.
async fn set_clock(redis: &Redis, n: u8, forward_secs: i64) {
    let name = format!("test[1]:e:{}", key(n).hex());
    let left_ms: i64 = redis.ask(redis::cmd("PTTL").arg(&name)).await;
    assert!(left_ms > 0, "{left_ms}");
    let mut change = redis::cmd("PEXPIRE");
    let change = change.arg(&name).arg(left_ms - forward_secs * 1_000);
    let () = redis.ask(change).await;
}

#[tokio::test]
async fn a_clock_of_redis_that_is_set_forward_makes_results_older_and_one_set_back_at_most_new() {
    let redis = Redis::started().await;
    let one = Instance::started(&redis).await;
    let origin = tool("t");
    // (seconds forward, the age that is believed, or that it is not used)
    let rows = [
        (0, Some(40)),
        (10, Some(50)),
        (59, Some(99)),
        (60, None),
        (1_000_000, None),
        (-10, Some(30)),
        // Younger than it can be, whenever it was fetched.
        (-61, None),
        (-1_000_000, None),
    ];
    for (n, (forward, wanted)) in (1..).zip(rows) {
        one.fetch(aged(entry(&origin, n), AGE)).await;
        set_clock(&redis, n, forward).await;
        let found = one.look_up(&origin, n).await.found;
        let now = Instant::now();
        match (found, wanted) {
            (Some(found), Some(age)) => {
                let told = found.age(now);
                assert!(told >= seconds(age), "{forward}: {told:?}");
                assert!(told < seconds(age) + SLACK, "{forward}: {told:?}");
                assert_eq!(found.lifetime.fresh(), FRESH, "{forward}");
            }
            (None, None) => {}
            // A slow machine: time went on by itself.
            (None, Some(age)) => assert!(seconds(age) + SLACK > FRESH, "{forward}"),
            (Some(found), None) => panic!("{forward}: {:?} old", found.age(now)),
        }
    }
}

#[tokio::test]
async fn no_clock_of_redis_makes_an_operators_result_fresh_for_longer_than_redis_was_told() {
    let redis = Redis::started().await;
    let one = Instance::started(&redis).await;
    let origin = tool("t");
    let mut stored = entry(&origin, 1);
    stored.is_operators = true;
    one.fetch(stored).await;
    // Kept for three times its time (`multiplier`): one that would be younger than new is not used.
    set_clock(&redis, 1, -100).await;
    assert!(!one.finds(&origin, 1).await);
}

#[tokio::test]
async fn what_was_promoted_grows_old_by_our_clock_whatever_redis_does_to_its_own() {
    let redis = Redis::started().await;
    let one = Instance::started(&redis).await;
    let origin = tool("t");
    one.fetch(aged(entry(&origin, 1), AGE)).await;
    let stamp = one.memory.stamp(&origin.server);
    let found = one.look_up(&origin, 1).await.found.unwrap();
    one.memory.store(found.into(), stamp).unwrap();
    set_clock(&redis, 1, -30).await;
    let now = Instant::now();
    let fresh_until = FRESH - AGE;
    for (later, is_there) in [
        (Duration::ZERO, true),
        (fresh_until - SLACK, true),
        (fresh_until, false),
        (fresh_until * 1_000, false),
    ] {
        let found = one.memory.find(&key(1), now + later);
        assert_eq!(found.is_some(), is_there, "{later:?}");
    }
}

#[tokio::test]
async fn a_moment_before_it_was_stored_finds_an_entry_new() {
    let redis = Redis::started().await;
    let one = Instance::started(&redis).await;
    let origin = tool("t");
    let stale = Staleness {
        while_revalidate: FRESH,
        if_error: FRESH,
    };
    let mut stored = entry(&origin, 1);
    stored.lifetime = Lifetime::new(FRESH, stale);
    let fetched = stored.fetched;
    let stamp = one.memory.stamp(&origin.server);
    one.memory.store(stored.into(), stamp).unwrap();
    // Two threads may take their moments in another order than they use them.
    let before = fetched.checked_sub(seconds(5)).unwrap();
    let (entry, freshness) = one.memory.find(&key(1), before).unwrap();
    assert_eq!(entry.age(before), Duration::ZERO);
    assert!(
        matches!(freshness, Freshness::Fresh { left } if left == FRESH),
        "{freshness:?}"
    );
}

#[tokio::test]
async fn an_entry_that_is_restored_from_a_dump_after_an_invalidation_is_not_found() {
    let redis = Redis::started().await;
    let one = Instance::started(&redis).await;
    let origin = tool("t");
    one.fetch(entry(&origin, 1)).await;
    let name = format!("test[1]:e:{}", key(1).hex());
    let dump: Vec<u8> = redis.ask(redis::cmd("DUMP").arg(&name)).await;
    let server = std::sync::Arc::from("server");
    let reach = filters::cache::invalidate::Reach::Server;
    one.tier.invalidate(&server, &reach).await;
    let mut restore = redis::cmd("RESTORE");
    let restore = restore.arg(&name).arg(90_000).arg(dump).arg("REPLACE");
    let () = redis.ask(restore).await;
    assert!(!one.finds(&origin, 1).await);
}
