//! Writes that reach Redis late.

use std::sync::Arc;

use super::{FRESH, Instance, aged, entry, seconds, tool};
use crate::support::redis::Redis;
use crate::support::until;

#[tokio::test]
async fn what_is_written_late_lives_no_longer_for_it() {
    let redis = Redis::started().await;
    let one = Instance::started(&redis).await;
    let looked = one.look_up(&tool("t"), 1).await;
    let scripts = scripts(&redis).await;
    redis.freeze();
    let old = aged(entry(&tool("t"), 1), FRESH - seconds(1));
    let over = old.fetched + FRESH;
    one.tier.store(Arc::new(old), &looked.versions);
    until(
        "the write to be given up, and its time to be over",
        || async {
            let is_over = std::time::Instant::now() > over;
            (is_over && one.tier.stats().errors > 0).then_some(())
        },
    )
    .await;
    redis.thaw();
    until("the write to arrive", || async {
        (self::scripts(&redis).await > scripts).then_some(())
    })
    .await;
    let keys: Vec<String> = redis.ask(redis::cmd("KEYS").arg("*")).await;
    let entries: Vec<_> = keys.iter().filter(|key| key.contains(":e:")).collect();
    assert!(entries.is_empty(), "{entries:?}");
}

/// How many scripts were run.
async fn scripts(redis: &Redis) -> u64 {
    let stats: String = redis.ask(redis::cmd("INFO").arg("commandstats")).await;
    let calls = stats.split("cmdstat_evalsha:calls=").nth(1);
    let calls = calls.and_then(|rest| rest.split(',').next());
    calls.map_or(0, |calls| calls.parse().unwrap())
}
