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
