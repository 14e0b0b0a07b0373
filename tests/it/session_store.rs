//! The store that gateways share, with a real Redis.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::time::Duration;

use conduit::state::store::redis::{BUDGET, Spec};
use conduit::state::store::{Error, RECORD_BYTES_MAX, Record, Store, Upstream};
use futures_util::future::join_all;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::watch;

use super::support::log::Log;
use super::support::redis::Redis;
use super::support::{until, within};

const IDLE: Duration = Duration::from_secs(1_800);
const SECRET: &str = "the secret of a test, long enough";

// === sessions ===

#[tokio::test]
async fn what_one_gateway_saves_another_loads_until_either_deletes_it() {
    let redis = Redis::started().await;
    let (one, other) = (store(&redis, Some(SECRET)), store(&redis, Some(SECRET)));
    assert_eq!(other.load("id").await.unwrap(), None);
    one.save("id", &record(), IDLE).await.unwrap();
    assert_eq!(other.load("id").await.unwrap(), Some(record()));
    let mut changed = record();
    changed.log_level = None;
    changed.upstreams.clear();
    other.save("id", &changed, IDLE).await.unwrap();
    assert_eq!(one.load("id").await.unwrap(), Some(changed));
    assert!(other.delete("id").await.unwrap());
    assert_eq!(one.load("id").await.unwrap(), None);
    assert!(!one.delete("id").await.unwrap());
}

#[tokio::test]
async fn a_session_ends_when_it_was_not_used_for_its_idle_time() {
    let redis = Redis::started().await;
    let store = store(&redis, Some(SECRET));
    store
        .save("short", &record(), Duration::from_millis(1))
        .await
        .unwrap();
    until("the session to expire", || async {
        store.load("short").await.unwrap().is_none().then_some(())
    })
    .await;
    assert!(!store.touch("short", IDLE).await.unwrap());
    store.save("id", &record(), IDLE).await.unwrap();
    assert!(store.touch("id", 2 * IDLE).await.unwrap());
    assert!(remaining(&redis, "id:*").await > IDLE);
}

#[tokio::test]
async fn a_session_that_is_kept_for_ever_or_not_at_all_is_no_error() {
    let redis = Redis::started().await;
    let store = store(&redis, Some(SECRET));
    for idle in [Duration::ZERO, Duration::MAX] {
        store.save("id", &record(), idle).await.unwrap();
        store.touch("id", idle).await.unwrap();
    }
}

#[tokio::test]
async fn a_record_is_kept_up_to_its_bound_and_refused_above() {
    let redis = Redis::started().await;
    let store = store(&redis, Some(SECRET));
    let mut large = record();
    let Err(Error::ClientTooLarge(more)) = ({
        large.client_capabilities = "c".repeat(RECORD_BYTES_MAX);
        store.save("id", &large, IDLE).await
    }) else {
        panic!("larger than the bound")
    };
    large.client_capabilities = "c".repeat(RECORD_BYTES_MAX - (more - RECORD_BYTES_MAX));
    store.save("id", &large, IDLE).await.unwrap();
    assert_eq!(store.load("id").await.unwrap().as_ref(), Some(&large));
    large.client_capabilities.push('c');
    let error = store.save("id", &large, IDLE).await.unwrap_err();
    assert!(matches!(error, Error::ClientTooLarge(_)), "{error}");
}

// === seals ===

#[tokio::test]
async fn redis_shows_neither_ids_nor_what_a_session_holds() {
    let redis = Redis::started().await;
    let store = store(&redis, Some(SECRET));
    store.save("id-of-client", &record(), IDLE).await.unwrap();
    assert!(store.claim("mark-of-client", IDLE).await.unwrap());
    let names = names(&redis, "*").await;
    assert_eq!(names.len(), 2, "{names:?}");
    for name in names {
        assert!(name.starts_with("test:"), "{name}");
        let value: String = redis.ask(redis::cmd("GET").arg(&name)).await;
        for secret in ["of-client", "alice", "up-1", "elicitation", "profile"] {
            assert!(
                !name.contains(secret) && !value.contains(secret),
                "{secret}"
            );
        }
    }
}

