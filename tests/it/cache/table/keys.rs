//! What makes two calls the same.

use super::super::ask::call;
use super::super::site::Speech;
use super::{Row, row};

pub(super) fn rows() -> Vec<Row> {
    let mut rows = arguments();
    rows.extend(around());
    rows
}

/// What clients write.
fn arguments() -> Vec<Row> {
    vec![
        row("a result is used again")
            .twice(call("read", "{}"))
            .becomes("MISS #1, HIT #1"),
        row("other arguments are another call")
            .asks([call("read", r#"{"a":1}"#), call("read", r#"{"a":2}"#)])
            .becomes("MISS #1, MISS #2"),
        row("another tool is another call")
            .asks([call("read", "{}"), call("read_more", "{}")])
            .becomes("MISS #1, MISS #1"),
        row("the order of arguments does not matter, at any depth")
            .asks([
                call("read", r#"{"a":1,"b":{"c":[2],"d":null}}"#),
                call("read", r#"{ "b": {"d":null, "c":[ 2 ]}, "a":1}"#),
            ])
            .becomes("MISS #1, HIT #1"),
        row("the order of items matters")
            .asks([
                call("read", r#"{"a":[1,2]}"#),
                call("read", r#"{"a":[2,1]}"#),
            ])
            .becomes("MISS #1, MISS #2"),
        row("two spellings of a number are one")
            .asks([
                call("read", r#"{"a":1}"#),
                call("read", r#"{"a":1.0}"#),
                call("read", r#"{"a":10e-1}"#),
            ])
            .becomes("MISS #1, HIT #1, HIT #1"),
        row("numbers that a double cannot tell apart are two")
            .asks([
                call("read", r#"{"a":9007199254740992}"#),
                call("read", r#"{"a":9007199254740993}"#),
                call("read", r#"{"a":9007199254740992}"#),
            ])
            .becomes("MISS #1, MISS #2, HIT #1"),
        row("two spellings of a text are one, and a number is no text")
            .asks([
                call("read", r#"{"a":"A1"}"#),
                call("read", r#"{"a":"\u00411"}"#),
                call("read", r#"{"a":1}"#),
            ])
            .becomes("MISS #1, HIT #1, MISS #2"),
        row("null is not absent")
            .asks([call("read", r#"{"a":null}"#), call("read", "{}")])
            .becomes("MISS #1, MISS #2"),
        row("what stands twice is never answered from the cache")
            .twice(call("read", r#"{"a":1,"a":2}"#))
            .becomes("SKIP #1, SKIP #2"),
    ]
}

/// What stands around it.
fn around() -> Vec<Row> {
    vec![
        row("groups share nothing")
            .asks([
                call("read", "{}").header("x-conduit-group", "a"),
                call("read", "{}").header("x-conduit-group", "b"),
                call("read", "{}"),
                call("read", "{}").header("x-conduit-group", "a"),
            ])
            .becomes("MISS #1, MISS #2, MISS #3, HIT #1"),
        row("what a vendor has in _meta goes to the server, and is part of the question")
            .asks([
                call("read", "{}").meta(r#""openai/subject":"alice""#),
                call("read", "{}").meta(r#""openai/subject":"bob""#),
                call("read", "{}"),
                call("read", "{}")
                    .meta(r#""openai/subject":"alice""#)
                    .legacy(),
            ])
            .becomes("MISS #1, MISS #2, MISS #3, HIT #1"),
        row("a progress token and a trace are no part of the question")
            .asks([
                call("read", "{}").meta(r#""progressToken":1"#),
                call("read", "{}").meta(r#""traceparent":"00-a","progressToken":"b""#),
                call("read", "{}").legacy(),
            ])
            .becomes("MISS #1, HIT #1, HIT #1"),
        row("both eras share")
            .asks([
                call("read", "{}"),
                call("read", "{}").legacy(),
                call("read", r#"{"a":1}"#).legacy(),
                call("read", r#"{"a":1}"#),
            ])
            .becomes("MISS #1, HIT #1, MISS #2, HIT #2"),
        row("both eras share what a legacy server said")
            .speaks(Speech::LegacyJson)
            .asks([
                call("read", "{}"),
                call("read", "{}").legacy(),
                call("read", r#"{"a":1}"#).legacy(),
                call("read", r#"{"a":1}"#),
            ])
            .becomes("MISS #1, HIT #1, MISS #2, HIT #2"),
        row("what came as a stream is stored")
            .speaks(Speech::ModernSse)
            .twice(call("read", "{}"))
            .becomes("MISS #1, HIT #1"),
        row("what came as a stream of a legacy server is stored")
            .speaks(Speech::LegacySse)
            .twice(call("read", "{}").legacy())
            .becomes("MISS #1, HIT #1"),
    ]
}
