//! Several replicas of one server: who gets what, and what happens when one is gone.
//!
//! Issue 2, item 7; conduit.md §10.2 rows 43 and 44.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use serde_json::{Value, json};

use crate::support::{
    gateway::{Gateway, free_address},
    message::{legacy, legacy_call, modern_call, said},
    until,
    upstream::{Recorded, Step, Upstream, answer, friendly},
    wire::{self, Request},
};

const PATH: &str = "/mcp/fake";

/// A legacy server with sessions: it knows those whose id begins with its name.
fn with_sessions(name: &'static str) -> impl Fn(&Recorded) -> Vec<Step> + Send + Sync + 'static {
    move |request| {
        let session = request.headers.get("mcp-session-id").map(str::to_owned);
        if request.rpc_method() == "initialize" {
            let result = json!({ "jsonrpc": "2.0", "id": request.json()["id"], "result": {
                "protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": { "name": name, "version": "1" },
            }});
            let id = format!("{name}-1");
            let headers = [
                ("content-type", "application/json"),
                ("mcp-session-id", id.as_str()),
            ];
            return answer("200 OK", &headers, result.to_string().as_bytes());
        }
        match session {
            Some(id) if id.starts_with(name) && request.method == "DELETE" => {
                answer("204 No Content", &[], b"")
            }
            Some(id) if !id.starts_with(name) => answer("404 Not Found", &[], b""),
            _ => friendly(request),
        }
    }
}

fn servers(first: &str, more: &[String]) -> Value {
    json!([{ "id": "fake", "url": first, "replicas": more, "connect_timeout_ms": 2000 }])
}

async fn call(gateway: &Gateway) -> wire::Answer {
    wire::ask(
        gateway.address,
        &modern_call(PATH, &json!(1), "any", json!({})),
    )
    .await
}

#[tokio::test]
async fn round_robin_gives_each_replica_its_share() {
    let (one, two) = (
        Upstream::start(friendly).await,
        Upstream::start(friendly).await,
    );
    let gateway = Gateway::start(servers(&one.url(), &[two.url()])).await;
    for _ in 0..10 {
        assert_eq!(call(&gateway).await.status, 200);
    }
    let shares = (
        one.recorded("tools/call").len(),
        two.recorded("tools/call").len(),
    );
    assert_eq!(shares, (5, 5));
}

#[tokio::test]
async fn a_replica_that_refuses_connections_costs_no_call() {
    let up = Upstream::start(friendly).await;
    let down = format!("http://{}/mcp", free_address());
    let gateway = Gateway::start(servers(&down, &[up.url()])).await;
    for n in 1..=6 {
        let answer = call(&gateway).await;
        assert_eq!(
            (answer.status, answer.json()),
            (200, said(&json!(1), "ok")),
            "call {n}"
        );
    }
    assert_eq!(up.recorded("tools/call").len(), 6, "each was made once");
}

#[tokio::test]
async fn a_session_stays_with_the_replica_that_made_it() {
    let (one, two) = (
        Upstream::start(with_sessions("one")).await,
        Upstream::start(with_sessions("two")).await,
    );
    let gateway = Gateway::start(servers(&one.url(), &[two.url()])).await;
    let initialize = || {
        legacy(
            PATH,
            &json!(0),
            "initialize",
            json!({ "protocolVersion": "2025-11-25" }),
        )
    };
    for _ in 0..4 {
        let begun = wire::ask(gateway.address, &initialize()).await;
        let session = begun.headers.get("mcp-session-id").unwrap().to_owned();
        assert!(!session.ends_with("-1"), "a server's own id: {session}");
        for n in 1..=5 {
            let call =
                legacy_call(PATH, &json!(n), "any", json!({})).header("mcp-session-id", &session);
            assert_eq!(
                wire::ask(gateway.address, &call).await.status,
                200,
                "{session} call {n}"
            );
        }
        let end = Request::delete(PATH).header("mcp-session-id", &session);
        assert_eq!(
            wire::ask(gateway.address, &end).await.status,
            204,
            "{session}"
        );
    }
    for upstream in [&one, &two] {
        assert_eq!(
            upstream.recorded("tools/call").len(),
            10,
            "both had sessions"
        );
        until("the sessions to be ended", || async {
            (upstream.recorded_http("DELETE").len() == 2).then_some(())
        })
        .await;
    }
}

/// The health of the only server, as the control plane tells it.
async fn health(gateway: &Gateway) -> Value {
    let answer = wire::ask(gateway.address, &Request::get("/conduit/health")).await;
    assert_eq!(answer.status, 200, "liveness is 200 whatever upstreams do");
    answer.json()
}

async fn checked(upstream: &Upstream) -> Gateway {
    Gateway::with(json!({
        "servers": [{ "id": "fake", "url": upstream.url() }],
        "router": { "health_check": { "interval_seconds": 1, "timeout_ms": 1000, "unhealthy_threshold": 1 } },
    }))
    .await
}

#[tokio::test]
async fn a_server_that_answers_5xx_or_no_mcp_is_unhealthy() {
    for (status, body) in [
        ("500 Internal Server Error", "{}"),
        ("200 OK", "<html>"),
        ("404 Not Found", "nothing here"),
    ] {
        let is_broken = Arc::new(AtomicBool::new(false));
        let breaks = Arc::clone(&is_broken);
        let upstream = Upstream::start(move |request| {
            if breaks.load(Ordering::Acquire) {
                answer(status, &[], body.as_bytes())
            } else {
                friendly(request)
            }
        })
        .await;
        let gateway = checked(&upstream).await;
        is_broken.store(true, Ordering::Release);
        let told = healthy(&gateway, false).await;
        assert_eq!(told["status"], "degraded", "{status}");
        let ready = wire::ask(gateway.address, &Request::get("/conduit/readyz")).await;
        let is_ready = (ready.status, ready.json()["ready"].clone());
        assert_eq!(is_ready, (503, json!(false)), "{status}");
        is_broken.store(false, Ordering::Release);
        healthy(&gateway, true).await;
    }
}

/// Waits until the only server is healthy, or is not.
async fn healthy(gateway: &Gateway, wanted: bool) -> Value {
    until("the server's health to change", || async {
        let told = health(gateway).await;
        (told["backends"][0]["healthy"] == wanted).then_some(told)
    })
    .await
}

#[tokio::test]
async fn a_health_check_leaves_no_session_behind() {
    // It answers what it does not know without JSON-RPC, so that the check must shake hands.
    let upstream = Upstream::start(|request| match request.rpc_method().as_str() {
        "server/discover" => answer("422 Unprocessable Entity", &[], b"expected initialize"),
        _ => with_sessions("one")(request),
    })
    .await;
    let gateway = checked(&upstream).await;
    until("a session to be ended", || async {
        let ended = upstream.recorded_http("DELETE");
        ended
            .first()
            .map(|request| assert_eq!(request.headers.get("mcp-session-id"), Some("one-1")))
    })
    .await;
    assert_eq!(health(&gateway).await["status"], "ok");
}
