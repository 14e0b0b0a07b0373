//! Calls of tools: what the operator and the annotations allow.

use serde_json::json;

use super::super::ask::{call, read};
use super::super::site::Say;
use super::{Ask, Row, row};
use crate::support::upstream::{answer, end, sse_head};

pub(super) fn rows() -> Vec<Row> {
    let mut rows = gates();
    rows.extend(overrides());
    rows.extend(callers());
    rows.extend(never());
    rows.extend(unfinished());
    rows.extend(broken());
    rows
}

/// What tools say of themselves.
fn gates() -> Vec<Row> {
    vec![
        row("a tool that says nothing of itself is never cached")
            .twice(call("plain", "{}"))
            .becomes("SKIP #1, SKIP #2"),
        row("a tool that is not listed is never cached")
            .twice(call("unheard_of", "{}"))
            .becomes("SKIP #1, SKIP #2"),
        row("idempotent is not read-only: a write must be repeated")
            .twice(call("idempotent", "{}"))
            .becomes("SKIP #1, SKIP #2"),
        row("open-world is not read-only: a write must be repeated")
            .twice(call("open", "{}"))
            .becomes("SKIP #1, SKIP #2"),
        row("destructive beats read-only")
            .twice(call("torn", "{}"))
            .becomes("SKIP #1, SKIP #2"),
        row("a tool that says that it writes is never cached")
            .twice(call("write", "{}"))
            .becomes("SKIP #1, SKIP #2"),
        row("a default of zero caches nothing")
            .cache(json!({ "default_ttl": 0 }))
            .twice(call("read", "{}"))
            .becomes("SKIP #1, SKIP #2"),
        row("a cache section without a time caches what is read-only")
            .cache(json!({}))
            .twice(call("read", "{}"))
            .becomes("MISS #1, HIT #1"),
    ]
}

/// What the operator says of single tools.
fn overrides() -> Vec<Row> {
    vec![
        row("a time of zero beats read-only")
            .cache(json!({ "default_ttl": 60, "overrides": { "read": { "ttl": 0 } } }))
            .asks([
                call("read", "{}"),
                call("read", "{}"),
                call("read_more", "{}"),
            ])
            .becomes("SKIP #1, SKIP #2, MISS #1"),
        row("a time makes any tool cacheable")
            .cache(json!({ "overrides": { "plain": { "ttl": 60 } } }))
            .twice(call("plain", "{}"))
            .becomes("MISS #1, HIT #1"),
        row("a time beats a default of zero")
            .cache(json!({ "default_ttl": 0, "overrides": { "read": { "ttl": 60 } } }))
            .twice(call("read", "{}"))
            .becomes("MISS #1, HIT #1"),
        row("destructive beats a time")
            .cache(json!({ "overrides": { "destroy": { "ttl": 60 } } }))
            .twice(call("destroy", "{}"))
            .becomes("SKIP #1, SKIP #2"),
        row("rules without a time make no tool cacheable")
            .cache(json!({ "default_ttl": 60, "overrides": { "plain": { "ignore_args": ["a"] } } }))
            .twice(call("plain", "{}"))
            .becomes("SKIP #1, SKIP #2"),
        row("ignored arguments do not count, wherever they stand")
            .cache(json!({ "default_ttl": 60,
                "overrides": { "read": { "ignore_args": ["trace", "options.id", "all.*.at"] } } }))
            .asks([
                call(
                    "read",
                    r#"{"q":1,"trace":"a","options":{"id":1,"x":2},"all":{"k":{"at":1}}}"#,
                ),
                call(
                    "read",
                    r#"{"q":1,"trace":"b","options":{"x":2},"all":{"k":{"at":2}}}"#,
                ),
                call(
                    "read",
                    r#"{"q":2,"trace":"a","options":{"id":1,"x":2},"all":{"k":{"at":1}}}"#,
                ),
                call(
                    "read",
                    r#"{"q":1,"trace":"a","options":{"id":1,"x":3},"all":{"k":{"at":1}}}"#,
                ),
            ])
            .becomes("MISS #1, HIT #1, MISS #2, MISS #3"),
    ]
}

/// Who asks.
fn callers() -> Vec<Row> {
    let three = || {
        [
            call("read", "{}").by("alice"),
            call("read", "{}").by("bob"),
            call("read", "{}").by("alice"),
            call("read", "{}").by("bob"),
            // What tools do is not asked of such a server without a credential.
            call("read", "{}"),
        ]
    };
    let forward = |row: Row| row.config("forward_authorization", json!(true));
    vec![
        forward(row("credentials that the server sees share nothing"))
            .asks(three())
            .becomes("MISS #1, MISS #2, HIT #1, HIT #2, MISS #3"),
        row("credentials that the server does not see make no difference")
            .asks(three())
            .becomes("MISS #1, HIT #1, HIT #1, HIT #1, HIT #1"),
        forward(row("what the operator calls public is everybody's"))
            .cache(json!({ "default_ttl": 60, "share": "public" }))
            .asks(three())
            .becomes("MISS #1, HIT #1, HIT #1, HIT #1, HIT #1"),
        forward(row("who is of no tenant shares with none"))
            .cache(json!({ "default_ttl": 60, "share": "tenant" }))
            .asks(three())
            .becomes("MISS #1, MISS #2, HIT #1, HIT #2, MISS #3"),
        forward(row("a server cannot call the result of a call public"))
            .says(|asked| match asked.method {
                "tools/call" => Say::With(json!({ "ttlMs": 60_000, "cacheScope": "public" })),
                _ => Say::Usual,
            })
            .asks(three())
            .becomes("MISS #1, MISS #2, HIT #1, HIT #2, MISS #3"),
        forward(row(
            "what a server calls private stays so, whatever the operator says",
        ))
        .cache(json!({ "default_ttl": 60, "share": "public" }))
        .says(|asked| match asked.method {
            "tools/call" => Say::With(json!({ "cacheScope": "private" })),
            _ => Say::Usual,
        })
        .asks([call("read", "{}").by("alice"), call("read", "{}").by("bob")])
        .becomes("MISS #1, MISS #2"),
    ]
}

