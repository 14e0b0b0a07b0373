//! Children that misbehave.

use super::{is_alive, legacy, modern, program, run, run_spec, until};
use conduit::stdio::Program;
use conduit::stdio::Reach;
use conduit::stdio::Spec;

#[tokio::test]
async fn a_crash_fails_calls_in_flight_at_once_and_the_child_comes_back() {
    let running = run(|_| {}).await;
    let mut waiting = running.client().await;
    waiting.send("POST", &modern("1", "hang", "")).await;
    until("the call is pending", || {
        running.supervisor.status().pending == 1
    })
    .await;
    let mut client = running.client().await;
    let crashed = client.post(&modern("2", "crash", r#""status":3"#)).await;
    let expected = (
        502,
        -31502,
        "server \"child\" exited with status 3".to_owned(),
    );
    assert_eq!(crashed.error(), expected);
    assert_eq!(waiting.head().await.status, 502);
    until("it was started again", || {
        running.supervisor.status().started == 2
    })
    .await;
    let answer = client.post(&modern("4", "echo", r#""value":4"#)).await;
    assert_eq!(answer.json()["result"]["echo"], 4);
    let status = running.supervisor.status();
    assert_eq!(status.crashed, 1);
    assert!(status.last_error.unwrap().contains("status 3"));
    running.end().await;
}

#[tokio::test]
async fn nobody_waits_for_a_child_that_keeps_crashing() {
    let running = run(|spec| program(spec).args.push("--crash".to_owned())).await;
    let mut client = running.client().await;
    // Each wait is longer than the one before, so that one of them is met.
    let refused = loop {
        let answer = client.post(&modern("1", "echo", "")).await;
        if answer.status != 502 {
            break answer;
        }
    };
    let (status, code, message) = refused.error();
    assert_eq!((status, code), (503, -31503));
    assert!(message.starts_with("server \"child\" exited with status 3; it is started again in "));
    let retry_after: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!(retry_after >= 1);
    running.end().await;
}

#[tokio::test]
async fn a_legacy_session_is_over_when_its_child_is() {
    let running = run(|_| {}).await;
    let mut client = running.session().await;
    let crashed = client.post(&legacy("1", "crash", r#""status":9"#)).await;
    assert_eq!(crashed.error().0, 502);
    assert_eq!(client.post(&legacy("2", "echo", "")).await.error().0, 404);
    until("no session is left", || {
        running.supervisor.status().sessions == 0
    })
    .await;
    client.session = None;
    client.initialize().await;
    assert_eq!(client.post(&legacy("2", "echo", "")).await.status, 200);
    running.end().await;
}

#[tokio::test]
async fn a_command_that_does_not_exist_is_named() {
    let running = run_spec(Spec::new(
        "files",
        Reach::Program(Program::new("no-such-command")),
    ))
    .await;
    let mut client = running.client().await;
    let expected = "server \"files\" cannot be started: command \"no-such-command\" was not found";
    let refused = client.post(&modern("1", "echo", "")).await;
    assert!(refused.error().2.starts_with(expected), "{refused:?}");
    let refused = client.post(&legacy("1", "initialize", "")).await;
    assert_eq!(refused.error(), (502, -31502, expected.to_owned()));
    running.end().await;
}

#[tokio::test]
async fn a_working_directory_that_does_not_exist_is_named() {
    let running = run(|spec| program(spec).cwd = Some("/no/such/directory".into())).await;
    let mut client = running.client().await;
    let refused = client.post(&legacy("1", "initialize", "")).await;
    assert!(
        refused.error().2.contains("/no/such/directory"),
        "{refused:?}"
    );
    running.end().await;
}

#[tokio::test]
async fn an_answer_that_is_too_long_fails_its_call_and_the_next_is_served() {
    let running = run(|spec| spec.line_bytes_max = 64 * 1024).await;
    let mut client = running.client().await;
    for method in ["long", "id-last"] {
        let refused = client.post(&modern("1", method, r#""bytes":300000"#)).await;
        assert_eq!(refused.error().0, 502, "{method}");
        assert!(refused.error().2.contains("65536"), "{refused:?}");
    }
    let answer = client.post(&modern("1", "echo", r#""value":1"#)).await;
    assert_eq!(answer.json()["result"]["echo"], 1);
    running.end().await;
}

#[tokio::test]
async fn text_that_is_cut_inside_a_character_arrives_whole() {
    let running = run(|_| {}).await;
    let mut client = running.client().await;
    let answer = client.post(&modern("1", "split", "")).await;
    assert_eq!(answer.json()["result"]["text"], "größe 日本 🚀");
    running.end().await;
}

#[tokio::test]
async fn output_that_is_no_message_is_skipped() {
    let running = run(|_| {}).await;
    let mut client = running.client().await;
    let answer = client.post(&modern("1", "noise", "")).await;
    assert_eq!(answer.json()["result"]["quiet"], false);
    running.end().await;
}

#[tokio::test]
async fn a_child_that_does_not_read_holds_up_nobody() {
    let running = run(|spec| {
        program(spec).args.push("--ignore-term".to_owned());
        spec.line_bytes_max = 256 * 1024;
        spec.call_timeout = std::time::Duration::from_millis(500);
    })
    .await;
    let mut client = running.client().await;
    client.post(&modern("1", "stop-reading", "")).await;
    let large = modern(
        "2",
        "echo",
        &format!(r#""value":"{}""#, "x".repeat(200_000)),
    );
    let mut calls = Vec::new();
    for _ in 0..8 {
        let mut client = running.client().await;
        let large = large.clone();
        calls.push(tokio::spawn(
            async move { client.post(&large).await.error() },
        ));
    }
    let mut refused = 0;
    for call in calls {
        let (status, _, message) = call.await.unwrap();
        assert!(matches!(status, 503 | 504), "{message}");
        refused += usize::from(message.contains("does not read"));
    }
    assert!(refused > 0);
    running.end().await;
}

#[tokio::test]
async fn a_child_gets_what_is_configured_and_nothing_of_the_gateways() {
    let running = run(|spec| {
        program(spec)
            .env
            .insert("CHILD_KEY".to_owned(), "secret".to_owned());
    })
    .await;
    let mut client = running.client().await;
    let answer = client.post(&modern("1", "env", "")).await.json();
    let env = answer["result"].as_object().unwrap();
    assert_eq!(env["CHILD_KEY"], "secret");
    assert!(env.contains_key("PATH"));
    // Cargo sets this one for every test, as a gateway's own variables are set.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    assert!(!env.contains_key("CARGO_MANIFEST_DIR"));
    running.end().await;
}

#[tokio::test]
async fn a_grandchild_that_left_its_group_and_ignores_signals_goes_with_its_session() {
    let running = run(|_| {}).await;
    let mut client = running.session().await;
    let answer = client.post(&legacy("1", "spawn-stubborn", "")).await.json();
    let pids = ["pid", "grandchild"].map(|who| answer["result"][who].as_i64().unwrap());
    assert!(pids.iter().all(|pid| is_alive(*pid)));
    client.request("DELETE").await;
    until("both are gone", || !pids.iter().any(|pid| is_alive(*pid))).await;
    running.end().await;
}
