//! A Redis that is slow, gone, full, or wants a password.

use std::sync::Arc;

use conduit::cache::redis::{Error, Invalidated, Spec, TIMEOUT};
use conduit::kv;
use filters::cache::invalidate::Reach;
use futures_util::future::join_all;
use tokio::net::TcpListener;

use super::super::support::log::Log;
use super::super::support::redis::Redis;
use super::super::support::{until, within};
use super::{Instance, entry, key, spec, tool};

/// An instance with the time-out that gateways have.
fn hasty(url: &str) -> Instance {
    Instance::new(&Spec {
        timeout: TIMEOUT,
        ..spec(url)
    })
}

/// Fetches until Redis takes it.
async fn keeps(instance: &Instance, n: u8) {
    until("an entry to be kept", || async {
        let looked = instance.tier.look_up(&tool("t"), &[key(n)]).await.ok()?;
        let fetched = Arc::new(entry(&tool("t"), n));
        instance.tier.store(fetched, &looked.versions);
        looked.found.map(drop)
    })
    .await;
}

async fn fails(instance: &Instance) -> Error {
    until("a look-up to fail", || async {
        instance.tier.look_up(&tool("t"), &[key(99)]).await.err()
    })
    .await
}

async fn invalidate(instance: &Instance) -> Invalidated {
    let server = Arc::from("server");
    instance.tier.invalidate(&server, &Reach::Server).await
}

fn occurrences(log: &Log, text: &str) -> usize {
    log.text().matches(text).count()
}

#[tokio::test]
async fn without_redis_nothing_waits_and_it_is_used_once_it_is_there() {
    let log = Log::start();
    let mut redis = Redis::absent();
    let one = Instance::new(&spec(&redis.url()));
    for _ in 0..100 {
        let looked = one.tier.look_up(&tool("t"), &[key(1)]).await;
        assert!(matches!(looked, Err(Error::Kv(kv::Error::Unused))));
        one.tier.flush().await.unwrap_err();
        one.tier.remove(&key(1)).await.unwrap_err();
    }
    assert!(one.tier.is_blind());
    until("a line in the log", || async {
        (occurrences(&log, "cannot be used") > 0).then_some(())
    })
    .await;
    redis.start().await;
    one.connected().await;
    keeps(&one, 1).await;
    assert_eq!(occurrences(&log, "cannot be used"), 1, "{}", log.text());
    assert_eq!(occurrences(&log, "is used as"), 1, "{}", log.text());
    assert_eq!(occurrences(&log, "WARN"), 1, "{}", log.text());
}

#[tokio::test]
async fn a_redis_that_hangs_costs_one_time_out_and_is_used_again_when_it_goes_on() {
    let redis = Redis::started().await;
    let one = hasty(&redis.url());
    keeps(&one, 1).await;
    redis.freeze();
    let (origin, keys) = (tool("t"), [key(1)]);
    // Those that ask at the same time wait for the same time-out, and those that come later for none.
    let mut n_timed_out = 0;
    for n_callers in [50, 1, 50] {
        let looking = (0..n_callers).map(|_| one.tier.look_up(&origin, &keys));
        for looked in within("answers in spite of Redis", join_all(looking)).await {
            match looked {
                Err(Error::Kv(kv::Error::TimedOut)) => n_timed_out += 1,
                Err(Error::Kv(kv::Error::Unused)) => {}
                Err(error) => panic!("{error}"),
                Ok(_) => panic!("an answer of a Redis that hangs"),
            }
        }
    }
    assert!(n_timed_out <= 1, "{n_timed_out}");
    assert!(!one.tier.stats().connected);
    redis.thaw();
    one.connected().await;
    keeps(&one, 1).await;
}

