//! Lists, `server/discover` and resources: what the server says of them, and the operator of lists.

use serde_json::{Value, json};

use super::super::ask::{Ask, read};
use super::super::site::{Asked, Say, Speech};
use super::{Row, row};

pub(super) fn rows() -> Vec<Row> {
    let mut rows = promised();
    rows.extend(unpromised());
    rows.extend(pages());
    rows.extend(scopes());
    rows.extend(by_the_operator());
    rows
}

/// Usual results that are good for a minute.
fn good(_: &Asked<'_>) -> Say {
    Say::With(json!({ "ttlMs": 60_000 }))
}

/// What a server promises is kept without a word of the operator's.
fn promised() -> Vec<Row> {
    let twice = |claim, ask: Ask| row(claim).cache(json!({})).says(good).twice(ask);
    vec![
        twice(
            "a list of tools is kept as promised",
            Ask::new("tools/list"),
        )
        .becomes("MISS #1, HIT #1"),
        twice(
            "a list of prompts is kept as promised",
            Ask::new("prompts/list"),
        )
        .becomes("MISS #1, HIT #1"),
        twice(
            "a list of resources is kept as promised",
            Ask::new("resources/list"),
        )
        .becomes("MISS #1, HIT #1"),
        twice(
            "a list of templates is kept as promised",
            Ask::new("resources/templates/list"),
        )
        .becomes("MISS #1, HIT #1"),
        twice("a resource is kept as promised", read("r:1")).becomes("MISS #1, HIT #1"),
        row("each resource by itself")
            .says(good)
            .asks([read("r:1"), read("r:2"), read("r:1")])
            .becomes("MISS #1, MISS #1, HIT #1"),
        row("what a modern server promised is kept for legacy clients, too")
            .says(good)
            .asks([
                read("r:1"),
                read("r:1").legacy(),
                Ask::new("tools/list").legacy(),
                Ask::new("tools/list"),
            ])
            .becomes("MISS #1, HIT #1, MISS #1, HIT #1"),
        row("an error is not kept")
            .says(|asked| match asked.n {
                1 => Say::Error(json!({ "code": -32002, "message": "no such resource" })),
                _ => good(asked),
            })
            .asks([read("r:1"), read("r:1"), read("r:1")])
            .becomes("SKIP_ERROR error -32002, MISS #2, HIT #2"),
    ]
}

/// Times that are none. What cannot be kept is not waited for together either.
fn unpromised() -> Vec<Row> {
    fn with(ttl: Value) -> Say {
        Say::With(json!({ "ttlMs": ttl }))
    }
    let never = |claim, says: fn(&Asked<'_>) -> Say| {
        row(claim)
            .says(says)
            .asks([
                read("r:1"),
                read("r:1"),
                Ask::new("tools/list"),
                Ask::new("tools/list"),
            ])
            .becomes("MISS #1, MISS #2, MISS #1, MISS #2")
    };
    vec![
        never("without a time nothing is kept", |_| Say::Usual),
        never("a time of zero keeps nothing", |_| with(json!(0))),
        never("a negative time keeps nothing", |_| with(json!(-60_000))),
        never("a time with a fraction keeps nothing", |_| {
            with(json!(60_000.5))
        }),
        never("a time that is a text keeps nothing", |_| {
            with(json!("60000"))
        }),
        never("a time that is null keeps nothing", |_| with(Value::Null)),
        row("a time without end is kept, for a while")
            .says(|_| with(json!(u64::MAX)))
            .twice(read("r:1"))
            .becomes("MISS #1, HIT #1"),
        row("what is no list is given and not kept")
            .says(|asked| match asked.method {
                "tools/list" => Say::With(json!({ "ttlMs": 60_000,
                    "tools": format!("#{}.", asked.n) })),
                _ => Say::Usual,
            })
            .twice(Ask::new("tools/list"))
            .becomes("MISS #1, MISS #2"),
        row("a legacy server promises nothing")
            .speaks(Speech::LegacyJson)
            .says(good)
            .twice(read("r:1").legacy())
            .becomes("BYPASS #1, BYPASS #2"),
    ]
}

