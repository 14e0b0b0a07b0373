//! One instance fetches while others wait.

use std::sync::Arc;
use std::time::Duration;

use conduit::cache::redis::Spec;
use conduit::cache::redis::look_up::Turn;
use futures_util::future::join_all;
use tokio::time::Instant;

use super::super::support::redis::Redis;
use super::super::support::{until, within};
use super::{Instance, PATIENT, entry, key, spec, tool};

async fn leasing(redis: &Redis, lease: Duration) -> Instance {
    let url = redis.url();
    let instance = Instance::new(&Spec {
        lease: Some(lease),
        ..spec(&url)
    });
    instance.connected().await;
    instance
}

fn patience() -> Instant {
    Instant::now() + PATIENT
}

#[tokio::test]
async fn without_leases_it_is_nobodys_turn() {
    let redis = Redis::started().await;
    let one = Instance::started(&redis).await;
    for _ in 0..2 {
        assert!(matches!(one.look_up(&tool("t"), 1).await.turn, Turn::Off));
    }
}

#[tokio::test]
async fn one_of_all_fetches_and_the_others_find_what_it_stored() {
    let redis = Redis::started().await;
    let instances = [
        leasing(&redis, PATIENT).await,
        leasing(&redis, PATIENT).await,
    ];
    let asks = (0..20).map(|n| {
        let (instance, origin) = (&instances[n % 2], tool("t"));
        async move {
            let looked = instance.look_up(&origin, 1).await;
            match looked.turn {
                Turn::Mine(lease) => {
                    tokio::task::yield_now().await;
                    let fetched = Arc::new(entry(&origin, 1));
                    instance.tier.store(fetched, &looked.versions);
                    drop(lease);
                    1
                }
                Turn::Theirs => {
                    let keys = [key(1)];
                    let waiting = instance.tier.await_turn(&origin, &keys, patience());
                    assert!(waiting.await.unwrap().found.is_some());
                    0
                }
                Turn::Off => {
                    assert!(looked.found.is_some());
                    0
                }
            }
        }
    });
    let n_fetches: usize = within("all", join_all(asks)).await.into_iter().sum();
    assert_eq!(n_fetches, 1);
}

#[tokio::test]
async fn a_lease_that_is_given_back_without_a_result_is_anothers() {
    let redis = Redis::started().await;
    let (one, other) = (
        leasing(&redis, PATIENT).await,
        leasing(&redis, PATIENT).await,
    );
    let origin = tool("t");
    let Turn::Mine(lease) = one.look_up(&origin, 1).await.turn else {
        panic!("the first")
    };
    let looked = other.look_up(&origin, 1).await;
    assert!(matches!(looked.turn, Turn::Theirs));
    drop(lease);
    let keys = [key(1)];
    let waiting = other.tier.await_turn(&origin, &keys, patience());
    let looked = within("a turn", waiting).await.unwrap();
    assert!(looked.found.is_none());
    assert!(matches!(looked.turn, Turn::Mine(_)), "{:?}", looked.turn);
}

#[tokio::test]
async fn a_lease_whose_owner_is_gone_ends() {
    let redis = Redis::started().await;
    let one = leasing(&redis, Duration::from_millis(1)).await;
    let Turn::Mine(lease) = one.look_up(&tool("t"), 1).await.turn else {
        panic!("the first")
    };
    // Its owner is gone without giving it back.
    std::mem::forget(lease);
    until("the lease to end", || async {
        let turn = one.look_up(&tool("t"), 1).await.turn;
        matches!(turn, Turn::Mine(_)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn who_may_not_wait_any_longer_fetches() {
    let redis = Redis::started().await;
    let one = leasing(&redis, PATIENT).await;
    let origin = tool("t");
    let _lease = one.look_up(&origin, 1).await.turn;
    let keys = [key(1)];
    let waiting = one.tier.await_turn(&origin, &keys, Instant::now());
    let looked = within("the deadline", waiting).await.unwrap();
    assert!(matches!(looked.turn, Turn::Off), "{:?}", looked.turn);
    one.store(entry(&origin, 1), &looked.versions).await;
    assert!(one.finds(&origin, 1).await);
}

#[tokio::test]
async fn callers_that_share_a_wide_key_only_do_not_wait_for_each_other() {
    let redis = Redis::started().await;
    let one = leasing(&redis, PATIENT).await;
    let (origin, public) = (tool("t"), key(1));
    let first = one.tier.look_up(&origin, &[public, key(2)]).await.unwrap();
    let second = one.tier.look_up(&origin, &[public, key(3)]).await.unwrap();
    assert!(matches!(first.turn, Turn::Mine(_)));
    assert!(matches!(second.turn, Turn::Mine(_)));
}
