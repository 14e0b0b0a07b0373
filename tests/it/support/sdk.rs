//! The official SDKs, reference servers and conformance suite that `tests/sdk/install.sh` installs.

use std::{
    collections::BTreeMap,
    env,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::{Value, json};

use super::{gateway::free_address, process::Process, until, wire};

/// The installed folder, and the programs of this repository that use it.
#[derive(Clone)]
pub(crate) struct Sdk {
    folder: PathBuf,
    programs: PathBuf,
}

/// A child server over HTTP.
pub(crate) struct Server {
    pub(crate) url: String,
    _process: Process,
}

/// A client program of `tests/sdk`, and the flags that choose what it does.
#[derive(Clone, Copy)]
pub(crate) struct Program {
    pub(crate) file: &'static str,
    pub(crate) flags: &'static [&'static str],
}

/// One line of a client program.
#[derive(Debug, Deserialize)]
struct Verdict {
    name: String,
    ok: bool,
    detail: Value,
}

/// What a client program saw: the detail of each scenario, in the order of the names.
#[derive(Debug)]
pub(crate) struct Report {
    program: String,
    details: BTreeMap<String, Value>,
}

impl Sdk {
    /// The folder that `CONDUIT_SDK_DIR` names.
    pub(crate) fn locate() -> Self {
        let folder = env::var_os("CONDUIT_SDK_DIR").unwrap_or_else(|| {
            panic!(
                "CONDUIT_SDK_DIR is not set: run `make test`, or \
                 `CONDUIT_SDK_DIR=$(tests/sdk/install.sh) cargo test`"
            )
        });
        let folder = PathBuf::from(folder);
        assert!(
            folder.join(".complete").is_file(),
            "{} holds no finished SDK install: run tests/sdk/install.sh",
            folder.display()
        );
        let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk");
        Self { folder, programs }
    }

    /// A program of `tests/sdk`.
    pub(crate) fn program(&self, file: &str) -> PathBuf {
        self.programs.join(file)
    }

    pub(crate) fn node(&self) -> PathBuf {
        self.folder.join("bin/node")
    }

    /// The entry point of an npm package.
    pub(crate) fn module(&self, path: &str) -> PathBuf {
        self.folder.join("node_modules").join(path)
    }

    /// `server-everything` over Streamable HTTP: legacy era, with sessions.
    pub(crate) async fn everything(&self) -> Server {
        self.everything_at(free_address(), "streamableHttp", "/mcp")
            .await
    }

    /// `server-everything` over HTTP+SSE, the transport of 2024-11-05.
    pub(crate) async fn everything_sse(&self, address: SocketAddr) -> Server {
        self.everything_at(address, "sse", "/sse").await
    }

    async fn everything_at(&self, address: SocketAddr, mode: &str, path: &str) -> Server {
        let port = address.port().to_string();
        let entry = self.module("@modelcontextprotocol/server-everything/dist/index.js");
        let arguments = [entry.into_os_string(), mode.into()];
        let process = Process::spawn(self.node(), arguments, &[("PORT", &port)]);
        let url = format!("http://{address}{path}");
        until("server-everything to listen", || async {
            process.assert_alive("server-everything to listen");
            wire::Connection::open(address).await.ok().map(drop)
        })
        .await;
        Server {
            url,
            _process: process,
        }
    }

    /// Our both-era server on the TypeScript SDK v2.
    pub(crate) async fn both_eras(&self) -> Server {
        let program = self.programs.join("ts-v2-server.mjs");
        let arguments = [program.into_os_string(), "--port".into(), "0".into()];
        Server::announced(Process::spawn(self.node(), arguments, &[])).await
    }

    /// The both-era reference server.
    pub(crate) fn reference_server() -> PathBuf {
        Self::built("reference-server")
    }

    /// A program of `tests/reference`, which Cargo builds beside the gateway.
    pub(crate) fn built(name: &str) -> PathBuf {
        let binary = Path::new(env!("CARGO_BIN_EXE_conduit")).with_file_name(name);
        assert!(
            binary.is_file(),
            "{} is missing: run `cargo build -p reference-server` (`make test` does)",
            binary.display()
        );
        binary
    }

    /// The config entry of `server-everything` over stdio.
    pub(crate) fn everything_stdio(&self, id: &str) -> Value {
        let entry = self.module("@modelcontextprotocol/server-everything/dist/index.js");
        json!({ "id": id, "transport": "stdio", "command": self.node(), "args": [entry, "stdio"] })
    }

    /// The config entry of `server-filesystem` over stdio, for one folder.
    pub(crate) fn filesystem_stdio(&self, id: &str, folder: &Path) -> Value {
        let entry = self.module("@modelcontextprotocol/server-filesystem/dist/index.js");
        json!({ "id": id, "transport": "stdio", "command": self.node(), "args": [entry, folder] })
    }

    /// The config entry of our both-era server over stdio.
    pub(crate) fn both_eras_stdio(&self, id: &str) -> Value {
        let program = self.programs.join("ts-v2-server.mjs");
        json!({ "id": id, "transport": "stdio", "command": self.node(), "args": [program, "--stdio"] })
    }

    /// Runs all scenarios of a program against `url` and returns what it saw; every scenario must have passed.
    pub(crate) async fn run(&self, program: Program, url: &str) -> Report {
        self.run_in(program, url, &[]).await
    }

    /// As [`Self::run`], with more in the program's environment.
    pub(crate) async fn run_in(
        &self,
        program: Program,
        url: &str,
        environment: &[(&str, &str)],
    ) -> Report {
        let Program { file, flags } = program;
        let runtime = if file.ends_with(".py") {
            self.folder.join("bin/python3")
        } else {
            self.node()
        };
        let path = self.programs.join(file).into_os_string();
        let chosen = flags.iter().map(Into::into);
        let arguments = [path, url.into(), "all".into()].into_iter().chain(chosen);
        let process = Process::spawn(runtime, arguments, environment);
        // The program has a deadline for each scenario, so that it always ends.
        let status = process.finish().await;
        let output = process.output();
        let verdicts: Vec<Verdict> = output
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        let failed: Vec<&Verdict> = verdicts.iter().filter(|verdict| !verdict.ok).collect();
        assert!(
            failed.is_empty() && status.success() && !verdicts.is_empty(),
            "{file} {flags:?} {url}: {status}\n{failed:#?}\n{output}"
        );
        let details = verdicts.into_iter().map(|one| (one.name, one.detail));
        Report {
            program: file.to_owned(),
            details: details.collect(),
        }
    }
}

impl Server {
    /// A server that prints `listening on URL` once it listens.
    pub(crate) async fn announced(process: Process) -> Self {
        let url = process
            .line("the server to listen", |line| {
                line.strip_prefix("listening on ").map(ToOwned::to_owned)
            })
            .await;
        Self {
            url,
            _process: process,
        }
    }
}

impl Report {
    /// Every scenario saw through the gateway what it saw directly, but for what `expected` says of it.
    pub(crate) fn assert_same_as(&self, direct: &Self, expected: &[(&str, Value)]) {
        let mut wanted = direct.details.clone();
        for (name, detail) in expected {
            wanted.insert((*name).to_owned(), detail.clone());
        }
        for (name, detail) in &self.details {
            assert_eq!(
                wanted.get(name),
                Some(detail),
                "{}: {name} saw something else through the gateway than directly",
                self.program
            );
        }
        let names = |report: &BTreeMap<String, Value>| report.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&self.details), names(&wanted), "{}", self.program);
    }
}
