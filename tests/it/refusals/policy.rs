//! What is refused for what the caller may do: access rules, guardrails, the tool lock.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::site::{BOTH, Site, assert_all, run};
use super::{Row, Speaker};
use crate::support::message::{post, result};
use crate::support::upstream::{Recorded, Step, Upstream, answer, friendly, json as json_answer};

pub(super) const CAUSED: &[&str] = &[
    "acl_denied",
    "approval_required",
    "approvals_full",
    "guardrail_block",
    "server_unknown",
    "tool_locked",
];

/// Calls of one client that may wait for an approval (`src/state/guard/approvals.rs`).
const PENDING_MAX: usize = 100;

fn access() -> Vec<Row> {
    let denied = || {
        Row::new("a denied call", "acl_denied", (200, 200, -32000), |by| {
            by.call("/mcp/s", "drop_a")
        })
        .server("s")
        .says(&[
            "client 'anonymous'",
            "call 'drop_a' on server 's'",
            "(policy 'most', deny[0])",
        ])
        .also(r#"conduit_acl_denials_total{client="anonymous",server="s",tool="_other"}"#)
        .log(
            json!({ "client_id": "anonymous", "server_id": "s", "tool_name": "drop_a",
            "method": "tools/call", "era": null, "error_message": "policy 'most', deny[0]" }),
        )
    };
    vec![
        denied(),
        Row {
            name: "a denied call by its long name",
            request: Box::new(|by| by.call("/mcp", "s.drop_a")),
            log: json!({ "client_id": "anonymous", "server_id": "s", "tool_name": "drop_a",
                "method": "tools/call", "era": null, "error_message": "policy 'most', deny[0]" }),
            ..denied().within("/mcp")
        },
        Row::new(
            "a denied resource",
            "acl_denied",
            (200, 200, -32000),
            |by| {
                by.request(
                    "/mcp/s",
                    "resources/read",
                    json!({ "uri": "file:///priv/a" }),
                )
            },
        )
        .server("s")
        .says(&[
            "read resource 'file:///priv/a' on server 's'",
            "(policy 'most', ",
        ])
        .also(r#"conduit_acl_denials_total{client="anonymous",server="s",tool=""}"#)
        .log(json!({ "method": "resources/read", "era": null, "tool_name": "file:///priv/a" })),
        Row::new(
            "a hidden server",
            "server_unknown",
            (404, 404, -32601),
            |by| by.call("/mcp/hidden", "any"),
        )
        .says(&["unknown server: hidden"])
        .also(r#"conduit_acl_denials_total{client="anonymous",server="hidden",tool=""}"#)
        .log(json!({ "method": "tools/call", "era": null,
            "error_message": "acl shows this client nothing of the server" })),
    ]
}

fn guarded() -> Vec<Row> {
    let guardrail = |rule: &str, action: &str| {
        json!({ "server_id": "s", "method": "tools/call",
        "era": null, "guardrail_rule": rule, "guardrail_action": action })
    };
    vec![
        Row::new("a blocked call", "guardrail_block", (200, 200, -32000), |by| {
            by.request("/mcp/s", "tools/call", json!({ "name": "read",
                "arguments": { "path": "/etc/shadow" } }))
        })
        .server("s")
        .says(&["ask in #ops", "(guardrail \"no-etc\")"])
        .also(r#"conduit_guardrail_actions_total{action="block",rule="no-etc",tool="_other"}"#)
        .log(guardrail("no-etc", "block")),
        Row::new("a blocked result", "guardrail_block", (200, 200, -32000), |by| {
            by.call("/mcp/s", "leak")
        })
        .server("s")
        .says(&["guardrail \"no-cards\" applies to \"leak\""])
        .also(r#"conduit_guardrail_actions_total{action="block",rule="no-cards",tool="_other"}"#)
        .log(guardrail("no-cards", "block")),
        Row::new("a held call", "approval_required", (200, 200, -32011), |by| {
            by.call("/mcp/s", "deploy")
        })
        .server("s")
        .says(&["guardrail \"deploys\" applies to \"deploy\"", "X-Conduit-Approval-Id"])
        .also(r#"conduit_guardrail_actions_total{action="require_approval",rule="deploys",tool="_other"}"#)
        .log(guardrail("deploys", "require_approval")),
    ]
}

fn closed() -> Vec<Row> {
    vec![
        Row::new("what no rule allows", "guardrail_block", (200, 200, -32000), |by| {
            by.call("/mcp/s", "any")
        })
        .server("s")
        .says(&["no guardrail allows \"any\"", "guardrails.default_action is block"])
        .also(r#"conduit_guardrail_actions_total{action="block",rule="default_action",tool="_other"}"#)
        .log(json!({ "guardrail_rule": "default_action", "guardrail_action": "block" })),
    ]
}

fn locked() -> Vec<Row> {
    let row = |name, status: u16, code: i64, request: fn(Speaker) -> _| {
        Row::new(name, "tool_locked", (status, status, code), request)
    };
    vec![
        row("a tool that nobody approved", 200, -31403, |by| {
            by.call("/mcp/s", "fresh")
        })
        .server("s")
        .says(&[
            "tool \"fresh\" of server \"s\"",
            "nobody approved it",
            "`conduit lock approve`",
        ])
        .also(r#"conduit_tool_lock_refusals_total{cause="added",server="s"}"#)
        .log(
            json!({ "server_id": "s", "tool_name": "fresh", "method": "tools/call", "era": null }),
        ),
        row("tools that cannot be read", 503, -31503, |by| {
            by.call("/mcp/mute", "any")
        })
        .server("mute")
        .says(&["tool \"any\" of server \"mute\"", "try again later"])
        .headers(&[("retry-after", "1")])
        .also(r#"conduit_tool_lock_refusals_total{cause="unread",server="mute"}"#)
        .log(json!({ "server_id": "mute", "tool_name": "any" })),
    ]
}

/// A server with the tool `fresh`, whose tool `leak` says a card number.
fn script(request: &Recorded) -> Vec<Step> {
    let tool = json!({ "name": "fresh", "inputSchema": { "type": "object" } });
    let list =
        json!({ "tools": [tool], "resultType": "complete", "ttlMs": 0, "cacheScope": "private" });
    match request.rpc_method().as_str() {
        "tools/list" => json_answer(&result(&request.json()["id"], list)),
        "tools/call" => {
            let content = json!([{ "type": "text", "text": "card 4111111111111111" }]);
            let said = json!({ "content": content, "resultType": "complete" });
            json_answer(&result(&request.json()["id"], said))
        }
        _ => friendly(request),
    }
}

/// A server that does not say which tools it has.
fn mute(request: &Recorded) -> Vec<Step> {
    match request.rpc_method().as_str() {
        "tools/list" => answer("500 Internal Server Error", &[], b""),
        _ => friendly(request),
    }
}

#[tokio::test]
async fn what_a_caller_may_not_do_is_refused_as_its_rows_say() {
    let upstream = Upstream::start(script).await;
    let plain = Upstream::start(friendly).await;
    let mut seen = BTreeSet::new();
    let hidden =
        json!({ "server": "hidden", "tools": ["*"], "prompts": ["*"], "resources": ["*"] });
    let deny =
        json!([{ "server": "s", "tools": ["drop_*"], "resources": ["file:///priv/**"] }, hidden]);
    let access_rules = json!({ "enabled": true,
        "policies": [{ "name": "most", "clients": ["*"], "deny": deny }] });
    let config = json!({ "acl": access_rules, "servers": [
        { "id": "s", "url": plain.url() }, { "id": "hidden", "url": plain.url() },
    ] });
    run(&config, &access(), &mut seen).await;
    assert!(plain.recorded("tools/call").is_empty());

    let rules = json!([
        { "name": "no-etc", "action": "block", "message": "ask in #ops",
            "conditions": [{ "field": "path", "operator": "contains", "value": "/etc" }] },
        { "name": "no-cards", "on": ["results"], "action": "block",
            "conditions": [{ "detect": ["card"] }] },
        { "name": "deploys", "action": "require_approval", "tools": ["deploy"] },
    ]);
    let guard = |guardrails: Value| {
        json!({ "guardrails": guardrails,
        "servers": [{ "id": "s", "url": upstream.url() }] })
    };
    run(
        &guard(json!({ "enabled": true, "rules": rules })),
        &guarded(),
        &mut seen,
    )
    .await;
    let nothing = json!({ "enabled": true, "default_action": "block", "rules": [] });
    run(&guard(nothing), &closed(), &mut seen).await;
    let held = json!([{ "name": "deploys", "action": "require_approval", "tools": ["deploy"] }]);
    let held = guard(json!({ "enabled": true, "rules": held }));
    seen.extend(pending(&held).await);
    seen.extend(lock(&upstream).await);
    assert_all(&seen, CAUSED);
}

/// As many calls wait for an approval as may.
async fn pending(config: &Value) -> BTreeSet<&'static str> {
    let held = |by: Speaker, n: usize| {
        let params = json!({ "name": "deploy", "arguments": { "n": n } });
        by.request("/mcp/s", "tools/call", params)
    };
    let row = Row::new("one held call more", "approvals_full", (503, 503, -31503), move |by| {
        held(by, PENDING_MAX)
    })
    .server("s")
    .says(&["too many requests for approval", "try again later"])
    .headers(&[("retry-after", "1")])
    .also(r#"conduit_guardrail_actions_total{action="require_approval",rule="deploys",tool="_other"}"#)
    .log(json!({ "server_id": "s", "tool_name": "deploy", "method": "tools/call", "era": null,
        "guardrail_rule": "deploys" }));
    let mut seen = BTreeSet::new();
    for statuses in BOTH {
        let site = Site::start(config.clone(), statuses).await;
        for n in 0..PENDING_MAX {
            let answer = site.ask(&held(Speaker::Modern, n)).await;
            assert_eq!(answer.json()["error"]["code"], -32011, "{n}: {answer:?}");
        }
        site.check(&row).await;
        site.finish(&mut seen).await;
    }
    seen
}

/// Each gateway has a lock file of its own.
async fn lock(upstream: &Upstream) -> BTreeSet<&'static str> {
    let silent = Upstream::start(mute).await;
    let mut seen = BTreeSet::new();
    for statuses in BOTH {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("approved.lock");
        let config = json!({ "tool_lock": "block", "tool_lock_file": file, "servers": [
            { "id": "s", "url": upstream.url() }, { "id": "mute", "url": silent.url() },
        ] });
        let site = Site::start(config, statuses).await;
        for row in &locked() {
            site.check(row).await;
        }
        site.finish(&mut seen).await;
    }
    seen
}

/// What policy says of a notification has no id to answer to: only the status says that it was refused.
#[tokio::test]
async fn a_notification_that_policy_refuses_is_400_unless_statuses_are_mcp_conduits() {
    let upstream = Upstream::start(friendly).await;
    // What nobody knows is for who may do everything.
    let allow = json!([{ "server": "s", "tools": ["get_*"] }]);
    let config = json!({ "acl": { "enabled": true, "default_action": "deny",
        "policies": [{ "name": "some", "clients": ["*"], "allow": allow }] },
        "servers": [{ "id": "s", "url": upstream.url() }] });
    let body = json!({ "jsonrpc": "2.0", "method": "vendor/run", "params": { "name": "any" } });
    let request = post("/mcp/s", body.to_string())
        .header("mcp-protocol-version", Speaker::November.version());
    for (statuses, status) in BOTH.into_iter().zip([400, 200]) {
        let site = Site::start(config.clone(), statuses).await;
        let answer = site.ask(&request).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(answer.json()["error"]["code"], -32000);
        assert!(upstream.recorded("vendor/run").is_empty());
    }
}
