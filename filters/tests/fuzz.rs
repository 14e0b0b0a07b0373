//! The bodies of the fuzz targets, on generated input.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail loudly"
)]

use std::cell::Cell;

use filters::fuzz;
use filters::fuzz::SEPARATOR;
use filters::fuzz::Served;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

/// Failures are seen by who broke it: nothing is written beside the sources.
fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 20_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// JSON texts that often mean the same, spelled differently.
fn spelled() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "-?(0|[1-9][0-9]{0,2})(\\.[0-2]{1,3})?([eE][+-]?[0-9]{1,2})?",
        prop::sample::select(vec![
            "null",
            "true",
            "1",
            "1.0",
            "10e-1",
            "0.1e1",
            "-0",
            "0e7",
            "9007199254740993",
            "1e9223372036854775807",
            r#""a""#,
            r#""\u0061""#,
            r#""\n""#,
            r#""\u000A""#,
            "\"\u{e000}\"",
            "\"🦀\"",
            r#""\ud83e\udd80""#,
            r#""/""#,
            r#""\/""#,
            r#""\ud800""#,
        ])
        .prop_map(str::to_owned),
    ];
    let name = prop::sample::select(vec![
        r#""a""#,
        r#""\u0061""#,
        r#""b""#,
        r#" "\n" "#,
        r#""\u000a""#,
        r#""""#,
        "\"\u{e000}\"",
        "\"🦀\"",
    ]);
    leaf.prop_recursive(3, 12, 4, move |inner| {
        let list = prop::collection::vec(inner.clone(), 0..3);
        let members = prop::collection::vec((name.clone(), inner), 0..4);
        prop_oneof![
            list.prop_map(|items| format!("[{}]", items.join(", "))),
            members.prop_map(|members| {
                let texts = members
                    .iter()
                    .map(|(name, value)| format!("{name}:{value}"));
                format!("{{{}}}", texts.collect::<Vec<_>>().join(","))
            }),
        ]
    })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn canonical_texts_are_equal_where_the_meaning_is(
        one in spelled(),
        other in spelled(),
        path in "[ab*\n🦀]?(\\.[ab*\n])?",
    ) {
        fuzz::canonical(format!("{one}{SEPARATOR}{other}{SEPARATOR}{path}").as_bytes());
    }

    #[test]
    fn what_is_hardly_json_is_judged_as_serde_does(
        text in any::<String>(),
        json in "[\\[\\]{}\":,\\\\u0-9dDeE.+\\- tn]{0,40}",
    ) {
        fuzz::canonical(text.as_bytes());
        fuzz::canonical(json.as_bytes());
        fuzz::message(text.as_bytes());
        fuzz::message(json.as_bytes());
    }
}

