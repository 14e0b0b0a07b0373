//! Rate limits, end to end: every way that a message takes, in both eras, and with real Redis servers.
//!
//! All windows are so long that no test sees the end of one; what time would do is done by a reset.

mod instances;

use futures_util::FutureExt;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::gateway::Gateway;
use crate::support::message::{legacy, legacy_call, modern, modern_call, post};
use crate::support::upstream::{Upstream, friendly};
use crate::support::wire::{self, Answer, Connection, Request};
use crate::support::{until, within};

const LIMITED: i64 = -32000;

/// A gateway with these limits in front of servers `a` and `b`.
async fn start(limits: Value) -> (Gateway, Upstream) {
    let upstream = Upstream::start(friendly).await;
    let gateway = Gateway::with(config(&upstream, limits)).await;
    (gateway, upstream)
}

fn config(upstream: &Upstream, mut limits: Value) -> Value {
    limits["enabled"] = json!(true);
    let servers = json!([
        { "id": "a", "url": upstream.url() },
        { "id": "b", "url": upstream.url() },
    ]);
    json!({ "servers": servers, "rate_limits": limits })
}

async fn ask(gateway: &Gateway, request: &Request) -> Answer {
    wire::ask(gateway.address, request).await
}

/// The label of the limit that refused it; nothing where it passed.
fn refused(answer: &Value) -> Option<String> {
    let error = answer
        .get("error")
        .filter(|error| error["code"] == LIMITED)?;
    let message = error["message"].as_str().unwrap();
    let told = message.strip_prefix("Rate limit exceeded: ").unwrap();
    let (label, after) = told.split_once(". Retry after ").unwrap();
    let seconds = after.strip_suffix(" seconds").unwrap();
    assert!(seconds.parse::<u32>().unwrap() > 0);
    Some(label.to_owned())
}

/// How many of so many requests pass.
async fn n_passed(gateway: &Gateway, n_requests: usize, request: &Request) -> usize {
    let asked = (0..n_requests).map(|_| ask(gateway, request));
    let answers = join_all(asked).await;
    let passed = answers
        .iter()
        .filter(|one| refused(&one.last_json()).is_none());
    passed.count()
}

