//! The body of the fuzz target of guardrails: against a slow view of the same paths, over serde's tree.

use serde_json::{Map, Value};

use crate::fuzz::SEPARATOR;
use crate::fuzz::oracle;
use crate::guard::detect::{self, Detector, Detectors};
use crate::guard::path::{Path, Segment};
use crate::guard::rules::{Rules, Subject, Target};
use crate::guard::scope::Kind;
use crate::guard::spec::{Action, Change, Check, Condition, Edit, Operator, Rule, Spec};
use crate::guard::verdict::{Cause, Decision};
use crate::problem::Problems;
use crate::uri::Readings;

pub(super) fn run(data: &[u8]) {
    let Ok(input) = std::str::from_utf8(data) else {
        return;
    };
    let mut parts = input.split(SEPARATOR);
    let (field, value) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    detectors(parts.next().unwrap_or(value));
    uris(field, value);
    let Ok(path) = Path::parse(field) else {
        return;
    };
    let exists = Rule {
        conditions: vec![Condition {
            field: field.to_owned(),
            check: Check::Compare(Operator::Exists, Value::Null),
        }],
        ..rule()
    };
    // Two that stand for the same may be taken for either: then there is nothing to compare with.
    let meaning = oracle::meaning(value).is_some();
    let tree: Option<Value> = serde_json::from_str(value).ok();
    let is_there = tree.as_ref().map(|tree| finds(tree, path.segments()));
    match (decide(&exists, value), is_there) {
        (Told::Blocked, Some(is_there)) if meaning => assert!(is_there, "{input}"),
        (Told::Passed, Some(is_there)) => assert!(!is_there, "{input}"),
        (Told::Opaque, _) => assert!(!meaning, "{input}"),
        (Told::Blocked | Told::Passed | Told::Rewritten(_), _) => {}
    }
    for edit in [Edit::Delete, Edit::Redact, Edit::Set(Value::Bool(true))] {
        let change = Rule {
            action: Action::Transform,
            changes: vec![Change {
                path: field.to_owned(),
                edit: edit.clone(),
            }],
            ..rule()
        };
        if let Told::Rewritten(text) = decide(&change, value)
            && let Some(before) = &tree
        {
            let after: Option<Value> = serde_json::from_str(&text).ok();
            assert!(after.is_some(), "{input} became {text}");
            let is_index = |one: &Segment| matches!(one, Segment::Index(..));
            if edit == Edit::Delete && meaning && !path.segments().iter().any(is_index) {
                let is_left = after
                    .as_ref()
                    .is_some_and(|after| finds(after, path.segments()));
                assert!(!is_left, "{input} became {text}");
            }
            if meaning && !finds(before, path.segments()) && !matches!(edit, Edit::Set(_)) {
                assert_eq!(text, value, "{input}");
            }
        }
    }
}

enum Told {
    Passed,
    Blocked,
    Opaque,
    Rewritten(String),
}

fn rule() -> Rule {
    Rule {
        name: "r".to_owned(),
        ..Rule::default()
    }
}

fn compile(rule: &Rule) -> Rules {
    let spec = Spec {
        rules: vec![rule.clone()],
        ..Spec::default()
    };
    Rules::compile(&spec, &mut Problems::default()).of_servers(["s"])
}

fn decide(rule: &Rule, value: &str) -> Told {
    let rules = compile(rule);
    let subject = Subject {
        kind: Kind::Calls,
        client: "c",
        server: "s",
        target: Some(Target::Name("t")),
        value: Some(value),
    };
    match rules.inspect(&subject).decision {
        Decision::Block(Cause::Opaque(..)) => Told::Opaque,
        Decision::Block(Cause::Rule(_) | Cause::Default) => Told::Blocked,
        Decision::Rewrite(_, text) => Told::Rewritten(text),
        Decision::Pass | Decision::Bypass(_) | Decision::Alert(_) | Decision::Hold(_) => {
            Told::Passed
        }
    }
}

