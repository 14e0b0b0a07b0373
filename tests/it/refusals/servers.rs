//! What is refused because a server does not do its part.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::site::{assert_all, run};
use super::{Row, Speaker};
use crate::support::gateway::free_address;
use crate::support::upstream::{Recorded, Step, Upstream, answer, friendly};

pub(super) const CAUSED: &[&str] = &[
    "upstream_broken",
    "upstream_connect",
    "upstream_credential",
    "upstream_timeout",
];

/// The endpoint of a server that is known to speak the era of who asks.
fn path(kind: &str, by: Speaker) -> String {
    format!("/mcp/{kind}-{}", by.era())
}

/// A row for each era: a server is known by its own name to metrics.
fn both(make: impl Fn(&'static [Speaker], usize) -> Row) -> Vec<Row> {
    let speakers = [super::LEGACY_ONLY, super::MODERN_ONLY];
    let rows = speakers.into_iter().enumerate();
    rows.map(|(n, speakers)| make(speakers, n).by(speakers))
        .collect()
}

fn failing(
    kind: &'static str,
    servers: [&'static str; 2],
    (label, status, code): (&'static str, u16, i64),
    says: &'static [&'static str],
    log: &Value,
) -> Vec<Row> {
    both(|_, n| {
        let mut line = json!({ "server_id": servers[n], "method": "tools/call",
            "tool_name": "any", "era": null });
        for (member, value) in log.as_object().unwrap() {
            line[member] = value.clone();
        }
        Row::new(kind, label, (status, status, code), move |by| {
            by.call(&path(kind, by), "any")
        })
        .server(servers[n])
        .says(says)
        .log(line)
    })
}

fn rows() -> Vec<Row> {
    [
        failing(
            "gone",
            ["gone-legacy", "gone-modern"],
            ("upstream_connect", 502, -31502),
            &["server gone-", "is unreachable", "try again later"],
            &json!({ "error_message": "~connect failed" }),
        ),
        failing(
            "hasty",
            ["hasty-legacy", "hasty-modern"],
            ("upstream_broken", 502, -31502),
            &[
                "server hasty-",
                "closed the connection without answering",
                "look before you ask",
            ],
            &json!({ "error_message": "~closed the connection" }),
        ),
        failing(
            "slow",
            ["slow-legacy", "slow-modern"],
            ("upstream_timeout", 504, -31504),
            &[
                "server slow-",
                "did not answer in time",
                "look before you ask again",
            ],
            &json!({ "error_message": "~did not answer in time" }),
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Servers that do not accept what the gateway proves to them, or to which it proves nothing.
fn unaccepted() -> Vec<Row> {
    [
        failing(
            "closed",
            ["closed-legacy", "closed-modern"],
            ("upstream_credential", 502, -31502),
            &[
                "server closed-",
                "credential was refused (HTTP 401)",
                "servers[].upstream_auth",
            ],
            &json!({ "error_message": "~refused the gateway's credential (HTTP 401)" }),
        ),
        failing(
            "narrow",
            ["narrow-legacy", "narrow-modern"],
            ("upstream_credential", 502, -31502),
            &[
                "server narrow-",
                "does not suffice (HTTP 403)",
                "servers[].upstream_auth",
            ],
            &json!({ "error_message": "~refused the gateway's credential (HTTP 403)" }),
        ),
        failing(
            "bare",
            ["bare-legacy", "bare-modern"],
            ("upstream_credential", 502, -31502),
            &[
                "server bare-",
                "the gateway has none for it (HTTP 401)",
                "servers[].forward_authorization",
            ],
            &json!({ "error_message": "~wants a credential" }),
        ),
        failing(
            "shut",
            ["shut-legacy", "shut-modern"],
            ("upstream_credential", 502, -31502),
            &[
                "server shut-",
                "has no credential for it (HTTP 403)",
                "servers[].upstream_auth",
            ],
            &json!({ "error_message": "~wants a credential" }),
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What a server does with calls; with everything else it does well.
fn at_calls(
    steps: impl Fn() -> Vec<Step> + Send + Sync + 'static,
) -> impl Fn(&Recorded) -> Vec<Step> + Send + Sync + 'static {
    move |request| match request.rpc_method().as_str() {
        "tools/call" => steps(),
        _ => friendly(request),
    }
}

#[tokio::test]
async fn what_a_server_fails_at_is_refused_as_its_rows_say() {
    let hasty = Upstream::start(at_calls(|| vec![Step::Close])).await;
    let slow = Upstream::start(at_calls(|| vec![Step::AwaitDeparture])).await;
    let closed = Upstream::start(at_calls(|| answer("401 Unauthorized", &[], b""))).await;
    let narrow = Upstream::start(at_calls(|| answer("403 Forbidden", &[], b""))).await;
    let gone = format!("http://{}/mcp", free_address());
    let credential = json!({ "bearer": { "token": "of-the-gateway" } });
    let servers: Vec<Value> = ["legacy", "modern"]
        .into_iter()
        .flat_map(|era| {
            let server = |kind: &str, url: String| {
                json!({ "id": format!("{kind}-{era}"), "url": url, "era": era })
            };
            let mut all = [
                server("gone", gone.clone()),
                server("hasty", hasty.url()),
                server("slow", slow.url()),
                server("closed", closed.url()),
                server("narrow", narrow.url()),
                server("bare", closed.url()),
                server("shut", narrow.url()),
            ];
            all[2]["timeout_ms"] = json!(300);
            all[3]["upstream_auth"] = credential.clone();
            all[4]["upstream_auth"] = credential.clone();
            all
        })
        .collect();
    let mut seen = BTreeSet::new();
    let config = json!({ "servers": servers, "router": { "health_check": { "enabled": false } } });
    let rows: Vec<Row> = rows().into_iter().chain(unaccepted()).collect();
    run(&config, &rows, &mut seen).await;
    assert_all(&seen, CAUSED);
}
