//! One child process: how it is started, ended and described.
//!
//! **Invariant:** every child is born here, under a [`guard`]; commands and
//! arguments come from the operator's configuration, never from a request.

pub(super) mod serve;

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use super::Program;
use super::environment;
use super::guard;
use super::runtime::Runtime;

/// How long a child has to end by itself once its input is closed.
const INPUT_CLOSED_GRACE: Duration = Duration::from_secs(2);
/// How long a child and its descendants have between SIGTERM and SIGKILL.
const TERM_GRACE: Duration = Duration::from_secs(1);
/// How long the guard has to kill and reap after that.
const REAP_GRACE: Duration = Duration::from_secs(6);
/// Most time that [`Process::stop`] takes.
pub(super) const STOP_MAX: Duration = Duration::from_secs(2 + 1 + 6 + 1);

/// A guard with a child under it.
#[derive(Debug)]
pub(super) struct Process {
    guard: Child,
}

/// The three pipes of a child.
#[derive(Debug)]
pub(super) struct Pipes {
    pub(super) stdin: ChildStdin,
    pub(super) stdout: ChildStdout,
    pub(super) stderr: ChildStderr,
}

/// Starts the child that `program` is. That its command does not exist shows as its [`Exit`].
///
/// # Errors
/// Where not even the guard can be started, or the working directory does not exist.
async fn start(program: &Program, runtime: &Runtime) -> io::Result<(Process, Pipes)> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the command is our own guard, under which children are born"
    )]
    let mut command = Command::new(runtime.executable());
    command
        .arg(guard::MODE)
        .arg(std::process::id().to_string())
        .arg(TERM_GRACE.as_millis().to_string())
        .arg(OsString::from(&program.command))
        .args(&program.args)
        .env_clear()
        .env(guard::FRUGAL.0, guard::FRUGAL.1)
        .envs(environment::minimal(std::env::vars_os(), &program.env))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    if let Some(cwd) = &program.cwd {
        if !cwd.is_dir() {
            let reason = format!("working directory {} does not exist", cwd.display());
            return Err(io::Error::new(io::ErrorKind::NotFound, reason));
        }
        command.current_dir(cwd);
    }
    let mut process = runtime.start(command).await?;
    let guard = &mut process.guard;
    let (Some(stdin), Some(stdout), Some(stderr)) =
        (guard.stdin.take(), guard.stdout.take(), guard.stderr.take())
    else {
        return Err(io::Error::other("a pipe is missing"));
    };
    Ok((
        process,
        Pipes {
            stdin,
            stdout,
            stderr,
        },
    ))
}

impl From<Child> for Process {
    fn from(guard: Child) -> Self {
        Self { guard }
    }
}

impl Process {
    /// Waits until nothing of the child is left.
    pub(super) async fn wait(&mut self) -> Exit {
        self.guard.wait().await.map_or(Exit::Unknown, Exit::from)
    }

    /// Ends the child, whose input is closed already: waits, then has the guard terminate and
    /// then kill all of it. Takes [`STOP_MAX`] at most.
    pub(super) async fn stop(&mut self) -> Exit {
        if let Ok(exit) = timeout(INPUT_CLOSED_GRACE, self.wait()).await {
            return exit;
        }
        self.signal(Signal::TERM);
        if let Ok(exit) = timeout(TERM_GRACE + REAP_GRACE, self.wait()).await {
            return exit;
        }
        self.signal(Signal::KILL);
        timeout(Duration::from_secs(1), self.wait())
            .await
            .unwrap_or(Exit::Unknown)
    }

    fn signal(&self, signal: Signal) {
        let guard = self.guard.id().and_then(|id| i32::try_from(id).ok());
        if let Some(guard) = guard.and_then(Pid::from_raw) {
            // An id is known only until the guard is reaped, so it is still the guard's.
            rustix::process::kill_process(guard, signal).ok();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Whoever waited for it is gone: the guard ends everything by itself.
        self.signal(Signal::TERM);
    }
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// The command does not exist.
    NotFound,
    /// The command exists but could not be started.
    NotStarted,
    /// It ended by itself.
    Status(i32),
    /// A signal ended it.
    Signal(i32),
    /// It could not be learned.
    Unknown,
}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) if code == i32::from(guard::NOT_FOUND) => Self::NotFound,
            (Some(code), _) if code == i32::from(guard::NOT_STARTED) => Self::NotStarted,
            (Some(code), _) if code > guard::SIGNAL_BASE => Self::Signal(code - guard::SIGNAL_BASE),
            (Some(code), _) => Self::Status(code),
            (None, Some(signal)) => Self::Signal(signal),
            (None, None) => Self::Unknown,
        }
    }
}

impl Exit {
    /// For an error message, after the server's name.
    pub(super) fn describe(self, command: &str) -> String {
        match self {
            Self::NotFound => format!("cannot be started: command \"{command}\" was not found"),
            Self::NotStarted => format!("cannot be started: command \"{command}\" cannot be run"),
            Self::Status(code) => format!("exited with status {code}"),
            Self::Signal(signal) => format!("was killed by signal {signal}"),
            Self::Unknown => "ended".to_owned(),
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe("?"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_is_told_as_a_shell_tells_it() {
        let exit = |raw: i32| Exit::from(ExitStatus::from_raw(raw));
        assert_eq!(exit(0), Exit::Status(0));
        assert_eq!(exit(3 << 8), Exit::Status(3));
        assert_eq!(exit(127 << 8), Exit::NotFound);
        assert_eq!(exit(126 << 8), Exit::NotStarted);
        assert_eq!(exit((128 + 9) << 8), Exit::Signal(9));
        assert_eq!(exit(9), Exit::Signal(9));
    }
}
