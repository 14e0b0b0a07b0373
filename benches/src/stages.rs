//! Instructions of a whole hit, and what each check adds to it: the gateway itself under valgrind.
//!
//! A gateway is started with more and more to check and asked few times and many times. What the many
//! take more is the calls' alone; what one configuration takes more than another is the check's.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;

use crate::bed::gateway::{self, Store};
use crate::guard::{self, Check};
use crate::load::caller::Caller;
use crate::load::{Load, Voice};
use crate::process::{Launch, Process, Ready, free_port};
use crate::workload::{Era, Workload};

const FEW: u32 = 200;
const MANY: u32 = 1_200;
const READY_PATH: &str = "/conduit/readyz";
/// What valgrind says before its count.
const COUNT_MARK: &str = "Collected : ";

/// A hit of a gateway that checks so much.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Stage {
    /// What is checked.
    pub(crate) name: &'static str,
    /// Instructions of a call.
    pub(crate) instructions: f64,
    /// How many of them a gateway takes more that checks nothing.
    pub(crate) added: f64,
}

/// One gateway that is counted.
struct Case {
    name: &'static str,
    checks: &'static [Check],
    workload: Workload,
}

const CASES: [Case; 7] = [
    plain("plain hit, legacy", Workload::Hit1k),
    plain("plain hit, modern", Workload::Hit1kModern),
    checked("+ API key", &[Check::Caller]),
    Case {
        workload: Workload::Hit1kToken,
        ..checked("+ JWT", &[Check::Caller])
    },
    checked("+ API key, 50 policies", &[Check::Caller, Check::Access]),
    checked(
        "+ API key, 50 policies, 50 guardrails",
        &[Check::Caller, Check::Access, Check::Content],
    ),
    checked("+ all of these, and limits", &Check::ALL),
];

const fn plain(name: &'static str, workload: Workload) -> Case {
    Case {
        name,
        checks: &[],
        workload,
    }
}

const fn checked(name: &'static str, checks: &'static [Check]) -> Case {
    Case {
        name,
        checks,
        workload: Workload::Hit1kChecked,
    }
}

/// Counts every stage of the gateway at `program`.
///
/// # Errors
/// When it or valgrind does not run, or a call is not answered from memory.
pub(crate) async fn count(program: &Path) -> Result<Vec<Stage>> {
    ensure!(
        program.is_file(),
        "no gateway at {} (build it with `cargo build --release`)",
        program.display()
    );
    let valgrind = find_valgrind().context(
        "valgrind is not installed (`packaging/tools.sh bench` does it): no instructions are counted",
    )?;
    let mut stages: Vec<Stage> = Vec::new();
    for case in &CASES {
        let (many, few) = (
            case.collect(program, &valgrind, MANY).await,
            case.collect(program, &valgrind, FEW).await,
        );
        let (many, few) = (
            many.with_context(|| case.name)?,
            few.with_context(|| case.name)?,
        );
        let instructions = (many - few) / f64::from(MANY - FEW);
        let first = stages
            .first()
            .map_or(instructions, |first| first.instructions);
        stages.push(Stage {
            name: case.name,
            instructions,
            added: instructions - first,
        });
    }
    Ok(stages)
}

/// The table.
pub(crate) fn text(stages: &[Stage]) -> String {
    let plain = stages.first().map_or(f64::NAN, |plain| plain.instructions);
    let mut text = String::from(
        "a hit of 1 KiB                              instructions       more   x plain\n",
    );
    for stage in stages {
        text.push_str(&format!(
            "{:<40} {:>15.0} {:>10.0} {:>9.2}\n",
            stage.name,
            stage.instructions,
            stage.added,
            stage.instructions / plain
        ));
    }
    text
}

fn find_valgrind() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|at| at.join("valgrind"))
        .find(|program| program.is_file())
}

impl Case {
    /// Instructions of a gateway that is asked so many times.
    async fn collect(&self, program: &Path, valgrind: &Path, times: u32) -> Result<f64> {
        let directory = tempfile::Builder::new()
            .prefix("conduit-bench.")
            .tempdir()?;
        let at = directory.path();
        let bench = std::env::current_exe().context("the bench does not find its own binary")?;
        let stub_port = free_port().await?;
        let stub = Launch {
            name: "stub",
            program: &bench,
            arguments: vec!["stub".into(), "--port".into(), stub_port.to_string().into()],
            port: stub_port,
            cpus: &[],
            directory: at,
        };
        let _stub = Process::start(stub, Ready::Accepts).await?;
        let port = free_port().await?;
        let mut config = gateway::config(port, stub_port, 1, &bench, Store::Memory);
        let tools = [self.workload.tool()];
        guard::check(&mut config, self.checks, stub_port, "cached", &tools);
        let file = at.join("conduit.yaml");
        fs::write(&file, config.to_string())?;
        let launch = Launch {
            name: "conduit",
            program: valgrind,
            arguments: vec![
                "--tool=callgrind".into(),
                "--callgrind-out-file=/dev/null".into(),
                program.into(),
                "run".into(),
                "--config".into(),
                file.into(),
            ],
            port,
            cpus: &[],
            directory: at,
        };
        let gateway = Process::start(launch, Ready::Answers(READY_PATH)).await?;
        self.call(port, times)
            .await
            .with_context(|| gateway.obituary())?;
        let said = gateway.end()?;
        let count = said
            .lines()
            .find_map(|line| line.split_once(COUNT_MARK))
            .context("valgrind does not say what it counted")?;
        count.1.trim().parse().context("not a count")
    }

    /// Calls one after the other. All but the first few must be hits.
    async fn call(&self, port: u16, times: u32) -> Result<()> {
        let load = Load {
            workload: self.workload,
            era: self.workload.era(Era::Legacy),
            port,
            path: "/mcp/cached".to_owned(),
            connections: 1,
            time: Duration::ZERO,
            voice: Voice::Live,
        };
        let mut caller = Caller::connect(&load, 0).await?;
        for _ in 0..times {
            caller.call().await?;
        }
        let hits = caller.hits;
        ensure!(
            hits + 5 > u64::from(times),
            "only {hits} of {times} calls were hits"
        );
        Ok(())
    }
}
