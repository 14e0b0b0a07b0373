//! Many different results in memory: what each takes, and what hits cost in time while there are ever
//! more of them, while they come, and while old ones go for new ones.
//!
//! **Invariant:** no result is asked for again before it is stored, and latency is told as a multiple of
//! that of the first step, on the same machine and in the same minutes.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::task::JoinSet;

use crate::bed::{Bed, Way};
use crate::cli::ResidentOptions;
use crate::load::caller::Caller;
use crate::load::{Load, Voice, new_histogram};
use crate::workload::{Era, Subject, Workload};

/// Connections that fill.
const FILLERS: u16 = 16;
/// Connections that ask for what is there, at the same time and after it.
const PROBES: u16 = 4;
/// Steps to fullness; one more goes beyond it.
const STEPS: u64 = 10;
/// Results that are there before the first step.
const PRIMED: u64 = 64;
/// Hits of each probe after each step, with nobody filling.
const QUIET_HITS: u64 = 10_000;
/// How far apart the keys that are probed lie: no small cache of the processor's holds them all.
const STRIDE: u64 = 7_919;

/// What was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Resident {
    entries_max: u32,
    resident_bytes_before: u64,
    steps: Vec<Step>,
}

/// One part of the filling.
#[derive(Debug, Serialize)]
struct Step {
    /// Different results asked for so far.
    asked: u64,
    resident_bytes: u64,
    while_filling: Quantiles,
    quiet: Quantiles,
    /// CPU time of the gateway for each quiet hit, in µs.
    quiet_cpu_us: f64,
    /// Share of the probes that were hits: below 1 only once old results go.
    hit_share: f64,
}

/// Latencies, in µs.
#[derive(Clone, Copy, Debug, Serialize)]
struct Quantiles {
    p50: f64,
    p99: f64,
    p999: f64,
}

impl Quantiles {
    #[expect(clippy::cast_precision_loss, reason = "nanoseconds far below 2^52")]
    fn of(latencies: &Histogram<u64>) -> Self {
        let micros_at = |quantile| latencies.value_at_quantile(quantile) as f64 / 1e3;
        Self {
            p50: micros_at(0.50),
            p99: micros_at(0.99),
            p999: micros_at(0.999),
        }
    }
}

/// What some probes saw.
struct Probed {
    latencies: Histogram<u64>,
    hits: u64,
}

/// Which keys may be probed: the last ones to be stored.
#[derive(Clone, Copy)]
struct Span {
    from: u64,
    to: u64,
}

/// Fills the gateway's memory, step by step.
///
/// # Errors
/// When a call is answered wrongly or not at all.
pub(crate) async fn measure(
    bed: &Bed,
    options: &ResidentOptions,
    mut progress: impl FnMut(u64),
) -> Result<Resident> {
    let workload = Workload::Resident200;
    let Way {
        port,
        path,
        process,
    } = bed
        .way(Subject::Conduit, workload)
        .context("there is no gateway")?;
    let load = Load {
        workload,
        era: Era::Modern,
        port,
        path,
        connections: FILLERS,
        time: std::time::Duration::ZERO,
        voice: Voice::Live,
    };
    let max = u64::from(options.entries);
    // So that whatever is opened lazily is open, and there is something to probe.
    fill(&load, 0..PRIMED).await?;
    let mut resident = Resident {
        entries_max: options.entries,
        resident_bytes_before: process.resident_bytes()?,
        steps: Vec::new(),
    };
    let size = (max / STEPS).max(1);
    for step in 0..=STEPS {
        progress(step * size);
        let from = PRIMED + step * size;
        let to = from + size;
        // The newer half: far from those that are to go.
        let newer = |to: u64| Span {
            from: to.saturating_sub(max / 2),
            to,
        };
        let while_filling = fill_and_probe(&load, from..to, newer(from)).await?;
        let span = newer(to);
        let cpu_before = process.cpu_time()?;
        let quiet = probe(&load, span, Until::Count(QUIET_HITS)).await?;
        let cpu = process.cpu_time()?.saturating_sub(cpu_before);
        resident.steps.push(Step::new(
            to,
            process.resident_bytes()?,
            &while_filling,
            &quiet,
            cpu,
        ));
    }
    Ok(resident)
}

impl Step {
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    fn new(
        asked: u64,
        resident_bytes: u64,
        while_filling: &Probed,
        quiet: &Probed,
        cpu: std::time::Duration,
    ) -> Self {
        let n = quiet.latencies.len().max(1) as f64;
        Self {
            asked,
            resident_bytes,
            while_filling: Quantiles::of(&while_filling.latencies),
            quiet: Quantiles::of(&quiet.latencies),
            quiet_cpu_us: cpu.as_secs_f64() * 1e6 / n,
            hit_share: quiet.hits as f64 / n,
        }
    }
}

