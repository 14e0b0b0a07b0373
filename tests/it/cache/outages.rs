//! Two gateways on a Redis that hangs, dies, locks them out or is full: nobody sees an error, nothing
//! hangs, and once it is well both agree again.

use std::sync::atomic::Ordering;

use super::admin;
use super::instances::{N_VALUES, Pair};
use crate::support::redis::Redis;
use crate::support::{until, within};

/// The seed of all randomness.
const SEED: u64 = 40;
/// Writes of each play.
const N_WRITES: usize = 15;

/// How a Redis is lost.
#[derive(Clone, Copy, Debug)]
enum Outage {
    /// It is stopped as it is, and goes on.
    Hangs,
    /// It is killed, and started again.
    IsKilled,
    /// It is started again with a password that the gateways do not have, and then without.
    LocksOut,
}

impl Outage {
    async fn begin(self, redis: &mut Redis) {
        match self {
            Self::Hangs => redis.freeze(),
            Self::IsKilled => redis.stop(),
            Self::LocksOut => {
                redis.stop();
                redis.start_with(&["--requirepass", "another"]).await;
            }
        }
    }

    async fn end(self, redis: &mut Redis) {
        match self {
            Self::Hangs => redis.thaw(),
            Self::IsKilled => redis.start().await,
            Self::LocksOut => {
                redis.stop();
                redis.start().await;
            }
        }
    }
}

/// Each gateway is right for itself: what was written through it, it reads, though nobody else hears it.
async fn each_reads_what_it_wrote(pair: &Pair, outage: Outage) {
    let calls = async {
        for at in 0..N_VALUES {
            for gateway in 0..2 {
                let (written, _) = pair.ask(gateway, "destroy", at).await;
                for _ in 0..2 {
                    let (value, _) = pair.ask(gateway, "read", at).await;
                    assert_eq!(value, written, "{outage:?}: at {gateway}");
                }
            }
        }
    };
    within("calls without Redis", calls).await;
}

async fn given_up(pair: &Pair) {
    for gateway in &pair.gateways {
        until("Redis to be given up", || async {
            let stats = admin(gateway, "stats").await;
            (stats["l2"]["connected"] == false).then_some(())
        })
        .await;
    }
}

async fn both_read_what_there_is(pair: &Pair) {
    for at in 0..N_VALUES {
        let current = pair.values[at].load(Ordering::SeqCst);
        for gateway in 0..2 {
            let (value, _) = pair.ask(gateway, "read", at).await;
            assert_eq!(value, current, "at {gateway}");
        }
    }
}

async fn outlive(outage: Outage) {
    let mut pair = Pair::start().await;
    assert!(pair.play(SEED, N_WRITES).await > 0, "nothing was cached");
    outage.begin(&mut pair.redis).await;
    each_reads_what_it_wrote(&pair, outage).await;
    given_up(&pair).await;
    each_reads_what_it_wrote(&pair, outage).await;
    outage.end(&mut pair.redis).await;
    pair.shared().await;
    both_read_what_there_is(&pair).await;
    let n_hits = pair.play(SEED + 1, N_WRITES).await;
    assert!(n_hits > 0, "nothing was cached");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_outlive_a_redis_that_hangs() {
    outlive(Outage::Hangs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_outlive_a_redis_that_is_killed() {
    outlive(Outage::IsKilled).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_outlive_a_redis_that_wants_another_password_after_a_restart() {
    outlive(Outage::LocksOut).await;
}

async fn set(redis: &Redis, name: &str, value: &str) {
    let mut command = redis::cmd("CONFIG");
    let () = redis.ask(command.arg("SET").arg(name).arg(value)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_agree_on_a_redis_that_is_full_and_share_again_once_it_is_not() {
    let pair = Pair::start().await;
    set(&pair.redis, "maxmemory-policy", "noeviction").await;
    set(&pair.redis, "maxmemory", "1").await;
    // Nothing is stored there, and everything is invalidated all the same.
    let n_hits = pair.play(SEED, N_WRITES).await;
    assert!(n_hits > 0, "nothing was cached in memory");
    set(&pair.redis, "maxmemory", "0").await;
    both_read_what_there_is(&pair).await;
    until("the other to find what one fetched", || async {
        pair.ask(0, "destroy", 0).await;
        pair.ask(0, "read", 0).await;
        pair.ask(1, "read", 0).await.1.then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_while_redis_hangs_is_read_by_the_other_gateway_once_it_goes_on() {
    let pair = Pair::start().await;
    for gateway in 0..2 {
        assert_eq!(pair.ask(gateway, "read", 0).await.0, 0);
    }
    pair.redis.freeze();
    let (written, _) = pair.ask(0, "destroy", 0).await;
    given_up(&pair).await;
    pair.redis.thaw();
    pair.shared().await;
    // The one that did not write reads first: what was stored before the write is in Redis still.
    for gateway in [1, 0] {
        assert_eq!(pair.ask(gateway, "read", 0).await.0, written);
    }
}