#[tokio::test]
async fn what_is_stored_while_redis_is_not_used_is_dropped_and_counted() {
    let redis = Redis::started().await;
    let one = hasty(&redis.url());
    keeps(&one, 1).await;
    let looked = until("versions", || async {
        one.tier.look_up(&tool("t"), &[key(2)]).await.ok()
    })
    .await;
    redis.freeze();
    fails(&one).await;
    one.tier
        .store(Arc::new(entry(&tool("t"), 2)), &looked.versions);
    until("the write to be dropped", || async {
        (one.tier.stats().writes_dropped > 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_redis_that_was_killed_is_used_again_when_it_was_started() {
    let log = Log::start();
    let mut redis = Redis::started().await;
    let one = hasty(&redis.url());
    for _ in 0..3 {
        keeps(&one, 1).await;
        redis.stop();
        fails(&one).await;
        let became = invalidate(&one).await;
        assert_eq!(became, Invalidated::Later);
        redis.start().await;
        one.connected().await;
    }
    keeps(&one, 1).await;
    assert!(occurrences(&log, "cannot be used") >= 3, "{}", log.text());
}

#[tokio::test]
async fn something_that_takes_connections_and_says_nothing_costs_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let one = hasty(&url);
    let _silent = within("a connection", listener.accept()).await.unwrap();
    for _ in 0..100 {
        let looked = one.tier.look_up(&tool("t"), &[key(1)]).await;
        assert!(matches!(looked, Err(Error::Kv(kv::Error::Unused))));
    }
}

#[tokio::test]
async fn a_wrong_password_is_said_once_and_costs_nothing_until_it_is_right() {
    let log = Log::start();
    let redis = Redis::started().await;
    let one = hasty(&format!("{}?pass=hush", redis.url()));
    until("a line in the log", || async {
        (occurrences(&log, "cannot be used") > 0).then_some(())
    })
    .await;
    assert!(matches!(fails(&one).await, Error::Kv(kv::Error::Unused)));
    let mut set = redis::cmd("CONFIG");
    let () = redis
        .ask(set.arg("SET").arg("requirepass").arg("hush"))
        .await;
    one.connected().await;
    keeps(&one, 1).await;
    let text = log.text();
    assert!(text.contains("authentication failed"), "{text}");
    assert!(!text.contains("hush"), "{text}");
}

#[tokio::test]
async fn a_full_redis_is_still_read_and_forgets_what_is_invalidated() {
    let log = Log::start();
    let redis = Redis::started().await;
    let one = Instance::started(&redis).await;
    let memory = |bytes| {
        let mut set = redis::cmd("CONFIG");
        set.arg("SET").arg("maxmemory").arg(bytes).clone()
    };
    let server = Arc::from("server");
    keeps(&one, 1).await;
    keeps(&one, 2).await;
    let looked = one.look_up(&tool("t"), 3).await;
    let () = redis.ask(&memory(1)).await;
    assert!(one.finds(&tool("t"), 1).await);
    one.tier
        .store(Arc::new(entry(&tool("t"), 3)), &looked.versions);
    until("the write to fail", || async {
        (occurrences(&log, "is full") > 0).then_some(())
    })
    .await;
    assert!(one.finds(&tool("t"), 1).await);
    // A new name, and a new version, which there is no room for.
    let looked = one.look_up(&tool("new"), 4).await;
    assert!(looked.found.is_none());
    let reach = Reach::Tool("t".to_owned());
    let became = one.tier.invalidate(&server, &reach).await;
    assert_ne!(became, Invalidated::Later);
    for n in [1, 2, 3] {
        assert!(!one.finds(&tool("t"), n).await, "{n}");
    }
    assert!(one.tier.stats().connected);
    let () = redis.ask(&memory(0)).await;
    // What was looked up while names could not be noted is not stored.
    one.store(entry(&tool("new"), 4), &looked.versions).await;
    assert!(!one.finds(&tool("new"), 4).await);
    keeps(&one, 4).await;
    assert_eq!(occurrences(&log, "is full"), 1, "{}", log.text());
    assert_eq!(occurrences(&log, "has room"), 1, "{}", log.text());
}

#[tokio::test]
async fn a_replica_is_not_used_until_it_is_a_primary() {
    let redis = Redis::started().await;
    let one = Instance::started(&redis).await;
    keeps(&one, 1).await;
    let replicate = |host: &str, port: &str| {
        let mut command = redis::cmd("REPLICAOF");
        command.arg(host).arg(port).clone()
    };
    // There is none.
    let () = redis.ask(&replicate("127.0.0.1", "1")).await;
    let became = invalidate(&one).await;
    assert_eq!(became, Invalidated::Later);
    assert!(matches!(fails(&one).await, Error::Kv(kv::Error::Unused)));
    let () = redis.ask(&replicate("NO", "ONE")).await;
    one.connected().await;
    assert!(!one.finds(&tool("t"), 1).await);
}

#[tokio::test]
async fn scripts_that_redis_was_told_to_forget_are_told_again() {
    let redis = Redis::started().await;
    let one = Instance::started(&redis).await;
    keeps(&one, 1).await;
    let () = redis.ask(redis::cmd("SCRIPT").arg("FLUSH")).await;
    fails(&one).await;
    one.connected().await;
    keeps(&one, 1).await;
}

#[tokio::test]
async fn after_its_end_it_is_not_used() {
    let redis = Redis::started().await;
    let one = Instance::started(&redis).await;
    let Instance {
        tier,
        memory,
        _stop,
    } = one;
    drop(_stop);
    until("the end", || async {
        let looked = tier.look_up(&tool("t"), &[key(1)]).await;
        looked.err().map(drop)
    })
    .await;
    until("memory to be let go", || async {
        (Arc::strong_count(&memory) == 1 && tier.is_blind()).then_some(())
    })
    .await;
}
