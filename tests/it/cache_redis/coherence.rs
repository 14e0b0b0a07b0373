//! What one instance invalidates, none gives any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use conduit::cache::entry::{Entry, Origin};
use conduit::cache::redis::{BLIND_MAX, Invalidated, Spec};
use fastrand::Rng;
use filters::cache::invalidate::Reach;
use filters::glob::Glob;
use filters::mcp::method::Method;
use futures_util::FutureExt;
use tokio::task::{JoinSet, yield_now};

use super::super::support::redis::Redis;
use super::super::support::{until, within};
use super::{Instance, entry, key, spec, tool};

#[tokio::test]
async fn an_invalidation_ends_what_any_instance_holds_in_memory_before_it_returns() {
    let redis = Redis::started().await;
    let instances = [
        Instance::started(&redis).await,
        Instance::started(&redis).await,
        Instance::started(&redis).await,
    ];
    let server = Arc::from("server");
    let reach = Reach::Tools(vec![Glob::new("get_*")]);
    until("everybody to hear in time", || async {
        for instance in &instances {
            for (n, name) in [(1, "get_a"), (2, "list_a")] {
                let stamp = instance.memory.stamp(&server);
                let entry = Arc::new(entry(&tool(name), n));
                instance.memory.store(entry, stamp).unwrap();
            }
        }
        let became = instances[0].tier.invalidate(&server, &reach).await;
        let is_heard = became == Invalidated::Everywhere;
        for instance in instances.iter().filter(|_| is_heard) {
            assert!(instance.memory.find(&key(1), Instant::now()).is_none());
            assert!(instance.memory.find(&key(2), Instant::now()).is_some());
        }
        is_heard.then_some(())
    })
    .await;
}

#[tokio::test]
async fn instances_under_another_prefix_are_not_told() {
    let redis = Redis::started().await;
    let one = Instance::started(&redis).await;
    let url = redis.url();
    let other = Instance::new(&Spec {
        key_prefix: "other:",
        ..spec(&url)
    });
    other.connected().await;
    let server = Arc::from("server");
    let stamp = other.memory.stamp(&server);
    let kept = Arc::new(entry(&tool("t"), 1));
    other.memory.store(kept, stamp).unwrap();
    until("the invalidation", || async {
        let became = one.tier.invalidate(&server, &Reach::Server).await;
        (became == Invalidated::Everywhere).then_some(())
    })
    .await;
    assert!(other.memory.find(&key(1), Instant::now()).is_some());
}

#[tokio::test]
async fn one_that_does_not_acknowledge_is_told_of_and_not_waited_for() {
    let redis = Redis::started().await;
    let one = Instance::started(&redis).await;
    let client = redis::Client::open(redis.url()).unwrap();
    let mut mute = client.get_async_pubsub().await.unwrap();
    mute.subscribe("test[1]:inv").await.unwrap();
    let server = Arc::from("server");
    let invalidating = one.tier.invalidate(&server, &Reach::Server);
    let became = within("the invalidation", invalidating).await;
    assert!(
        matches!(became, Invalidated::Unacknowledged(1 | 2)),
        "{became:?}"
    );
}

#[tokio::test]
async fn a_message_that_cannot_be_read_drops_everything() {
    let redis = Redis::started().await;
    let one = Instance::started(&redis).await;
    let server = Arc::from("server");
    let garbage = [
        "",
        "{}",
        r#"{"from":"x","id":"1","server":"server","reach":"something new"}"#,
        "\u{0}",
    ];
    for payload in garbage {
        let stamp = one.memory.stamp(&server);
        let kept = Arc::new(entry(&tool("t"), 1));
        one.memory.store(kept, stamp).unwrap();
        let mut publish = redis::cmd("PUBLISH");
        let n_told: u64 = redis.ask(publish.arg("test[1]:inv").arg(payload)).await;
        assert_eq!(n_told, 1);
        until(payload, || async {
            let is_gone = one.memory.find(&key(1), Instant::now()).is_none();
            is_gone.then_some(())
        })
        .await;
    }
    assert!(!one.tier.is_blind());
}

