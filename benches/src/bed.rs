//! The test bed: the stub and the proxies in front of it, each a process of its own.
//!
//! **Invariant:** all proxies run at the same time, with as many threads and on the same processors;
//! the load and the stub stay off these if the machine has others.

pub(crate) mod gateway;
mod nginx;
pub(crate) mod redis;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;
use tempfile::TempDir;

use crate::bed::gateway::Store;
use crate::bed::redis::Redis;
use crate::cli::{BedOptions, Pin};
use crate::guard::{self, Check};
use crate::process::{Launch, Process, Ready, free_port};
use crate::tether;
use crate::workload::{Kept, Subject, Workload};

const READY_PATH: &str = "/conduit/readyz";
/// What is called of a gateway that checks calls.
const CHECKED_TOOLS: [&str; 2] = [Workload::Hit1kChecked.tool(), Workload::Hit1kToken.tool()];

/// Everything that runs during a measurement.
pub(crate) struct Bed {
    /// Where the processors are; none if nothing is bound.
    pub(crate) places: Places,
    /// What the reader should know: which proxy is missing and why.
    pub(crate) notes: Vec<String>,
    // In the order in which they are stopped: proxies, stub, and at last the folder of their logs.
    conduit: Option<Process>,
    /// A gateway whose results are in Redis.
    tiered: Option<Process>,
    /// A gateway that checks everything.
    checking: Option<Process>,
    redis: Option<Redis>,
    bare: Option<Process>,
    constant: Option<Process>,
    served: Option<Process>,
    nginx: Option<Process>,
    stub: Process,
    directory: TempDir,
}

/// What is to run beside the stub.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) subjects: Vec<Subject>,
    /// What the gateway keeps.
    pub(crate) store: Store,
    /// Whether a second gateway is wanted, whose results are in Redis.
    pub(crate) is_tiered: bool,
    /// Whether another is wanted, that checks everything.
    pub(crate) is_checking: bool,
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
    pub(crate) path: String,
    pub(crate) process: &'a Process,
}

impl Wanted {
    /// The gateway alone.
    pub(crate) fn gateway(store: Store) -> Self {
        Self {
            subjects: vec![Subject::Conduit],
            store,
            is_tiered: false,
            is_checking: false,
        }
    }
}

