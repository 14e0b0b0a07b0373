//! What becomes of results as they grow old.

use serde_json::json;

use super::super::ask::{Ask, call, read};
use super::super::site::{Asked, Say};
use super::Do::Reach;
use super::{Do, Row, row};
use crate::support::upstream::answer;

pub(super) fn rows() -> Vec<Row> {
    let mut rows = calls();
    rows.extend(lists());
    rows
}

/// The second answer is a failure.
fn fails_second(asked: &Asked<'_>) -> Say {
    match asked.n {
        2 => failure(),
        _ => Say::Usual,
    }
}

fn failure() -> Say {
    let plain = [("content-type", "text/plain")];
    Say::Steps(answer("503 Service Unavailable", &plain, b"no"))
}

fn then(state: &'static str, ask: Ask) -> [Do; 3] {
    [ask.clone().into(), Reach(state), ask.into()]
}

fn calls() -> Vec<Row> {
    let ask = || call("read", "{}");
    vec![
        row("what is over is not given")
            .cache(json!({ "default_ttl": 1 }))
            .does(then("expired", ask()))
            .becomes("MISS #1, MISS #2"),
        row("what is over is not given, failure or not")
            .cache(json!({ "default_ttl": 1 }))
            .says(|asked| match asked.method {
                "tools/call" => fails_second(asked),
                _ => Say::Usual,
            })
            .does(then("expired", ask()))
            .becomes("MISS #1, SKIP_ERROR page 503"),
        row("a tool's own time is its own")
            .cache(json!({ "default_ttl": 60, "overrides": { "read": { "ttl": 1 } } }))
            .does(then("expired", ask()))
            .becomes("MISS #1, MISS #2"),
        row("what is old is given while a new one is fetched")
            .cache(json!({ "default_ttl": 1, "stale_while_revalidate": 60 }))
            .does(then("stale", ask()))
            .does([Reach("fresh"), ask().into()])
            .becomes("MISS #1, STALE #1, HIT #2")
            .needs_ears(),
        row("what is old is given where fetching a new one fails")
            .cache(json!({ "default_ttl": 1, "stale_if_error": 60 }))
            .says(|asked| match asked.method {
                "tools/call" => fails_second(asked),
                _ => Say::Usual,
            })
            .does(then("stale", ask()))
            .asks([ask()])
            .becomes("MISS #1, STALE #1, REVALIDATED #3")
            .needs_ears(),
        row("an error that a server answers with is no failure to reach it")
            .cache(json!({ "default_ttl": 1, "stale_if_error": 60 }))
            .says(|asked| match (asked.method, asked.n) {
                ("tools/call", 2) => Say::Error(json!({ "code": -32050, "message": "no" })),
                _ => Say::Usual,
            })
            .does(then("stale", ask()))
            .becomes("MISS #1, SKIP_ERROR error -32050")
            .needs_ears(),
        row("a tool's own staleness is its own")
            .cache(json!({ "default_ttl": 1, "stale_while_revalidate": 60,
                "overrides": { "read": { "stale_while_revalidate": 0 } } }))
            .does(then("expired", ask()))
            .becomes("MISS #1, MISS #2"),
    ]
}

fn lists() -> Vec<Row> {
    // Good for the blink of an eye at first, and for a minute from then on.
    fn brief(asked: &Asked<'_>) -> Say {
        let ttl = if asked.n == 1 { 50 } else { 60_000 };
        Say::With(json!({ "ttlMs": ttl }))
    }
    let list = || Ask::new("tools/list");
    vec![
        row("a resource is over when its server says so")
            .says(brief)
            .does(then("expired", read("r:1")))
            .asks([read("r:1")])
            .becomes("MISS #1, MISS #2, HIT #2"),
        row("an old list is given while a new one is fetched")
            .cache(json!({}))
            .says(brief)
            .does(then("stale", list()))
            .does([Reach("fresh"), list().into()])
            .becomes("MISS #1, STALE #1, HIT #2")
            .needs_ears(),
        row("an old list is given where fetching a new one fails")
            .cache(json!({ "list_stale_while_revalidate": 0 }))
            .says(|asked| match asked.n {
                2 => failure(),
                _ => brief(asked),
            })
            .does(then("stale", list()))
            .asks([list(), list()])
            .becomes("MISS #1, STALE #1, REVALIDATED #3, HIT #3")
            .needs_ears(),
        row("an old list is not given where the operator says so")
            .cache(json!({ "list_stale_while_revalidate": 0, "list_stale_if_error": 0 }))
            .says(brief)
            .does(then("expired", list()))
            .becomes("MISS #1, MISS #2"),
    ]
}