#[tokio::test]
async fn who_stops_hearing_drops_its_memory_and_keeps_nothing_for_long_until_it_hears_again() {
    let redis = Redis::started().await;
    let one = Instance::started(&redis).await;
    let server = Arc::from("server");
    let stamp = one.memory.stamp(&server);
    let kept = Arc::new(entry(&tool("t"), 1));
    one.memory.store(kept, stamp).unwrap();
    assert_eq!(one.tier.lifetime_cap(), None);
    // Nothing is closed: the silence has to be noticed.
    redis.freeze();
    until("the silence to be noticed", || async {
        one.tier.is_blind().then_some(())
    })
    .await;
    assert_eq!(one.memory.count(), 0);
    assert_eq!(one.tier.lifetime_cap(), Some(BLIND_MAX));
    let stamp = one.memory.stamp(&server);
    let meanwhile = Arc::new(entry(&tool("t"), 1));
    one.memory.store(meanwhile, stamp).unwrap();
    redis.thaw();
    one.connected().await;
    assert_eq!(one.memory.count(), 0);
    assert_eq!(one.tier.lifetime_cap(), None);
}

#[tokio::test]
async fn a_subscription_that_is_closed_is_made_anew_over_an_empty_memory() {
    let redis = Redis::started().await;
    let one = Instance::started(&redis).await;
    let server = Arc::from("server");
    let stamp = one.memory.stamp(&server);
    let kept = Arc::new(entry(&tool("t"), 1));
    one.memory.store(kept, stamp).unwrap();
    let mut kill = redis::cmd("CLIENT");
    let n_killed: u64 = redis.ask(kill.arg("KILL").arg("TYPE").arg("pubsub")).await;
    assert_eq!(n_killed, 1);
    until("memory to be dropped", || async {
        (one.memory.count() == 0).then_some(())
    })
    .await;
    one.connected().await;
}

#[tokio::test]
async fn what_redis_could_not_be_told_it_is_told_before_it_is_used_again() {
    let redis = Redis::started().await;
    let url = redis.url();
    let hasty = Instance::new(&Spec {
        timeout: conduit::cache::redis::TIMEOUT,
        ..spec(&url)
    });
    let server: Arc<str> = Arc::from("server");
    // More than are remembered one by one, and few.
    for n_reaches in [100, 1] {
        hasty.connected().await;
        until("an entry", || async {
            let looked = hasty.tier.look_up(&tool("t0"), &[key(1)]).await.ok()?;
            let fetched = Arc::new(entry(&tool("t0"), 1));
            hasty.tier.store(fetched, &looked.versions);
            looked.found.map(drop)
        })
        .await;
        redis.freeze();
        until("the circuit to open", || async {
            let looked = hasty.tier.look_up(&tool("t0"), &[key(1)]).await;
            looked.err().map(drop)
        })
        .await;
        for n in 0..n_reaches {
            let reach = Reach::Tool(format!("t{n}"));
            let became = hasty.tier.invalidate(&server, &reach).await;
            assert_eq!(became, Invalidated::Later);
        }
        redis.thaw();
        let found = until("Redis to be used", || async {
            let looked = hasty.tier.look_up(&tool("t0"), &[key(1)]).await;
            looked.ok().map(|looked| looked.found.is_some())
        })
        .await;
        assert!(!found);
    }
}

#[tokio::test]
async fn an_invalidation_whose_caller_is_gone_is_made_good() {
    let redis = Redis::started().await;
    let one = Instance::started(&redis).await;
    one.fetch(entry(&tool("t"), 1)).await;
    let server = Arc::from("server");
    // With a wildcard Redis is asked twice: nobody is left to ask the second time.
    let reach = Reach::Tools(vec![Glob::new("*")]);
    let became = one.tier.invalidate(&server, &reach).now_or_never();
    assert_eq!(became, None);
    let found = until("Redis to be used", || async {
        let looked = one.tier.look_up(&tool("t"), &[key(1)]).await;
        looked.ok().map(|looked| looked.found.is_some())
    })
    .await;
    assert!(!found);
}

// === linearizability ===

