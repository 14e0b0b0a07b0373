use super::*;

#[test]
fn each_request_has_its_need_and_a_request_of_no_ability_has_none() {
    let rows = [
        ("elicitation/create", "{}", Some(Need::ElicitationForm)),
        (
            "elicitation/create",
            r#"{"mode":"form"}"#,
            Some(Need::ElicitationForm),
        ),
        (
            "elicitation/create",
            r#"{"mode":"url"}"#,
            Some(Need::ElicitationUrl),
        ),
        (
            "elicitation/create",
            r#"{"mode":"\u0075rl"}"#,
            Some(Need::ElicitationUrl),
        ),
        (
            "sampling/createMessage",
            r#"{"tools":null}"#,
            Some(Need::Sampling),
        ),
        ("sampling/createMessage", "not json", Some(Need::Sampling)),
        (
            "sampling/createMessage",
            r#"{"tools":[]}"#,
            Some(Need::SamplingTools),
        ),
        (
            "sampling/createMessage",
            r#"{"toolChoice":{}}"#,
            Some(Need::SamplingTools),
        ),
        ("roots/list", "{}", Some(Need::Roots)),
        ("ping", "{}", None),
        ("tools/call", "{}", None),
    ];
    for (method, params, expected) in rows {
        assert_eq!(need(method, params), expected, "{method} {params}");
    }
}

