//! What a program was started with, it tells nobody.

use serde_json::json;

use super::assert_untold;
use crate::support::gateway::Gateway;
use crate::support::message::{LEGACY, legacy, legacy_call, modern_call};
use crate::support::until;
use crate::support::wire;

const PATH: &str = "/mcp/child";
const NAMED: &str = "named-by-env/s3cret+0101";
const OF_VARIABLE: &str = "named-by-variable/s3cret+0102";
const ARGUMENT: &str = "an-argument/s3cret+0103";
const PASSWORD: &str = "of-a-url-s3cret-0104";
const LINES: &str = "line-one-s3cret-0105\nline-two-s3cret-0106";

#[tokio::test]
async fn a_child_that_tells_what_it_was_started_with_is_not_repeated() {
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/stdio_child.py");
    let server = json!({ "id": "child", "transport": "stdio", "command": "/usr/bin/env",
        "args": ["python3", "-ES", fixture, "--key=${CHILD_ARGUMENT_KEY}"],
        "env": { "API_TOKEN": NAMED, "OPENED_WITH": "${CHILD_KEY}", "SIGNING_KEY": LINES,
            "DATABASE": format!("db://user:{PASSWORD}@h/x"), "REGION": "eu-central-1" } });
    let variables = [
        ("CHILD_KEY", OF_VARIABLE),
        ("CHILD_ARGUMENT_KEY", ARGUMENT),
        ("RUST_LOG", "debug,conduit=trace"),
    ];
    let gateway = Gateway::among(json!({ "servers": [server] }), &variables).await;
    let params = json!({ "protocolVersion": LEGACY, "capabilities": {},
        "clientInfo": { "name": "test", "version": "1" } });
    let initialize = legacy(PATH, &json!(1), "initialize", params);
    let opened = wire::ask(gateway.address, &initialize).await;
    let session = opened.headers.get("mcp-session-id").unwrap().to_owned();
    let secrets = [NAMED, OF_VARIABLE, ARGUMENT, PASSWORD].map(str::to_owned);
    let secrets: Vec<String> = secrets
        .into_iter()
        .chain(LINES.lines().map(str::to_owned))
        .collect();
    for tool in ["env", "blab"] {
        for request in [
            modern_call(PATH, &json!(2), tool, json!({})),
            legacy_call(PATH, &json!(2), tool, json!({})).header("mcp-session-id", &session),
        ] {
            let answer = wire::ask(gateway.address, &request).await;
            assert!(answer.text().contains("eu-central-1"), "{answer:?}");
            assert!(answer.text().contains("********"), "{answer:?}");
            assert_untold("an answer", &answer.told(), &secrets);
        }
    }
    until("its lines are in the log", || async {
        let log = gateway.process.output();
        let is_told = log.contains("starting with") && log.contains("not MCP: ");
        is_told.then_some(())
    })
    .await;
    assert_untold("the log", &gateway.process.output(), &secrets);
}
