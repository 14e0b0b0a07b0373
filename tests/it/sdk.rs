//! The official SDKs work through the gateway exactly as they work without it.
//!
//! Each client program runs against the server and through the gateway, over HTTP and over stdio, and must see
//! the same every time.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    gateway::Gateway,
    process::Process,
    sdk::{Program, Sdk, Server},
};

const TYPESCRIPT_V1: Program = Program {
    file: "ts-v1.mjs",
    flags: &[],
};
const STREAMS: Program = Program {
    file: "ts-v1.mjs",
    flags: &["--streams"],
};
const TYPESCRIPT_V1_HELD: Program = Program {
    file: "ts-v1.mjs",
    flags: &["--held"],
};
const TYPESCRIPT_V1_FILESYSTEM: Program = Program {
    file: "ts-v1.mjs",
    flags: &["--filesystem"],
};
const TYPESCRIPT_V2_LEGACY: Program = Program {
    file: "ts-v2.mjs",
    flags: &["--legacy"],
};
const TYPESCRIPT_V2_MODERN: Program = Program {
    file: "ts-v2.mjs",
    flags: &["--fixtures"],
};
const TYPESCRIPT_V2_AUTO: Program = Program {
    file: "ts-v2.mjs",
    flags: &["--fixtures", "--auto"],
};
const TYPESCRIPT_V2_HELD: Program = Program {
    file: "ts-v2.mjs",
    flags: &["--held"],
};
const PYTHON_LEGACY: Program = Program {
    file: "py_client.py",
    flags: &["--legacy"],
};
const PYTHON_MODERN: Program = Program {
    file: "py_client.py",
    flags: &["--fixtures"],
};
const PYTHON_HELD: Program = Program {
    file: "py_client.py",
    flags: &["--held"],
};

/// A gateway with the same server behind `/mcp/http` and behind `/mcp/stdio`.
async fn gateway(http: &Server, stdio: Value) -> Gateway {
    Gateway::start(json!([{ "id": "http", "url": http.url }, stdio])).await
}

/// server-everything answers 400 in a session that has ended; the gateway, whose sessions its clients' are,
/// answers 404 as the protocol demands (protocol.md C2).
fn ended_session_is_404() -> [(&'static str, Value); 1] {
    [("session_end", json!({ "status": 404 }))]
}

async fn works_against_server_everything(program: Program) {
    let sdk = Sdk::locate();
    let server = sdk.everything().await;
    let gateway = gateway(&server, sdk.everything_stdio("stdio")).await;
    let direct = sdk.run(program, &server.url).await;
    let over_http = sdk.run(program, &gateway.url("http")).await;
    over_http.assert_same_as(&direct, &ended_session_is_404());
    let over_stdio = sdk.run(program, &gateway.url("stdio")).await;
    over_stdio.assert_same_as(&direct, &ended_session_is_404());
}

#[tokio::test(flavor = "multi_thread")]
async fn typescript_v1_client_works_against_server_everything_over_http_and_stdio() {
    works_against_server_everything(TYPESCRIPT_V1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn typescript_v2_client_works_against_server_everything_over_http_and_stdio() {
    works_against_server_everything(TYPESCRIPT_V2_LEGACY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn python_client_works_against_server_everything_over_http_and_stdio() {
    works_against_server_everything(PYTHON_LEGACY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn get_streams_and_resumption_pass_through_over_http() {
    let sdk = Sdk::locate();
    let server = sdk.everything().await;
    let gateway = Gateway::start(json!([{ "id": "http", "url": server.url }])).await;
    let direct = sdk.run(STREAMS, &server.url).await;
    let through = sdk.run(STREAMS, &gateway.url("http")).await;
    through.assert_same_as(&direct, &[]);
}

// Every session has its own process of a legacy stdio server and its own request ids, which the gateway maps.
#[tokio::test(flavor = "multi_thread")]
async fn a_legacy_cancellation_and_progress_reach_the_right_call_over_stdio() {
    let sdk = Sdk::locate();
    let gateway = Gateway::start(json!([sdk.both_eras_stdio("stdio")])).await;
    sdk.run(TYPESCRIPT_V1_HELD, &gateway.url("stdio")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_go_in_and_out_of_server_filesystem_over_stdio() {
    let sdk = Sdk::locate();
    let folder = TempDir::new().unwrap();
    let server = sdk.filesystem_stdio("stdio", folder.path());
    let gateway = Gateway::start(json!([server])).await;
    sdk.run(TYPESCRIPT_V1_FILESYSTEM, &gateway.url("stdio"))
        .await;
}

async fn modern_clients_work(programs: &[Program], http: &Server, stdio: Value) {
    let sdk = Sdk::locate();
    let gateway = gateway(http, stdio).await;
    for program in programs {
        let direct = sdk.run(*program, &http.url).await;
        for server in ["http", "stdio"] {
            let through = sdk.run(*program, &gateway.url(server)).await;
            through.assert_same_as(&direct, &[]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn modern_clients_work_against_the_typescript_v2_server_over_http_and_stdio() {
    let sdk = Sdk::locate();
    let programs = [
        TYPESCRIPT_V2_MODERN,
        TYPESCRIPT_V2_AUTO,
        TYPESCRIPT_V2_HELD,
        PYTHON_MODERN,
        PYTHON_HELD,
    ];
    let server = sdk.both_eras().await;
    modern_clients_work(&programs, &server, sdk.both_eras_stdio("stdio")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn modern_clients_work_against_the_rmcp_reference_server_over_http_and_stdio() {
    let programs = [TYPESCRIPT_V2_MODERN, PYTHON_MODERN];
    let binary = Sdk::reference_server();
    let server = Server::announced(Process::spawn(&binary, ["--port", "0"], &[])).await;
    let stdio =
        json!({ "id": "stdio", "transport": "stdio", "command": binary, "args": ["--stdio"] });
    modern_clients_work(&programs, &server, stdio).await;
}