/// What is never stored.
fn never() -> Vec<Row> {
    vec![
        row("what a tool failed with is given and not stored")
            .says(|asked| match (asked.method, asked.n) {
                ("tools/call", 1) => Say::With(json!({ "isError": true })),
                _ => Say::Usual,
            })
            .asks([call("read", "{}"), call("read", "{}"), call("read", "{}")])
            .becomes("SKIP_ERROR #1, MISS #2, HIT #2"),
        row("an error is given as it is and not stored")
            .says(|asked| match (asked.method, asked.n) {
                ("tools/call", 1) => {
                    Say::Error(json!({ "code": -32050, "message": "no", "data": { "a": [1] } }))
                }
                _ => Say::Usual,
            })
            .asks([call("read", "{}"), call("read", "{}"), call("read", "{}")])
            .becomes("SKIP_ERROR error -32050, MISS #2, HIT #2"),
        row("a kind of result that is not known here is not stored")
            .says(|asked| match asked.method {
                "tools/call" => Say::With(json!({ "resultType": "partial" })),
                _ => Say::Usual,
            })
            .twice(call("read", "{}"))
            .becomes("MISS #1, MISS #2"),
        row("what is too large is given and not stored")
            .says(|asked| match asked.method {
                "tools/call" => Say::With(json!({ "structuredContent": {
                    "all": "x".repeat(100 * 1024) } })),
                _ => Say::Usual,
            })
            .twice(call("read", "{}"))
            .becomes("MISS #1, MISS #2"),
        row("prompts are never cached")
            .asks([prompt(), prompt()])
            .becomes("BYPASS #1, BYPASS #2"),
    ]
}

/// What is not over yet.
fn unfinished() -> Vec<Row> {
    vec![
        row("a question back is not stored, nor is what its answer brings")
            .says(|asked| match asked.method {
                "tools/call" if asked.params()["inputResponses"].is_null() => {
                    Say::Result(json!({ "resultType": "input_required", "requestState": "s",
                        "inputRequests": { "q": { "method": "elicitation/create", "params": {
                            "message": format!("#{}.", asked.n), "mode": "form",
                            "requestedSchema": { "type": "object", "properties": {} } } } } }))
                }
                _ => Say::Usual,
            })
            .asks([
                call("read", "{}").able(r#"{"elicitation":{"form":{}}}"#),
                call("read", "{}")
                    .able(r#"{"elicitation":{"form":{}}}"#)
                    .with(r#""requestState":"s","inputResponses":{"q":{"action":"accept"}}"#),
                call("read", "{}")
                    .able(r#"{"elicitation":{"form":{}}}"#)
                    .with(r#""requestState":"s","inputResponses":{"q":{"action":"accept"}}"#),
            ])
            .becomes("MISS #1, SKIP #2, SKIP #3"),
        row("a call that goes on with a state is never answered from the cache")
            .asks([
                call("read", "{}"),
                call("read", "{}").with(r#""requestState":"s""#),
                call("read", "{}").with(r#""inputResponses":{}"#),
                call("read", "{}"),
            ])
            .becomes("MISS #1, SKIP #2, SKIP #3, HIT #1"),
        row("a task is not stored")
            .says(|asked| match asked.method {
                "tools/call" => Say::Result(json!({ "resultType": "task", "taskId": "t",
                    "status": "working", "statusMessage": format!("#{}.", asked.n),
                    "createdAt": "2026-07-28T00:00:00Z", "lastUpdatedAt": "2026-07-28T00:00:00Z",
                    "ttlMs": 60_000, "pollIntervalMs": 5 })),
                _ => Say::Usual,
            })
            .twice(
                call("read", "{}").able(r#"{"extensions":{"io.modelcontextprotocol/tasks":{}}}"#),
            )
            .becomes("MISS #1, MISS #2"),
    ]
}

fn prompt() -> Ask {
    Ask::new("prompts/get").named("p")
}

/// Servers that fail.
fn broken() -> Vec<Row> {
    let again = |row: Row| {
        row.asks([
            call("read", "{}"),
            call("read", "{}"),
            call("read", "{}"),
            read("r:1"),
        ])
    };
    vec![
        again(row("what is no JSON is an error, and not stored"))
            .says(|asked| match (asked.method, asked.n) {
                ("tools/call", 1) => Say::Steps(answer(
                    "200 OK",
                    &[("content-type", "application/json")],
                    b"<p>",
                )),
                _ => Say::Usual,
            })
            .becomes("- error -31502, MISS #2, HIT #2, MISS #1"),
        again(row(
            "a stream that ends before its answer is an error, and not stored",
        ))
        .says(|asked| match (asked.method, asked.n) {
            ("tools/call", 1) => Say::Steps(vec![sse_head(), end()]),
            _ => Say::Usual,
        })
        .becomes("- error -31502, MISS #2, HIT #2, MISS #1"),
        again(row("a server that fails is an error, and not stored"))
            .says(|asked| match (asked.method, asked.n) {
                ("tools/call", 1) => Say::Steps(answer(
                    "500 Internal Server Error",
                    &[("content-type", "text/plain")],
                    b"no",
                )),
                _ => Say::Usual,
            })
            .becomes("SKIP_ERROR page 500, MISS #2, HIT #2, MISS #1"),
    ]
}