#[tokio::test]
async fn a_record_opens_with_the_same_secret_only() {
    let redis = Redis::started().await;
    let one = store(&redis, Some(SECRET));
    one.save("id", &record(), IDLE).await.unwrap();
    for secret in [Some("another secret, also long enough"), None] {
        let other = store(&redis, secret);
        let log = Log::start();
        assert_eq!(other.load("id").await.unwrap(), None);
        assert!(log.text().contains("not sealed with this secret"));
    }
    assert_eq!(one.load("id").await.unwrap(), Some(record()));
}

#[tokio::test]
async fn a_changed_value_is_no_session_and_is_logged() {
    let redis = Redis::started().await;
    let store = store(&redis, Some(SECRET));
    store.save("id", &record(), IDLE).await.unwrap();
    let name = names(&redis, "id:*").await.remove(0);
    let sealed: Vec<u8> = redis.ask(redis::cmd("GET").arg(&name)).await;
    let mut flipped = sealed.clone();
    flipped[40] = if flipped[40] == b'A' { b'B' } else { b'A' };
    let binary = [&sealed[..], b"\xFF"].concat();
    for changed in [flipped, sealed[..sealed.len() - 2].to_vec(), binary, vec![]] {
        let () = redis.ask(redis::cmd("SET").arg(&name).arg(changed)).await;
        let log = Log::start();
        assert_eq!(store.load("id").await.unwrap(), None);
        assert!(log.text().contains("or was changed"), "{}", log.text());
    }
    let () = redis.ask(redis::cmd("SET").arg(&name).arg(sealed)).await;
    assert_eq!(store.load("id").await.unwrap(), Some(record()));
}

#[tokio::test]
async fn a_record_does_not_open_as_that_of_another_session() {
    let redis = Redis::started().await;
    let store = store(&redis, Some(SECRET));
    store.save("victim", &record(), IDLE).await.unwrap();
    let from = names(&redis, "id:*").await.remove(0);
    store.save("thief", &record(), IDLE).await.unwrap();
    let names = names(&redis, "id:*").await;
    let to = names.iter().find(|name| **name != from).unwrap();
    let mut copy = redis::cmd("COPY");
    let copied: bool = redis.ask(copy.arg(&from).arg(to).arg("REPLACE")).await;
    assert!(copied);
    assert_eq!(store.load("thief").await.unwrap(), None);
}

#[tokio::test]
async fn gateways_without_a_secret_share_a_random_one_through_redis() {
    let redis = Redis::started().await;
    let (one, other) = (store(&redis, None), store(&redis, None));
    let sealed = one.key().await.unwrap().seal([7; 24], b"c", b"plain");
    let opened = other.key().await.unwrap().open(b"c", &sealed);
    assert_eq!(opened.as_deref(), Some(&b"plain"[..]));
    one.save("id", &record(), IDLE).await.unwrap();
    assert_eq!(other.load("id").await.unwrap(), Some(record()));
}

#[tokio::test]
async fn gateways_agree_again_when_redis_lost_their_secret() {
    let redis = Redis::started().await;
    let (one, other) = (store(&redis, None), store(&redis, None));
    one.save("id", &record(), IDLE).await.unwrap();
    let () = redis.ask(&redis::cmd("FLUSHALL")).await;
    other.save("first", &record(), IDLE).await.unwrap();
    // This one still seals with the secret that is gone, and has to learn better.
    one.save("second", &record(), IDLE).await.unwrap();
    assert_eq!(one.load("first").await.unwrap(), Some(record()));
    assert_eq!(other.load("second").await.unwrap(), Some(record()));
    assert_eq!(one.load("id").await.unwrap(), None);
}

// === marks ===

#[tokio::test]
async fn a_mark_is_taken_by_one_of_all_gateways_once() {
    let redis = Redis::started().await;
    let stores = [store(&redis, Some(SECRET)), store(&redis, Some(SECRET))];
    let claims = (0..40).map(|n| stores[n % 2].claim("mark", IDLE));
    let taken = join_all(claims).await;
    let n_taken = taken.into_iter().filter(|taken| *taken.as_ref().unwrap());
    assert_eq!(n_taken.count(), 1);
    assert!(stores[0].claim("another mark", IDLE).await.unwrap());
    assert!(remaining(&redis, "mark:*").await <= IDLE);
}

