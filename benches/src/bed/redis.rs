//! Redis as a gateway's second tier, which can be made to fail.

use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::process::{Launch, Process, Ready, free_port};

/// The answer to a command that did what it was to.
const DONE: &[u8] = b"+OK\r\n";

/// A place where Redis runs, or does not. It remembers nothing from one start to the next.
pub(crate) struct Redis {
    pub(crate) port: u16,
    program: PathBuf,
    directory: PathBuf,
    cpus: Vec<usize>,
    process: Option<Process>,
}

impl Redis {
    /// The `redis-server` on the `PATH`, if it is installed, on a port of its own.
    ///
    /// # Errors
    /// When there is no free port.
    pub(super) async fn find(directory: &Path, cpus: &[usize]) -> Result<Option<Self>> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let program = std::env::split_paths(&path)
            .map(|directory| directory.join("redis-server"))
            .find(|program| program.is_file());
        let Some(program) = program else {
            return Ok(None);
        };
        Ok(Some(Self {
            port: free_port().await?,
            program,
            directory: directory.to_owned(),
            cpus: cpus.to_owned(),
            process: None,
        }))
    }

    /// Starts it on its port of the loopback alone, with more arguments; nothing is written to the disk.
    ///
    /// # Errors
    /// When it does not start.
    pub(crate) async fn start(&mut self, more: &[&str]) -> Result<()> {
        self.process = None;
        let port = self.port.to_string();
        let texts = ["--port", &port, "--bind", "127.0.0.1"];
        let no_files = ["--save", "", "--appendonly", "no"];
        let texts = texts.iter().chain(&no_files).chain(more);
        let place: [OsString; 2] = ["--dir".into(), self.directory.clone().into()];
        let launch = Launch {
            name: "redis",
            program: &self.program,
            arguments: texts.map(OsString::from).chain(place).collect(),
            port: self.port,
            cpus: &self.cpus,
            directory: &self.directory,
        };
        self.process = Some(Process::start(launch, Ready::Accepts).await?);
        Ok(())
    }

    /// Kills it, with no time for a farewell.
    ///
    /// # Errors
    /// When it has ended already.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.signal(Signal::KILL)?;
        self.process = None;
        Ok(())
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When it is not running.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let process = self.process.as_ref().context("Redis does not run")?;
        process.signal(signal)
    }

    /// Changes one of its settings.
    ///
    /// # Errors
    /// When it cannot be reached or refuses.
    pub(crate) async fn set(&self, name: &str, value: &str) -> Result<()> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await?;
        let command = format!("CONFIG SET {name} {value}\r\n");
        stream.write_all(command.as_bytes()).await?;
        let mut answer = [0; DONE.len()];
        stream.read_exact(&mut answer).await?;
        ensure!(
            answer == DONE,
            "Redis refuses to have {name} set to {value}"
        );
        Ok(())
    }
}
