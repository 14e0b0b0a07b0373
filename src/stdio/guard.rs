//! The guard: a small process of our own between the gateway and each child.
//!
//! The parent-death signal reaches only a direct child that asked for it, and is lost on every
//! grandchild; setting it in someone else's program needs unsafe code. So the gateway starts its
//! own binary again as `conduit __guard PARENT GRACE_MS COMMAND ARGS…`. The guard asks for the
//! signal, becomes the reaper of all its descendants (also of those that fork twice or call
//! `setsid`), starts the command with the pipes it was given, and waits.
//!
//! **Invariant:** when the guard ends, nothing it started is left: whether the command ended, the
//! gateway said so (SIGTERM), or the gateway is dead.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use super::descent::descendants;

/// The first argument that makes this binary a guard.
pub const MODE: &str = "__guard";

/// Set for the guard alone: without it our allocator takes 4 MiB for a process that needs half of
/// one, once a child. What the operator configures for a server wins.
pub(super) const FRUGAL: (&str, &str) = ("MIMALLOC_ALLOW_THP", "0");

/// The guard's exit status where the command does not exist, as shells have it.
pub(super) const NOT_FOUND: u8 = 127;
/// The guard's exit status where the command cannot be started.
pub(super) const NOT_STARTED: u8 = 126;
/// Added to a signal's number for a command that was killed by it, as shells have it.
pub(super) const SIGNAL_BASE: i32 = 128;

/// How long descendants have between SIGTERM and SIGKILL where nobody waits for them any more: the
/// gateway is dead, or the command has ended and left them behind.
const ORPHAN_GRACE: Duration = Duration::from_millis(500);
/// How often what is left is looked for and killed.
const KILL_INTERVAL: Duration = Duration::from_millis(20);
/// When a process that even SIGKILL does not end (it hangs in the kernel) is given up.
const KILL_PATIENCE: Duration = Duration::from_secs(5);

/// Runs as a guard. `args` are what follows [`MODE`].
pub fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    match Order::read(args).and_then(|order| guard(&order)) {
        Ok(code) => code,
        Err(failure) => {
            // The gateway logs this line with the server's id; if it has gone nobody listens.
            writeln!(io::stderr(), "conduit guard: {}", failure.reason).ok();
            ExitCode::from(failure.status)
        }
    }
}

/// What the gateway told the guard to do.
struct Order {
    parent: Option<Pid>,
    grace: Duration,
    command: OsString,
    args: Vec<OsString>,
}

/// Why there is no child.
struct Failure {
    status: u8,
    reason: String,
}

impl Failure {
    fn new(what: &str, error: impl std::fmt::Display) -> Self {
        Self {
            status: NOT_STARTED,
            reason: format!("{what}: {error}"),
        }
    }
}

impl Order {
    fn read(mut args: impl Iterator<Item = OsString>) -> Result<Self, Failure> {
        let usage = || Failure::new("usage", "conduit __guard PARENT GRACE_MS COMMAND [ARGS]");
        let parent: i32 = number(args.next()).ok_or_else(usage)?;
        let grace = number(args.next()).ok_or_else(usage)?;
        let command = args.next().ok_or_else(usage)?;
        Ok(Self {
            parent: Pid::from_raw(parent),
            grace: Duration::from_millis(grace),
            command,
            args: args.collect(),
        })
    }

    fn is_orphaned(&self) -> bool {
        rustix::process::getppid() != self.parent
    }
}

fn number<T: std::str::FromStr>(arg: Option<OsString>) -> Option<T> {
    arg?.to_str()?.parse().ok()
}

fn guard(order: &Order) -> Result<ExitCode, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(|error| Failure::new("cannot start", error))?
        .block_on(watch(order))
}

/// Starts the command and stays until nothing of it is left.
async fn watch(order: &Order) -> Result<ExitCode, Failure> {
    let listen = |kind| signal(kind).map_err(|error| Failure::new("cannot listen", error));
    // Ctrl-C at a terminal and a closed terminal are the gateway's to answer, in order.
    let _interrupt = listen(SignalKind::interrupt())?;
    let _hangup = listen(SignalKind::hangup())?;
    let mut told = listen(SignalKind::terminate())?;
    let mut child_changed = listen(SignalKind::child())?;
    arm()?;
    if order.is_orphaned() {
        return Err(Failure::new("not started", "the gateway is already gone"));
    }
    let mut brood = Brood::start(order)?;
    let mut stage = Stage::Serving;
    loop {
        brood.reap();
        if brood.is_gone {
            break;
        }
        if stage == Stage::Serving && brood.status.is_some() {
            stage = Stage::terminate(ORPHAN_GRACE);
        }
        tokio::select! {
            _ = told.recv() => {
                let grace = if order.is_orphaned() { ORPHAN_GRACE } else { order.grace };
                stage = stage.hurried(grace);
            }
            _ = child_changed.recv() => {}
            () = tokio::time::sleep_until(stage.wakes_at()) => match stage.killing() {
                Some(killing) => stage = killing,
                None => break,
            }
        }
    }
    Ok(brood.exit_code())
}

