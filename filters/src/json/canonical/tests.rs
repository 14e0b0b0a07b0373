use super::*;

fn canonical(text: &str) -> Option<String> {
    without(&[], text)
}

fn without(ignored: &[&str], text: &str) -> Option<String> {
    let ignored = Ignored::compile(ignored.iter().copied());
    let mut out = b"before".to_vec();
    let outcome = write(text, &ignored, &mut out);
    let out = String::from_utf8(out).unwrap();
    let own = out.strip_prefix("before").unwrap();
    assert!(outcome.is_ok() || own.is_empty(), "{text} left {own}");
    outcome.ok().map(|()| own.to_owned())
}

#[test]
fn what_readers_disagree_about_has_no_canonical_text() {
    for text in [
        r#"{"a":1,"a":1}"#,
        r#"{"a":1,"b":2,"a":3}"#,
        r#"{"b":1,"a":2,"b":3}"#,
        r#"{"a":1,"\u0061":2}"#,
        r#"[{"x":{"a":1,"a":2}}]"#,
        r#""\ud800""#,
        r#""\udc00\ud800""#,
        r#""\ud800\u0041""#,
        r#"{"\ud800":1}"#,
    ] {
        assert_eq!(canonical(text), None, "{text}");
    }
}

#[test]
fn what_is_no_json_has_no_canonical_text() {
    for text in [
        "",
        " ",
        "{",
        "[",
        "\"",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":1,",
        "{\"a\":1,}",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{,}",
        "{a:1}",
        "{1:1}",
        "1 2",
        "tru",
        "nul",
        "truefalse",
        "01",
        "-",
        "-01",
        "+1",
        ".5",
        "1.",
        "1.e1",
        "1e",
        "1e+",
        "0x1",
        "NaN",
        "\"\n\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u+123\"",
        "\"\\u00é\"",
        "\"\\",
        "]",
        "}",
        "[1}",
        "{\"a\":1]",
        "\u{feff}1",
        "1\u{a0}",
    ] {
        assert_eq!(canonical(text), None, "{text}");
    }
}

#[test]
fn nesting_and_length_have_bounds() {
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    let objects = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    for nest in [nested as fn(usize) -> String, objects] {
        assert!(canonical(&nest(DEPTH_MAX)).is_some());
        assert!(canonical(&nest(DEPTH_MAX + 1)).is_none());
    }
    let long = |bytes: usize| format!("\"{}\"", "a".repeat(bytes - 2));
    assert!(canonical(&long(BYTES_MAX)).is_some());
    assert!(canonical(&long(BYTES_MAX + 1)).is_none());
}

