//! How a supervisor and its guards end.

use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use super::{is_alive, legacy, modern, program, run, until};

#[tokio::test]
async fn shutdown_ends_a_child_that_ignores_it_and_all_its_descendants() {
    let running = run(|spec| program(spec).args.push("--ignore-term".to_owned())).await;
    let mut client = running.client().await;
    let modern_child = client.post(&modern("1", "spawn-stubborn", "")).await.json();
    let mut session = running.session().await;
    let own_child = session
        .post(&legacy("1", "spawn-stubborn", ""))
        .await
        .json();
    let pids: Vec<i64> = [&modern_child, &own_child]
        .iter()
        .flat_map(|answer| ["pid", "grandchild"].map(|who| answer["result"][who].as_i64().unwrap()))
        .collect();
    assert!(pids.iter().all(|pid| is_alive(*pid)));
    let socket = running.supervisor.socket().to_owned();
    running.end().await;
    assert!(!pids.iter().any(|pid| is_alive(*pid)));
    assert!(!socket.exists());
}

#[tokio::test]
async fn shutdown_lets_calls_in_flight_finish_and_takes_no_new_ones() {
    let running = run(|_| {}).await;
    let mut client = running.client().await;
    client.post(&modern("0", "echo", "")).await;
    let mut late = running.client().await;
    late.post(&modern("0", "echo", "")).await;
    client
        .send(
            "POST",
            &modern("1", "slow-echo", r#""seconds":0.3,"value":1"#),
        )
        .await;
    until("the call is pending", || {
        running.supervisor.status().pending == 1
    })
    .await;
    running.shutdown.cancel();
    until("new calls are refused", {
        let mut tries = tokio::task::spawn(async move {
            while late.post(&modern("2", "echo", "")).await.status != 503 {}
        });
        move || {
            let waker = std::task::Waker::noop();
            let mut cx = std::task::Context::from_waker(waker);
            std::pin::Pin::new(&mut tries).poll(&mut cx).is_ready()
        }
    })
    .await;
    let head = client.head().await;
    assert_eq!(head.status, 200);
    running.end().await;
}

/// The guard alone, under a shell that is killed: what a killed gateway is to its guards.
#[tokio::test]
async fn when_the_gateway_is_killed_no_descendant_survives() {
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/stdio_child.py");
    // The shell keeps the pipes open, so that their end is not what ends the child.
    let script = format!(
        "exec 3<&0; '{}' __guard $$ 1000 python3 -ES '{fixture}' --ignore-term <&3 & wait",
        env!("CARGO_BIN_EXE_conduit")
    );
    #[expect(clippy::disallowed_methods, reason = "the test is the guard's gateway")]
    let mut gateway = tokio::process::Command::new("sh")
        .args(["-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = gateway.stdin.take().unwrap();
    let mut stdout = BufReader::new(gateway.stdout.take().unwrap());
    let call = legacy("1", "spawn-stubborn", "") + "\n";
    stdin.write_all(call.as_bytes()).await.unwrap();
    let mut line = String::new();
    stdout.read_line(&mut line).await.unwrap();
    let answer: Value = serde_json::from_str(&line).unwrap();
    let pids = ["pid", "grandchild"].map(|who| answer["result"][who].as_i64().unwrap());
    assert!(pids.iter().all(|pid| is_alive(*pid)));
    gateway.start_kill().unwrap();
    gateway.wait().await.unwrap();
    until("all are gone", || !pids.iter().any(|pid| is_alive(*pid))).await;
    drop(stdin);
}