/// Deletes something over the control plane.
async fn delete(gateway: &Gateway, path: &str) -> Value {
    let request = Request::delete(path).header("x-conduit-admin", "1");
    let answer = ask(gateway, &request).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

async fn get(gateway: &Gateway, path: &str) -> Answer {
    let answer = ask(gateway, &Request::get(path)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

#[tokio::test]
async fn exactly_the_limit_passes_in_both_eras_and_the_next_call_is_told_when_to_come_back() {
    let (gateway, upstream) = start(json!({ "per_client": { "requests_per_hour": 5 } })).await;
    let calls = [
        legacy_call("/mcp/a", &json!(7), "t", json!({})),
        modern_call("/mcp/a", &json!(7), "t", json!({})),
    ];
    for call in &calls {
        assert_eq!(n_passed(&gateway, 20, call).await, 5);
        let answer = ask(&gateway, call).await;
        assert_eq!(answer.status, 429);
        assert_eq!(refused(&answer.json()).as_deref(), Some("client/hour"));
        assert_eq!(answer.json()["id"], 7);
        let header = |name: &str| answer.headers.get(name).unwrap().parse::<u32>().unwrap();
        assert!((1..=3840).contains(&header("retry-after")));
        assert_eq!(header("ratelimit-limit"), 5);
        assert_eq!(header("ratelimit-remaining"), 0);
        assert_eq!(header("ratelimit-reset"), header("retry-after"));
        delete(&gateway, "/conduit/limits/reset").await;
    }
    assert_eq!(upstream.recorded("tools/call").len(), 10);
}

#[tokio::test]
async fn a_tenant_that_nobody_proved_gets_no_limit_of_its_own_and_no_rights() {
    let upstream = Upstream::start(friendly).await;
    let limits = json!({ "per_client": { "requests_per_hour": 3 } });
    let mut config = config(&upstream, limits);
    config["tenant_isolation"] = json!({ "enabled": true, "header": "X-Tenant" });
    config["acl"] = json!({ "enabled": true, "default_action": "deny", "policies": [
        { "tenants": ["vip"], "allow": [{ "server": "*", "tools": ["*"] }] },
        { "clients": ["*"], "allow": [{ "server": "a", "tools": ["*"] }] },
    ] });
    let gateway = Gateway::with(config).await;
    let of = |path: &str, tenant: &str| {
        modern_call(path, &json!(1), "t", json!({})).header("x-tenant", tenant)
    };
    let hidden = ask(&gateway, &of("/mcp/b", "vip")).await;
    assert_eq!(hidden.status, 404, "{hidden:?}");
    let tenants = ["t1", "t2", "t3"];
    for tenant in tenants {
        assert_eq!(ask(&gateway, &of("/mcp/a", tenant)).await.status, 200);
    }
    assert_eq!(ask(&gateway, &of("/mcp/a", "t4")).await.status, 429);
    assert_eq!(upstream.recorded("tools/call").len(), tenants.len());
}

#[tokio::test]
async fn every_method_that_wants_something_is_charged_and_a_conversation_is_not() {
    let (gateway, _upstream) = start(json!({ "global": { "requests_per_hour": 1 } })).await;
    let resource = json!({ "uri": "file:///x" });
    let charged = [
        modern("/mcp/a", &json!(1), "tools/list", json!({})),
        modern("/mcp/a", &json!(1), "resources/read", resource.clone()),
        modern("/mcp/a", &json!(1), "prompts/get", json!({ "name": "p" })),
        modern("/mcp", &json!(1), "tools/list", json!({})),
        modern("/mcp", &json!(1), "resources/read", resource),
        modern(
            "/mcp",
            &json!(1),
            "prompts/get",
            json!({ "name": "no server has it" }),
        ),
        legacy("/mcp/a", &json!(1), "completion/complete", json!({})),
        legacy("/mcp/a", &json!(1), "made/up", json!({})),
    ];
    for request in &charged {
        let first = ask(&gateway, request).await;
        assert_ne!(first.status, 429, "{first:?}");
        assert_eq!(ask(&gateway, request).await.status, 429, "{first:?}");
        delete(&gateway, "/conduit/limits/reset").await;
    }
    let call = modern_call("/mcp/a", &json!(1), "t", json!({}));
    assert_eq!(n_passed(&gateway, 2, &call).await, 1);
    let opening = json!({ "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": { "name": "test", "version": "1" } });
    let note = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    for path in ["/mcp/a", "/mcp"] {
        let opened = ask(
            &gateway,
            &legacy(path, &json!(1), "initialize", opening.clone()),
        )
        .await;
        assert_eq!(opened.status, 200, "{opened:?}");
        // This server has no sessions; the gateway's own endpoint has.
        let session = opened.headers.get("mcp-session-id");
        let ping = legacy(path, &json!(1), "ping", json!({}));
        let told = post(path, note.to_string());
        for request in [ping, told] {
            let request = match session {
                Some(session) => request.header("mcp-session-id", session),
                None => request,
            };
            let answer = ask(&gateway, &request).await;
            assert!(answer.status < 300, "{answer:?}");
        }
        let discover = modern(path, &json!(1), "server/discover", json!({}));
        assert_eq!(ask(&gateway, &discover).await.status, 200);
    }
}

#[tokio::test]
async fn a_tool_has_one_budget_however_it_is_spelled_and_reached() {
    let overrides = json!([
        { "server": "a", "requests_per_hour": 7, "per_tool": { "t": { "requests_per_hour": 4 } } },
    ]);
    let (gateway, _upstream) = start(json!({ "overrides": overrides })).await;
    let bare = modern_call("/mcp/a", &json!(1), "t", json!({}));
    let prefixed = modern_call("/mcp", &json!(1), "a.t", json!({}));
    assert_eq!(n_passed(&gateway, 3, &bare).await, 3);
    assert_eq!(n_passed(&gateway, 3, &prefixed).await, 1);
    for spelled in [&bare, &prefixed] {
        let answer = ask(&gateway, spelled).await.json();
        assert_eq!(refused(&answer).as_deref(), Some("tool/hour"));
    }
    // Refused calls cost the server's budget nothing: an override's limit is applied once.
    let other = modern_call("/mcp/a", &json!(1), "other", json!({}));
    assert_eq!(n_passed(&gateway, 9, &other).await, 3);
    let answer = ask(&gateway, &other).await.json();
    assert_eq!(refused(&answer).as_deref(), Some("server/hour"));
    let elsewhere = modern_call("/mcp", &json!(1), "b.t", json!({}));
    assert_eq!(n_passed(&gateway, 9, &elsewhere).await, 9);
}

#[tokio::test]
async fn each_entry_of_a_batch_is_charged_and_gets_its_own_answer() {
    for (path, tool) in [("/mcp/a", "t"), ("/mcp", "a.t")] {
        let overrides = json!([{ "server": "a", "per_client_tool": {
            "t": { "requests": 2, "window_seconds": 7200 } } }]);
        let (gateway, upstream) = start(json!({ "overrides": overrides })).await;
        let call = |id: usize| {
            json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call",
                "params": { "name": tool, "arguments": {} } })
        };
        let note = json!({ "jsonrpc": "2.0", "method": "notifications/x" });
        let batch = json!([call(0), note, call(1), call(2), call(3)]);
        let request = post(path, batch.to_string()).header("mcp-protocol-version", "2025-03-26");
        let answer = ask(&gateway, &request).await;
        assert_eq!(answer.status, 200);
        let answers = answer.json();
        let answers = answers.as_array().unwrap();
        let ids: Vec<_> = answers
            .iter()
            .map(|one| one["id"].as_u64().unwrap())
            .collect();
        assert_eq!(ids, [0, 1, 2, 3]);
        let labels: Vec<_> = answers.iter().map(refused).collect();
        let label = Some("client-server-tool/7200s".to_owned());
        assert_eq!(labels, [None, None, label.clone(), label]);
        assert_eq!(upstream.recorded("tools/call").len(), 2);
    }
}

#[tokio::test]
async fn a_hit_of_the_cache_costs_what_a_call_does() {
    let upstream = Upstream::start(friendly).await;
    let mut config = config(
        &upstream,
        json!({ "per_client": { "requests_per_hour": 3 } }),
    );
    config["servers"][0]["cache"] = json!({ "overrides": { "t": { "ttl": 600 } } });
    let gateway = Gateway::with(config).await;
    let call = modern_call("/mcp/a", &json!(1), "t", json!({}));
    for _ in 0..3 {
        assert_eq!(ask(&gateway, &call).await.status, 200);
    }
    assert_eq!(upstream.recorded("tools/call").len(), 1);
    assert_eq!(ask(&gateway, &call).await.status, 429);
}

#[tokio::test]
async fn the_control_plane_shows_what_is_used_and_resets_what_it_is_told_to() {
    let overrides =
        json!([{ "server": "a", "per_client_tool": { "t": { "requests_per_day": 9 } } }]);
    let (gateway, _upstream) = start(json!({
        "global": { "requests_per_hour": 10 },
        "per_client": { "requests_per_minute": 1000, "requests_per_hour": 4 },
        "overrides": overrides,
    }))
    .await;
    let call = modern_call("/mcp/a", &json!(1), "t", json!({}));
    assert_eq!(n_passed(&gateway, 9, &call).await, 4);
    let shown = get(&gateway, "/conduit/limits").await.json();
    assert_eq!(shown["enabled"], true);
    let mut buckets: Vec<_> = shown["buckets"].as_array().unwrap().iter().collect();
    buckets.sort_by_key(|bucket| bucket["key"].to_string());
    let keys: Vec<_> = buckets
        .iter()
        .map(|one| one["key"].as_str().unwrap())
        .collect();
    let expected = [
        "client-server-tool:anonymous:a:t:86400000",
        "client:anonymous:3600000",
        "client:anonymous:60000",
        "global:3600000",
    ];
    assert_eq!(keys, expected);
    assert!(buckets.iter().all(|one| one["count"] == 4), "{buckets:?}");
    assert!(
        buckets
            .iter()
            .all(|one| one["oldest"].as_u64() > Some(1_700_000_000_000))
    );
    let of_client = || async {
        let shown = get(&gateway, "/conduit/limits/client/anonymous")
            .await
            .json();
        assert_eq!(
            (&shown["client_id"], &shown["enabled"]),
            (&json!("anonymous"), &json!(true))
        );
        let limits = shown["limits"].as_array().unwrap().iter();
        let told = limits.map(|one| format!("{} {}", one["label"], one["remaining"]));
        told.collect::<Vec<_>>().join(", ").replace('"', "")
    };
    let used = "global/hour 6, client/minute 996, client/hour 0, client-server-tool/day 5";
    assert_eq!(of_client().await, used);
    delete(&gateway, "/conduit/limits/client/somebody/reset").await;
    assert_eq!(of_client().await, used);
    let reset = delete(&gateway, "/conduit/limits/client/anonymous/reset").await;
    assert_eq!(
        (&reset["reset"], &reset["client_id"]),
        (&json!(true), &json!("anonymous"))
    );
    let anew = "global/hour 6, client/minute 1000, client/hour 4, client-server-tool/day 9";
    assert_eq!(of_client().await, anew);
    assert_eq!(n_passed(&gateway, 9, &call).await, 4);
    delete(&gateway, "/conduit/limits/client/anonymous/reset").await;
    // What everybody shares is not the client's to be reset.
    assert_eq!(n_passed(&gateway, 9, &call).await, 2);
    assert_eq!(
        delete(&gateway, "/conduit/limits/reset").await["reset"],
        true
    );
    assert_eq!(n_passed(&gateway, 9, &call).await, 4);
    let metrics = get(&gateway, "/conduit/metrics").await.text();
    let counted = "conduit_rate_limit_rejections_total{client=\"anonymous\",\
                   limit_type=\"client/hour\",server=\"a\"} ";
    assert!(metrics.contains(counted), "{metrics}");
}

#[tokio::test]
async fn without_limits_the_control_plane_says_so() {
    let upstream = Upstream::start(friendly).await;
    let gateway = Gateway::start(json!([{ "id": "a", "url": upstream.url() }])).await;
    let shown = get(&gateway, "/conduit/limits").await.json();
    assert_eq!(
        (&shown["enabled"], &shown["buckets"]),
        (&json!(false), &json!([]))
    );
    let shown = get(&gateway, "/conduit/limits/client/c").await.json();
    assert_eq!(
        shown,
        json!({ "client_id": "c", "enabled": false, "limits": [] })
    );
    assert_eq!(
        delete(&gateway, "/conduit/limits/reset").await["reset"],
        false
    );
}

#[tokio::test]
async fn a_reload_changes_limits_at_once_and_keeps_what_was_used() {
    let limits = |hour: u32| json!({ "per_client": { "requests_per_hour": hour } });
    let (gateway, upstream) = start(limits(5)).await;
    let call = modern_call("/mcp/a", &json!(1), "t", json!({}));
    assert_eq!(n_passed(&gateway, 9, &call).await, 5);
    let reload = async |limits| {
        gateway.rewrite(config(&upstream, limits));
        gateway.reload().await.json()
    };
    let report = reload(limits(8)).await;
    assert_eq!(report["reloaded"], json!(["rate_limits"]));
    assert_eq!(n_passed(&gateway, 9, &call).await, 3);
    reload(limits(2)).await;
    assert_eq!(n_passed(&gateway, 9, &call).await, 0);
    reload(limits(10)).await;
    assert_eq!(n_passed(&gateway, 9, &call).await, 2);
}

#[tokio::test]
async fn calls_wait_in_line_for_a_budget_and_who_leaves_is_in_none() {
    let (gateway, upstream) = start(json!({
        "per_client": { "requests_per_hour": 1 },
        "queue": { "enabled": true, "max_wait_ms": 2_000_000_000, "max_queue_size": 3 },
    }))
    .await;
    let call = |n: usize, path: &str| {
        let tool = if path == "/mcp" { "a.t" } else { "t" };
        modern_call(path, &json!(n), tool, json!({ "n": n }))
    };
    assert_eq!(ask(&gateway, &call(0, "/mcp/a")).await.status, 200);
    let n_waiting = |expected: usize| {
        let gateway = &gateway;
        async move {
            until("calls to wait", || async {
                let shown = get(gateway, "/conduit/limits").await.json();
                (shown["waiting"] == json!(expected)).then_some(())
            })
            .await;
        }
    };
    let mut waiting = Vec::new();
    for (n, path) in [(1, "/mcp/a"), (2, "/mcp"), (3, "/mcp/a")] {
        let mut connection = Connection::open(gateway.address).await.unwrap();
        connection.send(&call(n, path)).await.unwrap();
        waiting.push(connection);
        n_waiting(n).await;
    }
    assert_eq!(ask(&gateway, &call(4, "/mcp/a")).await.status, 429);
    drop(waiting.remove(1));
    n_waiting(2).await;
    for (n_left, n) in [(1, 1), (0, 3)] {
        delete(&gateway, "/conduit/limits/reset").await;
        let mut first = waiting.remove(0);
        let answer = within("the first in line", first.receive()).await.unwrap();
        assert_eq!(
            (answer.status, answer.last_json()["id"].as_u64()),
            (200, Some(n))
        );
        n_waiting(n_left).await;
        for other in &mut waiting {
            assert!(other.receive().now_or_never().is_none());
        }
    }
    let called = upstream.recorded("tools/call");
    let order: Vec<_> = called
        .iter()
        .map(|one| one.json()["params"]["arguments"]["n"].as_u64().unwrap())
        .collect();
    assert_eq!(order, [0, 1, 3]);
    let metrics = get(&gateway, "/conduit/metrics").await.text();
    assert!(
        metrics.contains("conduit_rate_limit_queue_wait_seconds_count 3"),
        "{metrics}"
    );
}
