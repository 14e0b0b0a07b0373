//! `make bench`: what a call through Conduit costs, beside bare Pingora, nginx and no proxy at all.
//!
//! This process is the load; the stub and each proxy are processes of their own. See `README.md`.

mod bare;
mod bed;
mod chunked;
mod cli;
mod collapse;
mod constant;
mod guard;
mod http;
mod idle;
mod instructions;
mod load;
mod mcp;
mod process;
mod procfs;
mod redis_faults;
mod report;
mod resident;
mod rounds;
mod stages;
mod stub;
mod tether;
mod workload;

use std::future::Future;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::Parser as _;
use rustix::process::{Resource, Rlimit};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::bed::gateway::Store;
use crate::bed::{Bed, Wanted};
use crate::cli::{Arguments, CallOptions, CollapseOptions, Command};
use crate::cli::{FaultOptions, IdleOptions, InstructionsOptions, ResidentOptions};
use crate::workload::Subject;

/// The gateway's allocator, for the bare pass-through too: else the comparison would be one of allocators.
#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.command {
        None => block_on(until_interrupted(measure_calls(&arguments.calls))),
        Some(Command::Idle(options)) => block_on(until_interrupted(measure_idle(&options))),
        Some(Command::Collapse(options)) => block_on(until_interrupted(measure_collapse(&options))),
        Some(Command::Resident(options)) => block_on(until_interrupted(measure_resident(&options))),
        Some(Command::RedisFaults(options)) => {
            block_on(until_interrupted(measure_faults(&options)))
        }
        Some(Command::Instructions(options)) => count_instructions(&options),
        Some(Command::Repeat { work, times }) => instructions::repeat(work, times),
        Some(Command::Stub { port }) => block_on(stub::serve(port)),
        Some(Command::StubStdio) => stub::stdio::serve(),
        Some(Command::Bare {
            port,
            upstream,
            threads,
        }) => {
            bare::serve(port, upstream, threads);
            Ok(())
        }
        Some(Command::Constant {
            port,
            threads,
            kind,
        }) => {
            constant::serve(port, threads, kind);
            Ok(())
        }
        Some(Command::Tether(options)) => tether::execute(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            writeln!(io::stderr(), "conduit-bench: {error:#}").ok();
            ExitCode::FAILURE
        }
    }
}

async fn measure_calls(options: &CallOptions) -> Result<()> {
    let mut rows = rounds::plan(options);
    let wanted = rounds::wanted(&rows);
    if wanted.subjects.is_empty() && !wanted.is_tiered && !wanted.is_checking {
        bail!(
            "--only {} names no row (try `conduit/json-200`)",
            options.only.join(",")
        );
    }
    let bed = Bed::start(&options.bed, &wanted).await?;
    announce(&bed);
    rounds::measure(&bed, options, &mut rows, |round, row| {
        show_progress(&format!(
            "round {}/{}  {}  c={}",
            round + 1,
            options.rounds,
            row.name(),
            row.connections
        ));
    })
    .await?;
    show_progress("");
    let promises = report::promises(&rows);
    report::save(
        options.bed.json.as_deref(),
        &report::json(options, &bed.places, &rows, &promises),
    )?;
    print(&report::text(&rows, &promises))
}

async fn measure_idle(options: &IdleOptions) -> Result<()> {
    allow_open_files()?;
    let wanted = Wanted {
        subjects: vec![Subject::Bare, Subject::Conduit],
        store: Store::Memory,
        is_tiered: false,
        is_checking: false,
    };
    let bed = Bed::start(&options.bed, &wanted).await?;
    announce(&bed);
    let held = idle::measure(&bed, options).await?;
    let promises: Vec<_> = held.iter().flat_map(idle::Held::promises).collect();
    report::save(
        options.bed.json.as_deref(),
        &json!({ "idle": held, "promises": promises }),
    )?;
    print(&idle::text(&held, &promises))
}

async fn measure_collapse(options: &CollapseOptions) -> Result<()> {
    allow_open_files()?;
    let bed = Bed::start(&options.bed, &Wanted::gateway(Store::Memory)).await?;
    announce(&bed);
    let collapsed = collapse::measure(&bed, options).await?;
    let promises = collapsed.promises();
    report::save(
        options.bed.json.as_deref(),
        &json!({ "collapse": collapsed, "promises": promises }),
    )?;
    print(&collapse::text(&collapsed, &promises))
}

async fn measure_resident(options: &ResidentOptions) -> Result<()> {
    let store = Store::Entries(options.entries);
    let bed = Bed::start(&options.bed, &Wanted::gateway(store)).await?;
    announce(&bed);
    let resident = resident::measure(&bed, options, |asked| {
        show_progress(&format!("{asked} of {} results", options.entries));
    })
    .await?;
    show_progress("");
    report::save(
        options.bed.json.as_deref(),
        &json!({ "resident": resident }),
    )?;
    print(&resident::text(&resident))
}

async fn measure_faults(options: &FaultOptions) -> Result<()> {
    let nothing = Wanted {
        subjects: Vec::new(),
        store: Store::Memory,
        is_tiered: false,
        is_checking: false,
    };
    let mut bed = Bed::start(&options.bed, &nothing).await?;
    let outages = redis_faults::measure(&mut bed, options, show_progress).await?;
    announce(&bed);
    show_progress("");
    let promises = redis_faults::promises(&outages);
    report::save(
        options.bed.json.as_deref(),
        &json!({ "redis_faults": outages, "promises": promises }),
    )?;
    print(&redis_faults::text(&outages, &promises))
}

fn count_instructions(options: &InstructionsOptions) -> Result<()> {
    let bench = std::env::current_exe().context("the bench does not find its own binary")?;
    let beside = || bench.with_file_name("conduit");
    let program = options.gateway.clone().unwrap_or_else(beside);
    let stages = block_on(until_interrupted(stages::count(&program)))?;
    let counts = instructions::count()?;
    report::save(
        options.json.as_deref(),
        &json!({ "stages": stages, "instructions": counts }),
    )?;
    print(&format!(
        "{}\n{}",
        stages::text(&stages),
        instructions::text(&counts)
    ))
}

/// Says what is missing, and where everything runs.
fn announce(bed: &Bed) {
    for note in &bed.notes {
        writeln!(io::stderr(), "note: {note}").ok();
    }
    if bed.places.proxies.is_empty() {
        writeln!(io::stderr(), "note: nothing is bound to processors").ok();
    }
}

/// One line on a terminal, written over by the next.
fn show_progress(line: &str) {
    if io::stderr().is_terminal() {
        write!(io::stderr(), "\r\x1b[K{line}").ok();
    }
}

fn print(text: &str) -> Result<()> {
    io::stdout()
        .write_all(text.as_bytes())
        .context("cannot write the table")
}

/// Ends `work` on Ctrl-C or SIGTERM: what it owns, the servers too, is then dropped in good order.
async fn until_interrupted<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        result = work => result,
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        _ = terminate.recv() => bail!("terminated"),
    }
}

fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(work)
}

/// Raises the limit of open files to what the system allows; the servers inherit it.
fn allow_open_files() -> Result<()> {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    rustix::process::setrlimit(Resource::Nofile, raised).context("cannot open enough files")
}
