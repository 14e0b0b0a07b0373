//! A server process that the bench has started, and will stop.
//!
//! **Invariant:** a process lives at most as long as its [`Process`]: dropping stops it, and if the bench
//! itself is killed the kernel does ([`crate::tether`]).

use std::ffi::OsString;
use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, Signal};
use tokio::net::{TcpListener, TcpStream};

use crate::http::Client;
use crate::procfs;

const START_TIME_MAX: Duration = Duration::from_secs(30);
const START_POLL: Duration = Duration::from_millis(10);
/// How long a server may take to end in good order; then it is killed.
const STOP_TIME_MAX: Timespec = Timespec {
    tv_sec: 8,
    tv_nsec: 0,
};
const LOG_LINES_SHOWN: usize = 20;

/// How to start a server.
pub(crate) struct Launch<'a> {
    /// What messages call it, and its log file.
    pub(crate) name: &'a str,
    pub(crate) program: &'a Path,
    pub(crate) arguments: Vec<OsString>,
    /// Where it listens once it has started.
    pub(crate) port: u16,
    /// The processors it may use; none means all.
    pub(crate) cpus: &'a [usize],
    /// Its working directory, and the place of its log.
    pub(crate) directory: &'a Path,
}

/// A running server.
pub(crate) struct Process {
    pub(crate) port: u16,
    name: String,
    child: Child,
    log: PathBuf,
    bench: PathBuf,
}

/// How to see that a server has started.
#[derive(Clone, Copy)]
pub(crate) enum Ready {
    /// It accepts a connection.
    Accepts,
    /// `GET` of this path answers 200.
    Answers(&'static str),
}

/// A port of the loopback that nothing listens on.
///
/// # Errors
/// When the system has none left.
pub(crate) async fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .context("no free port")?;
    Ok(listener.local_addr()?.port())
}

impl Process {
    /// Starts the server and waits until it is ready.
    ///
    /// # Errors
    /// When it cannot be started, ends, or is not ready in time: with the end of its log.
    pub(crate) async fn start(launch: Launch<'_>, ready: Ready) -> Result<Self> {
        let mut process = Self::spawn(launch)?;
        let started = Instant::now();
        while !process.is_ready(ready).await {
            if let Some(status) = process.child.try_wait()? {
                bail!(
                    "{} ended at once, {status}:\n{}",
                    process.name,
                    process.log_end()
                );
            }
            if started.elapsed() > START_TIME_MAX {
                bail!(
                    "{} is not ready after 30 s:\n{}",
                    process.name,
                    process.log_end()
                );
            }
            tokio::time::sleep(START_POLL).await;
        }
        Ok(process)
    }

    fn spawn(launch: Launch<'_>) -> Result<Self> {
        let bench = std::env::current_exe().context("the bench does not find its own binary")?;
        let log = launch.directory.join(format!("{}.log", launch.name));
        let output =
            File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        #[expect(
            clippy::disallowed_methods,
            reason = "the bench runs whole servers, not MCP children"
        )]
        let mut command = Command::new(&bench);
        command
            .arg("tether")
            .arg("--parent")
            .arg(std::process::id().to_string());
        for cpu in launch.cpus {
            command.arg("--cpu").arg(cpu.to_string());
        }
        command
            .arg("--")
            .arg(launch.program)
            .args(&launch.arguments);
        for (variable, _) in std::env::vars_os() {
            // The measured configuration is the one in the file.
            if variable.to_string_lossy().starts_with("CONDUIT_") || variable == "RUST_LOG" {
                command.env_remove(variable);
            }
        }
        let child = command
            .current_dir(launch.directory)
            .stdin(Stdio::null())
            // An access log goes here: written as always, kept nowhere (it would fill the disk).
            .stdout(Stdio::null())
            .stderr(output)
            .spawn()
            .with_context(|| format!("cannot start {}", launch.name))?;
        Ok(Self {
            port: launch.port,
            name: launch.name.to_owned(),
            child,
            log,
            bench,
        })
    }

    async fn is_ready(&self, ready: Ready) -> bool {
        match ready {
            Ready::Accepts => TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))
                .await
                .is_ok(),
            Ready::Answers(path) => Client::get_status(self.port, path)
                .await
                .is_ok_and(|status| status == 200),
        }
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When it has ended.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_child(&self.child);
        let sent = rustix::process::pidfd_open(pid, PidfdFlags::empty())
            .and_then(|handle| rustix::process::pidfd_send_signal(&handle, signal));
        sent.with_context(|| self.obituary())
    }

    /// CPU time used so far, without children that run the bench (the stdio stub).
    ///
    /// # Errors
    /// When the process has ended.
    pub(crate) fn cpu_time(&self) -> Result<Duration> {
        procfs::cpu_time(self.child.id(), &self.bench).with_context(|| self.obituary())
    }

    /// Resident memory now, in bytes.
    ///
    /// # Errors
    /// When the process has ended.
    pub(crate) fn resident_bytes(&self) -> Result<u64> {
        procfs::resident_bytes(self.child.id()).with_context(|| self.obituary())
    }

    /// What to tell when this server has failed: its name and its last words.
    pub(crate) fn obituary(&self) -> String {
        format!("{}; its log ends with:\n{}", self.name, self.log_end())
    }

    /// Ends it in good order; what it wrote to its log.
    ///
    /// # Errors
    /// When it does not end in time.
    pub(crate) fn end(mut self) -> Result<String> {
        if !self.ask_to_end().with_context(|| self.obituary())? {
            bail!("{} does not end", self.name);
        }
        self.child.wait().context("cannot wait")?;
        fs::read_to_string(&self.log).context("cannot read the log")
    }

    fn log_end(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&log);
        let lines: Vec<_> = text.lines().collect();
        let skipped = lines.len().saturating_sub(LOG_LINES_SHOWN);
        lines
            .into_iter()
            .skip(skipped)
            .map(|line| format!("    {line}\n"))
            .collect()
    }

    /// Asks the process to end, and waits for it, for a bounded time.
    fn ask_to_end(&self) -> rustix::io::Result<bool> {
        let pid = Pid::from_child(&self.child);
        let handle = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
        rustix::process::pidfd_send_signal(&handle, Signal::TERM)?;
        let mut ended = [PollFd::new(&handle, PollFlags::IN)];
        Ok(rustix::event::poll(&mut ended, Some(&STOP_TIME_MAX))? > 0)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.ask_to_end().unwrap_or(false) {
            // Either it is gone already or it does not listen; a kill is right in both cases.
            self.child.kill().ok();
        }
        self.child.wait().ok();
    }
}
