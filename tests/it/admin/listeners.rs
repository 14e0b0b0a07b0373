//! Where the admin API and metrics listen, and where the gateway refuses to start.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{KEY, Place, ask, change, keyed, start};
use crate::support::gateway::free_address;
use crate::support::process::Process;
use crate::support::until;
use crate::support::wire::Request;

/// Runs the gateway until it ends; its exit code and what it said.
async fn run(config: &Value) -> (i32, String) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("conduit.config.yml");
    fs::write(&file, config.to_string()).unwrap();
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_conduit"));
    let arguments = ["run".into(), "--config".into(), file.into_os_string()];
    let process = Process::spawn(binary, arguments, &[]);
    let code = process.finish().await.code().unwrap();
    (code, process.output())
}

#[tokio::test]
async fn the_gateway_does_not_start_open_to_others() {
    let port = free_address().port();
    for (config, field) in [
        (json!({ "gateway": { "host": "0.0.0.0" } }), "gateway.host"),
        (json!({ "gateway": { "host": "::" } }), "gateway.host"),
        (
            json!({ "admin": { "listen": format!("0.0.0.0:{port}") } }),
            "admin.listen",
        ),
        (json!({ "metrics": { "host": "0.0.0.0" } }), "metrics.host"),
    ] {
        let (code, said) = run(&config).await;
        assert_eq!(code, 78, "{config}: {said}");
        assert!(said.contains(field), "{config}: {said}");
        assert!(said.contains("allow_unauthenticated: true"), "{said}");
    }
}

#[tokio::test]
async fn a_reload_that_would_open_it_to_others_is_refused() {
    let (gateway, upstream) = start(json!({})).await;
    let address = gateway.address;
    for (section, value) in [
        (
            "gateway",
            json!({ "host": "0.0.0.0", "port": address.port() }),
        ),
        ("admin", json!({ "listen": "0.0.0.0:9" })),
        ("metrics", json!({ "host": "0.0.0.0" })),
    ] {
        let mut config = json!({
            "gateway": { "host": "127.0.0.1", "port": address.port() },
            "metrics": { "host": "127.0.0.1", "port": gateway.metrics.port() },
            "servers": [{ "id": "other", "url": upstream.url() }],
        });
        config[section] = value;
        gateway.rewrite_text(&config.to_string());
        let answer = gateway.reload().await;
        assert_eq!(answer.status, 500, "{section}: {answer:?}");
        let errors = answer.json()["errors"].to_string();
        assert!(errors.contains("allow_unauthenticated"), "{errors}");
        let servers = ask(Place::Tcp(address), &Request::get("/conduit/servers")).await;
        assert_eq!(servers.json()["servers"][0]["id"], "a", "nothing changed");
    }
}

#[tokio::test]
async fn a_key_that_is_taken_away_stays_until_a_restart() {
    let (gateway, upstream) = start(json!({ "admin": { "key": KEY } })).await;
    let servers = json!([{ "id": "a", "url": upstream.url() }]);
    gateway.rewrite(json!({ "servers": servers }));
    let place = Place::Tcp(gateway.address);
    let reload = change(keyed(Request::post("/conduit/config/reload"), KEY));
    let told = ask(place, &reload).await.json();
    assert_eq!(told["skipped"], json!(["admin (needs a restart)"]));
    let version = Request::get("/conduit/version");
    assert_eq!(ask(place, &version).await.status, 401);
}

#[tokio::test]
async fn a_socket_is_its_owners_and_goes_with_the_gateway() {
    let folder = TempDir::new().unwrap();
    let socket = folder.path().join("admin.sock");
    // As a gateway leaves it that was killed.
    drop(UnixListener::bind(&socket).unwrap());
    let listen = format!("unix:{}", socket.display());
    let (gateway, _upstream) = start(json!({ "admin": { "listen": listen } })).await;
    let mode = fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let place = Place::Unix(&socket);
    let servers = ask(place, &Request::get("/conduit/servers")).await;
    assert_eq!(servers.json()["servers"][0]["id"], "a");
    let metrics = ask(place, &Request::get("/conduit/metrics")).await;
    assert_eq!(metrics.status, 200, "who may open the socket is local");
    let second = json!({
        "gateway": { "port": free_address().port() },
        "metrics": { "port": free_address().port() },
        "admin": { "listen": listen },
    });
    let (code, said) = run(&second).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("another process listens there"), "{said}");
    gateway.process.signal("TERM");
    gateway.process.finish().await;
    assert!(!socket.exists());
}

#[tokio::test]
async fn what_is_no_socket_is_not_replaced_by_one() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("precious");
    fs::write(&file, "data").unwrap();
    let config = json!({
        "gateway": { "port": free_address().port() },
        "metrics": { "enabled": false },
        "admin": { "listen": format!("unix:{}", file.display()) },
    });
    let (code, said) = run(&config).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("admin.listen"), "{said}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "data");
}

#[tokio::test]
async fn a_body_is_taken_by_the_apis_own_listener_within_its_bound() {
    let own = free_address();
    let (_gateway, _upstream) = start(json!({ "admin": { "listen": own.to_string() } })).await;
    let place = Place::Tcp(own);
    let reload = || change(Request::post("/conduit/config/reload"));
    assert_eq!(ask(place, &reload().body("{}")).await.status, 200);
    let chunked = reload().body(vec![b' '; 1024 * 1024]).chunked(64 * 1024);
    assert_eq!(ask(place, &chunked).await.status, 200);
    let large = reload().body(vec![b' '; 1024 * 1024 + 1]);
    assert_eq!(ask(place, &large).await.status, 413);
}

#[tokio::test]
async fn the_metrics_listener_takes_no_web_page_and_asks_for_the_key_where_it_is_told_to() {
    for (needs_key, is_told) in [(false, 200), (true, 401)] {
        let (gateway, _upstream) = start(json!({
            "admin": { "key": KEY },
            "metrics": { "require_auth": needs_key },
        }))
        .await;
        let place = Place::Tcp(gateway.metrics);
        let get = || Request::get("/");
        until("the metrics listener", || async {
            let open = tokio::net::TcpStream::connect(gateway.metrics).await;
            open.ok()
        })
        .await;
        let told = ask(place, &get()).await;
        assert_eq!(told.status, is_told);
        assert!(told.is_secured(), "{told:?}");
        let right = keyed(get(), KEY);
        assert_eq!(ask(place, &right).await.status, 200);
        let rebound = right.clone().header("host", "evil.example");
        assert_eq!(ask(place, &rebound).await.status, 421);
        let page = right.header("origin", "https://evil.example");
        assert_eq!(ask(place, &page).await.status, 403);
    }
}
