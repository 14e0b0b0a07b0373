//! The official SDKs see a real server of the HTTP+SSE transport through the gateway as they see it, over
//! Streamable HTTP, without one.

use serde_json::json;

use super::{Session, gateway};
use crate::sdk_rust;
use crate::support::gateway::free_address;
use crate::support::sdk::{Program, Sdk};
use crate::support::until;
use crate::support::wire;

/// server-everything answers 400 in a session that has ended over Streamable HTTP; the gateway, whose sessions
/// those of an HTTP+SSE server are, answers 404 as the protocol demands (protocol.md C2).
async fn sees_the_same(program: Program) {
    let sdk = Sdk::locate();
    let (direct, old) = (
        sdk.everything().await,
        sdk.everything_sse(free_address()).await,
    );
    let gateway = gateway(&old.url).await;
    let direct = sdk.run(program, &direct.url).await;
    let through = sdk.run(program, &gateway.url("old")).await;
    through.assert_same_as(&direct, &[("session_end", json!({ "status": 404 }))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn typescript_v1_client_works_against_an_http_sse_server() {
    sees_the_same(Program {
        file: "ts-v1.mjs",
        flags: &[],
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn python_client_works_against_an_http_sse_server() {
    sees_the_same(Program {
        file: "py_client.py",
        flags: &["--legacy"],
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rust_client_works_against_an_http_sse_server() {
    let sdk = Sdk::locate();
    let (direct, old) = (
        sdk.everything().await,
        sdk.everything_sse(free_address()).await,
    );
    let gateway = gateway(&old.url).await;
    let direct = sdk_rust::legacy(&direct.url).await;
    let through = sdk_rust::legacy(&gateway.url("old")).await;
    assert_eq!(through, direct);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_started_again_is_used_again_in_the_same_session() {
    let sdk = Sdk::locate();
    let address = free_address();
    let server = sdk.everything_sse(address).await;
    let gateway = gateway(&server.url).await;
    let session = Session::open(&gateway).await;
    let echo = json!({ "message": "x" });
    assert_eq!(session.text("echo", echo.clone()).await, "Echo: x");
    drop(server);
    until("the server to be missed", || async {
        let answer = wire::ask(gateway.address, &session.call("echo", echo.clone())).await;
        (answer.status == 502).then_some(())
    })
    .await;
    let _server = sdk.everything_sse(address).await;
    // The client's session is the gateway's: a new stream stands behind it.
    assert_eq!(session.text("echo", echo).await, "Echo: x");
}
