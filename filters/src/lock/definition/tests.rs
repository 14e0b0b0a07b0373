use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

fn digest(item: &str) -> Option<Digest> {
    Definition::read(item).ok().map(|one| one.digest)
}

/// A tool with all members that the protocol names, and one that it does not.
fn full() -> Value {
    json!({
        "name": "search", "title": "Search", "description": "Finds things.",
        "inputSchema": { "type": "object", "properties": { "q": { "type": "string",
            "description": "What for", "maxLength": 10 } }, "required": ["q"] },
        "outputSchema": { "type": "object" },
        "annotations": { "readOnlyHint": true, "title": "S" },
        "icons": [{ "src": "https://h/i.png" }],
        "execution": { "taskSupport": "optional" },
        "_meta": { "ui/resourceUri": "ui://w" },
        "x-later": [1, null, { "deep": [true] }],
    })
}

/// Every way to change one value of a document.
fn changed(value: &Value) -> Vec<Value> {
    match value {
        Value::Object(members) => {
            let mut all = Vec::new();
            for (name, member) in members {
                for other in changed(member) {
                    let mut copy = members.clone();
                    copy[name] = other;
                    all.push(Value::Object(copy));
                }
                let mut copy = members.clone();
                copy.remove(name);
                all.push(Value::Object(copy.clone()));
                copy.insert(format!("{name}2"), member.clone());
                all.push(Value::Object(copy));
            }
            let mut copy = members.clone();
            copy.insert("added".to_owned(), Value::Null);
            all.push(Value::Object(copy));
            all
        }
        Value::Array(elements) => {
            let mut all = vec![json!([]), json!([elements, "more"])];
            for (at, element) in elements.iter().enumerate() {
                for other in changed(element) {
                    let mut copy = elements.clone();
                    copy[at] = other;
                    all.push(Value::Array(copy));
                }
            }
            all
        }
        Value::String(text) => vec![json!(format!("{text} ")), json!(format!("{text}\u{200b}"))],
        Value::Number(_) => vec![json!(11), json!("10"), json!(10.5)],
        Value::Bool(value) => vec![json!(!value), Value::Null],
        Value::Null => vec![json!(false), json!({})],
    }
}

#[test]
fn every_change_of_any_member_changes_the_digest() {
    let full = full();
    let known = digest(&full.to_string()).unwrap();
    let others = changed(&full);
    assert!(others.len() > 60, "{}", others.len());
    for other in others.iter().filter(|other| **other != full) {
        assert_ne!(digest(&other.to_string()), Some(known), "{other}");
    }
}

#[test]
fn what_is_said_twice_at_any_depth_is_unclear() {
    for item in [
        r#"{"name":"a","name":"b"}"#,
        r#"{"name":"a","description":"1","description":"2"}"#,
        r#"{"name":"a","descr\u0069ption":"1","description":"2"}"#,
        r#"{"name":"a","inputSchema":{"properties":{"p":{"type":"x","type":"x"}}}}"#,
        r#"{"name":"a","icons":[{"src":"1","src":"2"}]}"#,
        r#"{"name":"a","description":"\ud800"}"#,
        r#"{"name":1}"#,
        r#"{"title":"a"}"#,
        r#"["name"]"#,
        "{",
        "",
    ] {
        assert_eq!(Definition::read(item), Err(Unclear), "{item}");
    }
}