impl Bed {
    /// Starts the stub and those of the `wanted` proxies whose programs are there.
    ///
    /// # Errors
    /// When one does not start, or when a program named by an option is not there.
    pub(crate) async fn start(options: &BedOptions, wanted: &Wanted) -> Result<Self> {
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
            tiered: None,
            checking: None,
            redis: None,
            bare: None,
            constant: None,
            served: None,
            nginx: None,
            stub,
            directory,
        };
        let at = bed.directory.path().to_owned();
        for subject in &wanted.subjects {
            bed.start_subject(*subject, options, wanted, &bench, &at)
                .await?;
        }
        if wanted.is_checking {
            bed.checking = bed
                .start_conduit("checking", Store::Memory, &Check::ALL, options, &bench, &at)
                .await?;
        }
        if wanted.is_tiered {
            bed.start_tiered(options, &bench, &at).await?;
        }
        Ok(bed)
    }

    async fn start_subject(
        &mut self,
        subject: Subject,
        options: &BedOptions,
        wanted: &Wanted,
        bench: &Path,
        at: &Path,
    ) -> Result<()> {
        let threads = options.threads.to_string();
        match subject {
            Subject::Direct => {}
            Subject::Bare => {
                let program = options.bare.clone().unwrap_or_else(|| bench.to_owned());
                let program = existing(program)?;
                let upstream = self.stub.port.to_string();
                let arguments = ["bare", "--upstream", &upstream, "--threads", &threads];
                let bare = self.start_own("bare", &program, &arguments, at);
                self.bare = Some(bare.await?);
            }
            Subject::Constant => {
                let arguments = ["constant", "--kind", "proxy", "--threads", &threads];
                let constant = self.start_own("constant", bench, &arguments, at);
                self.constant = Some(constant.await?);
            }
            Subject::Served => {
                let arguments = ["constant", "--kind", "plain", "--threads", &threads];
                let served = self.start_own("served", bench, &arguments, at);
                self.served = Some(served.await?);
            }
            Subject::Nginx => self.nginx = self.start_nginx(options, at).await?,
            Subject::Conduit => {
                self.conduit = self
                    .start_conduit("conduit", wanted.store, &[], options, bench, at)
                    .await?;
            }
        }
        Ok(())
    }

    /// The way of `workload` through `subject`, if there is one.
    pub(crate) fn way(&self, subject: Subject, workload: Workload) -> Option<Way<'_>> {
        let (process, path) = match (subject, workload) {
            (Subject::Conduit, Workload::Stdio200) => (self.conduit.as_ref()?, "/mcp/child"),
            (Subject::Conduit, Workload::Aggregate200 | Workload::HitMcp1k) => {
                (self.conduit.as_ref()?, "/mcp")
            }
            (_, Workload::Stdio200 | Workload::Aggregate200) => return None,
            (Subject::Conduit, _) => match workload.kept() {
                Kept::Nowhere => (self.conduit.as_ref()?, "/mcp/stub"),
                Kept::Memory if workload.credential().is_some() => {
                    (self.checking.as_ref()?, "/mcp/cached")
                }
                Kept::Memory => (self.conduit.as_ref()?, "/mcp/cached"),
                Kept::Redis => (self.tiered.as_ref()?, "/mcp/cached"),
            },
            (Subject::Direct, _) => (&self.stub, "/mcp"),
            (Subject::Bare, _) => (self.bare.as_ref()?, "/mcp"),
            (Subject::Nginx, _) => (self.nginx.as_ref()?, "/mcp"),
            (Subject::Constant, _) => (self.constant.as_ref()?, "/"),
            (Subject::Served, _) => (self.served.as_ref()?, "/"),
        };
        let path = match subject {
            Subject::Constant | Subject::Served => format!("/{}", workload.name()),
            Subject::Direct | Subject::Bare | Subject::Nginx | Subject::Conduit => path.to_owned(),
        };
        Some(Way {
            port: process.port,
            path,
            process,
        })
    }

    /// A Redis of which a measurement may do what it likes, if there is one to be had. It is not running.
    ///
    /// # Errors
    /// When there is no free port.
    pub(crate) async fn redis(&self) -> Result<Option<Redis>> {
        let at = self.directory.path();
        Redis::find(at, &self.places.load_and_stub).await
    }

    /// A gateway of a measurement's own.
    ///
    /// # Errors
    /// When it does not start.
    pub(crate) async fn gateway(
        &mut self,
        options: &BedOptions,
        store: Store,
    ) -> Result<Option<Process>> {
        let bench = std::env::current_exe().context("the bench does not find its own binary")?;
        let at = self.directory.path().to_owned();
        self.start_conduit("gateway", store, &[], options, &bench, &at)
            .await
    }

    /// The port of the stub itself.
    pub(crate) const fn stub_port(&self) -> u16 {
        self.stub.port
    }

    /// Starts a build of the bench in one of its other forms.
    async fn start_own(
        &self,
        name: &str,
        program: &Path,
        arguments: &[&str],
        at: &Path,
    ) -> Result<Process> {
        let port = free_port().await?;
        let text = port.to_string();
        let arguments = arguments.iter().copied().chain(["--port", &text]);
        let launch = Launch {
            name,
            program,
            arguments: arguments.map(OsString::from).collect(),
            port,
            cpus: &self.places.proxies,
            directory: at,
        };
        Process::start(launch, Ready::Accepts).await
    }

    /// Starts Redis, where it is installed, and a gateway that keeps everything there.
    async fn start_tiered(&mut self, options: &BedOptions, bench: &Path, at: &Path) -> Result<()> {
        let Some(mut redis) = self.redis().await? else {
            self.notes
                .push("redis-server is not installed: its rows are left out".to_owned());
            return Ok(());
        };
        redis.start(&[]).await?;
        let store = Store::Redis(redis.port);
        self.redis = Some(redis);
        self.tiered = self
            .start_conduit("tiered", store, &[], options, bench, at)
            .await?;
        Ok(())
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
        name: &str,
        store: Store,
        checks: &[Check],
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
        let path = at.join(format!("{name}.yaml"));
        let mut config = gateway::config(port, self.stub.port, options.threads, bench, store);
        guard::check(
            &mut config,
            checks,
            self.stub.port,
            "cached",
            &CHECKED_TOOLS,
        );
        fs::write(&path, config.to_string())?;
        let arguments = vec!["run".into(), "--config".into(), path.into()];
        let cpus = &self.places.proxies;
        let launch = Launch {
            name,
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