fn pages() -> Vec<Row> {
    let list = || Ask::new("tools/list");
    vec![
        row("each page is kept by itself")
            .says(good)
            .asks([list(), list().page("two"), list(), list().page("two")])
            .becomes("MISS #1, MISS #2, HIT #1, HIT #2"),
        row("each page is kept as long as it says")
            .says(|asked| match asked.params()["cursor"].as_str() {
                None => good(asked),
                Some(_) => Say::With(json!({ "ttlMs": 0 })),
            })
            .asks([list(), list().page("two"), list()])
            .becomes("MISS #1, MISS #2, HIT #1"),
        row("a cursor that no page gave out says nothing of the others")
            .says(|asked| match asked.params()["cursor"].as_str() {
                None => good(asked),
                Some(_) => Say::Error(json!({ "code": -32602, "message": "no such page" })),
            })
            .asks([list(), list().page("x"), list()])
            .becomes("MISS #1, SKIP_ERROR error -32602, HIT #1"),
        row("a page that is refused is not kept, nor is what it was the next page of")
            .says(|asked| match asked.params()["cursor"].as_str() {
                None => Say::With(json!({ "ttlMs": 60_000, "nextCursor": "x" })),
                Some(_) => Say::Error(json!({ "code": -32602, "message": "no such page" })),
            })
            .asks([list(), list().page("x"), list().page("x"), list()])
            .becomes("MISS #1, SKIP_ERROR error -32602, SKIP_ERROR error -32602, MISS #4"),
        row("another error to a page leaves the others")
            .says(|asked| match asked.params()["cursor"].as_str() {
                None => good(asked),
                Some(_) => Say::Error(json!({ "code": -32603, "message": "not now" })),
            })
            .asks([list(), list().page("x"), list()])
            .becomes("MISS #1, SKIP_ERROR error -32603, HIT #1"),
    ]
}

fn scopes() -> Vec<Row> {
    fn scoped(scope: &str) -> Say {
        Say::With(json!({ "ttlMs": 60_000, "cacheScope": scope }))
    }
    let of = |claim, says: fn(&Asked<'_>) -> Say| {
        row(claim)
            .config("forward_authorization", json!(true))
            .says(says)
            .asks([
                read("r:1").by("alice"),
                read("r:1").by("bob"),
                read("r:1").by("alice"),
                read("r:1"),
            ])
    };
    vec![
        of("a public result is everybody's", |_| scoped("public"))
            .becomes("MISS #1, HIT #1, HIT #1, HIT #1"),
        of("a private result is one caller's", |_| scoped("private"))
            .becomes("MISS #1, MISS #2, HIT #1, MISS #3"),
        of("a result that does not say is one caller's", good)
            .becomes("MISS #1, MISS #2, HIT #1, MISS #3"),
        of(
            "a result that says what is not known is one caller's",
            |_| scoped("Public"),
        )
        .becomes("MISS #1, MISS #2, HIT #1, MISS #3"),
        of("private beats the operator's public", |_| scoped("private"))
            .cache(json!({ "share": "public" }))
            .becomes("MISS #1, MISS #2, HIT #1, MISS #3"),
        of("where a server does not say, the operator may", good)
            .cache(json!({ "share": "public" }))
            .becomes("MISS #1, HIT #1, HIT #1, HIT #1"),
    ]
}

fn by_the_operator() -> Vec<Row> {
    let list = || Ask::new("tools/list");
    vec![
        row("the operator's time keeps lists that promise nothing, and no resources")
            .cache(json!({ "list_ttl": 60 }))
            .asks([list(), list(), read("r:1"), read("r:1")])
            .becomes("MISS #1, HIT #1, MISS #1, MISS #2"),
        row("the operator's time keeps lists of legacy servers")
            .cache(json!({ "list_ttl": 60 }))
            .speaks(Speech::LegacyJson)
            .asks([list().legacy(), list().legacy(), list()])
            .becomes("MISS #1, HIT #1, HIT #1"),
        row("an operator's time of zero takes no promise back")
            .cache(json!({ "list_ttl": 0 }))
            .says(good)
            .twice(list())
            .becomes("MISS #1, HIT #1"),
    ]
}
