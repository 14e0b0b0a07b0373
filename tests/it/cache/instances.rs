//! Gateways that share a Redis, and a Redis that fails them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use fastrand::Rng;
use futures_util::future::join_all;
use serde_json::json;

use super::ask::{Ask, call};
use super::site::{Place, Say, Site};
use super::{Bed, Tier, admin, config, is_alone, is_shared, probe, told};
use crate::support::gateway::Gateway;
use crate::support::redis::Redis;
use crate::support::wire::{self, Answer, Connection};
use crate::support::{until, within};

/// What the seed of all randomness is.
const SEED: u64 = 4;
/// Values that are written and read.
pub(super) const N_VALUES: usize = 4;
const N_READERS: usize = 6;
const N_WRITES: usize = 60;

/// Two gateways on one Redis, in front of a server whose values can be written.
pub(super) struct Pair {
    pub(super) gateways: [Gateway; 2],
    pub(super) redis: Redis,
    pub(super) values: Arc<[AtomicU64; N_VALUES]>,
    _site: Site,
}

impl Pair {
    pub(super) async fn start() -> Self {
        let values: Arc<[AtomicU64; N_VALUES]> = Arc::default();
        let held = Arc::clone(&values);
        let place = Place::new("s").cache(json!({ "default_ttl": 3600 }));
        let place = place.says(move |asked| {
            let at = asked.params()["arguments"]["at"]
                .as_u64()
                .unwrap_or_default();
            let Some(value) = held.get(usize::try_from(at).unwrap()) else {
                return Say::Usual;
            };
            let value = match asked.target() {
                "read" => value.load(Ordering::SeqCst),
                "destroy" => value.fetch_add(1, Ordering::SeqCst) + 1,
                _ => return Say::Usual,
            };
            Say::With(json!({ "content": [{ "type": "text", "text": format!("#{value}.") }] }))
        });
        let site = Site::start(vec![place, probe()]).await;
        let redis = Redis::started().await;
        let config = config(&site, json!({}), Some(&redis));
        let gateways = tokio::join!(Gateway::with(config.clone()), Gateway::with(config));
        let pair = Self {
            gateways: gateways.into(),
            redis,
            values,
            _site: site,
        };
        pair.shared().await;
        pair
    }

    pub(super) async fn shared(&self) {
        for gateway in &self.gateways {
            is_shared(gateway).await;
        }
    }

