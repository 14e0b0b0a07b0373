//! The test bed: the stub and the proxies in front of it, each a process of its own.
//!
//! **Invariant:** all proxies run at the same time, with as many threads and on the same processors;
//! the load and the stub stay off these if the machine has others.

mod nginx;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;
use tempfile::TempDir;

use crate::cli::{BedOptions, Pin};
use crate::process::{Launch, Process, Ready, free_port};
use crate::tether;
use crate::workload::{Subject, Workload};

const READY_PATH: &str = "/conduit/readyz";

/// Everything that runs during a measurement.
pub(crate) struct Bed {
    /// Where the processors are; none if nothing is bound.
    pub(crate) places: Places,
    /// What the reader should know: which proxy is missing and why.
    pub(crate) notes: Vec<String>,
    // In the order in which they are stopped: proxies, stub, and at last the folder of their logs.
    conduit: Option<Process>,
    bare: Option<Process>,
    nginx: Option<Process>,
    stub: Process,
    _directory: TempDir,
}

/// Which processors are whose. Empty lists: everything runs everywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Places {
    pub(crate) proxies: Vec<usize>,
    pub(crate) load_and_stub: Vec<usize>,
}

/// Where calls of one kind go, and whose CPU time they cost.
pub(crate) struct Way<'a> {
    pub(crate) port: u16,
    pub(crate) path: &'static str,
    pub(crate) process: &'a Process,
}

