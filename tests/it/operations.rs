//! Running a gateway: health, metrics, the access log, signals, exit codes.
//!
//! Issue 2, items 3 and 8.

use std::{fs, net::TcpListener, path::PathBuf, sync::Arc};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::UnixDatagram;
use tokio::sync::Notify;

use crate::support::{
    gateway::{Gateway, free_address},
    message::{legacy, legacy_call, modern_call, said},
    process::Process,
    until,
    upstream::{Step, Upstream, friendly, json as json_answer},
    wire::{self, Connection, Request},
    within,
};

const PATH: &str = "/mcp/fake";

async fn gateway(upstream: &Upstream) -> Gateway {
    Gateway::start(json!([{ "id": "fake", "url": upstream.url() }])).await
}

async fn get(gateway: &Gateway, path: &str) -> wire::Answer {
    wire::ask(gateway.address, &Request::get(path)).await
}

fn binary() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_conduit"))
}

/// Runs the program to its end; its exit code and what it said.
async fn run(arguments: &[&str]) -> (i32, String) {
    let process = Process::spawn(binary(), arguments, &[]);
    let code = process.finish().await.code().unwrap();
    (code, process.output())
}

#[tokio::test]
async fn health_version_and_metrics_answer_with_security_headers() {
    let upstream = Upstream::start(friendly).await;
    let gateway = gateway(&upstream).await;
    let health = get(&gateway, "/conduit/health").await;
    assert_eq!(health.json()["status"], "ok");
    assert_eq!(health.json()["backends"][0]["id"], "fake");
    assert_eq!(
        health.headers.get("x-content-type-options"),
        Some("nosniff")
    );
    assert_eq!(
        get(&gateway, "/conduit/readyz").await.json(),
        json!({ "ready": true })
    );
    assert_eq!(
        get(&gateway, "/conduit/version").await.json()["version"],
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(get(&gateway, "/conduit/nothing").await.status, 404);
}

#[tokio::test]
async fn the_admin_key_guards_all_but_health_and_readiness() {
    let upstream = Upstream::start(friendly).await;
    let gateway = Gateway::with(json!({
        "servers": [{ "id": "fake", "url": upstream.url() }],
        "admin": { "key": "s3cret" },
    }))
    .await;
    for path in ["/conduit/health", "/conduit/readyz"] {
        assert_eq!(get(&gateway, path).await.status, 200, "{path}");
    }
    for path in ["/conduit/version", "/conduit/metrics"] {
        let ask = |name: &'static str, value: &'static str| {
            let request = Request::get(path).header(name, value);
            let address = gateway.address;
            async move { wire::ask(address, &request).await.status }
        };
        assert_eq!(get(&gateway, path).await.status, 401, "{path}");
        assert_eq!(ask("authorization", "Bearer wrong").await, 401, "{path}");
        assert_eq!(ask("authorization", "Bearer s3cret").await, 200, "{path}");
        assert_eq!(ask("x-admin-key", "s3cret").await, 200, "{path}");
    }
    let post = Request::post("/conduit/anything").header("x-admin-key", "s3cret");
    assert_eq!(
        wire::ask(gateway.address, &post).await.status,
        403,
        "a change needs the CSRF header"
    );
}

#[tokio::test]
async fn every_request_is_one_log_line_and_one_count() {
    let upstream = Upstream::start(friendly).await;
    let gateway = gateway(&upstream).await;
    let call =
        modern_call(PATH, &json!(1), "greet", json!({})).header("x-conduit-trace-id", "trace-7");
    let answer = wire::ask(gateway.address, &call).await;
    assert_eq!(answer.headers.get("x-conduit-trace-id"), Some("trace-7"));
    let refused = modern_call(PATH, &json!(1), "invented", json!({})).without("mcp-name");
    assert_eq!(wire::ask(gateway.address, &refused).await.status, 400);
    let line = gateway
        .process
        .line("the access line", |line| {
            line.contains("trace-7").then(|| line.to_owned())
        })
        .await;
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["server_id"], "fake");
    assert_eq!(line["method"], "tools/call");
    assert_eq!(line["tool_name"], "greet");
    assert_eq!(line["status"], "success");
    let metrics = get(&gateway, "/conduit/metrics").await.text();
    let counted = r#"conduit_requests_total{cache_status="SKIP",method="tools/call",server="fake",status="success",tool="greet"} 1"#;
    assert!(metrics.contains(counted), "{metrics}");
    assert!(metrics.contains(r#"type="header_missing"} 1"#), "{metrics}");
    assert!(!metrics.contains("invented"), "a refused name is no label");
}

#[tokio::test]
async fn sigterm_lets_a_call_finish_and_then_ends_the_gateway() {
    let (reached, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let steps = (Arc::clone(&reached), Arc::clone(&go_on));
    let upstream = Upstream::start(move |request| {
        if request.rpc_method() != "tools/call" {
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
    for signal in ["TERM", "INT"] {
        let gateway = gateway(&upstream).await;
        let address = gateway.address;
        let call = legacy_call(PATH, &json!(1), "slow", json!({}));
        let asked = tokio::spawn(async move { wire::ask(address, &call).await });
        reached.notified().await;
        gateway.process.signal(signal);
        until("the gateway to drain", || async {
            let ready = Connection::open(address).await.ok()?;
            let ready = ready
                .exchange(&Request::get("/conduit/readyz"))
                .await
                .ok()?;
            (ready.status == 503).then_some(())
        })
        .await;
        go_on.notify_one();
        assert_eq!(
            asked.await.unwrap().json(),
            said(&json!(1), "late"),
            "{signal}"
        );
        assert_eq!(gateway.process.finish().await.code(), Some(0), "{signal}");
    }
}

#[tokio::test]
async fn sigterm_ends_an_http_sse_stream_once_its_calls_are_answered() {
    let (reached, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let steps = (Arc::clone(&reached), Arc::clone(&go_on));
    let upstream = Upstream::start(move |request| {
        if request.rpc_method() != "tools/call" {
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
    let gateway = gateway(&upstream).await;
    let address = gateway.address;
    let mut stream = wire::stream(address, &Request::get(&format!("{PATH}/sse"))).await;
    let endpoint = within("an endpoint", stream.event()).await.unwrap();
    let handshake = json!({ "protocolVersion": "2024-11-05", "capabilities": {},
        "clientInfo": { "name": "test", "version": "1" } });
    let initialize = legacy(&endpoint, &json!(0), "initialize", handshake);
    assert_eq!(wire::ask(address, &initialize).await.status, 202);
    within("the handshake", stream.event()).await.unwrap();
    let call = legacy_call(&endpoint, &json!(1), "slow", json!({}));
    assert_eq!(wire::ask(address, &call).await.status, 202);
    reached.notified().await;
    gateway.process.signal("TERM");
    until("the gateway to drain", || async {
        let ready = Connection::open(address).await.ok()?;
        let asked = Request::get("/conduit/readyz");
        let ready = ready.exchange(&asked).await.ok()?;
        (ready.status == 503).then_some(())
    })
    .await;
    go_on.notify_one();
    let answer = within("the answer", stream.event()).await.unwrap();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer, said(&json!(1), "late"));
    assert_eq!(within("the end", stream.event()).await, None);
    assert_eq!(gateway.process.finish().await.code(), Some(0));
}

#[tokio::test]
async fn systemd_is_told_when_requests_are_served_and_when_they_no_longer_are() {
    let folder = TempDir::new().unwrap();
    let (address, socket) = (free_address(), folder.path().join("notify"));
    let listener = UnixDatagram::bind(&socket).unwrap();
    let file = folder.path().join("c.yml");
    let port = address.port();
    let config = format!("gateway: {{port: {port}}}\nmetrics: {{enabled: false}}");
    fs::write(&file, config).unwrap();
    let arguments = ["run", "--config", &file.to_string_lossy()];
    let environment = [("NOTIFY_SOCKET", &*socket.to_string_lossy())];
    let process = Process::spawn(binary(), arguments, &environment);
    let told = async || {
        let mut buffer = [0; 256];
        let length = within("a notification", listener.recv(&mut buffer))
            .await
            .unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    };
    assert_eq!(told().await.trim(), "READY=1");
    let health = Request::get("/conduit/health");
    assert_eq!(
        wire::ask(address, &health).await.status,
        200,
        "ready means ready"
    );
    process.signal("HUP");
    let reloading = told().await;
    assert!(
        reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="),
        "{reloading}"
    );
    assert_eq!(told().await.trim(), "READY=1");
    process.signal("TERM");
    assert_eq!(told().await.trim(), "STOPPING=1");
    assert_eq!(process.finish().await.code(), Some(0));
}

#[tokio::test]
async fn sighup_puts_a_changed_configuration_into_force() {
    let upstream = Upstream::start(friendly).await;
    let gateway = gateway(&upstream).await;
    gateway.rewrite(json!({ "servers": [{ "id": "other", "url": upstream.url() }] }));
    gateway.process.signal("HUP");
    let reloaded = |line: &str| line.contains("Configuration reloaded").then_some(());
    gateway.process.line("the reload", reloaded).await;
    let health = get(&gateway, "/conduit/health").await.json();
    assert_eq!(health["backends"][0]["id"], "other", "{health}");
}

#[tokio::test]
async fn exit_codes_tell_usage_from_bad_configuration() {
    let folder = TempDir::new().unwrap();
    let write = |text: &str| {
        let file = folder.path().join("c.yml");
        fs::write(&file, text).unwrap();
        file.to_string_lossy().into_owned()
    };
    let good = write("servers: [{id: a, url: 'http://127.0.0.1:1/mcp'}]");
    assert_eq!(run(&["check", "--config", &good]).await.0, 0);
    assert_eq!(run(&["--version"]).await.0, 0);
    assert_eq!(run(&["--no-such-flag"]).await.0, 2);
    assert_eq!(run(&["check", "--config", "/no/such/file.yml"]).await.0, 78);
    let bad = write("gateway: {port: 99999}\nservers: [{id: 'a b', url: 'ftp://x'}]");
    let (code, said) = run(&["run", "--config", &bad]).await;
    assert_eq!(code, 78);
    for part in ["gateway.port", "servers[0].id", "servers[0].url", "line 1"] {
        assert!(said.contains(part), "{part} in {said}");
    }
}

#[tokio::test]
async fn a_taken_port_is_told_by_name() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("c.yml");
    let metrics = free_address().port();
    fs::write(
        &file,
        format!("gateway: {{port: {port}}}\nmetrics: {{port: {metrics}}}"),
    )
    .unwrap();
    let (code, said) = run(&["run", "--config", &file.to_string_lossy()]).await;
    assert_eq!(code, 1);
    assert!(
        said.contains("gateway.port") && said.contains(&port.to_string()),
        "{said}"
    );
}

#[tokio::test]
async fn what_is_configured_but_not_built_is_said_at_start() {
    let upstream = Upstream::start(friendly).await;
    let gateway = Gateway::with(json!({
        "servers": [{ "id": "fake", "url": upstream.url() }],
        "discovery": { "enabled": true },
    }))
    .await;
    let warned = gateway.process.line("the warning", |line| {
        (line.contains("discovery") && line.contains("warning")).then(|| line.to_owned())
    });
    assert!(
        warned.await.contains("not active"),
        "it says that nothing is discovered"
    );
}
