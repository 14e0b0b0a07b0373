//! The second tier of the cache, with real Redis servers.

mod clocks;
mod coherence;
mod entries;
mod faults;
mod invalidation;
mod late;
mod leases;

use std::sync::Arc;
use std::time::{Duration, Instant};

use conduit::cache::entry::{Entry, Origin, Translated};
use conduit::cache::memory::{Limits, Memory};
use conduit::cache::redis::look_up::Looked;
use conduit::cache::redis::versions::Versions;
use conduit::cache::redis::{self, Redis as Tier, Spec};
use conduit::kv;
use filters::cache::freshness::{Lifetime, Staleness};
use filters::cache::key::Key;
use filters::cache::policy::Share;
use filters::mcp::method::Method;
use filters::mcp::revision::Era;
use tokio_util::sync::CancellationToken;
use tokio_util::sync::DropGuard;

use super::support::redis::Redis;
use super::support::until;

/// How long what is stored is fresh, unless a test says otherwise.
const FRESH: Duration = Duration::from_secs(100);

/// So patient that a slow machine fails no test.
const PATIENT: Duration = Duration::from_secs(20);

/// A gateway's two tiers. What it runs ends with it.
struct Instance {
    tier: Arc<Tier>,
    memory: Arc<Memory>,
    _stop: DropGuard,
}

impl Instance {
    /// One that is connected and hears.
    async fn started(redis: &Redis) -> Self {
        let instance = Self::new(&spec(&redis.url()));
        instance.connected().await;
        instance
    }

    /// One that begins to connect.
    fn new(spec: &Spec<'_>) -> Self {
        let tier = Tier::new(spec).unwrap();
        let memory = Arc::new(Memory::new(Limits {
            entries_max: 1_000,
            bytes_max: 1 << 24,
            entry_bytes_max: 1 << 16,
        }));
        let stop = CancellationToken::new();
        tokio::spawn(Arc::clone(&tier).run(Arc::clone(&memory), stop.clone()));
        Self {
            tier,
            memory,
            _stop: stop.drop_guard(),
        }
    }

    async fn connected(&self) {
        until("the second tier", || async {
            let is_ready = self.tier.stats().connected && !self.tier.is_blind();
            is_ready.then_some(())
        })
        .await;
    }

    async fn look_up(&self, origin: &Origin, key: u8) -> Looked {
        self.tier.look_up(origin, &[self::key(key)]).await.unwrap()
    }

    async fn finds(&self, origin: &Origin, key: u8) -> bool {
        self.look_up(origin, key).await.found.is_some()
    }

    /// Looks up, as a fetch does first, and stores.
    async fn fetch(&self, entry: Entry) {
        let keys = [entry.key];
        let looked = self.tier.look_up(&entry.origin, &keys).await.unwrap();
        self.store(entry, &looked.versions).await;
    }

    /// Stores, and waits until the writer is through with it.
    async fn store(&self, entry: Entry, versions: &Versions) {
        self.tier.store(Arc::new(entry), versions);
        self.written().await;
    }

    /// Waits until what was stored up to now is written: what is written last is found.
    async fn written(&self) {
        let marker = tool("marker");
        let looked = self.look_up(&marker, 255).await;
        let mut entry = entry(&marker, 255);
        entry.ttl_span = None;
        entry.text = format!("{:?}", Instant::now()).into();
        let text = entry.text.clone();
        self.tier.store(Arc::new(entry), &looked.versions);
        until("the writer", || async {
            let found = self.look_up(&marker, 255).await.found;
            found.is_some_and(|found| found.text == text).then_some(())
        })
        .await;
    }
}

fn spec(url: &str) -> Spec<'_> {
    Spec {
        url,
        key_prefix: "test[1]:",
        multiplier: 3.0,
        entry_bytes_max: 1_000,
        timeout: PATIENT,
        lease: None,
    }
}

fn key(n: u8) -> Key {
    Key::parse(&format!("{n:02x}").repeat(32)).unwrap()
}

fn origin(method: Method, target: Option<&str>) -> Origin {
    Origin {
        server: Arc::from("server"),
        method,
        target: target.map(Arc::from),
    }
}

fn tool(name: &str) -> Origin {
    origin(Method::ToolsCall, Some(name))
}

/// A result that was just fetched.
fn entry(origin: &Origin, n: u8) -> Entry {
    Entry {
        key: key(n),
        origin: origin.clone(),
        era: Era::Modern,
        text: r#"{"content":[],"ttlMs":100000}"#.into(),
        ttl_span: Some(22..28),
        ttl: Some(FRESH),
        is_operators: false,
        share: Share::Private,
        fetched: Instant::now(),
        lifetime: Lifetime::new(FRESH, Staleness::default()),
        translated: Translated::default(),
    }
}

/// The same, fetched some time ago.
fn aged(entry: Entry, age: Duration) -> Entry {
    let fetched = entry.fetched.checked_sub(age).unwrap();
    Entry { fetched, ..entry }
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[tokio::test]
async fn a_url_that_cannot_be_used_is_refused_without_showing_it() {
    for url in ["redis://:hush@", "http://hush", "redis://h:99999/hush"] {
        let Err(error) = Tier::new(&spec(url)) else {
            panic!("{url}")
        };
        assert!(matches!(error, redis::Error::Kv(kv::Error::ConfigUrl(_))));
        assert!(!format!("{error:?}").contains("hush"), "{error:?}");
    }
}
