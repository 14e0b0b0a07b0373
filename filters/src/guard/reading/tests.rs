use serde_json::json;

use crate::guard::rules::{Rules, Subject, Target};
use crate::guard::scope::Kind;
use crate::guard::spec::{Action, Change, Check, Condition, Edit, Operator, Rule, Spec};
use crate::problem::Problems;

const SECRET: &str = "file:///secret/x";
/// What some server may take for [`SECRET`].
const SPELLINGS: [&str; 10] = [
    SECRET,
    "FILE:///secret/x",
    "file://LOCALHOST/secret/x",
    "file:///./secret/x",
    "file:///%73ecret/x",
    "file:///%2573ecret/x",
    "file:////secret//x",
    "file:///public/../secret/x",
    "file:///public/%2e%2e/secret/x?/../../public/y",
    "file:///public/..\\secret/x#",
];

fn rule(action: Action, tools: &[&str], conditions: &[(Operator, &str)]) -> Rule {
    let conditions = conditions.iter().map(|(operator, value)| Condition {
        field: "uri".to_owned(),
        check: Check::Compare(*operator, json!(value)),
    });
    Rule {
        name: action.label().to_owned(),
        on: match action {
            Action::RequireApproval => vec![Kind::Resources],
            Action::Block | Action::Alert | Action::Transform => {
                vec![Kind::Resources, Kind::Results]
            }
        },
        tools: (!tools.is_empty()).then(|| tools.iter().map(|one| (*one).to_owned()).collect()),
        conditions: conditions.collect(),
        action,
        ..Rule::default()
    }
}

/// What is decided on a URI, as params have it and as the server does.
fn decided_on(kind: Kind, rules: &[Rule], written: &str, uri: &str) -> String {
    let spec = Spec {
        rules: rules.to_vec(),
        ..Spec::default()
    };
    let mut problems = Problems::default();
    let rules = Rules::compile(&spec, &mut problems).of_servers(["s"]);
    assert_eq!(problems.iter().count(), 0);
    let params = json!({ "uri": written }).to_string();
    let subject = Subject {
        kind,
        client: "c",
        server: "s",
        target: Some(Target::Uri(uri)),
        value: Some(&params),
    };
    let verdict = rules.inspect(&subject);
    let decided = verdict.decision.label();
    if decided != "allow" {
        assert!(rules.concern(&subject), "{uri}");
    }
    decided.to_owned()
}

fn decided(rules: &[Rule], uri: &str) -> String {
    decided_on(Kind::Resources, rules, uri, uri)
}

#[test]
fn a_rule_is_about_every_spelling_of_a_uri() {
    for uri in SPELLINGS {
        for pattern in ["file:///secret/*", "FILE:///secret/*", "*/secret/x"] {
            let rules = [rule(Action::Block, &[pattern], &[])];
            assert_eq!(decided(&rules, uri), "block", "{pattern} {uri}");
            let result = decided_on(Kind::Results, &rules, uri, uri);
            assert_eq!(result, "block", "{pattern} {uri}");
        }
    }
    let rules = [rule(Action::Block, &["file:///secret/*"], &[])];
    assert_eq!(decided(&rules, "file:///public/x"), "allow");
    assert_eq!(decided(&rules, "file:///public/secret/x"), "allow");
}

#[test]
fn a_condition_on_a_uri_looks_at_every_spelling_of_it() {
    for uri in SPELLINGS {
        for condition in [
            (Operator::Contains, "/secret/"),
            (Operator::Matches, "^file:///secret/"),
            (Operator::NotContains, "/public/"),
        ] {
            let rules = [rule(Action::Block, &[], &[condition])];
            assert_eq!(decided(&rules, uri), "block", "{condition:?} {uri}");
            let at_all = decided_on(Kind::Resources, &rules, &format!("s+{uri}"), uri);
            assert_eq!(at_all, "block", "{condition:?} {uri}");
        }
    }
    let rules = [rule(
        Action::Block,
        &[],
        &[(Operator::Contains, "/secret/")],
    )];
    assert_eq!(decided(&rules, "file:///public/x"), "allow");
}

#[test]
fn what_lets_through_ends_nothing_unless_it_is_about_all_readings() {
    let block = rule(Action::Block, &["file:///secret/*"], &[]);
    for action in [Action::Alert, Action::RequireApproval] {
        let first = [
            rule(action, &["file:///public/*"], &[]),
            rule(action, &[], &[(Operator::Contains, "/public/")]),
        ];
        for first in first {
            let rules = [first, block.clone()];
            let name = action.label();
            assert_eq!(decided(&rules, "file:///public/x"), name);
            assert_eq!(decided(&rules, "file:///public/../secret/x"), "block");
            assert_eq!(decided(&rules, "file:///public/../other/x"), name);
        }
    }
    let everything = [rule(Action::Alert, &["file:///*"], &[]), block];
    assert_eq!(decided(&everything, "file:///secret/../secret/x"), "alert");
}

#[test]
fn the_stricter_of_two_readings_counts() {
    let rules = [
        rule(Action::RequireApproval, &["file:///public/*"], &[]),
        rule(Action::Alert, &["file:///*"], &[]),
    ];
    assert_eq!(
        decided(&rules, "file:///public/../x"),
        "require_approval",
        "though the second is about all readings"
    );
}

#[test]
fn what_a_uri_hides_from_a_change_is_refused() {
    let change = |edit| Rule {
        changes: vec![Change {
            path: "uri".to_owned(),
            edit,
        }],
        ..rule(Action::Transform, &[], &[])
    };
    let replace = [change(Edit::Replace {
        pattern: "secret".to_owned(),
        with: "public".to_owned(),
    })];
    assert_eq!(decided(&replace, SECRET), "transform");
    assert_eq!(decided(&replace, "file:///%73ecret/x"), "block");
    assert_eq!(decided(&replace, "file:///secret/%73ecret/x"), "block");
    assert_eq!(decided(&replace, "file:///%70ublic/x"), "transform");
    let redact = [change(Edit::Redact)];
    assert_eq!(decided(&redact, "file:///%73ecret/x"), "transform");
    let at_all = decided_on(Kind::Resources, &redact, "s+file:///x", "file:///x");
    assert_eq!(at_all, "block", "the server's own spelling would go to it");
}

#[test]
fn names_of_tools_have_one_reading() {
    let rules = Spec {
        rules: vec![rule(Action::Block, &["a"], &[])],
        ..Spec::default()
    };
    let rules = Rules::compile(&rules, &mut Problems::default()).of_servers(["s"]);
    for (target, expected) in [
        (Target::Name("a"), "block"),
        (Target::Name("%61"), "allow"),
        (Target::Name("a/"), "allow"),
        (Target::Uri("a/"), "block"),
    ] {
        let subject = Subject {
            kind: Kind::Results,
            client: "c",
            server: "s",
            target: Some(target),
            value: None,
        };
        let decided = rules.inspect(&subject).decision.label();
        assert_eq!(decided, expected, "{target:?}");
    }
}
