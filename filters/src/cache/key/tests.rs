use std::collections::HashSet;
use std::sync::LazyLock;

use super::*;

const ONE: Audience<'static> = Audience::One {
    client: "alice",
    tenant: None,
    credential: None,
};

static PLACE: LazyLock<Place> = LazyLock::new(|| Place::new("s", b"e"));
static OTHER_EDITION: LazyLock<Place> = LazyLock::new(|| Place::new("s", b"f"));
static OTHER_SERVER: LazyLock<Place> = LazyLock::new(|| Place::new("t", b"e"));

fn material(params: Option<&'static str>) -> Material<'static> {
    Material {
        place: &PLACE,
        method: Method::ToolsCall,
        target: Some("read"),
        params,
        ignored: Ignored::NONE,
        revision: None,
        capabilities: "",
        group: None,
    }
}

fn key(material: &Material<'_>) -> Option<Key> {
    derive(material, ONE, &mut b"old".to_vec()).ok()
}

fn same(a: &'static str, b: &'static str) -> bool {
    let (a, b) = (key(&material(Some(a))), key(&material(Some(b))));
    a.unwrap() == b.unwrap()
}

#[test]
fn params_that_readers_disagree_about_have_no_key() {
    for params in [
        "",
        "null",
        "[]",
        r#"{"arguments":{"a":1,"a":2}}"#,
        r#"{"arguments":{},"arguments":{"a":1}}"#,
        r#"{"name":"read","name":"write"}"#,
        r#"{"name":"read","\u006eame":"write"}"#,
        r#"{"_meta":{},"_meta":{}}"#,
        r#"{"x":1,"x":1}"#,
        r#"{"_meta":{"a":1,"a":2}}"#,
    ] {
        assert_eq!(key(&material(Some(params))), None, "{params}");
    }
}

/// The base, and what differs from it in one field.
fn neighbours<'a>(base: Material<'a>, ignored: &'a Ignored) -> Vec<Material<'a>> {
    let mut all = vec![base];
    let mut add = |change: &dyn Fn(&mut Material<'a>)| {
        let mut changed = base;
        change(&mut changed);
        all.push(changed);
    };
    add(&|m| m.place = &OTHER_EDITION);
    add(&|m| m.place = &OTHER_SERVER);
    add(&|m| m.method = Method::ResourcesRead);
    add(&|m| m.target = Some("write"));
    add(&|m| m.target = None);
    add(&|m| m.ignored = ignored);
    add(&|m| m.revision = Some(Revision::V2025_06_18));
    add(&|m| m.revision = Some(Revision::V2026_07_28));
    add(&|m| m.capabilities = "{}");
    add(&|m| m.group = Some(""));
    add(&|m| m.group = Some("g"));
    for params in [
        r#"{"arguments":{"a":2}}"#,
        r#"{"arguments":{"a":"1"}}"#,
        r#"{"arguments":{"a":1},"cursor":""}"#,
        r#"{"arguments":{"a":1},"uri":"u"}"#,
        r#"{"arguments":null}"#,
    ] {
        add(&|m| m.params = Some(params));
    }
    all
}

#[test]
fn every_field_splits_the_cache() {
    let base = material(Some(r#"{"arguments":{"a":1}}"#));
    let ignored = Ignored::compile(["a"]);
    let all = neighbours(base, &ignored);
    let mut keys: Vec<_> = all.iter().map(|material| key(material).unwrap()).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), all.len());
}

#[test]
fn every_audience_has_a_key_of_its_own() {
    let one = |client, tenant, credential| Audience::One {
        client,
        tenant,
        credential,
    };
    let audiences = [
        Audience::Everyone,
        Audience::Tenant(""),
        Audience::Tenant("t"),
        one("", None, None),
        one("t", None, None),
        one("a", Some("t"), None),
        one("a", None, Some("t")),
        one("a", Some(""), Some("t")),
        one("a", Some("t"), Some("")),
        one("at", None, None),
        one("a\u{c}\0\0\0\0\0\0\0\u{1}t", None, None),
    ];
    let prepared = Prepared::new(&material(None), &mut Vec::new()).unwrap();
    let mut keys = audiences.map(|audience| prepared.key(audience)).to_vec();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), audiences.len());
}