#[test]
fn the_worst_order_at_the_bound_is_put_right() {
    let level = r#"{"b":1,"a":"#;
    let leaf = format!(
        "\"{}\"",
        "x".repeat(BYTES_MAX - DEPTH_MAX * (level.len() + 1) - 2)
    );
    let text = format!("{}{leaf}{}", level.repeat(DEPTH_MAX), "}".repeat(DEPTH_MAX));
    let sorted = canonical(&text).unwrap();
    assert!(sorted.starts_with(r#"{"a":{"a":"#) && sorted.ends_with(r#","b":1},"b":1}"#));
}

#[test]
fn members_are_in_order_and_space_is_gone() {
    for (text, expected) in [
        (
            " { \"b\" : 1 ,\r\n\t\"a\" : [ 1 , { } , [ ] ] } ",
            r#"{"a":[1,{},[]],"b":1}"#,
        ),
        (
            r#"{"":1,"A":2,"a":3,"aa":4}"#,
            r#"{"":1,"A":2,"a":3,"aa":4}"#,
        ),
        (
            r#"{"b":{"d":1,"c":2},"a":{"f":1,"e":2}}"#,
            r#"{"a":{"e":2,"f":1},"b":{"c":2,"d":1}}"#,
        ),
        (r#"[3,1,2,null,true,false]"#, r#"[3,1,2,null,true,false]"#),
        // UTF-16: D83E.. goes before E000; by code point it would not.
        (
            "{\"\u{e000}\":1,\"🦀\":2,\"z\":3}",
            "{\"z\":3,\"🦀\":2,\"\u{e000}\":1}",
        ),
        // By character, not by the escape's backslash.
        (
            "{\"]\":1,\"\\n\":2,\"\\\"\":3,\"#\":4}",
            "{\"\\n\":2,\"\\\"\":3,\"#\":4,\"]\":1}",
        ),
    ] {
        assert_eq!(canonical(text).as_deref(), Some(expected), "{text}");
    }
}

#[test]
fn strings_are_escaped_no_more_than_needed() {
    for (text, expected) in [
        (r#""\u0061\/\u00e9""#, r#""a/é""#),
        (r#""\ud83e\udd80""#, r#""🦀""#),
        (r#""\uD83E\uDD80""#, r#""🦀""#),
        (r#""\u0008\u0009\u000a\u000c\u000d""#, r#""\b\t\n\f\r""#),
        (r#""\u0000\u001F\u007f""#, "\"\\u0000\\u001f\u{7f}\""),
        (r#""\u0022\u005c""#, r#""\"\\""#),
        (r#""a\"b\\""#, r#""a\"b\\""#),
    ] {
        assert_eq!(canonical(text).as_deref(), Some(expected), "{text}");
    }
}

#[test]
fn numbers_are_exact_and_equal_ones_are_spelled_alike() {
    for (text, expected) in [
        ("9007199254740992", "9007199254740992"),
        ("9007199254740993", "9007199254740993"),
        (
            "0.1000000000000000055511151231257827",
            "0.1000000000000000055511151231257827",
        ),
        ("-0", "0"),
        ("-0.00e5", "0"),
        ("0e99999999999999999999", "0"),
        ("1.0", "1"),
        ("-1.0", "-1"),
        ("1e2", "100"),
        ("1E+2", "100"),
        ("100", "100"),
        ("1.50", "1.5"),
        ("15e-1", "1.5"),
        ("0.15e1", "1.5"),
        ("1e20", "100000000000000000000"),
        ("1e21", "1e+21"),
        ("1000000000000000000000", "1e+21"),
        ("1234567890123456789012.50", "1.2345678901234567890125e+21"),
        ("0.000001", "0.000001"),
        ("1e-6", "0.000001"),
        ("0.0000001", "1e-7"),
        ("12.5e-8", "1.25e-7"),
        ("1e400", "1e+400"),
        ("10e399", "1e+400"),
        ("1E9223372036854775806", "1e+9223372036854775806"),
        // Past 64 bits an exponent stays as it is.
        ("10e9223372036854775807", "10e9223372036854775807"),
        ("1E99999999999999999999", "1E99999999999999999999"),
        ("1e-9223372036854775808", "1e-9223372036854775808"),
        ("0.1e-9223372036854775808", "0.1e-9223372036854775808"),
    ] {
        assert_eq!(canonical(text).as_deref(), Some(expected), "{text}");
        assert_eq!(
            canonical(expected).as_deref(),
            Some(expected),
            "{expected} again"
        );
    }
}

#[test]
fn what_is_ignored_is_left_out() {
    let text = r#"{"a":{"b":1,"c":[{"b":2,"d":3},[{"b":4}],5]},"b":6,"d.e":7}"#;
    for (ignored, expected) in [
        (&[][..], text),
        (&["x"], text),
        (&["a.x", "b.x", "d.e"], text),
        (
            &["b"],
            r#"{"a":{"b":1,"c":[{"b":2,"d":3},[{"b":4}],5]},"d.e":7}"#,
        ),
        (&["a"], r#"{"b":6,"d.e":7}"#),
        (&["a", "a.b"], r#"{"b":6,"d.e":7}"#),
        (
            &["a.b"],
            r#"{"a":{"c":[{"b":2,"d":3},[{"b":4}],5]},"b":6,"d.e":7}"#,
        ),
        (
            &["a.c.b"],
            r#"{"a":{"b":1,"c":[{"d":3},[{}],5]},"b":6,"d.e":7}"#,
        ),
        (
            &["*.b"],
            r#"{"a":{"c":[{"b":2,"d":3},[{"b":4}],5]},"b":6,"d.e":7}"#,
        ),
        (
            &["a.*.b", "*.b"],
            r#"{"a":{"c":[{"d":3},[{}],5]},"b":6,"d.e":7}"#,
        ),
        (&["a.*"], r#"{"a":{},"b":6,"d.e":7}"#),
        (&["*"], "{}"),
    ] {
        assert_eq!(
            without(ignored, text).as_deref(),
            Some(expected),
            "{ignored:?}"
        );
    }
    assert_eq!(
        without(&["a"], r#"[{"\u0061":1}]"#).as_deref(),
        Some("[{}]")
    );
    assert_eq!(without(&["a\n"], r#"{"a\u000a":1}"#).as_deref(), Some("{}"));
    assert_eq!(without(&["a"], "\"a\"").as_deref(), Some("\"a\""));
    // What is ignored is still read.
    assert_eq!(without(&["a"], r#"{"a":{"b":1,"b":2}}"#), None);
    assert!(Ignored::compile([]).is_empty() && !Ignored::compile(["a"]).is_empty());
}

#[test]
fn members_are_treated_by_name() {
    let ignored = Ignored::compile(["t"]);
    let treated = |text: &str| {
        let mut out = Vec::new();
        let treat = |name: &[u8]| match name {
            b"drop" => Ok(Treatment::Drop),
            b"prune" => Ok(Treatment::Prune(&ignored)),
            b"without" => Ok(Treatment::Without(&[b"x.y/z", b"w"])),
            b"bad" => Err(Ambiguous),
            _ => Ok(Treatment::Keep),
        };
        members(text, &mut out, treat).ok()?;
        String::from_utf8(out).ok()
    };
    for (text, expected) in [
        ("[]", None),
        ("1", None),
        ("{} x", None),
        (r#"{"bad":1}"#, None),
        (r#"{"keep":1,"keep":1}"#, None),
        (" {} ", Some("{}")),
        (r#"{"drop":1,"t":2}"#, Some(r#"{"t":2}"#)),
        (
            r#"{"t":{"drop":1,"t":2},"drop":1,"prune":{"t":1}}"#,
            Some(r#"{"t":{"drop":1,"t":2}}"#),
        ),
        (
            r#"{"prune":{"t":1,"u":2},"keep":{}}"#,
            Some(r#"{"keep":{},"prune":{"u":2}}"#),
        ),
        (r#"{"prune":null}"#, Some(r#"{"prune":null}"#)),
        (r#"{"prune":[{"t":1}]}"#, Some(r#"{"prune":[{}]}"#)),
        (r#"{"without":{"w":{"a":1,"a":2}}}"#, None),
        (r#"{"without":{"a":1,"a":1}}"#, None),
        (r#"{"without":{ } }"#, Some("{}")),
        (r#"{"without":{"x.y\/z":1,"\u0077":2}}"#, Some("{}")),
        (
            r#"{"without":{"x":{"y/z":1,"w":2},"w":3,"a":4}}"#,
            Some(r#"{"without":{"a":4,"x":{"w":2,"y/z":1}}}"#),
        ),
        (r#"{"without":[{"w":1}]}"#, Some(r#"{"without":[{"w":1}]}"#)),
        (r#"{"without": null}"#, Some(r#"{"without":null}"#)),
    ] {
        assert_eq!(treated(text).as_deref(), expected, "{text}");
    }
}