/// Whether anything stands at a path.
fn finds(value: &Value, path: &[Segment]) -> bool {
    let Some((segment, rest)) = path.split_first() else {
        return true;
    };
    match (segment, value) {
        (Segment::Deep, _) => true,
        (Segment::Any, Value::Object(members)) => members.values().any(|one| finds(one, rest)),
        (Segment::Any, Value::Array(elements)) => elements.iter().any(|one| finds(one, rest)),
        (Segment::Name(name) | Segment::Index(_, name), Value::Object(members)) => {
            members.get(&**name).is_some_and(|one| finds(one, rest))
        }
        (Segment::Name(_), Value::Array(elements)) => elements.iter().any(|one| finds(one, path)),
        (Segment::Index(place, _), Value::Array(elements)) => {
            elements.get(*place).is_some_and(|one| finds(one, rest))
        }
        (_, Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => false,
    }
}

/// However a URI is spelled, a rule about it, or about a text in it, refuses it.
fn uris(pattern: &str, uri: &str) {
    let params = |uri: &str| {
        Value::from(
            [("uri".to_owned(), uri.into())]
                .into_iter()
                .collect::<Map<_, _>>(),
        )
    };
    let is_refused = |rule: &Rule, uri: &str| {
        let (rules, params) = (compile(rule), params(uri).to_string());
        let subject = Subject {
            kind: Kind::Resources,
            client: "c",
            server: "s",
            target: Some(Target::Uri(uri)),
            value: Some(&params),
        };
        matches!(rules.inspect(&subject).decision, Decision::Block(_))
    };
    let named = Rule {
        on: vec![Kind::Resources],
        tools: Some(vec![pattern.to_owned()]),
        ..rule()
    };
    let contained = Rule {
        on: vec![Kind::Resources],
        conditions: vec![Condition {
            field: "uri".to_owned(),
            check: Check::Compare(Operator::Contains, Value::from(pattern)),
        }],
        ..rule()
    };
    let (is_named, is_contained) = (oracle::matches(pattern, uri), uri.contains(pattern));
    assert!(!is_named || is_refused(&named, uri), "{pattern} {uri}");
    assert!(
        !is_contained || is_refused(&contained, uri),
        "{pattern} {uri}"
    );
    // What is spelled as it is meant has other spellings that mean the same.
    if Readings::of(uri) != Readings::default() {
        return;
    }
    for spelled in spellings(uri) {
        assert!(
            !is_named || is_refused(&named, &spelled),
            "{pattern} {spelled}"
        );
        assert!(
            !is_contained || is_refused(&contained, &spelled),
            "{pattern} {spelled}"
        );
    }
}

/// A plain URI with its path escaped once and twice, with a folder that is left again, with dots, and
/// with a fragment.
fn spellings(uri: &str) -> Vec<String> {
    let escape = |path: &str| -> String {
        let bytes = path.bytes().map(|byte| format!("%{byte:02x}"));
        bytes.collect()
    };
    let Some((scheme, path)) = uri.split_once(":///") else {
        return Vec::new();
    };
    let of = |path: &str| format!("{scheme}:///{path}");
    vec![
        of(&escape(path)),
        of(&escape(path).replace('%', "%25")),
        of(&format!("public/../{path}")),
        of(&format!("./{path}#/../x")),
        of(path).replacen(scheme, &scheme.to_ascii_uppercase(), 1),
    ]
}

/// Detectors agree with what they redact.
fn detectors(text: &str) {
    for detector in Detector::ALL {
        let one: Detectors = [detector].into_iter().collect();
        let redacted = detect::redact(one, text);
        assert_eq!(
            redacted.is_some(),
            detect::is_found(one, text),
            "{detector:?} in {text:?}"
        );
        if let Some(redacted) = redacted {
            let label = detector.label();
            assert!(redacted.contains(label), "{text:?} became {redacted:?}");
            assert!(
                !detect::is_found(one, &redacted),
                "{text:?} became {redacted:?}"
            );
        }
    }
}
