use super::*;

#[test]
fn a_page_is_read_as_the_server_wrote_it() {
    let text = r#"{"resultType":"complete","tools":[{"name":"a", "n":1.50} ,{"name":"b"}],
        "nextCursor":"p\u00322","ttlMs":0,"cacheScope":"public"}"#;
    let page = Page {
        items: vec![r#"{"name":"a", "n":1.50}"#, r#"{"name":"b"}"#],
        next_cursor: Some(Cow::Borrowed("p22")),
        ttl_ms: Some(0),
        is_public: true,
    };
    assert_eq!(read(Kind::Tools, text), Some(page));
}

#[test]
fn what_has_no_items_of_its_kind_is_no_list() {
    for text in [
        "",
        "[]",
        "{}",
        r#"{"tools":null}"#,
        r#"{"tools":{}}"#,
        r#"{"prompts":[]}"#,
        r#"{"tools":[}"#,
    ] {
        assert_eq!(read(Kind::Tools, text), None, "{text}");
    }
}

#[test]
fn an_empty_cursor_is_a_cursor_and_null_is_none() {
    let cursor = |text: &str| {
        let text = format!(r#"{{"tools":[],"nextCursor":{text}}}"#);
        let page = read(Kind::Tools, &text).unwrap();
        page.next_cursor.map(Cow::into_owned)
    };
    assert_eq!(cursor(r#""""#).as_deref(), Some(""));
    assert_eq!(cursor("null"), None);
    assert_eq!(cursor("7"), None);
}

#[test]
fn only_a_whole_number_from_zero_up_is_a_time_to_live() {
    let rows = [
        ("60000", Some(60_000)),
        ("-1", None),
        ("1.5", None),
        (r#""5""#, None),
        ("null", None),
        ("99999999999999999999999", None),
    ];
    for (text, ttl_ms) in rows {
        let result = format!(r#"{{"tools":[],"ttlMs":{text}}}"#);
        assert_eq!(read(Kind::Tools, &result).unwrap().ttl_ms, ttl_ms, "{text}");
    }
}

#[test]
fn a_page_is_private_unless_it_says_public() {
    for scope in [r#""private""#, r#""Public""#, "true", "null"] {
        let result = format!(r#"{{"tools":[],"cacheScope":{scope}}}"#);
        assert!(!read(Kind::Tools, &result).unwrap().is_public, "{scope}");
    }
    assert!(!read(Kind::Tools, r#"{"tools":[]}"#).unwrap().is_public);
}

#[test]
fn every_kind_has_a_key_of_its_own() {
    let item = r#"{"name":"n","uri":"u:1","uriTemplate":"u:{x}"}"#;
    let rows = [
        (Kind::Tools, "n"),
        (Kind::Prompts, "n"),
        (Kind::Resources, "u:1"),
        (Kind::Templates, "u:{x}"),
    ];
    for (kind, key) in rows {
        assert_eq!(identify(kind, item).as_deref(), Some(key));
    }
}

#[test]
fn an_item_without_a_text_as_its_key_has_no_name() {
    for item in ["1", "null", "[]", "{}", r#"{"name":1}"#, r#"{"title":"t"}"#] {
        assert_eq!(identify(Kind::Tools, item), None, "{item}");
    }
}

#[test]
fn renaming_changes_the_key_and_nothing_else() {
    let item = r#"{"title":"T \u00e9","name":"a","inputSchema":{"z":1e3, "a":{}},"x":[ 1 ]}"#;
    assert_eq!(
        rename(Kind::Tools, item, "s.a"),
        r#"{"title":"T \u00e9","name":"s.a","inputSchema":{"z":1e3, "a":{}},"x":[ 1 ]}"#
    );
}

#[test]
fn a_key_that_stands_twice_stands_once_when_renamed() {
    let item = r#"{"name":"a","name":"b"}"#;
    assert_eq!(identify(Kind::Tools, item).as_deref(), Some("b"));
    assert_eq!(rename(Kind::Tools, item, "s.b"), r#"{"name":"s.b"}"#);
}

#[test]
fn a_modern_result_says_how_long_it_may_be_kept_and_a_legacy_one_does_not() {
    assert_eq!(
        write(Kind::Templates, &["{}", "1"], Some("c\""), None, None),
        r#"{"resourceTemplates":[{},1],"nextCursor":"c\""}"#
    );
    assert_eq!(
        write(Kind::Tools, &[], None, Some((5, true)), Some(r#"{"m":1}"#)),
        r#"{"resultType":"complete","tools":[],"ttlMs":5,"cacheScope":"public","_meta":{"m":1}}"#
    );
}

#[test]
fn what_is_written_reads_back() {
    for kind in Kind::ALL {
        let items = vec![r#"{"name":"a"}"#, "{ }"];
        let text = write(kind, &items, Some(""), Some((7, false)), None);
        let page = Page {
            items,
            next_cursor: Some(Cow::Borrowed("")),
            ttl_ms: Some(7),
            is_public: false,
        };
        assert_eq!(read(kind, &text), Some(page));
    }
}

#[test]
fn a_kind_is_that_of_its_own_method() {
    for kind in Kind::ALL {
        assert_eq!(Kind::of(Method::parse(kind.method())), Some(kind));
        assert_eq!(Method::parse(kind.changed()), Method::Notification);
    }
    assert_eq!(Kind::of(Method::ToolsCall), None);
}
