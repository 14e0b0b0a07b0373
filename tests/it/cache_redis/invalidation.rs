//! What was invalidated, removed or forgotten is not found any more.

use std::sync::Arc;

use conduit::cache::entry::Origin;
use conduit::cache::redis::{Invalidated, Spec};
use filters::cache::invalidate::Reach;
use filters::glob::Glob;
use filters::mcp::method::Method;

use super::super::support::redis::Redis;
use super::super::support::until;
use super::{Instance, entry, key, origin, spec, tool};

#[tokio::test]
async fn an_invalidation_ends_what_it_covers_and_nothing_else_also_if_it_is_stored_after_it() {
    let redis = Redis::started().await;
    let one = Instance::started(&redis).await;
    let origins = [
        tool("get_a"),
        tool("get_b"),
        tool("t*"),
        tool("\u{e9}t\u{e9}"),
        origin(Method::ResourcesRead, Some("file:///a")),
        origin(Method::ResourcesRead, Some("get_a")),
        origin(Method::ToolsList, None),
        origin(Method::ResourcesList, None),
    ];
    let globs = |globs: &[&str]| globs.iter().copied().map(Glob::new).collect();
    let reaches = [
        Reach::Server,
        Reach::Method(Method::ToolsCall),
        Reach::Method(Method::ToolsList),
        Reach::Tool("get_a".to_owned()),
        Reach::Tool("t*".to_owned()),
        Reach::Tool("never seen".to_owned()),
        Reach::Tools(globs(&["get_*"])),
        Reach::Tools(globs(&["?t?", "get_b"])),
        Reach::Tools(globs(&["*"])),
        Reach::Resource("file:///a".to_owned()),
        Reach::Resources(globs(&["file:*"])),
        Reach::Key(key(3)),
        Reach::Union(vec![
            Reach::Tools(globs(&["*_b"])),
            Reach::Key(key(7)),
            Reach::Resource("get_a".to_owned()),
        ]),
    ];
    for reach in reaches {
        let mut kept = Vec::new();
        for (n, origin) in (0..).zip(&origins) {
            let looked = one.look_up(origin, n).await;
            one.tier.store(Arc::new(entry(origin, n)), &looked.versions);
        }
        one.written().await;
        for (n, origin) in (0..).zip(&origins) {
            let elsewhere = vec![key(100 + n), key(n)];
            let looked = one.tier.look_up(origin, &elsewhere).await.unwrap();
            assert!(looked.found.is_some(), "{origin:?}");
            kept.push(looked.versions);
        }
        invalidate(&one, &reach).await;
        for is_racing in [false, true] {
            for (n, (origin, versions)) in (0..).zip(origins.iter().zip(&kept)) {
                if is_racing {
                    one.tier.store(Arc::new(entry(origin, n)), versions);
                }
            }
            one.written().await;
            for (n, origin) in (0..).zip(&origins) {
                let target = origin.target.as_deref();
                let is_covered = reach.covers(origin.method, target, &key(n));
                let is_found = one.finds(origin, n).await;
                assert_eq!(is_found, !is_covered, "{reach:?} {origin:?} {is_racing}");
            }
        }
    }
}

#[tokio::test]
async fn servers_do_not_touch_each_other() {
    let redis = Redis::started().await;
    let one = Instance::started(&redis).await;
    let there = Origin {
        server: Arc::from("other"),
        ..tool("t")
    };
    one.fetch(entry(&there, 1)).await;
    invalidate(&one, &Reach::Server).await;
    assert!(one.finds(&there, 1).await);
}

