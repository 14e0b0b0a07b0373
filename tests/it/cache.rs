//! The shared cache as clients, servers and operators see it: issue 4, "What it must show".
//!
//! Every answer of the fake server is numbered, so that each answer of the gateway tells which of the
//! server's it is: `HIT #1` was asked for once.

mod answers;
mod ask;
mod batches;
mod collapse;
mod control;
mod instances;
mod leases;
mod outages;
mod passing;
mod pressure;
mod refused;
mod reload;
mod site;
mod storm;
mod table;
mod tasks;
mod unsettled;
mod writes;

use std::time::Instant;

use serde_json::{Value, json};

use crate::support::gateway::Gateway;
use crate::support::redis::Redis;
use crate::support::until;
use crate::support::wire::{self, Answer, Request};

use ask::Ask;
use site::{Place, Site};

/// Where results are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tier {
    Memory,
    /// In memory and in Redis.
    Redis,
    /// In memory; there was a Redis until a moment ago.
    Killed,
}

/// All of them.
const TIERS: [Tier; 3] = [Tier::Memory, Tier::Redis, Tier::Killed];

/// A gateway in front of the places of a site.
struct Bed {
    gateway: Gateway,
    site: Site,
    redis: Option<Redis>,
}

impl Bed {
    /// A gateway with this `cache` section.
    async fn start(tier: Tier, cache: Value, mut places: Vec<Place>) -> Self {
        if tier != Tier::Memory {
            places.push(probe());
        }
        let site = Site::start(places).await;
        let redis = match tier {
            Tier::Memory => None,
            Tier::Redis | Tier::Killed => Some(Redis::started().await),
        };
        let config = config(&site, cache, redis.as_ref());
        let gateway = Gateway::with(config).await;
        if redis.is_some() {
            is_shared(&gateway).await;
        }
        let mut bed = Self {
            gateway,
            site,
            redis,
        };
        if tier == Tier::Killed {
            bed.lose_redis().await;
        }
        bed
    }

    /// Kills Redis, and waits until the gateway has given it up.
    async fn lose_redis(&mut self) {
        let ask = ask::call("read_more", "{}");
        assert_eq!(self.tells(PROBE, &ask).await, "MISS #1");
        self.redis.as_mut().unwrap().stop();
        // Nobody is told of it, whoever asks first.
        let told = self.tells(PROBE, &ask).await;
        assert!(["HIT #1", "MISS #2"].contains(&told.as_str()), "{told}");
        is_alone(&self.gateway).await;
    }

    /// One with memory alone.
    async fn plain(places: Vec<Place>) -> Self {
        Self::start(Tier::Memory, json!({}), places).await
    }

    /// Asks at a server's own endpoint.
    async fn ask(&self, server: &str, ask: &Ask) -> Answer {
        self.ask_at(&format!("/mcp/{server}"), ask).await
    }

    async fn ask_at(&self, path: &str, ask: &Ask) -> Answer {
        wire::ask(self.gateway.address, &ask.request(path)).await
    }

    /// What became of it, in short.
    async fn tells(&self, server: &str, ask: &Ask) -> String {
        told(&self.ask(server, ask).await)
    }

    /// The state of all entries of a server.
    async fn states(&self, server: &str) -> Vec<String> {
        states(&self.gateway, server).await
    }

    /// Waits until all entries of a server are `state`, and there are some; `expired` is also what is
    /// not there any more.
    async fn reach(&self, server: &str, state: &str) {
        until(&format!("{server} to be {state}"), || async {
            let states = self.states(server).await;
            let is_there = state == "expired" || !states.is_empty();
            (is_there && states.iter().all(|one| one == state)).then_some(())
        })
        .await;
    }
}

/// The configuration of a gateway in front of a site.
fn config(site: &Site, mut cache: Value, redis: Option<&Redis>) -> Value {
    if let Some(redis) = redis {
        cache["l2"]["redis_url"] = json!(redis.url());
        if cache["l2"]["timeout_ms"].is_null() {
            // So patient that a slow machine fails no test.
            cache["l2"]["timeout_ms"] = json!(10_000);
        }
    }
    json!({ "servers": site.servers(), "cache": cache })
}

/// Where it is seen whether a gateway hears what others invalidate: while it does not, it keeps nothing
/// for long.
const PROBE: &str = "probe";

fn probe() -> Place {
    Place::new(PROBE).cache(json!({ "default_ttl": 3600 }))
}

/// Waits until a gateway uses Redis, and hears what others invalidate.
async fn is_shared(gateway: &Gateway) {
    until("Redis to be used", || async {
        let stats = admin(gateway, "stats").await;
        if stats["l2"]["connected"] != true {
            return None;
        }
        let ask = ask::call("read", &format!(r#"{{"now":"{:?}"}}"#, Instant::now()));
        let request = ask.request(&format!("/mcp/{PROBE}"));
        assert_eq!(wire::ask(gateway.address, &request).await.status, 200);
        let shown = admin(gateway, &format!("entries?server={PROBE}")).await;
        let entries = shown["entries"].as_array().unwrap();
        let mut left = entries.iter().map(|entry| entry["ttl_seconds"].as_f64());
        left.any(|left| left > Some(60.0)).then_some(())
    })
    .await;
}

/// Waits until a gateway has given Redis up, and with it what it held.
async fn is_alone(gateway: &Gateway) {
    until("Redis to be given up", || async {
        let stats = admin(gateway, "stats").await;
        let is_alone = stats["l2"]["connected"] == false && stats["l1"]["entries"] == 0;
        is_alone.then_some(())
    })
    .await;
}

/// What became of a message: the cache's status, and the number of the server's answer, the code of its
/// error, or the status of a page that is no error of MCP's.
fn told(answer: &Answer) -> String {
    let status = answer.headers.get("x-conduit-cache-status").unwrap_or("-");
    let text = answer.text();
    let what = match number(&text) {
        Some(number) => format!("#{number}"),
        None if answer.headers.get("content-type") == Some("text/plain") => {
            format!("page {}", answer.status)
        }
        None => {
            let code = answer.last_json()["error"]["code"].as_i64();
            let code = code.unwrap_or_else(|| panic!("neither number nor error: {answer:?}"));
            format!("error {code}")
        }
    };
    format!("{status} {what}")
}

/// The number that an answer of the site bears.
fn number(text: &str) -> Option<usize> {
    let after = text.split('#').nth(1)?;
    let end = after.find(|one: char| !one.is_ascii_digit())?;
    after[..end].parse().ok()
}

// === the admin API ===

/// `GET /conduit/cache/…`
async fn admin(gateway: &Gateway, path: &str) -> Value {
    control(gateway, Request::get(&format!("/conduit/cache/{path}"))).await
}

/// `DELETE /conduit/cache…`
async fn forget(gateway: &Gateway, path: &str) -> Value {
    control(gateway, Request::delete(&format!("/conduit/cache{path}"))).await
}

async fn control(gateway: &Gateway, request: Request) -> Value {
    let request = request.header("x-conduit-admin", "1");
    let answer = wire::ask(gateway.address, &request).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

async fn states(gateway: &Gateway, server: &str) -> Vec<String> {
    let shown = admin(gateway, &format!("entries?server={server}")).await;
    let entries = shown["entries"].as_array().unwrap().iter();
    entries
        .map(|entry| entry["state"].as_str().unwrap().to_owned())
        .collect()
}
