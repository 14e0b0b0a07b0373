//! What clients see of a Redis that fails: latencies of hits, and of calls that memory has no result for,
//! while it is well, stopped, killed, locked or full.
//!
//! **Invariant:** a wrong answer, or none, is counted as an error and ends nothing: how many there are is
//! what is measured.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use hdrhistogram::Histogram;
use rustix::process::Signal;
use serde::Serialize;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::bed::Bed;
use crate::bed::gateway::Store;
use crate::bed::redis::Redis;
use crate::cli::FaultOptions;
use crate::http::Client;
use crate::load::caller::Caller;
use crate::load::{Load, Voice, new_histogram};
use crate::report::Promise;
use crate::workload::{Era, Workload};

/// Connections that ask for what is in memory.
const WARM_CONNECTIONS: u16 = 4;
/// Connections that ask for what is nowhere yet: memory, Redis and the server are asked.
const COLD_CONNECTIONS: u16 = 2;
/// Different calls that are made again and again.
const WARM_KEYS: u64 = 64;
/// How long a connection rests between two calls: latency is measured, not how fast a machine is that
/// has nothing else to do.
const WARM_PAUSE: Duration = Duration::from_millis(1);
const COLD_PAUSE: Duration = Duration::from_millis(2);
/// How long a gateway waits for Redis, unless it is told otherwise.
const BUDGET: Duration = Duration::from_millis(50);
/// How long it may take until Redis is used.
const RECOVERY_TIME_MAX: Duration = Duration::from_secs(30);
const RECOVERY_POLL: Duration = Duration::from_millis(50);

/// What is done to Redis before a state.
#[derive(Clone, Copy)]
enum Deed {
    Nothing,
    Stop,
    Continue,
    Kill,
    Start,
    Lock,
    Fill,
    Empty,
}

/// The states, in order: what is done, what it is called, and whether Redis is used in the end.
const STATES: [(Deed, &str, bool); 9] = [
    (Deed::Nothing, "well", true),
    (Deed::Stop, "stopped (SIGSTOP)", false),
    (Deed::Continue, "goes on (SIGCONT)", true),
    (Deed::Kill, "killed (SIGKILL)", false),
    (Deed::Start, "started again", true),
    (Deed::Lock, "restarted with a password", false),
    (Deed::Start, "restarted without", true),
    (Deed::Fill, "full (noeviction)", true),
    (Deed::Empty, "has room again", true),
];

/// What was seen in one state.
#[derive(Debug, Serialize)]
pub(crate) struct Seen {
    state: &'static str,
    /// Whether Redis is used in the end.
    is_used: bool,
    /// Answers from the cache.
    hits: Latencies,
    /// The same calls where they were not, because memory was dropped.
    missed: Latencies,
    /// Calls that nobody made before.
    cold: Latencies,
    errors: u64,
    /// The first of them.
    error: Option<String>,
}

/// Latencies, in ms.
#[derive(Clone, Copy, Debug, Serialize)]
struct Latencies {
    calls: u64,
    p50: f64,
    p99: f64,
    max: f64,
    /// Calls that took as long as one may wait for Redis, or longer.
    over_budget: u64,
}

/// The same, while they are collected.
struct Tally {
    hits: Histogram<u64>,
    missed: Histogram<u64>,
    errors: u64,
    error: Option<String>,
}

/// Which calls a connection makes.
#[derive(Clone, Copy)]
enum Keys {
    /// These, again and again.
    Warm,
    /// Each once, from one on.
    Cold(u64),
}

/// Has Redis fail, and asks meanwhile.
///
/// # Errors
/// When there is no Redis or no gateway, or when Redis is not used again in time.
pub(crate) async fn measure(
    bed: &mut Bed,
    options: &FaultOptions,
    progress: impl Fn(&str),
) -> Result<Vec<Seen>> {
    let Some(mut redis) = bed.redis().await? else {
        bail!("redis-server is not installed");
    };
    redis.start(&[]).await?;
    let gateway = bed.gateway(&options.bed, Store::Both(redis.port)).await?;
    let gateway = gateway.context("there is no gateway")?;
    let load = Load {
        workload: Workload::Resident200,
        era: Era::Modern,
        port: gateway.port,
        path: "/mcp/cached".to_owned(),
        connections: WARM_CONNECTIONS,
        time: Duration::from_secs_f64(options.seconds),
        voice: Voice::Live,
    };
    let mut all = Vec::with_capacity(STATES.len());
    // No key is cold twice.
    let mut next_cold = WARM_KEYS;
    for (deed, state, is_used) in STATES {
        progress(state);
        if matches!(deed, Deed::Nothing) {
            settle(&load).await?;
        }
        let end = Instant::now() + load.time;
        let asking = ask(&load, next_cold, end);
        let (seen, done) = tokio::join!(asking, deed.do_to(&mut redis));
        done.with_context(|| format!("Redis: {state}"))?;
        let (warm, cold, asked) = seen.with_context(|| gateway.obituary())?;
        next_cold += asked;
        if is_used {
            settle(&load).await?;
        }
        all.push(Seen::new(state, is_used, &warm, &cold));
    }
    Ok(all)
}