#[test]
fn only_a_declared_ability_meets_a_need() {
    let all = [
        Need::ElicitationForm,
        Need::ElicitationUrl,
        Need::Sampling,
        Need::SamplingTools,
        Need::Roots,
    ];
    let met = |capabilities: &str| {
        all.map(|need| {
            if declares(capabilities, need) {
                '1'
            } else {
                '0'
            }
        })
        .iter()
        .collect::<String>()
    };
    let rows = [
        ("{}", "00000"),
        ("[]", "00000"),
        (
            r#"{"elicitation":null,"sampling":false,"roots":0}"#,
            "00000",
        ),
        (r#"{"elicitation":{}}"#, "10000"),
        (r#"{"elicitation":{"form":{}}}"#, "10000"),
        (r#"{"elicitation":{"url":{}}}"#, "01000"),
        (r#"{"elicitation":{"url":{},"form":{}}}"#, "11000"),
        (r#"{"sampling":{}}"#, "00100"),
        (r#"{"sampling":{"tools":{}}}"#, "00110"),
        (r#"{"roots":{"listChanged":true}}"#, "00001"),
    ];
    for (capabilities, expected) in rows {
        assert_eq!(met(capabilities), expected, "{capabilities}");
    }
    for need in all {
        assert!(declares(need.required(), need), "{need:?}");
    }
}

#[test]
fn the_same_abilities_have_one_spelling() {
    let rows = [
        ("", "{}"),
        ("[]", "{}"),
        (r#"{"roots":null,"sampling":true,"extensions":{}}"#, "{}"),
        (
            r#"{ "elicitation" : { } }"#,
            r#"{"elicitation":{"form":{}}}"#,
        ),
        (
            r#"{"elicitation":{"form":{}}}"#,
            r#"{"elicitation":{"form":{}}}"#,
        ),
        (
            r#"{"elicitation":{"url":{}}}"#,
            r#"{"elicitation":{"url":{}}}"#,
        ),
        (r#"{"roots":{"listChanged":false}}"#, r#"{"roots":{}}"#),
        (
            r#"{"roots":{"listChanged":true}}"#,
            r#"{"roots":{"listChanged":true}}"#,
        ),
        (
            r#"{"x":[ {"b":1, "a":[]}, 1.0 ],"extensions":{"v/b":{"z":1,"y":2},"v/a":{}}}"#,
            r#"{"extensions":{"v/a":{},"v/b":{"y":2,"z":1}},"x":[{"a":[],"b":1},1.0]}"#,
        ),
        (r#"{"x":1,"x":2}"#, r#"{"x":2}"#),
    ];
    for (capabilities, expected) in rows {
        assert_eq!(canonical(capabilities), expected, "{capabilities}");
        assert_eq!(canonical(expected), expected);
    }
}

#[test]
fn what_nests_too_deep_is_not_followed() {
    let nested = |depth: usize| format!(r#"{{"x":{}1{}}}"#, "[ ".repeat(depth), "]".repeat(depth));
    assert!(!canonical(&nested(DEPTH_MAX - 1)).contains(' '));
    assert!(canonical(&nested(DEPTH_MAX)).contains(' '));
    assert!(canonical(&nested(200_000)).contains(' '));
}

#[test]
fn a_handshake_declares_what_its_revision_has_words_for() {
    let full = r#"{"extensions":{"io.modelcontextprotocol/tasks":{}},"tasks":{},"elicitation":{"form":{},"url":{}},"sampling":{"tools":{},"context":{}},"roots":{},"experimental":{"v":{}}}"#;
    let url_only = r#"{"elicitation":{"url":{}}}"#;
    let rows = [
        (
            full,
            Revision::V2025_11_25,
            r#"{"elicitation":{"form":{},"url":{}},"experimental":{"v":{}},"roots":{},"sampling":{"context":{},"tools":{}}}"#,
        ),
        (
            full,
            Revision::V2025_06_18,
            r#"{"elicitation":{},"experimental":{"v":{}},"roots":{},"sampling":{}}"#,
        ),
        (
            full,
            Revision::V2025_03_26,
            r#"{"experimental":{"v":{}},"roots":{},"sampling":{}}"#,
        ),
        (url_only, Revision::V2025_11_25, url_only),
        (url_only, Revision::V2025_06_18, "{}"),
        ("{}", Revision::V2025_11_25, "{}"),
    ];
    for (capabilities, revision, expected) in rows {
        assert_eq!(for_legacy(capabilities, revision), expected, "{revision:?}");
    }
}

#[test]
fn the_union_holds_what_can_be_served_and_nothing_else() {
    let parts = [
        r#"{"tools":{"listChanged":false},"experimental":{"v":{}},"tasks":{},"logging":{}}"#,
        r#"{"tools":{"listChanged":true},"resources":{"subscribe":true},"extensions":{"io.modelcontextprotocol/tasks":{},"v/x":{}}}"#,
        r#"{"resources":{"listChanged":true},"completions":{},"prompts":{},"own":{}}"#,
        "not json",
    ];
    assert_eq!(
        merge_servers(parts, Era::Legacy),
        r#"{"completions":{},"logging":{},"prompts":{},"resources":{"listChanged":true,"subscribe":true},"tools":{"listChanged":true}}"#
    );
    assert_eq!(
        merge_servers(parts, Era::Modern),
        r#"{"completions":{},"logging":{},"prompts":{},"resources":{"listChanged":true,"subscribe":true},"tools":{"listChanged":true},"extensions":{"io.modelcontextprotocol/tasks":{}}}"#
    );
    assert_eq!(merge_servers([], Era::Modern), "{}");
    assert_eq!(merge_servers([r#"{"tools":null}"#], Era::Modern), "{}");
}

#[test]
fn abilities_that_a_client_thinks_up_make_no_text_of_their_own() {
    for (declared, expected) in [
        (r#"{"experimental":{"x":{}},"y":{"z":1}}"#, "{}"),
        (r#"{"extensions":{"com.example/a":{}}}"#, "{}"),
        (
            r#"{"sampling":{"tools":{"n":1},"n":{}},"elicitation":{"n":{}}}"#,
            r#"{"elicitation":{"form":{}},"sampling":{"tools":{}}}"#,
        ),
        (
            r#"{"extensions":{"io.modelcontextprotocol/tasks":{"n":1},"n":{}},"roots":{"n":1}}"#,
            r#"{"extensions":{"io.modelcontextprotocol/tasks":{}},"roots":{}}"#,
        ),
    ] {
        assert_eq!(known(declared), expected);
    }
}

#[test]
fn only_an_extension_that_is_an_object_declares_tasks() {
    for (capabilities, expected) in [
        (
            r#"{"extensions":{"io.modelcontextprotocol/tasks":{}}}"#,
            true,
        ),
        (
            r#"{"extensions":{"io.modelcontextprotocol/tasks":true}}"#,
            false,
        ),
        (r#"{"extensions":{"com.example/tasks":{}}}"#, false),
        (r#"{"tasks":{}}"#, false),
        ("{}", false),
        ("not json", false),
    ] {
        assert_eq!(has_tasks(capabilities), expected, "{capabilities}");
    }
}

#[test]
fn a_client_without_tasks_keeps_all_else_that_it_declared() {
    for (capabilities, expected) in [
        (
            r#"{"tasks":{"list":{}},"roots":{ "listChanged":true },"extensions":{"io.modelcontextprotocol/tasks":{},"com.example/ui":{"a":1}}}"#,
            r#"{"roots":{ "listChanged":true },"extensions":{"com.example/ui":{"a":1}}}"#,
        ),
        // Some look for the name alone.
        (
            r#"{"extensions":{"io.modelcontextprotocol/tasks":true}}"#,
            r#"{"extensions":{}}"#,
        ),
        (r#"{"x":1,"extensions":[]}"#, r#"{"x":1,"extensions":[]}"#),
        ("not json", "{}"),
    ] {
        assert_eq!(without_tasks(capabilities), expected, "{capabilities}");
    }
}