#[test]
fn a_definition_is_read_up_to_its_bound() {
    let sized = |n: usize| format!(r#"{{"name":"{}"}}"#, "a".repeat(n - 11));
    assert!(Definition::read(&sized(canonical::BYTES_MAX)).is_ok());
    assert_eq!(
        Definition::read(&sized(canonical::BYTES_MAX + 1)),
        Err(Unclear)
    );
}

#[test]
fn a_digest_has_one_spelling() {
    let digest = digest(r#"{"name":"a"}"#).unwrap();
    let text = digest.to_string();
    assert_eq!(Digest::parse(&text), Some(digest));
    let bare = text.strip_prefix(PREFIX).unwrap();
    let (short, _) = text.split_at(text.len() - 1);
    let upper = format!("{PREFIX}{}", bare.to_uppercase());
    for other in [&upper, bare, short, &format!("{text}0"), ""] {
        assert_eq!(Digest::parse(other), None, "{other}");
    }
}

#[test]
fn a_tool_with_two_definitions_has_no_digest() {
    let (one, other) = (r#"{"name":"a"}"#, r#"{"name":"a","title":"t"}"#);
    let known = digest(one).unwrap();
    assert_eq!(Fingerprints::of([one, one]).find("a"), Some(Ok(known)));
    for items in [[one, other], [other, one]] {
        assert_eq!(Fingerprints::of(items).find("a"), Some(Err(Unclear)));
    }
    let thrice = Fingerprints::of([one, other, one]);
    assert_eq!(thrice.find("a"), Some(Err(Unclear)));
    assert_eq!(Fingerprints::of([one]).find("b"), None);
}

// === the same value in other spellings ===

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e9..1e9f64).prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(".{0,6}", inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn tool() -> impl Strategy<Value = Value> {
    prop::collection::btree_map(".{1,8}", value(), 0..6).prop_map(|members| {
        let mut members: Map<String, Value> = members.into_iter().collect();
        members.insert("name".to_owned(), json!("t"));
        Value::Object(members)
    })
}

/// Writes a value as `dice` have it: members in any order, space anywhere, letters as escapes, and
/// numbers with exponents.
fn respelled(value: &Value, dice: &mut impl FnMut(usize) -> usize, out: &mut String) {
    let space = |dice: &mut dyn FnMut(usize) -> usize| ["", " ", "\n\t"][dice(3)];
    out.push_str(space(dice));
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            for at in (1..members.len()).rev() {
                members.swap(at, dice(at + 1));
            }
            out.push('{');
            for (at, (name, member)) in members.into_iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                respelled(&Value::from(name.as_str()), dice, out);
                out.push(':');
                respelled(member, dice, out);
            }
            out.push('}');
        }
        Value::Array(elements) => {
            out.push('[');
            for (at, element) in elements.iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                respelled(element, dice, out);
            }
            out.push(']');
        }
        Value::String(text) => {
            out.push('"');
            for letter in text.chars() {
                let plain = serde_json::to_string(&letter).unwrap();
                if dice(2) == 0 {
                    let bare = plain
                        .strip_prefix('"')
                        .and_then(|rest| rest.strip_suffix('"'));
                    out.push_str(bare.unwrap());
                } else {
                    let mut units = [0; 2];
                    let units = letter.encode_utf16(&mut units).iter();
                    units.for_each(|unit| out.push_str(&format!("\\u{unit:04X}")));
                }
            }
            out.push('"');
        }
        Value::Number(number) if number.is_i64() && dice(2) == 0 => {
            out.push_str(&format!("{number}0.0e-1"));
        }
        Value::Number(_) | Value::Bool(_) | Value::Null => out.push_str(&value.to_string()),
    }
    out.push_str(space(dice));
}

proptest! {
    #[test]
    fn other_spellings_of_a_definition_have_its_digest(tool in tool(), seed in any::<u64>()) {
        let mut state = seed | 1;
        let mut dice = |n: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize % n
        };
        let mut other = String::new();
        respelled(&tool, &mut dice, &mut other);
        let known = Definition::read(&tool.to_string());
        prop_assert!(known.is_ok());
        prop_assert_eq!(Definition::read(&other), known);
    }

    #[test]
    fn other_definitions_have_other_digests(one in tool(), other in tool()) {
        let is_same = one == other;
        let digests = digest(&one.to_string()) == digest(&other.to_string());
        prop_assert_eq!(digests, is_same);
    }

    #[test]
    fn a_change_of_any_member_of_any_definition_changes_its_digest(tool in tool()) {
        let known = digest(&tool.to_string());
        for other in changed(&tool) {
            if other != tool {
                prop_assert_ne!(digest(&other.to_string()), known);
            }
        }
    }

    #[test]
    fn no_bytes_are_a_definition_by_accident(text in ".{0,200}") {
        if let Ok(definition) = Definition::read(&text) {
            prop_assert_eq!(Definition::read(&definition.text), Ok(definition));
        }
    }
}