impl Deed {
    async fn do_to(self, redis: &mut Redis) -> Result<()> {
        match self {
            Self::Nothing => Ok(()),
            Self::Stop => redis.signal(Signal::STOP),
            Self::Continue => redis.signal(Signal::CONT),
            Self::Kill => redis.kill(),
            Self::Start => redis.start(&[]).await,
            Self::Lock => {
                redis.kill()?;
                redis.start(&["--requirepass", "another"]).await
            }
            Self::Fill => {
                redis.set("maxmemory-policy", "noeviction").await?;
                redis.set("maxmemory", "1").await
            }
            Self::Empty => redis.set("maxmemory", "0").await,
        }
    }
}

/// Waits until Redis is used, and has everything in memory that is asked for again and again.
async fn settle(load: &Load) -> Result<()> {
    let started = Instant::now();
    while !is_used(load.port).await? {
        if started.elapsed() > RECOVERY_TIME_MAX {
            bail!("Redis is not used after {} s", RECOVERY_TIME_MAX.as_secs());
        }
        tokio::time::sleep(RECOVERY_POLL).await;
    }
    let mut caller = Caller::connect(load, 0).await?;
    for key in 0..WARM_KEYS {
        caller.set_key(key)?;
        caller.call().await?;
    }
    Ok(())
}

async fn is_used(port: u16) -> Result<bool> {
    let (status, body) = Client::get(port, "/conduit/cache/stats").await?;
    let stats: Value = serde_json::from_slice(&body.kept)
        .with_context(|| format!("the cache's figures were answered {status}"))?;
    let is_used = stats.pointer("/l2/connected").and_then(Value::as_bool);
    is_used.context("the gateway does not say whether Redis is used")
}

/// Asks on all connections until `end`: what the warm ones saw, the cold ones, and how many cold keys were
/// used up.
async fn ask(load: &Load, first_cold: u64, end: Instant) -> Result<(Tally, Tally, u64)> {
    let (mut warm, mut cold) = (Tally::new()?, Tally::new()?);
    let mut running = JoinSet::new();
    for index in 0..WARM_CONNECTIONS + COLD_CONNECTIONS {
        let keys = match index.checked_sub(WARM_CONNECTIONS) {
            None => Keys::Warm,
            Some(nth) => Keys::Cold(first_cold + u64::from(nth)),
        };
        let load = load.clone();
        running.spawn(async move { Ok((keys, keep_asking(&load, index, keys, end).await?)) });
    }
    let mut most = 0;
    while let Some(joined) = running.join_next().await {
        let (keys, tally): (Keys, Tally) = joined
            .context("a connection's task failed")?
            .map_err(|error: anyhow::Error| error)?;
        match keys {
            Keys::Warm => warm.add(tally)?,
            Keys::Cold(_) => {
                most = most.max(tally.calls());
                cold.add(tally)?;
            }
        }
    }
    Ok((warm, cold, most * u64::from(COLD_CONNECTIONS)))
}

/// One connection: a new one after each error.
async fn keep_asking(load: &Load, index: u16, keys: Keys, end: Instant) -> Result<Tally> {
    let mut tally = Tally::new()?;
    let mut caller = Caller::connect(load, index).await?;
    let mut turn = u64::from(index);
    while Instant::now() < end {
        let key = match keys {
            Keys::Warm => turn % WARM_KEYS,
            Keys::Cold(first) => first + tally.calls() * u64::from(COLD_CONNECTIONS),
        };
        turn = turn.wrapping_add(1);
        caller.set_key(key)?;
        let (hits, sent) = (caller.hits, Instant::now());
        match caller.call().await {
            Ok(()) => tally.record(caller.hits > hits, sent.elapsed()),
            Err(error) => {
                tally.fail(&error);
                caller = Caller::connect(load, index).await?;
            }
        }
        tokio::time::sleep(match keys {
            Keys::Warm => WARM_PAUSE,
            Keys::Cold(_) => COLD_PAUSE,
        })
        .await;
    }
    Ok(tally)
}

