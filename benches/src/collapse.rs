//! Waves of identical calls on a slow tool: how many reach the server, and what each caller costs.
//!
//! **Invariant:** every call of a wave is on its way before the server answers the first.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;
use tokio::task::JoinSet;

use crate::bed::{Bed, Way};
use crate::cli::CollapseOptions;
use crate::http::Client;
use crate::load::caller::Caller;
use crate::load::{CONNECTIONS_MAX, Load, Voice};
use crate::report::Promise;
use crate::stub::PATH_CALLS;
use crate::workload::{Era, Subject, Workload};

/// How long one wave may take.
const WAVE_TIME_MAX: Duration = Duration::from_secs(30);

/// What was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Collapsed {
    callers: u16,
    waves: u16,
    /// Calls that reached the server.
    upstream_calls: u64,
    /// CPU time of the gateway for each caller, in µs.
    cpu_us: f64,
}

/// Sends the waves.
///
/// # Errors
/// When a call is answered wrongly or not at all.
pub(crate) async fn measure(bed: &Bed, options: &CollapseOptions) -> Result<Collapsed> {
    let workload = Workload::Slow1k;
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
        connections: options.callers,
        time: WAVE_TIME_MAX,
        voice: Voice::Live,
    };
    let mut callers = Vec::with_capacity(options.callers.into());
    for index in 0..options.callers {
        // Ids need to differ on one connection only.
        callers.push(Caller::connect(&load, index % CONNECTIONS_MAX).await?);
    }
    // The first of all calls has the gateway read the list of tools.
    let mut callers = wave(callers, 0).await?;
    let calls_before = upstream_calls(bed).await?;
    let cpu_before = process.cpu_time()?;
    for index in 1..=options.waves {
        callers = wave(callers, index)
            .await
            .with_context(|| format!("wave {index}: {}", process.obituary()))?;
    }
    let cpu = process.cpu_time()?.saturating_sub(cpu_before);
    let calls = f64::from(options.callers) * f64::from(options.waves);
    Ok(Collapsed {
        callers: options.callers,
        waves: options.waves,
        upstream_calls: upstream_calls(bed).await? - calls_before,
        cpu_us: cpu.as_secs_f64() * 1e6 / calls,
    })
}

/// One call of each caller, all the same, and none that was made before.
async fn wave(callers: Vec<Caller>, index: u16) -> Result<Vec<Caller>> {
    let n = callers.len();
    let mut waiting: JoinSet<Result<Caller>> = callers
        .into_iter()
        .map(|mut caller| async move {
            caller.set_key(index.into())?;
            caller.call().await?;
            Ok(caller)
        })
        .collect();
    let mut answered = Vec::with_capacity(n);
    let all = async {
        while let Some(joined) = waiting.join_next().await {
            answered.push(joined.context("a caller's task failed")??);
        }
        Ok(())
    };
    tokio::time::timeout(WAVE_TIME_MAX, all)
        .await
        .context("not answered in 30 s")
        .and_then(|all| all)?;
    ensure!(
        answered.len() == n,
        "{} of {n} were answered",
        answered.len()
    );
    Ok(answered)
}

async fn upstream_calls(bed: &Bed) -> Result<u64> {
    let (_, body) = Client::get(bed.stub_port(), PATH_CALLS).await?;
    let text = std::str::from_utf8(&body.kept)?;
    text.parse().context("the stub does not count")
}

impl Collapsed {
    /// What the project promises of it.
    #[expect(clippy::cast_precision_loss, reason = "a count far below 2^52")]
    pub(crate) fn promises(&self) -> Vec<Promise> {
        let calls = self.upstream_calls as f64 / f64::from(self.waves);
        let claim = format!("calls that reach the server of {} identical", self.callers);
        vec![Promise::at_most(claim, calls, 1.0)]
    }
}

/// The table and the promises.
pub(crate) fn text(collapsed: &Collapsed, promises: &[Promise]) -> String {
    let Collapsed {
        callers,
        waves,
        upstream_calls,
        cpu_us,
    } = collapsed;
    let mut text = format!(
        "{waves} waves of {callers} callers: {upstream_calls} calls reached the server, \
         {cpu_us:.1} µs of CPU a caller\n\n"
    );
    for promise in promises {
        // Writing to a String cannot fail.
        writeln!(text, "{promise}").ok();
    }
    text
}