#[tokio::test]
async fn a_gateway_alone_keeps_marks_and_no_records() {
    let store = Store::in_memory(None).unwrap();
    assert!(!store.is_shared());
    assert!(store.claim("mark", IDLE).await.unwrap());
    assert!(!store.claim("mark", IDLE).await.unwrap());
    store.save("id", &record(), IDLE).await.unwrap();
    assert_eq!(store.load("id").await.unwrap(), None);
    assert!(store.touch("id", IDLE).await.unwrap());
    assert!(!store.delete("id").await.unwrap());
}

#[tokio::test]
async fn the_key_of_a_gateway_alone_comes_from_its_secret() {
    let key = |secret| async move { Store::in_memory(secret).unwrap().key().await.unwrap() };
    let sealed = key(Some(SECRET)).await.seal([7; 24], b"", b"plain");
    assert!(key(Some(SECRET)).await.open(b"", &sealed).is_some());
    assert!(key(None).await.open(b"", &sealed).is_none());
}

// === a Redis that fails ===

#[tokio::test]
async fn without_redis_every_operation_is_an_error_and_works_once_it_is_there() {
    let mut redis = Redis::absent();
    for secret in [Some(SECRET), None] {
        let store = store(&redis, secret);
        assert!(store.is_shared());
        let error = store.load("id").await.unwrap_err();
        assert!(matches!(error, Error::Connect(_)), "{error}");
        assert!(error.source().is_some());
        store.save("id", &record(), IDLE).await.unwrap_err();
        store.touch("id", IDLE).await.unwrap_err();
        store.delete("id").await.unwrap_err();
        store.claim("mark", IDLE).await.unwrap_err();
        assert_eq!(store.key().await.is_err(), secret.is_none());
        redis.start().await;
        assert!(store.claim("mark", IDLE).await.unwrap());
        store.save("id", &record(), IDLE).await.unwrap();
        assert_eq!(store.load("id").await.unwrap(), Some(record()));
        redis.stop();
    }
}

#[tokio::test]
async fn a_redis_that_was_restarted_is_used_again_at_once() {
    let mut redis = Redis::started().await;
    let store = store(&redis, None);
    store.save("id", &record(), IDLE).await.unwrap();
    redis.stop();
    store.load("id").await.unwrap_err();
    redis.start().await;
    store.save("id", &record(), IDLE).await.unwrap();
    redis.stop();
    redis.start().await;
    // Nobody noticed this loss before: the command is sent again over a new connection.
    assert!(store.claim("mark", IDLE).await.unwrap());
}

#[tokio::test]
async fn a_closed_connection_is_replaced_without_an_error() {
    let redis = Redis::started().await;
    let store = store(&redis, Some(SECRET));
    store.save("id", &record(), IDLE).await.unwrap();
    for _ in 0..5 {
        let mut kill = redis::cmd("CLIENT");
        let kill = kill
            .arg("KILL")
            .arg("TYPE")
            .arg("normal")
            .arg("SKIPME")
            .arg("yes");
        let _n_killed: usize = redis.ask(kill).await;
        assert_eq!(store.load("id").await.unwrap(), Some(record()));
    }
}

#[tokio::test]
async fn a_redis_that_hangs_costs_the_budget_and_is_used_again_when_it_goes_on() {
    let redis = Redis::started().await;
    let store = in_redis(&redis.url(), Some(SECRET), BUDGET).unwrap();
    until("a session to be saved", || async {
        store.save("id", &record(), IDLE).await.ok()
    })
    .await;
    redis.freeze();
    for _ in 0..3 {
        let loading = within("an answer in spite of Redis", store.load("id"));
        let error = loading.await.unwrap_err();
        assert!(matches!(error, Error::TimedOut), "{error}");
    }
    redis.thaw();
    until("Redis to be used again", || async {
        store.load("id").await.ok().flatten()
    })
    .await;
}