/// Makes every descendant ours to reap, and the gateway's death a SIGTERM to us.
fn arm() -> Result<(), Failure> {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .and_then(|()| rustix::process::set_parent_process_death_signal(Some(Signal::TERM)))
        .map_err(|error| Failure::new("cannot guard", error))
}

/// How far the ending has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The command runs.
    Serving,
    /// Everybody was told to end, and has until then.
    Terminating { until: Instant },
    /// Everybody is being killed, again and again, until then.
    Killing { next: Instant, until: Instant },
}

impl Stage {
    fn terminate(grace: Duration) -> Self {
        signal_all(Signal::TERM);
        Self::Terminating {
            until: Instant::now() + grace,
        }
    }

    /// SIGTERM came: start ending, or end sooner.
    fn hurried(self, grace: Duration) -> Self {
        match self {
            Self::Serving => Self::terminate(grace),
            Self::Terminating { until } => Self::Terminating {
                until: until.min(Instant::now() + grace),
            },
            Self::Killing { .. } => self,
        }
    }

    /// The wait of this stage is over: kills; nothing where it has been tried long enough.
    fn killing(self) -> Option<Self> {
        let now = Instant::now();
        let until = match self {
            Self::Serving | Self::Terminating { .. } => now + KILL_PATIENCE,
            Self::Killing { until, .. } => until,
        };
        signal_all(Signal::KILL);
        (now < until).then_some(Self::Killing {
            next: now + KILL_INTERVAL,
            until,
        })
    }

    fn wakes_at(self) -> Instant {
        match self {
            Self::Serving => Instant::now() + Duration::from_secs(3600),
            Self::Terminating { until } => until,
            Self::Killing { next, .. } => next,
        }
    }
}

fn signal_all(signal: Signal) {
    for pid in descendants(rustix::process::getpid()) {
        // One that has just ended needs no signal; one that may not be signalled is not ours.
        rustix::process::kill_process(pid, signal).ok();
    }
}

/// The command and all it started.
struct Brood {
    child: Option<Pid>,
    status: Option<WaitStatus>,
    is_gone: bool,
}

impl Brood {
    fn start(order: &Order) -> Result<Self, Failure> {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the guard under which children are born"
        )]
        let mut command = Command::new(&order.command);
        if std::env::var_os(FRUGAL.0).is_some_and(|value| value == FRUGAL.1) {
            command.env_remove(FRUGAL.0);
        }
        let child = command
            .args(&order.args)
            .process_group(0)
            .spawn()
            .map_err(|error| Failure {
                status: if error.kind() == io::ErrorKind::NotFound {
                    NOT_FOUND
                } else {
                    NOT_STARTED
                },
                reason: format!("cannot start \"{}\": {error}", order.command.display()),
            })?;
        let_go_of_pipes().map_err(|error| Failure::new("cannot let go of the pipes", error))?;
        Ok(Self {
            child: i32::try_from(child.id()).ok().and_then(Pid::from_raw),
            status: None,
            is_gone: false,
        })
    }

    /// Takes the status of everyone who has ended.
    fn reap(&mut self) {
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if Some(pid) == self.child => self.status = Some(status),
                Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
                Ok(None) => return,
                Err(_) => {
                    self.is_gone = true;
                    return;
                }
            }
        }
    }

    /// The command's own status, as a shell would give it.
    fn exit_code(&self) -> ExitCode {
        let code = self.status.and_then(|status| {
            let killed = || Some(SIGNAL_BASE + status.terminating_signal()?);
            status.exit_status().or_else(killed)
        });
        ExitCode::from(
            code.and_then(|code| u8::try_from(code).ok())
                .unwrap_or(NOT_STARTED),
        )
    }
}

/// The pipes are the command's alone, so that each side sees the other one close them.
fn let_go_of_pipes() -> io::Result<()> {
    let nothing = File::options().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&nothing)?;
    rustix::stdio::dup2_stdout(&nothing)?;
    rustix::stdio::dup2_stderr(&nothing)?;
    Ok(())
}
