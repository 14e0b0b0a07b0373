//! Becomes another program that dies with the bench and stays on its processors.
//!
//! A bench that is killed runs no clean-up. So each process it starts first passes through here: asks
//! the kernel to be killed with its parent, takes its place on the processors, and executes the real
//! program, which inherits both.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use rustix::process::{self, Pid, Signal};
use rustix::thread::{self, CpuSet};

use crate::cli::TetherOptions;

/// Executes the program in place of this one.
///
/// # Errors
/// Only if it fails: on success this process is the other program.
pub(crate) fn execute(options: &TetherOptions) -> Result<()> {
    process::set_parent_process_death_signal(Some(Signal::KILL))
        .context("tether: cannot ask to die with the bench")?;
    if process::getppid().map(Pid::as_raw_pid) != Some(options.parent) {
        bail!("tether: the bench has ended already");
    }
    take_place(&options.cpus)?;
    let Some((program, arguments)) = options.command.split_first() else {
        bail!("tether: no program given");
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "the bench runs whole servers, not MCP children"
    )]
    let error = Command::new(program).args(arguments).exec();
    Err(error).with_context(|| format!("cannot run {}", program.display()))
}

/// Binds the calling thread, and what it will start, to `cpus`. No processors means no binding.
///
/// # Errors
/// When the system refuses.
pub(crate) fn take_place(cpus: &[usize]) -> Result<()> {
    if cpus.is_empty() {
        return Ok(());
    }
    let mut set = CpuSet::new();
    for cpu in cpus {
        set.set(*cpu);
    }
    thread::sched_setaffinity(None, &set).with_context(|| format!("cannot run on CPUs {cpus:?}"))
}

/// The processors that the calling thread may use.
pub(crate) fn places() -> Vec<usize> {
    let Ok(set) = thread::sched_getaffinity(None) else {
        return Vec::new();
    };
    (0..CpuSet::MAX_CPU)
        .filter(|cpu| set.is_set(*cpu))
        .collect()
}
