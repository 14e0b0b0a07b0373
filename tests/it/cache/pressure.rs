//! Room that runs out: what goes is only missed, and never comes back as something else.

use serde_json::json;

use super::ask::{Ask, call};
use super::site::{Place, Say};
use super::{Bed, TIERS, Tier, admin, told};
use crate::support::redis::Redis;
use crate::support::until;
use crate::support::wire::Connection;

/// Results that memory has room for.
const ENTRIES_MAX: u64 = 50;
/// Results that there are.
const N_RESULTS: u64 = 3 * ENTRIES_MAX;

fn place() -> Place {
    Place::new("s").cache(json!({ "default_ttl": 3600 }))
}

fn nth(n: u64) -> Ask {
    call("read", &format!(r#"{{"n":{n}}}"#))
}

/// What became of a reading, and the number of the server's answer.
fn parts(told: &str) -> (&str, u64) {
    let (status, number) = told.split_once(" #").unwrap_or_else(|| panic!("{told}"));
    (status, number.parse().unwrap())
}

#[tokio::test]
async fn what_had_to_go_is_missed_and_nothing_takes_its_place() {
    for tier in TIERS {
        let cache = json!({ "l1": { "max_entries": ENTRIES_MAX } });
        let bed = Bed::start(tier, cache, vec![place()]).await;
        let mut connection = Connection::open(bed.gateway.address).await.unwrap();
        let mut tells = async |n: u64| {
            let answer = connection.ask(&nth(n).request("/mcp/s")).await.unwrap();
            told(&answer)
        };
        for n in 0..N_RESULTS {
            assert_eq!(parts(&tells(n).await), ("MISS", n + 1), "{tier:?}");
        }
        let l1 = &admin(&bed.gateway, "stats").await["l1"];
        assert!(l1["entries"].as_u64() <= Some(ENTRIES_MAX), "{tier:?} {l1}");
        let evicted = l1["evictions"].as_u64();
        assert!(evicted >= Some(N_RESULTS - ENTRIES_MAX), "{tier:?} {l1}");
        for n in 0..N_RESULTS {
            let told = tells(n).await;
            match (parts(&told), tier) {
                (("HIT", number), Tier::Memory | Tier::Redis | Tier::Killed) => {
                    assert_eq!(number, n + 1, "{tier:?}");
                }
                (("MISS", number), Tier::Memory | Tier::Killed) => {
                    assert!(number > N_RESULTS, "{tier:?} {told}");
                }
                (told, Tier::Memory | Tier::Redis | Tier::Killed) => {
                    panic!("{tier:?} {told:?}: what memory has no room for is in Redis");
                }
            }
        }
    }
}

/// Results that are asked for twice between two writes.
const N_READS: u64 = 15;
/// What Redis has room for beyond what it takes to run, in bytes: about half of them.
const REDIS_BYTES: u64 = 200 * 1024;

#[tokio::test]
async fn a_redis_that_drops_what_it_likes_gives_nothing_from_before_a_write() {
    // Memory holds one result, so that nearly every answer is Redis's or the server's.
    let cache = json!({ "l1": { "max_entries": 1 }, "l2": { "max_entry_size_kb": 64 } });
    let place = place().says(|asked| match asked.target() {
        "read" => Say::With(json!({ "structuredContent": { "all": "x".repeat(20 * 1024) } })),
        _ => Say::Usual,
    });
    let bed = Bed::start(Tier::Redis, cache, vec![place]).await;
    let redis = bed.redis.as_ref().unwrap();
    let room = (field(redis, "used_memory").await + REDIS_BYTES).to_string();
    // Also the versions that results depend on may go.
    for (name, value) in [("maxmemory-policy", "allkeys-random"), ("maxmemory", &room)] {
        let mut command = redis::cmd("CONFIG");
        let () = redis.ask(command.arg("SET").arg(name).arg(value)).await;
    }
    until("Redis to give something, and to drop something", || async {
        let before = bed.site.count("s", "tools/call", "read") as u64;
        let mut is_hit = false;
        for n in (0..N_READS).chain(0..N_READS) {
            let told = bed.tells("s", &nth(n)).await;
            let (status, number) = parts(&told);
            assert!(number > before, "{told}: {before} was before the write");
            is_hit |= status == "HIT";
        }
        let wrote = bed.tells("s", &call("destroy", "{}")).await;
        assert!(wrote.starts_with("SKIP"), "{wrote}");
        let is_dropped = field(redis, "evicted_keys").await > 0;
        (is_hit && is_dropped).then_some(())
    })
    .await;
}

/// A number that Redis tells of itself.
async fn field(redis: &Redis, name: &str) -> u64 {
    let about: String = redis.ask(&redis::cmd("INFO")).await;
    let of_it = |line: &str| {
        let (known, value) = line.split_once(':')?;
        (known == name).then(|| value.trim().parse().unwrap())
    };
    about.lines().find_map(of_it).unwrap()
}
