//! An official SDK's client with a credential.

use serde_json::json;

use crate::support::gateway::Gateway;
use crate::support::process::Process;
use crate::support::sdk::{Program, Sdk, Server};

#[tokio::test(flavor = "multi_thread")]
async fn a_typescript_client_with_a_bearer_token_works_as_without_a_gateway() {
    let program = Program {
        file: "ts-v2.mjs",
        flags: &["--fixtures", "--bearer=sdk-key"],
    };
    let sdk = Sdk::locate();
    let process = Process::spawn(Sdk::reference_server(), ["--port", "0"], &[]);
    let server = Server::announced(process).await;
    let gateway = Gateway::with(json!({
        "auth": { "method": "api-key", "api_keys": ["sdk-key"] },
        "servers": [{ "id": "http", "url": server.url }],
    }))
    .await;
    let direct = sdk.run(program, &server.url).await;
    let through = sdk.run(program, &gateway.url("http")).await;
    through.assert_same_as(&direct, &[]);
}