/// Members that often make a message, or nearly one.
fn messages() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "id",
        "method",
        "params",
        "result",
        "error",
        "jsonrpc",
        "x",
        "Method",
        r"m\u0065thod",
        r"\ud800",
    ]);
    let member = prop::sample::select(vec![
        "name",
        "_meta",
        "uri",
        "arguments",
        "cursor",
        "taskId",
        "requestId",
        "Name",
        r"n\u0061me",
        "y",
        r"\udfff",
    ]);
    let value = prop_oneof![
        3 => spelled(),
        1 => prop::sample::select(vec!["1", "null", r#""2.0""#, r#""a\u0062""#, r#""\ud800""#, "01", "{", ""])
            .prop_map(str::to_owned),
    ];
    let object = |members: Vec<(&'static str, String)>| {
        let texts = members
            .iter()
            .map(|(name, value)| format!(r#""{name}": {value} "#));
        format!("{{{}}}", texts.collect::<Vec<_>>().join(","))
    };
    let params = prop::collection::vec((member, value.clone()), 0..5).prop_map(object);
    let inner = prop_oneof![2 => value, 3 => params];
    let members = prop::collection::vec((name, inner), 0..4);
    (any::<[bool; 3]>(), members).prop_map(move |([is_request, has_id, is_versioned], members)| {
        let fixed = [
            (is_request, ("method", r#""tools/call""#.to_owned())),
            (has_id, ("id", "7".to_owned())),
            (is_versioned, ("jsonrpc", r#""2.0""#.to_owned())),
        ];
        let fixed = fixed
            .into_iter()
            .filter_map(|(is_there, member)| is_there.then_some(member));
        object(members.into_iter().chain(fixed).collect())
    })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_message_says_to_one_reader_what_it_says_to_another(text in messages()) {
        fuzz::message(text.as_bytes());
    }
}

/// Claims that are often of the right kind.
fn claims() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "sub", "exp", "nbf", "aud", "org.id", "org", "scope", "x",
    ]);
    let value = prop::sample::select(vec![
        "1",
        "1.5",
        "-1",
        "1e9",
        "1e300",
        "null",
        r#""a""#,
        r#""a b""#,
        r#""\u0000""#,
        r#"["a"]"#,
        r#"["a",1]"#,
        r#"{"id":"t"}"#,
        "[]",
    ]);
    let members = prop::collection::vec((name, value), 0..6);
    members.prop_map(|members| {
        let texts = members
            .iter()
            .map(|(name, value)| format!("\"{name}\":{value}"));
        format!("{{{}}}", texts.collect::<Vec<_>>().join(","))
    })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn guardrails_find_what_their_paths_say(
        path in "(a|b|0|1|\\*|\\*\\*|a\\\\.b)(\\.(a|b|0|1|\\*|\\*\\*)){0,3}",
        value in spelled(),
        text in any::<String>(),
    ) {
        fuzz::guard(format!("{path}{SEPARATOR}{value}{SEPARATOR}{text}").as_bytes());
    }

    #[test]
    fn guardrails_take_what_is_hardly_json(
        value in "[\\[\\]{}\":,\\\\u0-9dDeE.+\\- ab]{0,40}",
        text in "[0-9 +\\-().@a-zA-Z:/<>|_]{0,60}",
    ) {
        fuzz::guard(format!("a{SEPARATOR}{value}{SEPARATOR}{text}").as_bytes());
        fuzz::guard(value.as_bytes());
    }

    #[test]
    fn a_credential_is_one_or_none(
        header in prop_oneof![
            "[bB]earer [a-zA-Z0-9._-]{0,40}",
            r#"\{"(alg|kid|typ|crit)":"(RS256|none|HS256|JWT|)"(,"(alg|kid)":("RS256"|1))?\}"#,
            any::<String>(),
        ],
        key in "[a-c ]{0,3}",
        claims in claims(),
    ) {
        fuzz::credential(format!("{header}\n{key}\n{claims}").as_bytes());
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_message_is_read_as_anybody_reads_it(
        members in prop::collection::vec(member(), 0..5),
        params in prop::collection::vec(param(), 0..4),
        shape in 0_u8..4,
    ) {
        let object = |members: &[String]| format!("{{{}}}", members.join(","));
        let params = format!(r#""params":{}"#, object(&params));
        let mut members = members;
        members.push(params);
        let message = object(&members);
        let text = match shape {
            0 => format!("[{message},{message}]"),
            1 => message.replace(':', " :\t"),
            _ => message,
        };
        fuzz::message(text.as_bytes());
    }

    #[test]
    fn a_glob_is_its_wildcards(pattern in "[ab*?é]{0,8}", text in "[abé]{0,10}") {
        fuzz::glob(format!("{pattern}\n{text}").as_bytes());
    }

    #[test]
    fn what_is_shown_has_nothing_to_hide(value in spelled(), text in "[0-9a-z@. +-]{0,30}") {
        fuzz::redaction(value.as_bytes());
        fuzz::redaction(format!("{{\"k\":\"{text}\",\"password\":1}}").as_bytes());
    }
}

/// A member of a message, often one that matters.
fn member() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        r#""jsonrpc":"2.0""#,
        r#""jsonrpc":"2.0""#,
        r#""json\u0072pc":"2.0""#,
        r#""id":1"#,
        r#""id":"a""#,
        r#""id":null"#,
        r#""i\u0064":2"#,
        r#""method":"tools/call""#,
        r#""method":"tools\/call""#,
        r#""Method":"ping""#,
        r#""method":"notifications/cancelled""#,
        r#""result":{}"#,
        r#""error":{"code":1,"message":"m"}"#,
        r#""extra":[1,{"id":2}]"#,
    ])
    .prop_map(str::to_owned)
}

/// A member of its params.
fn param() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        r#""name":"t""#,
        r#""n\u0061me":"u""#,
        r#""Name":"v""#,
        r#""name":7"#,
        r#""name":null"#,
        r#""uri":"x://y""#,
        r#""arguments":{"a":1e3}"#,
        r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#,
        r#""_meta":{"progressToken":1}"#,
        r#""requestId":1"#,
        r#""cursor":"c""#,
        r#""other":[null]"#,
    ])
    .prop_map(str::to_owned)
}

/// A member whose name some readers take for `name`.
fn named(name: &'static str) -> impl Strategy<Value = String> + Clone {
    let mut letters = name.chars();
    let first = letters.next().unwrap();
    let rest = letters.as_str();
    prop::sample::select(vec![
        name.to_owned(),
        name.to_owned(),
        name.to_owned(),
        name.to_owned(),
        name.to_uppercase(),
        format!("{}{rest}", first.to_uppercase()),
        format!("\\u{:04x}{rest}", u32::from(first)),
        name.replacen('s', "\u{17f}", 1),
        name.replacen('s', r"\u017f", 1),
        format!(r"\ud800{name}"),
        format!(r"{name}\u0000"),
    ])
}