const TOOLS: usize = 3;
const STEPS: usize = 300;

/// What a server knows, and what its clients were told of it.
#[derive(Default)]
struct World {
    /// The value that each tool gives.
    values: [AtomicU64; TOOLS],
    /// The value that was there when a write of it was over.
    written: [AtomicU64; TOOLS],
    n_writes: AtomicUsize,
    n_hits: AtomicUsize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_reads_after_a_write_through_any_instance_reads_what_was_written() {
    for seed in 0..4 {
        let redis = Redis::started().await;
        let instances = Arc::new([
            Instance::started(&redis).await,
            Instance::started(&redis).await,
        ]);
        let world = Arc::new(World::default());
        let mut clients = JoinSet::new();
        for n in 0..8 {
            let (instances, world) = (Arc::clone(&instances), Arc::clone(&world));
            let random = Rng::with_seed(seed * 100 + n);
            clients.spawn(async move { client(&instances, &world, random).await });
        }
        within("all clients", clients.join_all()).await;
        let n_writes = world.n_writes.load(Ordering::Relaxed);
        let n_hits = world.n_hits.load(Ordering::Relaxed);
        assert!(n_writes > 0 && n_hits > 0, "{seed}: {n_writes} {n_hits}");
    }
}

async fn client(instances: &[Instance; 2], world: &World, mut random: Rng) {
    for _ in 0..STEPS {
        let instance = &instances[random.usize(..2)];
        let at = random.usize(..TOOLS);
        if random.u8(..10) == 0 {
            write(instance, world, at, &mut random).await;
        } else {
            let floor = world.written[at].load(Ordering::SeqCst);
            let value = read(instance, world, at, &mut random).await;
            assert!(value >= floor, "tool {at}: read {value} after {floor}");
        }
    }
}

async fn read(instance: &Instance, world: &World, at: usize, random: &mut Rng) -> u64 {
    let (origin, key) = (origin(at), key(u8::try_from(at).unwrap()));
    if let Some((entry, _)) = instance.memory.find(&key, Instant::now()) {
        world.n_hits.fetch_add(1, Ordering::Relaxed);
        return entry.text.parse().unwrap();
    }
    let stamp = instance.memory.stamp(&origin.server);
    let looked = instance.tier.look_up(&origin, &[key]).await.unwrap();
    pause(random).await;
    if let Some(found) = looked.found {
        world.n_hits.fetch_add(1, Ordering::Relaxed);
        let value = found.text.parse().unwrap();
        instance.memory.store(Arc::new(found), stamp).ok();
        return value;
    }
    let value = world.values[at].load(Ordering::SeqCst);
    pause(random).await;
    let fetched = Arc::new(Entry {
        text: value.to_string().into(),
        ttl_span: None,
        ..entry(&origin, u8::try_from(at).unwrap())
    });
    instance.memory.store(Arc::clone(&fetched), stamp).ok();
    instance.tier.store(fetched, &looked.versions);
    value
}

async fn write(instance: &Instance, world: &World, at: usize, random: &mut Rng) {
    let value = world.values[at].fetch_add(1, Ordering::SeqCst) + 1;
    let server = origin(at).server;
    let reach = match random.u8(..5) {
        0 => Reach::Server,
        1 => Reach::Method(Method::ToolsCall),
        2 => Reach::Tools(vec![Glob::new("get_*")]),
        3 => Reach::Key(key(u8::try_from(at).unwrap())),
        _ => Reach::Tool(format!("get_{at}")),
    };
    pause(random).await;
    let became = instance.tier.invalidate(&server, &reach).await;
    instance.memory.invalidate(&server, &reach);
    // On a machine that is too slow for the budget nothing was promised.
    if became == Invalidated::Everywhere {
        world.written[at].fetch_max(value, Ordering::SeqCst);
        world.n_writes.fetch_add(1, Ordering::Relaxed);
    }
}

async fn pause(random: &mut Rng) {
    for _ in 0..random.u8(..20) {
        yield_now().await;
    }
}

fn origin(at: usize) -> Origin {
    tool(&format!("get_{at}"))
}
