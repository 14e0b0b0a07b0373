//! Legacy sessions.

use std::time::Duration;

use conduit::stdio::Program;
use conduit::stdio::Reach;
use conduit::stdio::Spec;

use super::{is_alive, legacy, modern, program, run, until};

#[tokio::test]
async fn each_session_has_a_child_of_its_own_and_delete_ends_it() {
    let running = run(|_| {}).await;
    let (mut one, mut two) = (running.client().await, running.client().await);
    let pids = [&one.initialize().await, &two.initialize().await]
        .map(|answer| answer.json()["result"]["pid"].as_i64().unwrap());
    assert_ne!(pids[0], pids[1]);
    let echo = one.post(&legacy("0", "echo", r#""value":1"#)).await.json();
    assert_eq!(echo["result"]["pid"], pids[0]);
    assert_eq!(one.request("DELETE").await.status, 204);
    until("the child is reaped", || !is_alive(pids[0])).await;
    assert!(is_alive(pids[1]));
    assert_eq!(one.post(&legacy("1", "echo", "")).await.error().0, 404);
    assert_eq!(one.request("DELETE").await.status, 404);
    assert_eq!(two.post(&legacy("1", "echo", "")).await.status, 200);
    running.end().await;
    assert!(!is_alive(pids[1]));
}

#[tokio::test]
async fn a_message_without_or_with_a_wrong_session_is_told_what_to_do() {
    let running = run(|_| {}).await;
    let mut client = running.client().await;
    let missing = client.post(&legacy("7", "tools/list", "")).await;
    assert_eq!(missing.error().0, 400);
    assert_eq!(missing.json()["id"], 7);
    client.session = Some("0123456789abcdef".to_owned());
    let unknown = client.post(&legacy("7", "tools/list", "")).await;
    assert_eq!(unknown.error().0, 404);
    assert!(unknown.error().2.contains("initialize"));
    assert_eq!(client.request("GET").await.status, 404);
    running.end().await;
}

#[tokio::test]
async fn sessions_stop_at_their_bound_and_go_on_below_it() {
    let running = run(|spec| spec.sessions_max = 2).await;
    let mut one = running.session().await;
    let _two = running.session().await;
    let initialize = legacy("1", "initialize", r#""protocolVersion":"2025-11-25""#);
    let mut three = running.client().await;
    let refused = three.post(&initialize).await;
    assert_eq!(refused.error().0, 503);
    assert!(refused.error().2.contains("2"), "{refused:?}");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(one.request("DELETE").await.status, 204);
    until("the place is free", || {
        running.supervisor.status().children == 1
    })
    .await;
    assert_eq!(three.post(&initialize).await.status, 200);
    running.end().await;
}

#[tokio::test]
async fn processes_stop_at_their_bound() {
    let running = run(|spec| spec.processes_max = 1).await;
    let _one = running.session().await;
    let initialize = legacy("1", "initialize", r#""protocolVersion":"2025-11-25""#);
    let mut two = running.client().await;
    assert_eq!(two.post(&initialize).await.error().0, 503);
    assert_eq!(two.post(&modern("1", "echo", "")).await.error().0, 503);
    running.end().await;
}

#[tokio::test]
async fn an_idle_session_expires_and_one_with_a_stream_does_not() {
    let running = run(|spec| spec.session_idle = Duration::from_secs(2)).await;
    let streaming = running.session().await;
    let mut stream = streaming.again().await;
    assert_eq!(stream.open("GET", "").await.status, 200);
    let mut idle = running.session().await;
    until("the idle session is over", || {
        running.supervisor.status().sessions == 1
    })
    .await;
    until("its child is reaped", || {
        running.supervisor.status().children == 1
    })
    .await;
    assert_eq!(idle.post(&legacy("1", "echo", "")).await.error().0, 404);
    let mut streaming = streaming.again().await;
    assert_eq!(streaming.post(&legacy("1", "echo", "")).await.status, 200);
    running.end().await;
}

#[tokio::test]
async fn an_initialize_that_is_refused_opens_no_session() {
    let running = run(|spec| program(spec).args.push("--crash".to_owned())).await;
    let mut client = running.client().await;
    let refused = client.post(&legacy("1", "initialize", "")).await;
    assert_eq!(refused.error().0, 502);
    assert!(refused.header("mcp-session-id").is_none());
    until("no session is left", || {
        running.supervisor.status().sessions == 0
    })
    .await;
    running.end().await;
}

#[tokio::test]
async fn two_hundred_sessions_in_turn_leave_nothing() {
    // A shell answers `initialize` in a millisecond; the id is the first number of the line.
    let script = r#"while read -r line; do id=${line#*\"id\":}; id=${id%%,*}; case $line in *initialize\"*) echo "{\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":{\"protocolVersion\":\"2025-11-25\"}}";; esac; done"#;
    let mut shell = Program::new("sh");
    shell.args = vec!["-c".to_owned(), script.to_owned()];
    let spec = Spec::new("shell", Reach::Program(shell));
    let running = super::run_spec(spec).await;
    let open_files = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let mut client = running.client().await;
    client.initialize().await;
    client.request("DELETE").await;
    until("the first child is reaped", || {
        running.supervisor.status().children == 0
    })
    .await;
    let before = open_files();
    for _ in 0..200 {
        client.session = None;
        client.initialize().await;
        assert_eq!(client.request("DELETE").await.status, 204);
    }
    until("all children are reaped", || {
        running.supervisor.status().children == 0
    })
    .await;
    assert_eq!(running.supervisor.status().sessions, 0);
    // Other tests of this process open and close files meanwhile: a leak of ours would be 200.
    assert!(open_files() < before + 100);
    running.end().await;
}

#[tokio::test]
async fn shared_sessions_have_one_child_that_is_initialized_once() {
    let running = run(|spec| spec.shared = true).await;
    let (mut one, mut two) = (running.client().await, running.client().await);
    let first = one.initialize().await;
    let second = two
        .post(&legacy(
            "\"mine\"",
            "initialize",
            r#""protocolVersion":"2025-06-18""#,
        ))
        .await;
    two.session = second.header("mcp-session-id").map(str::to_owned);
    assert_ne!(one.session, two.session);
    assert_eq!(
        first.json()["result"]["pid"],
        second.json()["result"]["pid"]
    );
    assert_eq!(
        first.json()["result"]["seen"]["capabilities"],
        serde_json::json!({})
    );
    assert_eq!(second.json()["id"], "mine");
    assert_eq!(second.json()["result"]["protocolVersion"], "2025-06-18");
    // Both have id 1 in flight at once.
    let slow = r#""seconds":0.2,"value":"one""#;
    one.send("POST", &legacy("1", "slow-echo", slow)).await;
    let fast = two.post(&legacy("1", "echo", r#""value":"two""#)).await;
    assert_eq!(fast.json()["result"]["echo"], "two");
    // A server that shares its child has no one client to ask.
    let asked = two
        .post(&legacy("2", "ask", r#""method":"roots/list""#))
        .await;
    assert_eq!(asked.json()["result"]["answer"]["error"]["code"], -32601);
    assert_eq!(one.again().await.request("DELETE").await.status, 204);
    assert_eq!(two.post(&legacy("3", "echo", "")).await.status, 200);
    running.end().await;
}