#[test]
fn text_of_one_field_does_not_run_into_the_next() {
    let base = material(None);
    let split = |target, capabilities| {
        let material = Material {
            target: Some(target),
            capabilities,
            ..base
        };
        key(&material).unwrap()
    };
    assert_ne!(split("ab", "c"), split("a", "bc"));
    assert_ne!(split("a\u{6}", ""), split("a", "\u{6}"));
    assert_ne!(split("a\u{6}\0", ""), split("a", ""));
    let place = |server, edition: &[u8]| {
        let material = Material {
            place: &Place::new(server, edition),
            ..base
        };
        key(&material).unwrap()
    };
    assert_ne!(place("ab", b"c"), place("b", b"ca"));
    assert_ne!(
        place("s", b"e"),
        place("s\0", b"e"),
        "it is filled up with zeros"
    );
}

/// Lengths around those where one more byte is needed to say them.
#[test]
fn long_text_of_one_field_does_not_run_into_the_next() {
    let base = material(None);
    let mut keys = HashSet::new();
    let lengths = [0, 1, 126, 127, 128, 129, 255, 256, 16_383, 16_384, 16_385];
    let texts = lengths.map(|length| "x".repeat(length));
    for target in &texts {
        for capabilities in &texts {
            let material = Material {
                target: Some(target),
                capabilities,
                ..base
            };
            keys.insert(key(&material).unwrap());
        }
    }
    assert_eq!(keys.len(), lengths.len() * lengths.len());
}

#[test]
fn big_integers_are_kept_apart() {
    assert!(!same(
        r#"{"arguments":{"n":9007199254740993}}"#,
        r#"{"arguments":{"n":9007199254740992}}"#
    ));
}

#[test]
fn order_space_escapes_and_number_spelling_do_not_split_the_cache() {
    assert!(same(
        r#"{"name":"read","arguments":{"b":[1.0,{"d":"\u0061","c":null}],"a":1e2}}"#,
        r#" { "arguments" : { "a" : 100, "b" : [ 1, { "c" : null, "d" : "a" } ] }, "name" : "other spelling" } "#
    ));
    assert!(!same(
        r#"{"arguments":{"a":[1,2]}}"#,
        r#"{"arguments":{"a":[2,1]}}"#
    ));
}