    pub(super) async fn ask(&self, gateway: usize, tool: &str, at: usize) -> (u64, bool) {
        let ask = call(tool, &format!(r#"{{"at":{at}}}"#));
        let answer = wire::ask(self.gateways[gateway].address, &ask.request("/mcp/s")).await;
        let told = told(&answer);
        let (status, value) = told.split_once(" #").unwrap_or_else(|| panic!("{told}"));
        (value.parse().unwrap(), status == "HIT")
    }

    /// Writes through one gateway and reads through both, while others read; how many hits there were.
    pub(super) async fn play(&self, seed: u64, n_writes: usize) -> u64 {
        let is_over = AtomicBool::new(false);
        let n_hits = AtomicU64::new(0);
        let (is_over, n_hits) = (&is_over, &n_hits);
        let readers = (0..N_READERS).map(|reader| async move {
            let mut random = Rng::with_seed(seed + 1 + reader as u64);
            while !is_over.load(Ordering::SeqCst) {
                self.read(&mut random, n_hits).await;
            }
        });
        let writer = async {
            let mut random = Rng::with_seed(seed);
            for _ in 0..n_writes {
                let at = random.usize(..N_VALUES);
                let (written, _) = self.ask(random.usize(..2), "destroy", at).await;
                for gateway in 0..2 {
                    let (value, _) = self.ask(gateway, "read", at).await;
                    assert_eq!(
                        value, written,
                        "seed {seed}: read at {gateway} after the write"
                    );
                }
            }
            is_over.store(true, Ordering::SeqCst);
        };
        tokio::join!(writer, join_all(readers));
        n_hits.load(Ordering::SeqCst)
    }

    /// Reads one value: never an older one than any whose write was over.
    async fn read(&self, random: &mut Rng, n_hits: &AtomicU64) {
        let at = random.usize(..N_VALUES);
        let (value, is_hit) = self.ask(random.usize(..2), "read", at).await;
        assert!(value <= self.values[at].load(Ordering::SeqCst));
        n_hits.fetch_add(u64::from(is_hit), Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_after_a_write_through_either_gateway_reads_what_was_written() {
    let pair = Pair::start().await;
    let n_hits = pair.play(SEED, N_WRITES).await;
    assert!(n_hits > 0, "nothing was cached");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_sees_an_error_while_redis_is_killed_and_started_again() {
    let mut pair = Pair::start().await;
    pair.redis.stop();
    // What one gateway writes the other cannot hear now: each is right for itself.
    for at in 0..N_VALUES {
        for gateway in 0..2 {
            let (written, _) = pair.ask(gateway, "destroy", at).await;
            let (value, _) = pair.ask(gateway, "read", at).await;
            assert_eq!(value, written, "read at {gateway}, where it was written");
        }
    }
    for gateway in &pair.gateways {
        until("Redis to be given up", || async {
            let stats = admin(gateway, "stats").await;
            (stats["l2"]["connected"] == false).then_some(())
        })
        .await;
    }
    pair.redis.start().await;
    pair.shared().await;
    // From here on both agree again, on what was written meanwhile, too.
    for at in 0..N_VALUES {
        let current = pair.values[at].load(Ordering::SeqCst);
        for gateway in 0..2 {
            assert_eq!(pair.ask(gateway, "read", at).await.0, current);
        }
    }
    pair.play(SEED + 100, N_WRITES / 3).await;
}

#[tokio::test]
async fn what_one_gateway_fetched_the_other_gives() {
    let pair = Pair::start().await;
    assert_eq!(pair.ask(0, "read", 0).await, (0, false));
    until("the other to have it", || async {
        pair.ask(1, "read", 0).await.1.then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_write_through_a_gateway_that_holds_nothing_reaches_the_one_that_does() {
    let pair = Pair::start().await;
    for n in 0..3 {
        assert_eq!(pair.ask(0, "read", 0).await, (n, false));
        assert_eq!(pair.ask(0, "read", 0).await, (n, true));
        assert_eq!(pair.ask(1, "destroy", 0).await.0, n + 1);
    }
}

// === faults ===

/// Hits go on, and what is not there is fetched, whatever became of Redis.
async fn goes_on(bed: &Bed, what: &str) {
    let mut connection = Connection::open(bed.gateway.address).await.unwrap();
    let mut told = BTreeMap::<String, usize>::new();
    for n in 0..40 {
        let ask = call("read", &format!(r#"{{"{what}":{}}}"#, n % 4));
        let answer: Answer = connection.ask(&ask.request("/mcp/s")).await.unwrap();
        assert_eq!(answer.status, 200, "{what}: {answer:?}");
        assert!(answer.json()["result"].is_object(), "{what}: {answer:?}");
        let status = answer.headers.get("x-conduit-cache-status").unwrap();
        *told.entry(status.to_owned()).or_default() += 1;
    }
    // Memory is dropped at most once: when it is found that nothing is heard any more.
    assert!(told["MISS"] <= 8 && told["HIT"] >= 32, "{what}: {told:?}");
}

async fn faulty(cache: serde_json::Value) -> Bed {
    let place = Place::new("s").cache(json!({ "default_ttl": 3600 }));
    Bed::start(Tier::Redis, cache, vec![place]).await
}

#[tokio::test]
async fn clients_do_not_see_that_redis_hangs_dies_or_comes_back() {
    let mut bed = faulty(json!({ "l2": { "timeout_ms": 50 } })).await;
    goes_on(&bed, "well").await;
    bed.redis.as_ref().unwrap().freeze();
    goes_on(&bed, "frozen").await;
    is_alone_in_time(&bed).await;
    goes_on(&bed, "given up").await;
    bed.redis.as_ref().unwrap().thaw();
    is_shared(&bed.gateway).await;
    goes_on(&bed, "thawed").await;
    bed.redis.as_mut().unwrap().stop();
    goes_on(&bed, "killed").await;
    bed.redis.as_mut().unwrap().start().await;
    is_shared(&bed.gateway).await;
    goes_on(&bed, "started again").await;
}

/// Waits until Redis was given up, while clients go on.
async fn is_alone_in_time(bed: &Bed) {
    until("Redis to be given up", || async {
        let stats = admin(&bed.gateway, "stats").await;
        (stats["l2"]["connected"] == false).then_some(())
    })
    .await;
}

#[tokio::test]
async fn clients_do_not_see_that_redis_is_full() {
    let bed = faulty(json!({})).await;
    let redis = bed.redis.as_ref().unwrap();
    for setting in [["maxmemory-policy", "noeviction"], ["maxmemory", "1"]] {
        let mut command = redis::cmd("CONFIG");
        let () = redis.ask(command.arg("SET").arg(&setting)).await;
    }
    goes_on(&bed, "full").await;
    assert!(
        bed.tells("s", &call("destroy", "{}"))
            .await
            .starts_with("SKIP")
    );
    let ask = call("read", r#"{"full":1}"#);
    assert!(
        bed.tells("s", &ask).await.starts_with("MISS"),
        "it was made stale"
    );
}

#[tokio::test]
async fn clients_do_not_see_that_a_password_is_wrong_and_the_gateway_starts() {
    let bed = faulty(json!({})).await;
    let redis = bed.redis.as_ref().unwrap();
    let mut command = redis::cmd("CONFIG");
    let () = redis
        .ask(command.arg("SET").arg("requirepass").arg("right"))
        .await;
    let mut own = config(&bed.site, json!({}), None);
    let url = format!("{}?pass=wrong", redis.url());
    own["cache"]["l2"] = json!({ "redis_url": url });
    let gateway = Gateway::with(own).await;
    let bed = Bed { gateway, ..bed };
    goes_on(&bed, "locked out").await;
    let process = &bed.gateway.process;
    let is_it = |line: &str| line.contains("Redis").then_some(());
    process.line("the operator to be told", is_it).await;
    let output = process.output();
    assert!(!output.contains("wrong"), "no password is logged: {output}");
}

#[tokio::test]
async fn a_gateway_starts_without_redis_and_uses_it_once_it_is_there() {
    let place = Place::new("s").cache(json!({ "default_ttl": 3600 }));
    let site = Site::start(vec![place, probe()]).await;
    let redis = Redis::absent();
    let gateway = Gateway::with(config(&site, json!({}), Some(&redis))).await;
    let mut bed = Bed {
        gateway,
        site,
        redis: Some(redis),
    };
    is_alone(&bed.gateway).await;
    goes_on(&bed, "absent").await;
    bed.redis.as_mut().unwrap().start().await;
    is_shared(&bed.gateway).await;
    goes_on(&bed, "there").await;
    let told = within("a hit", bed.tells("s", &Ask::new("prompts/list"))).await;
    assert_eq!(told, "MISS #1");
}
