use super::*;

fn schema(properties: &str) -> String {
    format!(r#"{{"type":"object","properties":{{{properties}}}}}"#)
}

fn mirrors() -> Mirrors {
    Mirrors::read(&schema(
        r#""region":{"type":"string","x-mcp-header":"Region"},"deep":{"type":"object","properties":{"n":{"type":"integer","x-mcp-header":"N"}}},"dry":{"type":"boolean","x-mcp-header":"Dry"},"plain":{"type":"string"}"#,
    ))
    .unwrap()
}

#[test]
fn an_annotation_that_breaks_a_rule_makes_the_tool_invalid() {
    let name = |it: &str| Invalid::Name(it.into());
    let kind = || Invalid::Type("A".into());
    let rows = [
        (r#""type":"string","x-mcp-header":"""#, Invalid::Empty),
        (r#""type":"string","x-mcp-header":7"#, Invalid::Empty),
        (r#""type":"string","x-mcp-header":"a b""#, name("a b")),
        (r#""type":"string","x-mcp-header":"a:b""#, name("a:b")),
        (r#""type":"string","x-mcp-header":"é""#, name("é")),
        (r#""type":"string","x-mcp-header":"a\r\nb""#, name("a\r\nb")),
        (r#""type":"number","x-mcp-header":"A""#, kind()),
        (r#""type":"object","x-mcp-header":"A""#, kind()),
        (r#""type":["string","null"],"x-mcp-header":"A""#, kind()),
        (r#""x-mcp-header":"A""#, kind()),
        (r#""type":"number","\u0078-mcp-header":"A""#, kind()),
    ];
    for (property, expected) in rows {
        let schema = schema(&format!(r#""a":{{{property}}}"#));
        assert_eq!(Mirrors::read(&schema), Err(expected), "{schema}");
    }
    let twice = r#""a":{"type":"string","x-mcp-header":"My"},"b":{"type":"object","properties":{"c":{"type":"string","x-mcp-header":"mY"}}}"#;
    assert_eq!(
        Mirrors::read(&schema(twice)),
        Err(Invalid::Duplicate("mY".into()))
    );
}

#[test]
fn an_annotated_schema_that_cannot_be_read_is_invalid() {
    let deep = format!(
        r#"{{"x-mcp-header":{}{}}}"#,
        "[".repeat(200),
        "]".repeat(200)
    );
    for schema in [deep.as_str(), r#"{"x-mcp-header":"A""#] {
        assert_eq!(Mirrors::read(schema), Err(Invalid::Schema), "{schema}");
    }
}

#[test]
fn only_properties_lead_to_an_annotation() {
    const ANNOTATED: &str = r#"{"type":"string","x-mcp-header":"A"}"#;
    let refused = |schema: &str| {
        assert_eq!(Mirrors::read(schema), Err(Invalid::Unreachable), "{schema}");
    };
    refused(r#"{"x-mcp-header":"A"}"#);
    for keyword in [
        "items",
        "additionalProperties",
        "not",
        "if",
        "then",
        "else",
        "contains",
    ] {
        refused(&schema(&format!(r#""a":{{"{keyword}":{ANNOTATED}}}"#)));
        let below = schema(&format!(r#""b":{ANNOTATED}"#));
        refused(&schema(&format!(r#""a":{{"{keyword}":{below}}}"#)));
    }
    for keyword in ["allOf", "anyOf", "oneOf", "prefixItems", "items"] {
        refused(&schema(&format!(r#""a":{{"{keyword}":[{ANNOTATED}]}}"#)));
    }
    for keyword in [
        "$defs",
        "definitions",
        "patternProperties",
        "dependentSchemas",
    ] {
        refused(&format!(r#"{{"{keyword}":{{"a":{ANNOTATED}}}}}"#));
    }
}

#[test]
fn what_only_looks_like_an_annotation_is_none() {
    for schema in [
        "nonsense".to_owned(),
        schema(r#""x-mcp-header":{"type":"string"}"#),
        schema(r#""a":{"type":"string","description":"x-mcp-header"}"#),
        schema(r#""a":{"default":{"x-mcp-header":"A"},"enum":[{"x-mcp-header":"A"}]}"#),
        schema(r#""a":{"const":{"x-mcp-header":"A"},"properties":[]}"#),
    ] {
        assert!(Mirrors::read(&schema).unwrap().is_empty(), "{schema}");
    }
}

#[test]
fn annotations_are_bounded() {
    let many = |n: usize| {
        let properties: Vec<_> = (0..n)
            .map(|i| format!(r#""p{i}":{{"type":"string","x-mcp-header":"H{i}"}}"#))
            .collect();
        Mirrors::read(&schema(&properties.join(","))).map(|mirrors| mirrors.0.len())
    };
    assert_eq!(many(MIRRORED_PARAMS_MAX), Ok(MIRRORED_PARAMS_MAX));
    assert_eq!(many(MIRRORED_PARAMS_MAX + 1), Err(Invalid::TooMany));
}

#[test]
fn a_call_has_the_headers_of_the_arguments_it_has() {
    let rows: [(&str, &[(&str, &str)]); 9] = [
        (
            r#"{"region":"us-west1","deep":{"n":42},"dry":false,"plain":"x"}"#,
            &[
                ("mcp-param-region", "us-west1"),
                ("mcp-param-n", "42"),
                ("mcp-param-dry", "false"),
            ],
        ),
        (r#"{"region":null,"deep":null}"#, &[]),
        (r#"{"region":{},"deep":[],"dry":[]}"#, &[]),
        ("{}", &[]),
        ("nonsense", &[]),
        (r#"{"deep":{"n":-7.0}}"#, &[("mcp-param-n", "-7")]),
        (r#"{"deep":{"n":-0}}"#, &[("mcp-param-n", "0")]),
        (
            r#"{"deep":{"n":12345678901234567890123}}"#,
            &[("mcp-param-n", "12345678901234567890123")],
        ),
        (
            r#"{"region":"Hello, 世界"}"#,
            &[("mcp-param-region", "=?base64?SGVsbG8sIOS4lueVjA==?=")],
        ),
    ];
    for (arguments, expected) in rows {
        let emitted = mirrors().emit(Some(arguments));
        let emitted: Vec<_> = emitted
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        assert_eq!(emitted, expected, "{arguments}");
    }
    assert!(mirrors().emit(None).is_empty());
}

/// What is wrong with a header of a call, by its label.
fn fault(arguments: &str, name: &str, value: &str) -> &'static str {
    let header = |asked: &str| (asked == name).then_some(value);
    match mirrors().check(Some(arguments), header) {
        Ok(()) => "",
        Err(refusal) => {
            assert_eq!((refusal.code(), refusal.status()), (-32020, 400));
            refusal.label()
        }
    }
}

#[test]
fn a_header_must_say_what_the_argument_says() {
    let region = "mcp-param-region";
    let rows = [
        (r#"{"region":"a"}"#, region, "a", ""),
        (r#"{"region":"a"}"#, region, "=?base64?YQ==?=", ""),
        (r#"{"region":"a"}"#, region, "A", "header_mismatch"),
        (
            r#"{"region":"a"}"#,
            region,
            "=?base64?YQ?=",
            "header_malformed",
        ),
        (r#"{"region":"é"}"#, region, "é", "header_malformed"),
        (r#"{"dry":true}"#, "mcp-param-dry", "true", ""),
        (
            r#"{"dry":true}"#,
            "mcp-param-dry",
            "True",
            "header_mismatch",
        ),
        (r#"{"plain":"p"}"#, "mcp-param-unknown", "q", ""),
    ];
    for (arguments, name, value, expected) in rows {
        assert_eq!(
            fault(arguments, name, value),
            expected,
            "{arguments} {value}"
        );
    }
}

#[test]
fn a_header_is_there_just_where_the_argument_is() {
    let region = "mcp-param-region";
    let rows = [
        (r#"{"region":"a"}"#, "other", "a", "header_missing"),
        (r#"{"region":""}"#, region, "", ""),
        (r#"{"region":""}"#, "other", "", "header_missing"),
        (r#"{"region":null}"#, "other", "", ""),
        (r#"{"region":null}"#, region, "null", "header_mismatch"),
        ("{}", region, "a", "header_mismatch"),
    ];
    for (arguments, name, value, expected) in rows {
        assert_eq!(
            fault(arguments, name, value),
            expected,
            "{arguments} {value}"
        );
    }
    assert_eq!(mirrors().check(None, |_| None), Ok(()));
    let refusal = mirrors()
        .check(Some(r#"{"region":"a"}"#), |_| None)
        .unwrap_err();
    assert_eq!(
        refusal.message(),
        "header mismatch: Mcp-Param-Region is missing; send what the body says"
    );
}

#[test]
fn integers_are_compared_by_their_value() {
    let rows = [
        ("42", "42.0", ""),
        ("42.0", "42", ""),
        ("4.2e1", "42", ""),
        ("-0", "0", ""),
        ("42", "43", "header_mismatch"),
        ("42", "+42", "header_mismatch"),
        ("42", "nan", "header_mismatch"),
        ("42", "", "header_mismatch"),
        ("9007199254740993", "9007199254740993", ""),
        ("9007199254740993", "9007199254740992.0", "header_mismatch"),
    ];
    for (number, value, expected) in rows {
        let arguments = format!(r#"{{"deep":{{"n":{number}}}}}"#);
        assert_eq!(
            fault(&arguments, "mcp-param-n", value),
            expected,
            "{number} {value}"
        );
    }
}

#[test]
fn a_value_that_would_not_be_read_as_itself_is_encoded() {
    let rows = [
        ("us-west1", "us-west1"),
        ("us west 1", "us west 1"),
        ("file:///a?b=c", "file:///a?b=c"),
        ("=?base64?", "=?base64?"),
        ("", "=?base64??="),
        (" padded ", "=?base64?IHBhZGRlZCA=?="),
        ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
        ("a\tb", "=?base64?YQli?="),
        ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
        ("\u{7f}", "=?base64?fw==?="),
    ];
    for (value, expected) in rows {
        assert_eq!(encode(value), expected);
        assert_eq!(header::decode(&encode(value)).unwrap(), value);
    }
}

#[test]
fn what_is_emitted_passes_the_check() {
    for arguments in [
        r#"{"region":"=?base64?x?=","deep":{"n":1e3},"dry":true}"#,
        r#"{"region":"\u0000é\t ","deep":{"n":1.5}}"#,
        r#"{"region":"","deep":{"n":-9007199254740993}}"#,
    ] {
        let emitted = mirrors().emit(Some(arguments));
        let header = |asked: &str| {
            let found = emitted.iter().find(|(name, _)| name == asked);
            found.map(|(_, value)| value.as_str())
        };
        assert_eq!(
            mirrors().check(Some(arguments), header),
            Ok(()),
            "{arguments}"
        );
    }
}

#[test]
fn tools_with_invalid_annotations_are_left_out_of_a_list_and_nothing_else_changes() {
    let tool = |name: &str, header: &str| {
        format!(
            r#"{{"name":"{name}","inputSchema":{{"type":"object","properties":{{"a":{{"type":"string","x-mcp-header":"{header}"}}}}}}}}"#
        )
    };
    let (good, bad) = (tool("good", "A"), tool("bad", "A B"));
    let list =
        |tools: &str| format!(r#"{{"nextCursor":"n","tools":[{tools}],"_meta":{{"x": 1}}}}"#);
    let (kept, invalid) = keep_valid(&list(&format!("{bad},{good}"))).unwrap();
    assert_eq!(kept, list(&good));
    assert_eq!(
        invalid,
        [("bad".to_owned(), Invalid::Name("A B".to_owned()))]
    );
    for untouched in [list(&good), list(""), "{}".to_owned(), "[]".to_owned()] {
        assert_eq!(keep_valid(&untouched), None, "{untouched}");
    }
}