/// Asks for each key of a range once.
async fn fill(load: &Load, keys: std::ops::Range<u64>) -> Result<()> {
    let next = Arc::new(AtomicU64::new(keys.start));
    let mut filling = JoinSet::new();
    for index in 0..FILLERS {
        let mut caller = Caller::connect(load, index).await?;
        let (next, end) = (Arc::clone(&next), keys.end);
        filling.spawn(async move {
            loop {
                let key = next.fetch_add(1, Ordering::Relaxed);
                if key >= end {
                    return Ok::<_, anyhow::Error>(caller.hits);
                }
                caller.set_key(key)?;
                caller.call().await?;
            }
        });
    }
    while let Some(joined) = filling.join_next().await {
        let hits = joined.context("a connection's task failed")??;
        ensure!(
            hits == 0,
            "{hits} results were there before they were asked for"
        );
    }
    Ok(())
}

/// How long to probe.
#[derive(Clone)]
enum Until {
    /// So many calls of each connection.
    Count(u64),
    /// Until it is said.
    Told(Arc<AtomicBool>),
}

async fn fill_and_probe(load: &Load, keys: std::ops::Range<u64>, span: Span) -> Result<Probed> {
    let told = Arc::new(AtomicBool::new(false));
    let filling = async {
        let filled = fill(load, keys).await;
        told.store(true, Ordering::Relaxed);
        filled
    };
    let (filled, probed) = tokio::join!(filling, probe(load, span, Until::Told(Arc::clone(&told))));
    filled?;
    probed
}

/// Asks for keys of `span`, which are there.
async fn probe(load: &Load, span: Span, until: Until) -> Result<Probed> {
    let mut probing = JoinSet::new();
    for index in 0..PROBES {
        let mut caller = Caller::connect(load, FILLERS + index).await?;
        let until = until.clone();
        probing.spawn(async move {
            let mut latencies = new_histogram()?;
            let mut turn = u64::from(index);
            loop {
                let is_over = match &until {
                    Until::Count(n) => latencies.len() >= *n,
                    Until::Told(told) => told.load(Ordering::Relaxed),
                };
                if is_over {
                    return Ok::<_, anyhow::Error>((latencies, caller.hits));
                }
                turn = turn.wrapping_add(STRIDE);
                caller.set_key(span.from + turn % (span.to - span.from))?;
                let sent = Instant::now();
                caller.call().await?;
                latencies.saturating_record(u64::try_from(sent.elapsed().as_nanos())?);
            }
        });
    }
    let mut all = Probed {
        latencies: new_histogram()?,
        hits: 0,
    };
    while let Some(joined) = probing.join_next().await {
        let (latencies, hits) = joined.context("a connection's task failed")??;
        all.latencies.add(latencies)?;
        all.hits += hits;
    }
    Ok(all)
}

impl Resident {
    /// Memory for each result when as many are there as may be.
    #[expect(clippy::cast_precision_loss, reason = "memory sizes far below 2^52")]
    fn bytes_per_entry(&self) -> Option<f64> {
        let max = u64::from(self.entries_max);
        let full = self.steps.iter().find(|step| step.asked >= max)?;
        let grown = full
            .resident_bytes
            .saturating_sub(self.resident_bytes_before);
        Some(grown as f64 / max as f64)
    }
}

/// The table.
pub(crate) fn text(resident: &Resident) -> String {
    let mut text = format!(
        "{:>9} {:>8} {:>6} {:>9}  {:>26}  {:>26}\n{:>9} {:>8} {:>6} {:>9}  {:>8} {:>8} {:>8}  {:>8} {:>8} {:>8}\n",
        "",
        "",
        "",
        "",
        "quiet hits, µs (× first)",
        "hits while filling, µs",
        "asked",
        "MiB",
        "hits",
        "CPU µs",
        "p50",
        "p99",
        "p99.9",
        "p50",
        "p99",
        "p99.9",
    );
    let first = resident.steps.first().map(|step| step.quiet);
    for step in &resident.steps {
        let (quiet, filling) = (step.quiet, step.while_filling);
        // Writing to a String cannot fail.
        write!(
            text,
            "{:>9} {:>8} {:>5.1}% {:>9.1}  {:>8.0} {:>8.0} {:>8.0}  {:>8.0} {:>8.0} {:>8.0}",
            step.asked,
            step.resident_bytes / 1024 / 1024,
            step.hit_share * 100.0,
            step.quiet_cpu_us,
            quiet.p50,
            quiet.p99,
            quiet.p999,
            filling.p50,
            filling.p99,
            filling.p999,
        )
        .ok();
        if let Some(first) = first {
            let (p50, p99, p999) = (
                quiet.p50 / first.p50,
                quiet.p99 / first.p99,
                quiet.p999 / first.p999,
            );
            writeln!(text, "   ×{p50:.2} ×{p99:.2} ×{p999:.2}").ok();
        }
    }
    if let Some(bytes) = resident.bytes_per_entry() {
        writeln!(text, "\n{bytes:.0} bytes of memory for each result").ok();
    }
    text
}