/// The params of a call with a member of `_meta`.
fn with_meta(name: &str, value: &str) -> String {
    format!(r#"{{"_meta":{{"{name}":{value}}},"arguments":{{"a":1}}}}"#)
}

fn of(params: &str) -> Option<Key> {
    let base = material(None);
    key(&Material {
        params: Some(params),
        ..base
    })
}

#[test]
fn what_goes_to_the_server_in_meta_splits_the_cache() {
    let plain = of(r#"{"arguments":{"a":1}}"#).unwrap();
    for name in [
        "openai/subject",
        "x/y",
        "",
        "progressTokens",
        "x.traceparent",
        "io.modelcontextprotocol",
        "io.modelcontextprotocol/related-task",
    ] {
        let (one, other) = (with_meta(name, "\"alice\""), with_meta(name, "\"bob\""));
        assert_ne!(of(&one), of(&other), "{name}");
        assert_ne!(of(&one).unwrap(), plain, "{name}");
    }
    // What is no object is somebody's word all the same.
    assert_ne!(of(r#"{"_meta":3,"arguments":{"a":1}}"#).unwrap(), plain);
    // What does not count of `_meta` counts inside one of its members.
    let nested = |token| with_meta("x/y", &format!(r#"{{"progressToken":{token}}}"#));
    assert_ne!(of(&nested(1)), of(&nested(2)));
}

#[test]
fn what_says_nothing_about_the_answer_in_meta_does_not_split_the_cache() {
    let plain = of(r#"{"arguments":{"a":1}}"#).unwrap();
    assert_eq!(of(r#"{"_meta":{},"arguments":{"a":1}}"#), Some(plain));
    for name in [
        "progressToken",
        "progress\\u0054oken",
        "traceparent",
        "tracestate",
        "baggage",
        "io.modelcontextprotocol/protocolVersion",
        r"io.modelcontextprotocol\/clientInfo",
        "io.modelcontextprotocol/clientCapabilities",
        "io.modelcontextprotocol/logLevel",
    ] {
        for value in ["7", r#"{"b":[1.0],"a":"\u0061"}"#] {
            assert_eq!(of(&with_meta(name, value)), Some(plain), "{name}");
        }
    }
    let mixed = r#"{"_meta":{"x":1,"progressToken":7,"a":2},"arguments":{"a":1}}"#;
    let same = r#"{"arguments":{"a":1},"_meta":{"a":2,"x":1.0,"traceparent":"00-a"}}"#;
    assert_eq!(of(mixed), of(same));
    // Below the arguments it is an argument.
    assert_ne!(
        of(r#"{"arguments":{"_meta":{"progressToken":1}}}"#),
        of(r#"{"arguments":{}}"#)
    );
}

#[test]
fn no_arguments_are_no_arguments_however_they_are_written() {
    let ignored = Ignored::compile(["at", "trace.*"]);
    let keys = [
        None,
        Some("{}"),
        Some(r#"{"name":"read"}"#),
        Some(r#"{"name":"read","arguments":{}}"#),
        Some(r#"{"arguments":{"at":7}}"#),
    ]
    .map(|params| {
        key(&Material {
            ignored: &ignored,
            ..material(params)
        })
        .unwrap()
    });
    assert!(keys.iter().all(|key| *key == keys[0]));
    let left = Some(r#"{"arguments":{"at":7,"trace":{"id":1}}}"#);
    let left = key(&Material {
        ignored: &ignored,
        ..material(left)
    })
    .unwrap();
    assert_eq!(
        Some(left),
        key(&material(Some(r#"{"arguments":{"trace":{}}}"#)))
    );
}

#[test]
fn what_is_ignored_is_below_arguments_only() {
    let ignored = Ignored::compile(["cursor"]);
    let read = |params| {
        key(&Material {
            ignored: &ignored,
            ..material(Some(params))
        })
    };
    assert_ne!(read(r#"{"cursor":"a"}"#), read(r#"{"cursor":"b"}"#));
    assert_eq!(
        read(r#"{"arguments":{"cursor":"a"}}"#),
        read(r#"{"arguments":{"cursor":"b"}}"#)
    );
}

#[test]
fn only_the_member_that_names_the_target_is_left_out() {
    let list = |params| Material {
        method: Method::ToolsList,
        target: None,
        ..material(Some(params))
    };
    assert_ne!(key(&list(r#"{"name":"a"}"#)), key(&list(r#"{"name":"b"}"#)));
    let read = |params| Material {
        method: Method::ResourcesRead,
        ..material(Some(params))
    };
    assert_eq!(key(&read(r#"{"uri":"s+a"}"#)), key(&read("{}")));
    assert_ne!(key(&read(r#"{"name":"a"}"#)), key(&read("{}")));
}

#[test]
fn a_key_reads_back_from_its_digits_only() {
    let own = key(&material(None)).unwrap();
    assert_eq!(own.hex().len(), 64);
    assert_eq!(Key::parse(&own.hex()), Some(own));
    assert_eq!(Key::parse(&own.hex().to_uppercase()), Some(own));
    let digits = "0".repeat(62);
    for text in [
        "",
        "0",
        &digits,
        &format!("{digits}000"),
        &format!("{digits}+0"),
        &format!("{digits}0g"),
        &format!("{digits}é"),
    ] {
        assert_eq!(Key::parse(text), None, "{text}");
    }
}

/// A key that changes between releases empties every shared cache: that must be meant.
#[test]
fn keys_are_the_same_in_every_release() {
    let own = key(&material(Some(r#"{"arguments":{"b":1,"a":"x"}}"#))).unwrap();
    assert_eq!(
        own.hex(),
        "273e5b93dc42e514fe9b98bad7d83021698c763be60dae062d79dc6890d4d8b9"
    );
}
