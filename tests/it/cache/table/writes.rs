//! What calls make stale, and what they do not.

use serde_json::{Value, json};

use super::super::ask::{Ask, call, read};
use super::super::site::{Asked, Say, Speech};
use super::{Row, row};
use crate::support::upstream::answer;

pub(super) fn rows() -> Vec<Row> {
    let mut rows = named();
    rows.extend(destructive());
    rows.extend(ends());
    rows
}

/// Resources and lists that are good for a minute.
fn good(asked: &Asked<'_>) -> Say {
    match asked.method {
        "tools/call" => Say::Usual,
        _ => Say::With(json!({ "ttlMs": 60_000 })),
    }
}

/// Two tools, a resource and a list, the write, and all of them again.
fn around(write: Ask) -> Vec<Ask> {
    let all = [
        call("read", "{}"),
        call("read_more", "{}"),
        read("r:1"),
        Ask::new("prompts/list"),
    ];
    all.iter()
        .cloned()
        .chain([write])
        .chain(all.clone())
        .collect()
}

/// A call of `write` makes stale what these name.
fn writing(claim: &'static str, names: Value) -> Row {
    row(claim)
        .cache(json!({ "default_ttl": 60, "overrides": {
            "write": { "invalidates": names }, "read_more": { "tags": ["more", "all"] } } }))
        .says(good)
        .asks(around(call("write", "{}")))
}

fn named() -> Vec<Row> {
    const NOTHING: &str =
        "MISS #1, MISS #1, MISS #1, MISS #1, SKIP #1, HIT #1, HIT #1, HIT #1, HIT #1";
    const ONE: &str =
        "MISS #1, MISS #1, MISS #1, MISS #1, SKIP #1, MISS #2, HIT #1, HIT #1, HIT #1";
    const OTHER: &str =
        "MISS #1, MISS #1, MISS #1, MISS #1, SKIP #1, HIT #1, MISS #2, HIT #1, HIT #1";
    const BOTH: &str =
        "MISS #1, MISS #1, MISS #1, MISS #1, SKIP #1, MISS #2, MISS #2, HIT #1, HIT #1";
    const RESOURCE: &str =
        "MISS #1, MISS #1, MISS #1, MISS #1, SKIP #1, HIT #1, HIT #1, MISS #2, HIT #1";
    vec![
        writing("a write that names nothing makes nothing stale", json!([])).becomes(NOTHING),
        writing("a write makes stale what it names", json!(["read"])).becomes(ONE),
        writing("names are taken as they are", json!(["READ", "rea"])).becomes(NOTHING),
        writing("a wildcard names many", json!(["read*"])).becomes(BOTH),
        writing("a question mark names one character", json!(["r?ad"])).becomes(ONE),
        writing("a tag names the tools that bear it", json!(["tag:more"])).becomes(OTHER),
        writing("resources are named by URI", json!(["resource:r:1"])).becomes(RESOURCE),
        writing("resources are named by wildcard", json!(["resource:r:*"])).becomes(RESOURCE),
        writing("several names are all of them", json!(["read", "tag:all"])).becomes(BOTH),
        row("every such call does, with every spelling of the arguments")
            .cache(json!({ "default_ttl": 60, "overrides": {
                "write": { "invalidates": ["read"] } } }))
            .asks([
                call("read", "{}"),
                call("read", r#"{"a":1}"#),
                call("write", "{}"),
                call("read", "{}"),
                call("read", r#"{"a":1}"#),
                call("write", "{}"),
                call("write", "{}"),
                call("read", "{}"),
            ])
            .becomes("MISS #1, MISS #2, SKIP #1, MISS #3, MISS #4, SKIP #2, SKIP #3, MISS #5"),
        row("a call that is cached itself makes stale what it names when it is sent")
            .cache(json!({ "default_ttl": 60, "overrides": {
                "plain": { "ttl": 60, "invalidates": ["read"] } } }))
            .asks([
                call("read", "{}"),
                call("plain", "{}"),
                call("read", "{}"),
                call("plain", "{}"),
                call("read", "{}"),
            ])
            .becomes("MISS #1, MISS #1, MISS #2, HIT #1, HIT #2"),
    ]
}

fn destructive() -> Vec<Row> {
    let ask = || around(call("destroy", "{}"));
    vec![
        row("a destructive call makes all results and resources stale, and no list")
            .says(good)
            .asks(ask())
            .becomes(
                "MISS #1, MISS #1, MISS #1, MISS #1, SKIP #1, MISS #2, MISS #2, MISS #2, HIT #1",
            ),
        row("a destructive call that names something makes only that stale")
            .cache(json!({ "default_ttl": 60, "overrides": {
                "destroy": { "invalidates": ["read_more"] } } }))
            .says(good)
            .asks(ask())
            .becomes(
                "MISS #1, MISS #1, MISS #1, MISS #1, SKIP #1, HIT #1, MISS #2, HIT #1, HIT #1",
            ),
        row("a destructive call of a legacy client does, at a legacy server as a stream")
            .speaks(Speech::LegacySse)
            .asks([
                call("read", "{}").legacy(),
                call("destroy", "{}").legacy(),
                call("read", "{}").legacy(),
            ])
            .becomes("MISS #1, SKIP #1, MISS #2"),
        row("a destructive call of a modern client does, at a legacy server")
            .speaks(Speech::LegacyJson)
            .asks([
                call("read", "{}"),
                call("destroy", "{}"),
                call("read", "{}"),
            ])
            .becomes("MISS #1, SKIP #1, MISS #2"),
        row("a destructive call of a legacy client does, at a modern server")
            .asks([
                call("read", "{}").legacy(),
                call("destroy", "{}").legacy(),
                call("read", "{}").legacy(),
            ])
            .becomes("MISS #1, SKIP #1, MISS #2"),
        row("a group's write is everybody's")
            .asks([
                call("read", "{}"),
                call("destroy", "{}").header("x-conduit-group", "g"),
                call("read", "{}"),
            ])
            .becomes("MISS #1, SKIP #1, MISS #2"),
    ]
}

/// However a write ends, it was sent.
fn ends() -> Vec<Row> {
    let ends = |claim, says: fn(&Asked<'_>) -> Say| {
        row(claim).says(says).asks([
            call("read", "{}"),
            call("destroy", "{}"),
            call("read", "{}"),
        ])
    };
    vec![
        ends(
            "a write that fails may have done something",
            |asked| match asked.target() {
                "destroy" => Say::With(json!({ "isError": true })),
                _ => Say::Usual,
            },
        )
        .becomes("MISS #1, SKIP #1, MISS #2"),
        ends(
            "a write that is answered with an error may have done something",
            |asked| match asked.target() {
                "destroy" => Say::Error(json!({ "code": -32050, "message": "no" })),
                _ => Say::Usual,
            },
        )
        .becomes("MISS #1, SKIP error -32050, MISS #2"),
        ends(
            "a write whose answer is cut may have done something",
            |asked| match asked.target() {
                "destroy" => Say::Steps(vec![crate::support::upstream::Step::Reset]),
                _ => Say::Usual,
            },
        )
        .becomes("MISS #1, - error -31502, MISS #2"),
        ends(
            "a write that is answered with a status may have done something",
            |asked| match asked.target() {
                "destroy" => Say::Steps(answer(
                    "500 Internal Server Error",
                    &[("content-type", "application/json")],
                    br#"{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"no"}}"#,
                )),
                _ => Say::Usual,
            },
        )
        .becomes("MISS #1, SKIP error -32603, MISS #2"),
    ]
}