impl Bed {
    /// Starts the stub and those of the `wanted` proxies whose programs are there.
    ///
    /// # Errors
    /// When one does not start, or when a program named by an option is not there.
    pub(crate) async fn start(options: &BedOptions, wanted: &[Subject]) -> Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("conduit-bench.")
            .tempdir()?;
        let at = directory.path();
        let places = Places::divide(&tether::places(), options.threads, options.pin);
        tether::take_place(&places.load_and_stub)?;
        let bench = std::env::current_exe().context("the bench does not find its own binary")?;
        let stub = start_stub(&bench, &places.load_and_stub, at).await?;
        let mut bed = Self {
            places,
            notes: Vec::new(),
            conduit: None,
            bare: None,
            nginx: None,
            stub,
            _directory: directory,
        };
        let at = bed._directory.path().to_owned();
        if wanted.contains(&Subject::Bare) {
            let program = options.bare.clone().unwrap_or_else(|| bench.clone());
            bed.bare = Some(
                bed.start_bare(&existing(program)?, options.threads, &at)
                    .await?,
            );
        }
        if wanted.contains(&Subject::Nginx) {
            bed.nginx = bed.start_nginx(options, &at).await?;
        }
        if wanted.contains(&Subject::Conduit) {
            bed.conduit = bed.start_conduit(options, &bench, &at).await?;
        }
        Ok(bed)
    }

    /// The way of `workload` through `subject`, if there is one.
    pub(crate) fn way(&self, subject: Subject, workload: Workload) -> Option<Way<'_>> {
        let (process, path) = match (subject, workload) {
            (Subject::Conduit, Workload::Stdio200) => (self.conduit.as_ref()?, "/mcp/child"),
            (Subject::Conduit, Workload::Aggregate200) => (self.conduit.as_ref()?, "/mcp"),
            (_, Workload::Stdio200 | Workload::Aggregate200) => return None,
            (Subject::Conduit, _) => (self.conduit.as_ref()?, "/mcp/stub"),
            (Subject::Direct, _) => (&self.stub, "/mcp"),
            (Subject::Bare, _) => (self.bare.as_ref()?, "/mcp"),
            (Subject::Nginx, _) => (self.nginx.as_ref()?, "/mcp"),
        };
        Some(Way {
            port: process.port,
            path,
            process,
        })
    }

    /// The port of the stub itself.
    pub(crate) const fn stub_port(&self) -> u16 {
        self.stub.port
    }

    async fn start_bare(&self, program: &Path, threads: usize, at: &Path) -> Result<Process> {
        let port = free_port().await?;
        let arguments = ["bare", "--port", &port.to_string()]
            .into_iter()
            .chain(["--upstream", &self.stub.port.to_string()])
            .chain(["--threads", &threads.to_string()])
            .map(OsString::from)
            .collect();
        let cpus = &self.places.proxies;
        let launch = Launch {
            name: "bare",
            program,
            arguments,
            port,
            cpus,
            directory: at,
        };
        Process::start(launch, Ready::Accepts).await
    }

    async fn start_nginx(&mut self, options: &BedOptions, at: &Path) -> Result<Option<Process>> {
        let program = match &options.nginx {
            Some(program) => Some(existing(program.clone())?),
            None => nginx::find(),
        };
        let Some(program) = program else {
            self.notes
                .push("nginx is not installed: its rows are left out".to_owned());
            return Ok(None);
        };
        let port = free_port().await?;
        let config = at.join("nginx.conf");
        fs::write(
            &config,
            nginx::config(at, port, self.stub.port, options.threads),
        )?;
        let arguments = vec!["-c".into(), config.into(), "-e".into(), "stderr".into()];
        let cpus = &self.places.proxies;
        let launch = Launch {
            name: "nginx",
            program: &program,
            arguments,
            port,
            cpus,
            directory: at,
        };
        match Process::start(launch, Ready::Accepts).await {
            Ok(process) => Ok(Some(process)),
            // Nobody asked for it: a strange nginx must not cost the other rows.
            Err(error) if options.nginx.is_none() => {
                self.notes
                    .push(format!("nginx rows are left out: {error:#}"));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn start_conduit(
        &mut self,
        options: &BedOptions,
        bench: &Path,
        at: &Path,
    ) -> Result<Option<Process>> {
        let program = match &options.gateway {
            Some(program) => existing(program.clone())?,
            None => bench.with_file_name("conduit"),
        };
        if !program.is_file() {
            self.notes.push(format!(
                "no gateway at {}: its rows are left out (build it with `cargo build --release`)",
                program.display()
            ));
            return Ok(None);
        }
        let port = free_port().await?;
        let config = at.join("conduit.yaml");
        fs::write(
            &config,
            conduit_config(port, self.stub.port, options.threads, bench),
        )?;
        let arguments = vec!["run".into(), "--config".into(), config.into()];
        let cpus = &self.places.proxies;
        let launch = Launch {
            name: "conduit",
            program: &program,
            arguments,
            port,
            cpus,
            directory: at,
        };
        Process::start(launch, Ready::Answers(READY_PATH))
            .await
            .map(Some)
    }
}

impl Places {
    /// The last `threads` processors are the proxies', the others the load's and the stub's.
    fn divide(all: &[usize], threads: usize, pin: Pin) -> Self {
        match (pin, all.split_at_checked(all.len().saturating_sub(threads))) {
            (Pin::Auto, Some((rest, proxies))) if !rest.is_empty() => Self {
                proxies: proxies.to_vec(),
                load_and_stub: rest.to_vec(),
            },
            (Pin::Auto | Pin::Off, _) => Self::default(),
        }
    }
}

async fn start_stub(bench: &Path, cpus: &[usize], at: &Path) -> Result<Process> {
    let port = free_port().await?;
    let arguments = vec!["stub".into(), "--port".into(), port.to_string().into()];
    let launch = Launch {
        name: "stub",
        program: bench,
        arguments,
        port,
        cpus,
        directory: at,
    };
    Process::start(launch, Ready::Accepts).await
}

/// JSON is YAML: no path can break out of its quotes.
fn conduit_config(port: u16, stub_port: u16, threads: usize, bench: &Path) -> String {
    serde_json::json!({
        "gateway": { "host": "127.0.0.1", "port": port, "threads": threads },
        "metrics": { "enabled": false },
        "servers": [
            { "id": "stub", "url": format!("http://127.0.0.1:{stub_port}/mcp") },
            { "id": "child", "transport": "stdio", "command": bench, "args": ["stub-stdio"] },
        ],
    })
    .to_string()
}

fn existing(program: PathBuf) -> Result<PathBuf> {
    ensure!(
        program.is_file(),
        "there is no program at {}",
        program.display()
    );
    program
        .canonicalize()
        .with_context(|| format!("cannot find {}", program.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proxies_get_the_last_processors() {
        let places = Places::divide(&[0, 1, 4], 2, Pin::Auto);
        assert_eq!(
            places,
            Places {
                proxies: vec![1, 4],
                load_and_stub: vec![0]
            }
        );
    }

    #[test]
    fn nothing_is_bound_where_no_processor_is_left_for_the_load() {
        for threads in [2, 3] {
            assert_eq!(
                Places::divide(&[0, 1], threads, Pin::Auto),
                Places::default()
            );
        }
        assert_eq!(Places::divide(&[0, 1], 1, Pin::Off), Places::default());
    }
}