#[tokio::test]
async fn more_names_than_are_noted_make_wildcards_cover_the_server() {
    let redis = Redis::started().await;
    let one = Instance::started(&redis).await;
    one.fetch(entry(&tool("noted"), 1)).await;
    let mut fill = redis::cmd("HSET");
    fill.arg("test[1]:v:server");
    for n in 0..10_000 {
        fill.arg(format!("t:{n}")).arg("");
    }
    let _n_new: u64 = redis.ask(&fill).await;
    one.fetch(entry(&tool("not noted"), 2)).await;
    assert!(one.finds(&tool("not noted"), 2).await);
    let reach = Reach::Tools(vec![Glob::new("not n*")]);
    invalidate(&one, &reach).await;
    assert!(!one.finds(&tool("not noted"), 2).await);
    assert!(!one.finds(&tool("noted"), 1).await);
    // From then on there is room again.
    one.fetch(entry(&tool("noted"), 1)).await;
    one.fetch(entry(&tool("not noted"), 2)).await;
    invalidate(&one, &reach).await;
    assert!(!one.finds(&tool("not noted"), 2).await);
    assert!(one.finds(&tool("noted"), 1).await);
}

#[tokio::test]
async fn a_key_is_removed_once() {
    let redis = Redis::started().await;
    let one = Instance::started(&redis).await;
    let origin = tool("t");
    one.fetch(entry(&origin, 1)).await;
    one.fetch(entry(&origin, 2)).await;
    let looked = one.look_up(&origin, 1).await;
    assert!(one.tier.remove(&key(1)).await.unwrap());
    assert!(!one.tier.remove(&key(1)).await.unwrap());
    one.store(entry(&origin, 1), &looked.versions).await;
    assert!(!one.finds(&origin, 1).await);
    assert!(one.finds(&origin, 2).await);
}

#[tokio::test]
async fn a_flush_drops_all_entries_under_the_prefix_and_what_is_being_fetched() {
    let redis = Redis::started().await;
    let one = Instance::started(&redis).await;
    let url = redis.url();
    // As a pattern, the prefix of the first would match this one's keys.
    let other = Instance::new(&Spec {
        key_prefix: "test1:",
        ..spec(&url)
    });
    other.connected().await;
    other.fetch(entry(&tool("t"), 1)).await;
    for n in 0..20 {
        one.fetch(entry(&tool("t"), n)).await;
    }
    let looked = one.look_up(&tool("t"), 30).await;
    // With the marker that `fetch` waits for.
    assert_eq!(one.tier.flush().await.unwrap(), 21);
    assert_eq!(one.tier.flush().await.unwrap(), 0);
    one.store(entry(&tool("t"), 30), &looked.versions).await;
    for n in (0..20).chain([30]) {
        assert!(!one.finds(&tool("t"), n).await, "{n}");
    }
    assert!(other.finds(&tool("t"), 1).await);
}

#[tokio::test]
async fn what_was_looked_up_before_redis_forgot_everything_is_not_stored() {
    let redis = Redis::started().await;
    let one = Instance::started(&redis).await;
    let looked = one.look_up(&tool("t"), 1).await;
    let () = redis.ask(&redis::cmd("FLUSHALL")).await;
    one.store(entry(&tool("t"), 1), &looked.versions).await;
    assert!(!one.finds(&tool("t"), 1).await);
    one.fetch(entry(&tool("t"), 1)).await;
    assert!(one.finds(&tool("t"), 1).await);
}

#[tokio::test]
async fn a_redis_that_comes_back_with_an_older_state_gives_nothing_of_it() {
    let mut redis = Redis::started().await;
    let one = Instance::started(&redis).await;
    one.fetch(entry(&tool("t"), 1)).await;
    let () = redis.ask(&redis::cmd("SAVE")).await;
    invalidate(&one, &Reach::Tool("t".to_owned())).await;
    redis.stop();
    redis.start().await;
    let name = format!("test[1]:e:{}", key(1).hex());
    let is_there: bool = redis.ask(redis::cmd("EXISTS").arg(name)).await;
    assert!(is_there);
    until("look-ups", || async {
        let looked = one.tier.look_up(&tool("t"), &[key(1)]).await.ok()?;
        assert!(looked.found.is_none());
        Some(())
    })
    .await;
}

/// Invalidates until it was heard in time, however slow the machine is.
async fn invalidate(instance: &Instance, reach: &Reach) {
    let server = Arc::from("server");
    until("an invalidation to be heard", || async {
        let became = instance.tier.invalidate(&server, reach).await;
        assert_ne!(became, Invalidated::Later);
        (became == Invalidated::Everywhere).then_some(())
    })
    .await;
}