#[tokio::test]
async fn a_connection_on_which_nothing_comes_any_more_is_given_up() {
    let redis = Redis::started().await;
    let network = Network::to(&redis).await;
    let store = in_redis(&network.url, Some(SECRET), 4 * BUDGET).unwrap();
    until("a session to be saved", || async {
        store.save("id", &record(), IDLE).await.ok()
    })
    .await;
    // The connection that is there now stays dead; others can be made.
    network.cut.send(true).unwrap();
    let error = within("the loss", store.load("id")).await.unwrap_err();
    assert!(matches!(error, Error::TimedOut), "{error}");
    until("another connection", || async {
        store.load("id").await.ok().flatten()
    })
    .await;
}

#[tokio::test]
async fn something_that_takes_connections_and_says_nothing_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let store = in_redis(&url, Some(SECRET), BUDGET).unwrap();
    let claims = (0..8).map(|n| {
        let store = &store;
        async move { store.claim(&n.to_string(), IDLE).await }
    });
    for claimed in within("errors", join_all(claims)).await {
        assert!(matches!(claimed, Err(Error::TimedOut)), "{claimed:?}");
    }
}

#[tokio::test]
async fn a_url_that_cannot_be_used_is_refused_without_showing_it() {
    for url in ["redis://:hush@", "http://hush", "redis://h:99999/hush"] {
        let Err(error) = in_redis(url, None, BUDGET) else {
            panic!("{url}")
        };
        assert!(matches!(error, Error::ConfigUrl(_)));
        let source = error.source().unwrap().to_string();
        assert!(!format!("{error} {source}").contains("hush"), "{source}");
    }
}

// === what the tests stand on ===

/// A store that is patient, so that a slow machine fails no test.
fn store(redis: &Redis, secret: Option<&str>) -> Store {
    in_redis(&redis.url(), secret, 40 * BUDGET).unwrap()
}

fn in_redis(url: &str, secret: Option<&str>, budget: Duration) -> Result<Store, Error> {
    let key_prefix = "test:";
    Store::in_redis(&Spec {
        url,
        key_prefix,
        secret,
        budget,
    })
}

/// A way to a Redis that can be cut as a network is: connections stay open and carry nothing.
struct Network {
    url: String,
    cut: watch::Sender<bool>,
}

impl Network {
    async fn to(redis: &Redis) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        let (cut, seen) = watch::channel(false);
        let socket = redis.socket();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let (socket, mut seen) = (socket.clone(), seen.clone());
                tokio::spawn(async move {
                    let mut server = UnixStream::connect(socket).await.unwrap();
                    if *seen.borrow() {
                        copy_bidirectional(&mut client, &mut server).await.ok();
                    } else {
                        tokio::select! {
                            _ = copy_bidirectional(&mut client, &mut server) => {}
                            _ = seen.changed() => std::future::pending().await,
                        }
                    }
                });
            }
        });
        Self { url, cut }
    }
}

fn record() -> Record {
    let upstream = |session: Option<&str>, replica| Upstream {
        session: session.map(str::to_owned),
        revision: "2025-11-25".to_owned(),
        replica,
    };
    let upstreams = [
        ("files", upstream(Some("up-1"), Some(1))),
        ("search", upstream(None, None)),
    ];
    Record {
        principal: "alice".to_owned(),
        scope: "profile:default".to_owned(),
        revision: "2025-06-18".to_owned(),
        client_capabilities: r#"{"elicitation":{}}"#.to_owned(),
        client_info: Some(r#"{"name":"c","version":"1"}"#.to_owned()),
        log_level: Some("warning".to_owned()),
        subscriptions: vec!["file:///a".to_owned()],
        upstreams: BTreeMap::from(upstreams.map(|(id, upstream)| (id.to_owned(), upstream))),
    }
}

async fn names(redis: &Redis, pattern: &str) -> Vec<String> {
    let pattern = format!("test:{pattern}");
    redis.ask(redis::cmd("KEYS").arg(pattern)).await
}

/// How long Redis keeps what matches, at most.
async fn remaining(redis: &Redis, pattern: &str) -> Duration {
    let mut longest = Duration::ZERO;
    for name in names(redis, pattern).await {
        let milliseconds: i64 = redis.ask(redis::cmd("PTTL").arg(name)).await;
        longest = longest.max(Duration::from_millis(milliseconds.try_into().unwrap()));
    }
    longest
}
