//! Reloading the configuration: what changes, what stays, and that nothing is lost or left behind.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::gateway::Gateway;
use crate::support::message::{legacy, legacy_call, modern, modern_call, post, result, said};
use crate::support::upstream::{Step, Upstream, friendly, json as json_answer};
use crate::support::wire::{self, Answer, Request};
use crate::support::{until, within};

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/stdio_child.py");

/// A stdio server, whose variable `KEY` makes one configuration another.
fn child(id: &str, key: &str) -> Value {
    json!({ "id": id, "transport": "stdio", "command": "/usr/bin/env",
        "args": ["python3", "-ES", FIXTURE], "env": { "KEY": key } })
}

fn servers(list: Value) -> Value {
    json!({ "servers": list })
}

async fn ask(gateway: &Gateway, request: &Request) -> Answer {
    wire::ask(gateway.address, request).await
}

async fn reload(gateway: &Gateway, config: Value) -> Value {
    gateway.rewrite(config);
    let answer = gateway.reload().await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// The process that a server's modern clients share.
async fn shared_pid(gateway: &Gateway, id: &str) -> i64 {
    let call = modern_call(&format!("/mcp/{id}"), &json!(1), "echo", json!({}));
    let answer = ask(gateway, &call).await;
    let pid = answer.json()["result"]["pid"].as_i64();
    pid.unwrap_or_else(|| panic!("no pid: {answer:?}"))
}

async fn open_session(gateway: &Gateway, path: &str) -> String {
    let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": { "name": "test", "version": "1" } });
    let opened = ask(gateway, &legacy(path, &json!(1), "initialize", params)).await;
    let session = opened.headers.get("mcp-session-id");
    let session = session.unwrap_or_else(|| panic!("no session: {opened:?}"));
    let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    let initialized = post(path, initialized.to_string()).header("mcp-session-id", session);
    assert_eq!(ask(gateway, &initialized).await.status, 202);
    session.to_owned()
}

/// The process behind a legacy session.
async fn pid_of(gateway: &Gateway, id: &str, session: &str) -> Answer {
    let call = legacy_call(&format!("/mcp/{id}"), &json!(2), "echo", json!({}));
    ask(gateway, &call.header("mcp-session-id", session)).await
}

fn is_alive(pid: i64) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// How many fixtures run with this `KEY`.
fn n_children(key: &str) -> usize {
    let wanted = format!("KEY={key}");
    let is_one = |entry: &fs::DirEntry| {
        let read = |name: &str| fs::read(entry.path().join(name)).unwrap_or_default();
        let holds =
            |bytes: &[u8], text: &str| bytes.split(|b| *b == 0).any(|one| one == text.as_bytes());
        holds(&read("cmdline"), FIXTURE)
            && holds(&read("cmdline"), "-ES")
            && holds(&read("environ"), &wanted)
            && fs::read_link(entry.path().join("exe"))
                .is_ok_and(|exe| exe.to_string_lossy().contains("python"))
    };
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter(is_one)
        .count()
}

/// A server whose `slow` tool answers when it is told to.
async fn slow_server() -> (Upstream, Arc<Notify>, Arc<Notify>) {
    let (reached, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let steps = (Arc::clone(&reached), Arc::clone(&go_on));
    let upstream = Upstream::start(move |request| {
        if request.rpc_method() != "tools/call" || request.json()["params"]["name"] != "slow" {
            return friendly(request);
        }
        let mut script = vec![
            Step::Signal(Arc::clone(&steps.0)),
            Step::Await(Arc::clone(&steps.1)),
        ];
        script.extend(json_answer(&said(&request.json()["id"], "late")));
        script
    })
    .await;
    (upstream, reached, go_on)
}

/// A server with one tool of that name.
async fn server_with(tool: &'static str) -> Upstream {
    Upstream::start(move |request| {
        if request.rpc_method() != "tools/list" {
            return friendly(request);
        }
        let tools = json!([{ "name": tool, "inputSchema": { "type": "object" } }]);
        let listed = json!({ "tools": tools, "resultType": "complete", "ttlMs": 60000,
            "cacheScope": "private" });
        json_answer(&result(&request.json()["id"], listed))
    })
    .await
}

async fn tools(gateway: &Gateway) -> Vec<String> {
    let listed = ask(gateway, &modern("/mcp", &json!(1), "tools/list", json!({}))).await;
    let listed = listed.json();
    let names = listed["result"]["tools"].as_array().unwrap().iter();
    names
        .map(|tool| tool["name"].as_str().unwrap().to_owned())
        .collect()
}

// === refused ===

#[tokio::test]
async fn a_file_that_is_wrong_changes_nothing_and_every_problem_is_named() {
    let upstream = Upstream::start(friendly).await;
    let gateway = Gateway::start(json!([{ "id": "fake", "url": upstream.url() }])).await;
    for (text, parts) in [
        ("servers: [", vec!["line 1"]),
        (
            "gateway: {port: 99999}\nservers: [{id: 'a b', url: 'ftp://x'}]",
            vec!["gateway.port", "servers[0].id", "servers[0].url"],
        ),
    ] {
        gateway.rewrite_text(text);
        let answer = gateway.reload().await;
        assert_eq!(answer.status, 500, "{answer:?}");
        let report = answer.json();
        assert_eq!(report["reloaded"], json!([]));
        let errors = report["errors"].to_string();
        for part in parts {
            assert!(errors.contains(part), "{part} in {errors}");
        }
        let call = modern_call("/mcp/fake", &json!(1), "greet", json!({}));
        assert_eq!(ask(&gateway, &call).await.json(), said(&json!(1), "ok"));
    }
}

#[tokio::test]
async fn a_reload_needs_the_key_and_the_csrf_header() {
    let config = json!({ "servers": [{ "id": "a", "url": "http://127.0.0.1:1/" }], "admin": { "key": "s3cret" } });
    let gateway = Gateway::with(config).await;
    assert_eq!(gateway.reload().await.status, 401);
    let keyed = Request::post("/conduit/config/reload").header("x-admin-key", "s3cret");
    assert_eq!(ask(&gateway, &keyed).await.status, 403);
    let whole = keyed.header("x-conduit-admin", "1");
    assert_eq!(ask(&gateway, &whole).await.status, 200);
}

#[tokio::test]
async fn a_reload_that_makes_a_name_ambiguous_is_refused_with_both_owners() {
    let (one, other) = (server_with("greet").await, server_with("greet").await);
    let config =
        |list: Value| json!({ "servers": list, "router": { "namespace_strategy": "none" } });
    let first = json!({ "id": "one", "url": one.url() });
    let gateway = Gateway::with(config(json!([first]))).await;
    gateway.rewrite(config(
        json!([first, { "id": "other", "url": other.url() }]),
    ));
    let answer = gateway.reload().await;
    assert_eq!(answer.status, 500, "{answer:?}");
    let errors = answer.json()["errors"].to_string();
    for part in ["greet", "one", "other", "ambiguous"] {
        assert!(errors.contains(part), "{part} in {errors}");
    }
    assert_eq!(tools(&gateway).await, ["greet"]);
    let silent = json!({ "id": "silent", "url": "http://127.0.0.1:1/mcp" });
    let report = reload(&gateway, config(json!([first, silent]))).await;
    let warnings = report["warnings"].to_string();
    assert!(warnings.contains("silent"), "{report}");
    assert_eq!(report["reloaded"], json!(["server.silent (added)"]));
}

// === what changes ===

#[tokio::test]
async fn what_changed_is_in_effect_or_named_with_the_reason() {
    let (one, two) = (server_with("one").await, server_with("two").await);
    let a = json!({ "id": "a", "url": one.url() });
    let gateway = Gateway::start(json!([a])).await;
    let mut config = servers(json!([a, { "id": "b", "url": two.url() }]));
    config["gateway"] =
        json!({ "allowed_origins": ["https://ui.example"], "shutdown_grace_seconds": 7 });
    config["acl"] = json!({ "enabled": true });
    let report = reload(&gateway, config.clone()).await;
    assert_eq!(
        report["reloaded"],
        json!(["server.b (added)", "gateway.allowed_origins", "acl"])
    );
    let skipped = json!(["gateway.shutdown_grace_seconds (needs a restart)"]);
    assert_eq!(report["skipped"], skipped, "{report}");
    assert!(report["reloaded_at"].is_string());
    assert_eq!(tools(&gateway).await, ["a.one", "b.two"]);
    let call =
        modern_call("/mcp/b", &json!(1), "two", json!({})).header("origin", "https://ui.example");
    assert_eq!(ask(&gateway, &call).await.status, 200);

    let report = reload(&gateway, servers(json!([{ "id": "b", "url": two.url() }]))).await;
    let reloaded = report["reloaded"].to_string();
    assert!(reloaded.contains("server.a (removed)"), "{report}");
    let gone = ask(
        &gateway,
        &modern_call("/mcp/a", &json!(1), "one", json!({})),
    )
    .await;
    assert_eq!(gone.status, 404, "{gone:?}");
    assert_eq!(tools(&gateway).await, ["b.two"]);
    let metrics = ask(&gateway, &Request::get("/conduit/metrics"))
        .await
        .text();
    until("the metrics to forget it", || async {
        let metrics = ask(&gateway, &Request::get("/conduit/metrics"))
            .await
            .text();
        (!metrics.contains(r#"conduit_backend_health{server="a"}"#)).then_some(())
    })
    .await;
    assert!(
        metrics.contains(r#"conduit_backend_health{server="b"} 1"#),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_configuration_that_did_not_change_is_reloaded_without_effect() {
    let config = servers(json!([child("kept", "same")]));
    let gateway = Gateway::with(config.clone()).await;
    let pid = shared_pid(&gateway, "kept").await;
    let report = reload(&gateway, config).await;
    assert_eq!(
        (&report["reloaded"], &report["skipped"]),
        (&json!([]), &json!([]))
    );
    assert_eq!(shared_pid(&gateway, "kept").await, pid);
}

// === what stays ===

#[tokio::test]
async fn a_call_in_flight_finishes_at_a_server_that_is_taken_out() {
    let (upstream, reached, go_on) = slow_server().await;
    let other = server_with("other").await;
    let slow = json!({ "id": "slow", "url": upstream.url() });
    let gateway = Gateway::start(json!([slow])).await;
    let session = open_session(&gateway, "/mcp").await;
    let calls = [
        modern_call("/mcp/slow", &json!(1), "slow", json!({})),
        legacy_call("/mcp/slow", &json!(1), "slow", json!({})),
        modern_call("/mcp", &json!(1), "slow.slow", json!({})),
        legacy_call("/mcp", &json!(1), "slow.slow", json!({})).header("mcp-session-id", &session),
    ];
    let mut asked = Vec::new();
    for call in calls {
        let address = gateway.address;
        asked.push(tokio::spawn(async move { wire::ask(address, &call).await }));
        within("the call to arrive", reached.notified()).await;
    }
    let report = reload(
        &gateway,
        servers(json!([{ "id": "other", "url": other.url() }])),
    )
    .await;
    assert_eq!(
        report["reloaded"],
        json!(["server.other (added)", "server.slow (removed)"])
    );
    for call in asked {
        go_on.notify_one();
        let answer = within("the answer", call).await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.text().contains("late"), "{answer:?}");
    }
}

#[tokio::test]
async fn an_unchanged_server_keeps_its_session_and_its_child_and_a_changed_one_does_not() {
    let gateway = Gateway::start(json!([child("kept", "a"), child("changed", "b")])).await;
    let kept = open_session(&gateway, "/mcp/kept").await;
    let changed = open_session(&gateway, "/mcp/changed").await;
    let pid = |answer: &Answer| answer.json()["result"]["pid"].as_i64().unwrap();
    let own = pid(&pid_of(&gateway, "kept", &kept).await);
    let old = pid(&pid_of(&gateway, "changed", &changed).await);
    let shared = shared_pid(&gateway, "kept").await;
    let config = servers(json!([child("kept", "a"), child("changed", "c")]));
    let report = reload(&gateway, config).await;
    assert_eq!(report["reloaded"], json!(["server.changed"]));
    assert_eq!(pid(&pid_of(&gateway, "kept", &kept).await), own);
    assert_eq!(shared_pid(&gateway, "kept").await, shared);
    assert_eq!(pid_of(&gateway, "changed", &changed).await.status, 404);
    let again = open_session(&gateway, "/mcp/changed").await;
    assert_ne!(pid(&pid_of(&gateway, "changed", &again).await), old);
    until("the old child to end", || async {
        (!is_alive(old)).then_some(())
    })
    .await;
    until("the old socket to go", || async {
        (gateway.n_sockets() == 2).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_session_over_several_servers_goes_on_with_those_that_there_are() {
    let (one, two) = (server_with("one").await, server_with("two").await);
    let a = json!({ "id": "a", "url": one.url() });
    let gateway = Gateway::start(json!([a])).await;
    let session = open_session(&gateway, "/mcp").await;
    let listen = Request::get("/mcp").header("accept", "text/event-stream");
    let mut stream =
        wire::stream(gateway.address, &listen.header("mcp-session-id", &session)).await;
    reload(
        &gateway,
        servers(json!([a, { "id": "b", "url": two.url() }])),
    )
    .await;
    let told = within("a change", stream.event()).await.unwrap();
    assert!(told.contains("notifications/tools/list_changed"), "{told}");
    let call =
        legacy_call("/mcp", &json!(2), "b.two", json!({})).header("mcp-session-id", &session);
    assert_eq!(ask(&gateway, &call).await.status, 200);
}

// === again and again ===

#[tokio::test(flavor = "multi_thread")]
async fn reloads_under_traffic_lose_nothing_and_leave_nothing() {
    const N_RELOADS: usize = 12;
    let key = |n: usize| format!("traffic-{}-{n}", std::process::id());
    let upstream = Upstream::start(friendly).await;
    let fake = json!({ "id": "fake", "url": upstream.url() });
    let config = |n: usize| servers(json!([fake, child("busy", &key(n))]));
    let gateway = Arc::new(Gateway::with(config(0)).await);
    let over = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (gateway, over) = (Arc::clone(&gateway), Arc::clone(&over));
            tokio::spawn(async move {
                let mut n_calls = 0;
                while !over.load(Ordering::Relaxed) {
                    for path in ["/mcp/fake", "/mcp/busy"] {
                        let call = modern_call(path, &json!(n_calls), "echo", json!({}));
                        let answer = ask(&gateway, &call).await;
                        assert!(answer.json()["result"].is_object(), "{path}: {answer:?}");
                    }
                    n_calls += 1;
                }
                n_calls
            })
        })
        .collect();
    for n in 1..=N_RELOADS {
        let report = reload(&gateway, config(n)).await;
        assert_eq!(report["reloaded"], json!(["server.busy"]));
        shared_pid(&gateway, "busy").await;
    }
    over.store(true, Ordering::Relaxed);
    for client in clients {
        assert!(client.await.unwrap() > 0);
    }
    until("all old children to end", || async {
        let left: usize = (0..N_RELOADS).map(|n| n_children(&key(n))).sum();
        (left == 0).then_some(())
    })
    .await;
    assert!(n_children(&key(N_RELOADS)) > 0);
    until("all old sockets to go", || async {
        (gateway.n_sockets() == 1).then_some(())
    })
    .await;
    gateway.process.signal("TERM");
    let code = gateway.process.finish().await.code();
    assert_eq!(code, Some(0), "{}", gateway.process.output());
    assert_eq!(n_children(&key(N_RELOADS)), 0);
}
