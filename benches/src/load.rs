//! The closed-loop load: each connection sends its next call when the last one is answered and checked.

pub(crate) mod caller;
pub(crate) mod template;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use crate::load::caller::Caller;
use crate::process::Process;
use crate::workload::{Era, Kept, Workload};

/// Connections of one run, at most: each has ten million ids of its own.
pub(crate) const CONNECTIONS_MAX: u16 = 800;
/// How long past its time a run may take before it counts as stalled.
const GRACE: Duration = Duration::from_secs(20);
/// Calls of each connection before the clock starts: the first opens whatever is opened lazily, the
/// second runs on what is kept alive.
const WARM_UP_CALLS: u8 = 2;
/// Where fewer of the calls are hits, it is not hits that were measured. In Redis's time limit a busy
/// machine may miss one now and then.
const HIT_SHARE_MIN: f64 = 0.99;
/// How often all keys are asked for before they count as not kept: results are written to Redis after
/// the answer, a batch at a time.
const FILL_ROUNDS_MAX: u8 = 20;

/// One run of the load.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) workload: Workload,
    pub(crate) era: Era,
    /// Where the calls go: port and path.
    pub(crate) port: u16,
    pub(crate) path: String,
    pub(crate) connections: u16,
    pub(crate) time: Duration,
    /// What answers.
    pub(crate) voice: Voice,
}

/// What answers a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Voice {
    /// An MCP server, or a gateway before one.
    Live,
    /// A server that says the same to everyone: there is no session to open, and no id to check.
    Constant,
}

/// What one run measured.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub(crate) struct Sample {
    pub(crate) calls: u64,
    /// Calls per second.
    pub(crate) rps: f64,
    /// Median latency in µs.
    pub(crate) p50_us: f64,
    /// 99th percentile of the latency in µs.
    pub(crate) p99_us: f64,
    /// CPU time of the process under test for one call, in µs.
    pub(crate) cpu_us: f64,
    /// Share of the calls that the gateway's cache answered.
    pub(crate) hit_share: f64,
}

impl Sample {
    /// How much of one processor the process under test used. Near the number of its threads, it was the
    /// bottleneck; far below, something else was, and calls per second say nothing about it.
    pub(crate) fn cpu_share(&self) -> f64 {
        self.cpu_us * self.rps / 1e6
    }
}

impl Load {
    /// Runs the load and measures `subject`, the process that answers or forwards the calls.
    ///
    /// # Errors
    /// When one answer is missing or is not what it should be: wrong answers have no speed.
    pub(crate) async fn run(&self, subject: &Process) -> Result<Sample> {
        tokio::time::timeout(self.time + GRACE, self.measure(subject))
            .await
            .unwrap_or_else(|_| bail!("stalled: calls are not answered"))
            .with_context(|| subject.obituary())
    }

    async fn measure(&self, subject: &Process) -> Result<Sample> {
        if self.workload.kept() == Kept::Redis && self.voice == Voice::Live {
            self.fill().await.context("while Redis is filled")?;
        }
        let mut callers = Vec::with_capacity(self.connections.into());
        for index in 0..self.connections {
            let mut caller = Caller::connect(self, index).await?;
            for _ in 0..WARM_UP_CALLS {
                caller.call_and_parse().await.context("in the warm-up")?;
            }
            callers.push(caller);
        }
        let cpu_before = subject.cpu_time()?;
        let started = Instant::now();
        let end = started + self.time;
        let mut running: JoinSet<_> = callers
            .into_iter()
            .map(|caller| keep_calling(caller, end))
            .collect();
        let mut latencies = new_histogram()?;
        let mut hits = 0;
        while let Some(joined) = running.join_next().await {
            let (theirs, their_hits) = joined.context("a connection's task failed")??;
            latencies.add(theirs)?;
            hits += their_hits;
        }
        let elapsed = started.elapsed();
        let cpu = subject.cpu_time()?.saturating_sub(cpu_before);
        let sample = summarise(&latencies, elapsed, cpu, hits);
        let is_kept = self.workload.kept() != Kept::Nowhere && self.voice == Voice::Live;
        ensure!(
            !is_kept || sample.hit_share >= HIT_SHARE_MIN,
            "only {hits} of {} calls were hits",
            sample.calls
        );
        Ok(sample)
    }

    /// Makes every key of the workload one that is kept: asks for all of them until all are hits.
    async fn fill(&self) -> Result<()> {
        let mut caller = Caller::connect(self, 0).await?;
        for _ in 0..FILL_ROUNDS_MAX {
            let before = caller.hits;
            for _ in 0..Workload::L2_KEYS {
                caller.call().await?;
            }
            if caller.hits - before == Workload::L2_KEYS {
                return Ok(());
            }
        }
        bail!("not all keys are kept after {FILL_ROUNDS_MAX} rounds")
    }
}

/// The latencies of one connection, and how many of its calls were hits.
async fn keep_calling(mut caller: Caller, end: Instant) -> Result<(Histogram<u64>, u64)> {
    caller.hits = 0;
    let mut latencies = new_histogram()?;
    let mut sent = Instant::now();
    while sent < end {
        caller.call().await?;
        let answered = Instant::now();
        let nanoseconds = answered.duration_since(sent).as_nanos();
        latencies.saturating_record(u64::try_from(nanoseconds).unwrap_or(u64::MAX));
        sent = answered;
    }
    Ok((latencies, caller.hits))
}

/// Nanoseconds, from 1 µs to a minute, to three digits.
pub(crate) fn new_histogram() -> Result<Histogram<u64>> {
    Histogram::new_with_bounds(1_000, 60_000_000_000, 3).context("histogram bounds")
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts and nanoseconds far below 2^52"
)]
fn summarise(latencies: &Histogram<u64>, elapsed: Duration, cpu: Duration, hits: u64) -> Sample {
    let calls = latencies.len();
    let micros_at = |quantile| latencies.value_at_quantile(quantile) as f64 / 1e3;
    Sample {
        calls,
        rps: calls as f64 / elapsed.as_secs_f64(),
        p50_us: micros_at(0.50),
        p99_us: micros_at(0.99),
        cpu_us: cpu.as_secs_f64() * 1e6 / calls.max(1) as f64,
        hit_share: hits as f64 / calls.max(1) as f64,
    }
}
