//! The built gateway, started on a free port with a config of its own.

use std::{
    collections::HashSet,
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    sync::LazyLock,
};

use parking_lot::Mutex;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    process::Process,
    until,
    wire::{self, Request},
};

/// The config file's name.
const FILE: &str = "conduit.config.yml";

/// How often other ports are tried.
const PORT_TRIES: usize = 5;

/// A gateway that is ready; it and its folder go on drop.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(crate) process: Process,
    pub(crate) metrics: SocketAddr,
    folder: TempDir,
    is_secure: bool,
}

impl Gateway {
    /// Starts the gateway in front of `servers`, the list under `servers:` in its config.
    pub(crate) async fn start(servers: Value) -> Self {
        Self::with(json!({ "servers": servers })).await
    }

    /// Starts it with more of the config; the addresses are filled in.
    pub(crate) async fn with(config: Value) -> Self {
        Self::among(config, &[]).await
    }

    /// As [`Self::with`], among variables of its own.
    pub(crate) async fn among(config: Value, variables: &[(&str, &str)]) -> Self {
        // Between choosing a port and listening on it, another process may take it.
        for _ in 0..PORT_TRIES {
            let gateway = Self::spawn(config.clone(), variables);
            if gateway.ready().await {
                return gateway;
            }
        }
        panic!("no free port in {PORT_TRIES} tries");
    }

    fn spawn(config: Value, variables: &[(&str, &str)]) -> Self {
        let (address, metrics) = (free_address(), free_address());
        let is_secure = config["gateway"]["tls"]["enabled"] == json!(true);
        let folder = TempDir::new().unwrap();
        let file = folder.path().join(FILE);
        fs::write(&file, text(config, address, metrics)).unwrap();
        let arguments = ["run".into(), "--config".into(), file.into_os_string()];
        let folder_path = folder.path().to_string_lossy();
        let own = [("RUST_LOG", "info"), ("RUNTIME_DIRECTORY", &*folder_path)];
        let environment: Vec<_> = own.iter().chain(variables).copied().collect();
        let process = Process::spawn(binary(), arguments, &environment);
        Self {
            address,
            process,
            metrics,
            folder,
            is_secure,
        }
    }

    /// Writes another config in the place of its own; nothing reads it yet.
    pub(crate) fn rewrite(&self, config: Value) {
        self.rewrite_text(&text(config, self.address, self.metrics));
    }

    /// As [`Self::rewrite`], text as it is.
    pub(crate) fn rewrite_text(&self, text: &str) {
        fs::write(self.folder.path().join(FILE), text).unwrap();
    }

    /// Has it read its config again.
    pub(crate) async fn reload(&self) -> wire::Answer {
        let request = Request::post("/conduit/config/reload").header("x-conduit-admin", "1");
        wire::ask(self.address, &request).await
    }

    /// How many sockets of supervised servers there are.
    pub(crate) fn n_sockets(&self) -> usize {
        let folders = fs::read_dir(self.folder.path()).unwrap().flatten();
        let folders = folders.filter(|entry| entry.path().is_dir());
        let files = folders.flat_map(|folder| fs::read_dir(folder.path()).unwrap().flatten());
        files
            .filter(|file| file.path().extension().is_some_and(|kind| kind == "sock"))
            .count()
    }

    /// The MCP endpoint of one server.
    pub(crate) fn url(&self, server: &str) -> String {
        format!("http://{}/mcp/{server}", self.address)
    }

    /// Waits until it answers; `false` where one of its ports was taken meanwhile.
    async fn ready(&self) -> bool {
        until("the gateway to be ready", || async {
            if self.process.ended().is_some() && self.process.output().contains("already in use") {
                return Some(false);
            }
            self.process.assert_alive("the gateway to be ready");
            if self.is_secure {
                // It has connected to itself before it says so.
                let is_told = self.process.output().contains("is listening on https://");
                return is_told.then_some(true);
            }
            let readyz = Request::get("/conduit/readyz");
            let answer = wire::Connection::open(self.address).await.ok()?;
            let answer = answer.exchange(&readyz).await.ok()?;
            (answer.status == 200).then_some(true)
        })
        .await
    }
}

/// A config with its addresses filled in. JSON is YAML, and needs no quoting rules.
fn text(mut config: Value, address: SocketAddr, metrics: SocketAddr) -> String {
    config["gateway"]["host"] = json!("127.0.0.1");
    config["gateway"]["port"] = json!(address.port());
    config["metrics"]["port"] = json!(metrics.port());
    config.to_string()
}

/// The `conduit` binary that Cargo built for this test run.
fn binary() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_conduit"))
}

/// A port that nobody listens on now, and that no other test of this process was given.
pub(crate) fn free_address() -> SocketAddr {
    static GIVEN: LazyLock<Mutex<HashSet<u16>>> = LazyLock::new(Mutex::default);
    loop {
        let probe = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = probe.local_addr().unwrap();
        if GIVEN.lock().insert(address.port()) {
            return address;
        }
    }
}
