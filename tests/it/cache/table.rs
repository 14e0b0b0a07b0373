//! One row a rule, in the manner of the test suites for RFC 9111: what a server says, what is asked,
//! and what becomes of each.
//!
//! All rows are run with memory alone, with memory and Redis, once more after Redis was killed, and once
//! with Redis killed in the middle of each. Each has a server of its own.

mod calls;
mod keys;
mod protocol;
mod times;
mod writes;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::ask::{Ask, call};
use super::site::{Asked, Place, Say, Speech};
use super::{Bed, Tier};
use crate::support::{until, wire};

/// One rule.
struct Row {
    claim: &'static str,
    cache: Option<Value>,
    config: Vec<(&'static str, Value)>,
    speech: Speech,
    script: fn(&Asked<'_>) -> Say,
    steps: Vec<Do>,
    becomes: &'static str,
    /// It does not hold while the gateway does not hear what others invalidate: nothing is used stale
    /// then.
    needs_ears: bool,
}

/// What is done.
enum Do {
    Ask(Ask),
    /// Waits until all entries are in a state.
    Reach(&'static str),
}

impl From<Ask> for Do {
    fn from(ask: Ask) -> Self {
        Self::Ask(ask)
    }
}

fn row(claim: &'static str) -> Row {
    Row {
        claim,
        cache: Some(json!({ "default_ttl": 60 })),
        config: Vec::new(),
        speech: Speech::ModernJson,
        script: |_| Say::Usual,
        steps: Vec::new(),
        becomes: "",
        needs_ears: false,
    }
}

impl Row {
    fn cache(mut self, cache: Value) -> Self {
        self.cache = Some(cache);
        self
    }

    /// What the configuration says of the server otherwise.
    fn config(mut self, key: &'static str, value: Value) -> Self {
        self.config.push((key, value));
        self
    }

    fn speaks(mut self, speech: Speech) -> Self {
        self.speech = speech;
        self
    }

    fn says(mut self, script: fn(&Asked<'_>) -> Say) -> Self {
        self.script = script;
        self
    }

    fn does(mut self, steps: impl IntoIterator<Item = Do>) -> Self {
        self.steps.extend(steps);
        self
    }

    fn asks(self, asks: impl IntoIterator<Item = Ask>) -> Self {
        self.does(asks.into_iter().map(Do::Ask))
    }

    /// The same twice.
    fn twice(self, ask: Ask) -> Self {
        self.asks([ask.clone(), ask])
    }

    fn becomes(mut self, becomes: &'static str) -> Self {
        self.becomes = becomes;
        self
    }

    fn needs_ears(mut self) -> Self {
        self.needs_ears = true;
        self
    }

    fn place(&self, id: &str) -> Place {
        let mut place = Place::new(id).speaks(self.speech).says(self.script);
        if let Some(cache) = &self.cache {
            place = place.cache(cache.clone());
        }
        let config = self.config.iter();
        config.fold(place, |place, (key, value)| {
            place.config(key, value.clone())
        })
    }

    async fn run(&self, bed: &Bed, id: &str) -> String {
        run_steps(&self.steps, bed, id).await.join(", ")
    }

    /// Its steps before and after its middle.
    fn halves(&self) -> (&[Do], &[Do]) {
        self.steps.split_at(self.steps.len() / 2)
    }
}

/// What becomes of each request.
async fn run_steps(steps: &[Do], bed: &Bed, id: &str) -> Vec<String> {
    let mut told = Vec::new();
    let mut is_old = false;
    for step in steps {
        match step {
            Do::Ask(ask) if is_old && bed.redis.is_some() => told.push(over(bed, id, ask).await),
            Do::Ask(ask) => told.push(bed.tells(id, ask).await),
            Do::Reach(state) => bed.reach(id, state).await,
        }
        is_old = matches!(step, Do::Reach(state) if *state != "fresh");
    }
    told
}

/// What becomes of a request once Redis, too, takes the first result for old: it counts from when it was
/// given it, which is a moment later.
async fn over(bed: &Bed, id: &str, ask: &Ask) -> String {
    until("Redis to take the result for old", || async {
        let told = bed.tells(id, ask).await;
        (told != "HIT #1").then_some(told)
    })
    .await
}

fn rows() -> Vec<Row> {
    let mut rows = calls::rows();
    rows.extend(keys::rows());
    rows.extend(protocol::rows());
    rows.extend(times::rows());
    rows.extend(writes::rows());
    rows
}

/// Runs all rows at once, each at its server of this round.
async fn run(bed: &Bed, rows: &[Row], round: &str) {
    let has_ears = round != DEAF;
    let run = rows.iter().enumerate().map(|(at, row)| async move {
        if row.needs_ears && !has_ears {
            return None;
        }
        let told = row.run(bed, &format!("{round}{at}")).await;
        let wanted = row.becomes;
        (told != wanted).then(|| format!("{}:\n  is  {told}\n  not {wanted}", row.claim))
    });
    let wrong: Vec<String> = join_all(run).await.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{round}:\n{}", wrong.join("\n"));
}

/// The round in which Redis is gone.
const DEAF: &str = "deaf";

/// A gateway with the servers of all rows, once for each round.
async fn start(tier: Tier, rows: &[Row], rounds: &[&str]) -> Bed {
    let places = rounds.iter().flat_map(|round| {
        let rows = rows.iter().enumerate();
        rows.map(move |(at, row)| row.place(&format!("{round}{at}")))
    });
    // Redis as memory is: no result is good for longer there, nor larger.
    let cache = match tier {
        Tier::Memory => json!({}),
        Tier::Redis | Tier::Killed => {
            json!({ "l2": { "default_ttl_multiplier": 1, "max_entry_size_kb": 64 } })
        }
    };
    Bed::start(tier, cache, places.collect()).await
}

#[tokio::test]
async fn every_rule_holds_in_memory_alone() {
    let rows = rows();
    let bed = start(Tier::Memory, &rows, &["alone"]).await;
    run(&bed, &rows, "alone").await;
}

#[tokio::test]
async fn every_rule_holds_with_redis() {
    let rows = rows();
    let bed = start(Tier::Redis, &rows, &["shared"]).await;
    run(&bed, &rows, "shared").await;
}

#[tokio::test]
async fn every_rule_holds_after_redis_was_killed_in_the_middle() {
    let rows = rows();
    let bed = start(Tier::Killed, &rows, &[DEAF]).await;
    run(&bed, &rows, DEAF).await;
}

#[tokio::test]
async fn a_redis_that_is_killed_between_two_steps_of_a_rule_costs_hits_and_nothing_else() {
    let rows: Vec<_> = rows().into_iter().filter(|row| !row.needs_ears).collect();
    let mut bed = start(Tier::Redis, &rows, &["half"]).await;
    let halves = async |bed: &Bed, half: fn(&Row) -> &[Do]| {
        let run = rows.iter().enumerate().map(|(at, row)| {
            let id = format!("half{at}");
            async move { run_steps(half(row), bed, &id).await }
        });
        join_all(run).await
    };
    let first = halves(&bed, |row| row.halves().0).await;
    bed.redis.as_mut().unwrap().stop();
    let second = halves(&bed, |row| row.halves().1).await;
    let told = first.into_iter().zip(second);
    let told = told.map(|(first, second)| [first, second].concat());
    let wrong: Vec<String> = rows
        .iter()
        .zip(told)
        .filter(|(row, told)| !is_as_good(told, row.becomes))
        .map(|(row, told)| {
            format!(
                "{}:\n  is  {}\n  not {}",
                row.claim,
                told.join(", "),
                row.becomes
            )
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether what became of a row is what was wanted, but for hits that are misses, and thus answers that are
/// newer.
fn is_as_good(told: &[String], wanted: &str) -> bool {
    let wanted: Vec<_> = wanted.split(", ").collect();
    let is_one = |(told, wanted): (&String, &&str)| {
        let (Some((status, own)), Some((wanted_status, wanted_number))) =
            (told.split_once(" #"), wanted.split_once(" #"))
        else {
            return told == wanted;
        };
        let number = |text: &str| text.parse::<usize>().unwrap();
        let is_missed = (status, wanted_status) == ("MISS", "HIT");
        let is_newer = number(own) >= number(wanted_number);
        (status == wanted_status || is_missed) && is_newer
    };
    told.len() == wanted.len() && told.iter().zip(&wanted).all(is_one)
}

#[tokio::test]
async fn a_server_without_a_cache_section_has_no_calls_cached() {
    let place = Place::new("bare");
    let site = super::Site::start(vec![place]).await;
    let gateway = super::Gateway::with(json!({ "servers": site.servers() })).await;
    for wanted in ["SKIP #1", "SKIP #2"] {
        let request = call("read", "{}").request("/mcp/bare");
        let answer = wire::ask(gateway.address, &request).await;
        assert_eq!(super::told(&answer), wanted);
    }
}
