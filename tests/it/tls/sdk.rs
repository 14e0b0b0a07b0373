//! Official SDKs over HTTPS: they only have to trust the authority.

use serde_json::json;

use super::Site;
use crate::support::process::Process;
use crate::support::sdk::{Program, Sdk, Server};
use crate::support::upstream::{Upstream, friendly};

#[tokio::test(flavor = "multi_thread")]
async fn a_typescript_client_sees_over_https_what_it_sees_directly() {
    let program = Program {
        file: "ts-v2.mjs",
        flags: &["--fixtures"],
    };
    let sdk = Sdk::locate();
    let process = Process::spawn(Sdk::reference_server(), ["--port", "0"], &[]);
    let server = Server::announced(process).await;
    let servers = json!({ "servers": [{ "id": "http", "url": server.url }] });
    let upstream = Upstream::start(friendly).await;
    let site = Site::before(upstream, &json!({}), servers).await;
    site.files.write("ca.pem", &site.authority.pem);
    let authority = site.files.path("ca.pem");
    let environment = [("NODE_EXTRA_CA_CERTS", authority.to_str().unwrap())];
    let direct = sdk.run(program, &server.url).await;
    let url = format!("https://{}/mcp/http", site.gateway.address);
    let through = sdk.run_in(program, &url, &environment).await;
    through.assert_same_as(&direct, &[]);
}