// === impl Tally ===

impl Tally {
    fn new() -> Result<Self> {
        Ok(Self {
            hits: new_histogram()?,
            missed: new_histogram()?,
            errors: 0,
            error: None,
        })
    }

    /// How many calls were made.
    fn calls(&self) -> u64 {
        self.hits.len() + self.missed.len() + self.errors
    }

    fn record(&mut self, is_hit: bool, took: Duration) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let latencies = if is_hit {
            &mut self.hits
        } else {
            &mut self.missed
        };
        latencies.saturating_record(nanoseconds);
    }

    fn fail(&mut self, error: &anyhow::Error) {
        self.errors += 1;
        self.error.get_or_insert_with(|| format!("{error:#}"));
    }

    fn add(&mut self, other: Self) -> Result<()> {
        self.hits.add(other.hits)?;
        self.missed.add(other.missed)?;
        self.errors += other.errors;
        self.error = self.error.take().or(other.error);
        Ok(())
    }
}

// === impl Latencies ===

impl Latencies {
    #[expect(clippy::cast_precision_loss, reason = "nanoseconds far below 2^52")]
    fn of(latencies: &Histogram<u64>) -> Self {
        let millis = |nanoseconds: u64| nanoseconds as f64 / 1e6;
        let budget = u64::try_from(BUDGET.as_nanos()).unwrap_or(u64::MAX);
        Self {
            calls: latencies.len(),
            p50: millis(latencies.value_at_quantile(0.50)),
            p99: millis(latencies.value_at_quantile(0.99)),
            max: millis(latencies.max()),
            over_budget: latencies.count_between(budget, u64::MAX),
        }
    }
}

// === impl Seen ===

impl Seen {
    fn new(state: &'static str, is_used: bool, warm: &Tally, cold: &Tally) -> Self {
        Self {
            state,
            is_used,
            hits: Latencies::of(&warm.hits),
            missed: Latencies::of(&warm.missed),
            cold: Latencies::of(&cold.missed),
            errors: warm.errors + cold.errors,
            error: warm.error.as_ref().or(cold.error.as_ref()).cloned(),
        }
    }
}

/// What the project promises of it.
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
pub(crate) fn promises(all: &[Seen]) -> Vec<Promise> {
    let errors: u64 = all.iter().map(|seen| seen.errors).sum();
    let worst = all.iter().map(|seen| seen.hits.p99).fold(0.0, f64::max);
    vec![
        Promise::at_most("errors that clients see of Redis", errors as f64, 0.0),
        Promise::at_most(
            "p99 of hits in the worst state, ms",
            worst,
            BUDGET.as_secs_f64() * 1e3,
        ),
    ]
}

/// The table and the promises.
pub(crate) fn text(all: &[Seen], promises: &[Promise]) -> String {
    let mut text = format!(
        "{:<26} {:>38}  {:>24}  {:>33}  {:>6}\n{:<26} {:>8} {:>6} {:>6} {:>8} {:>6}  {:>8} {:>8} {:>6}  {:>6} {:>6} {:>6} {:>6} {:>5}  {:>6}\n",
        "latencies in ms",
        "hits",
        "of the same calls, misses",
        "calls that nobody made before",
        "",
        "Redis",
        "calls",
        "p50",
        "p99",
        "max",
        "≥ 50",
        "calls",
        "max",
        "≥ 50",
        "calls",
        "p50",
        "p99",
        "max",
        "≥ 50",
        "errors",
    );
    for seen in all {
        let Seen {
            hits, missed, cold, ..
        } = seen;
        // Writing to a String cannot fail.
        writeln!(
            text,
            "{:<26} {:>8} {:>6.2} {:>6.2} {:>8.1} {:>6}  {:>8} {:>8.1} {:>6}  {:>6} {:>6.2} {:>6.2} {:>6.1} {:>5}  {:>6}",
            seen.state,
            hits.calls,
            hits.p50,
            hits.p99,
            hits.max,
            hits.over_budget,
            missed.calls,
            missed.max,
            missed.over_budget,
            cold.calls,
            cold.p50,
            cold.p99,
            cold.max,
            cold.over_budget,
            seen.errors,
        )
        .ok();
        if let Some(error) = &seen.error {
            writeln!(text, "    {error}").ok();
        }
    }
    text.push('\n');
    for promise in promises {
        writeln!(text, "{promise}").ok();
    }
    text
}