fn object_of(members: Vec<(String, String)>) -> String {
    let members = members
        .iter()
        .map(|(name, value)| format!(r#""{name}": {value}"#));
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

/// Answers to list requests and news of resources, or nearly such.
fn screened() -> impl Strategy<Value = String> {
    let key = prop::sample::select(vec![
        r#""a""#,
        r#""a1""#,
        r#""a1""#,
        r#""b""#,
        r#""\u0062""#,
        r#""c""#,
        r#""\ud800a""#,
        r#"["a"]"#,
        "7",
    ])
    .prop_map(str::to_owned);
    let members = prop_oneof![
        3 => (named("name"), key.clone()),
        1 => (named("uri"), key.clone()),
        1 => (named("uriTemplate"), key.clone()),
        1 => (named("title"), key.clone()),
    ];
    let item = prop_oneof![
        6 => prop::collection::vec(members, 1..4).prop_map(object_of),
        1 => key.clone(),
    ];
    let items =
        prop::collection::vec(item, 0..4).prop_map(|items| format!("[{}]", items.join(",")));
    let list = prop_oneof![6 => items, 1 => key.clone()];
    let lists = prop_oneof![
        4 => (named("tools"), list.clone()),
        1 => (named("prompts"), list.clone()),
        2 => (named("resources"), list.clone()),
        1 => (named("resourceTemplates"), list),
        1 => (named("cacheScope"), Just(r#""public""#.to_owned())),
    ];
    let result = prop::collection::vec(lists, 0..3).prop_map(object_of);
    let uris = prop::collection::vec((named("uri"), key), 0..3)
        .prop_map(object_of)
        .boxed();
    let updated = r#""notifications/resources/updated""#.to_owned();
    let either = prop_oneof![
        3 => (named("result"), result),
        1 => (named("params"), uris.clone()),
    ];
    let news = (Just(updated), uris);
    (
        prop::collection::vec(either, 1..3),
        news,
        any::<bool>(),
        0_u8..8,
    )
        .prop_map(|(mut members, (updated, uris), is_news, shape)| {
            if is_news {
                members.truncate(usize::from(shape % 2));
                members.push(("method".to_owned(), updated));
                members.push(("params".to_owned(), uris));
            } else {
                members.push(("id".to_owned(), "1".to_owned()));
            }
            members.push(("jsonrpc".to_owned(), r#""2.0""#.to_owned()));
            let message = object_of(members);
            match shape {
                0 => format!("[{message},{message}]"),
                1 => message.replace(':', " :\t"),
                2 => message.trim_end_matches('}').to_owned(),
                _ => message,
            }
        })
}

#[test]
fn no_reader_finds_what_is_denied_in_what_is_shown() {
    let n_shown = Cell::new(0);
    let outcome = TestRunner::new(config()).run(&screened(), |text| {
        n_shown.set(n_shown.get() + fuzz::screen(text.as_bytes()));
        Ok(())
    });
    outcome.unwrap();
    let n_shown = n_shown.get();
    assert!(n_shown > 10_000, "something was shown: {n_shown}");
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn whatever_is_hardly_json_shows_nothing_that_is_denied(
        text in any::<String>(),
        json in messages(),
        other in spelled(),
    ) {
        fuzz::screen(text.as_bytes());
        fuzz::screen(json.as_bytes());
        fuzz::screen(format!(r#"{{"jsonrpc":"2.0","id":1,"result":{other}}}"#).as_bytes());
    }
}

#[test]
fn what_was_once_found_holds_still() {
    type Target = fn(&[u8]);
    let targets: [(&str, Target); 7] = [
        ("canonical", fuzz::canonical),
        ("credential", fuzz::credential),
        ("glob", fuzz::glob),
        ("guard", fuzz::guard),
        ("message", fuzz::message),
        ("redaction", fuzz::redaction),
        ("screen", |data| {
            fuzz::screen(data);
        }),
    ];
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds");
    for (target, run) in targets {
        let entries = std::fs::read_dir(folder.join(target)).unwrap();
        let mut n_seeds = 0;
        for entry in entries {
            run(&std::fs::read(entry.unwrap().path()).unwrap());
            n_seeds += 1;
        }
        assert!(n_seeds > 0, "{target} has no seeds");
    }
}

#[test]
fn no_caller_is_given_what_is_anothers() {
    // Few choices make callers and questions meet; many make them differ in all ways.
    let steps = prop_oneof![
        prop::collection::vec(0_u8..4, 0..80),
        prop::collection::vec(any::<u8>(), 0..160),
    ];
    let total = Cell::new(Served::default());
    let mut runner = TestRunner::new(config());
    let outcome = runner.run(&steps, |data| {
        let (served, sum) = (fuzz::isolation(&data), total.get());
        total.set(Served {
            own: sum.own + served.own,
            tenant: sum.tenant + served.tenant,
            public: sum.public + served.public,
        });
        Ok(())
    });
    outcome.unwrap();
    let total = total.get();
    assert!(
        total.own > 200 && total.tenant > 200 && total.public > 200,
        "the model cache was used: {total:?}"
    );
}
