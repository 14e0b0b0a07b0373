//! The stdio supervisor with real children: `tests/fixtures/stdio_child.py` under the built guard.

mod calls;
mod client;
mod faults;
mod gateway;
mod life;
mod logs;
mod sessions;
mod streams;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use conduit::stdio::Program;
use conduit::stdio::Reach;
use conduit::stdio::Spec;
use conduit::stdio::runtime::Runtime;
use conduit::stdio::supervisor::Supervisor;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use client::Client;

/// How long anything may take before a test says that it hangs.
const DEADLINE: Duration = Duration::from_secs(30);

/// A supervisor that runs, and what is needed to end it.
struct Running {
    supervisor: Arc<Supervisor>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
    _base: tempfile::TempDir,
}

/// The fixture as a server, with `change` made to its defaults.
async fn run(change: impl FnOnce(&mut Spec)) -> Running {
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/stdio_child.py");
    let mut program = Program::new("/usr/bin/env");
    program.args = ["python3", "-ES", fixture].map(str::to_owned).to_vec();
    let mut spec = Spec::new("child", Reach::Program(program));
    change(&mut spec);
    run_spec(spec).await
}

/// The program that `spec` says.
fn program(spec: &mut Spec) -> &mut Program {
    match &mut spec.reach {
        Reach::Program(program) => program,
        Reach::Remote(_) => panic!("not a program"),
    }
}

async fn run_spec(spec: Spec) -> Running {
    let base = tempfile::tempdir().unwrap();
    let guard = PathBuf::from(env!("CARGO_BIN_EXE_conduit"));
    let runtime = Runtime::open_under(base.path(), guard).unwrap();
    let supervisor = Arc::new(Supervisor::new(spec, &runtime));
    let shutdown = CancellationToken::new();
    let running = Arc::clone(&supervisor).run(shutdown.clone());
    let task = tokio::spawn(async move { running.await.unwrap() });
    supervisor.listening().await;
    Running {
        supervisor,
        shutdown,
        task,
        _base: base,
    }
}

impl Running {
    async fn client(&self) -> Client {
        Client::connect(self.supervisor.socket()).await
    }

    /// A client with a session of its own.
    async fn session(&self) -> Client {
        let mut client = self.client().await;
        client.initialize().await;
        client
    }

    /// Ends the supervisor, and fails if it leaves a child.
    async fn end(self) {
        self.shutdown.cancel();
        tokio::time::timeout(DEADLINE, self.task)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(self.supervisor.status().children, 0);
    }
}

/// A modern request.
fn modern(id: &str, method: &str, params: &str) -> String {
    let meta = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}"#;
    modern_with(id, method, params, &format!("{meta}}}"))
}

/// A modern request with a progress token.
fn modern_with_token(id: &str, method: &str, params: &str, token: &str) -> String {
    let meta = format!(
        r#""_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","progressToken":{token}}}"#
    );
    modern_with(id, method, params, &meta)
}

/// A modern request that wants log messages.
fn modern_with_logs(id: &str, method: &str, params: &str) -> String {
    let meta = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/logLevel":"debug"}"#;
    modern_with(id, method, params, meta)
}

fn modern_with(id: &str, method: &str, params: &str, meta: &str) -> String {
    let comma = if params.is_empty() { "" } else { "," };
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{{params}{comma}{meta}}}}}"#
    )
}

/// A legacy request.
fn legacy(id: &str, method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{{params}}}}}"#)
}

/// Waits until `holds`, or fails.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    if tokio::time::timeout(DEADLINE, waiting).await.is_err() {
        panic!("never: {what}");
    }
}

/// Whether a process of that id lives (a zombie does not).
fn is_alive(pid: i64) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|stat| {
            stat.rsplit_once(')')
                .map(|(_, rest)| !rest.trim().starts_with('Z'))
        })
        .unwrap_or(false)
}
