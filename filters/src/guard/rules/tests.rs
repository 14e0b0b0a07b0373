use serde_json::{Value, json};

use super::*;
use crate::guard::detect::Detector;
use crate::guard::spec::{self, Action, Check, Edit, Operator};

fn rule(name: &str) -> spec::Rule {
    spec::Rule {
        name: name.to_owned(),
        at: format!("rules.{name}"),
        ..spec::Rule::default()
    }
}

fn condition(field: &str, operator: Operator, value: Value) -> spec::Condition {
    spec::Condition {
        field: field.to_owned(),
        check: Check::Compare(operator, value),
    }
}

fn detect(field: &str, detectors: &[Detector]) -> spec::Condition {
    spec::Condition {
        field: field.to_owned(),
        check: Check::Detect(detectors.to_vec()),
    }
}

fn change(path: &str, edit: Edit) -> spec::Change {
    spec::Change {
        path: path.to_owned(),
        edit,
    }
}

fn compile(spec: Spec) -> Rules {
    let mut problems = Problems::default();
    let rules = Rules::compile(&spec, &mut problems);
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert!(problems.is_empty(), "{problems:?}");
    rules.of_servers(["github", "files"])
}

fn of(rules: impl IntoIterator<Item = spec::Rule>) -> Rules {
    compile(Spec {
        rules: rules.into_iter().collect(),
        ..Spec::default()
    })
}

fn call<'a>(tool: &'a str, value: Option<&'a str>) -> Subject<'a> {
    Subject {
        kind: Kind::Calls,
        client: "alice",
        server: "github",
        target: Some(Target::Name(tool)),
        value,
    }
}

/// What is decided, in short: the action, and the rule.
fn told(decision: &Decision<'_>) -> String {
    let rule = decision.rule().map_or("-", |rule| &rule.name);
    match decision {
        Decision::Rewrite(_, text) => format!("transform {rule} {text}"),
        Decision::Block(Cause::Opaque(_, opaque)) => format!("block {rule} {opaque:?}"),
        Decision::Pass
        | Decision::Bypass(_)
        | Decision::Alert(_)
        | Decision::Hold(_)
        | Decision::Block(_) => format!("{} {rule}", decision.label()),
    }
}

fn decided(rules: &Rules, subject: &Subject<'_>) -> String {
    told(&rules.inspect(subject).decision)
}

/// Whether a condition holds for arguments.
fn holds(field: &str, operator: Operator, value: &Value, arguments: &str) -> String {
    let rules = of([spec::Rule {
        conditions: vec![condition(field, operator, value.clone())],
        ..rule("r")
    }]);
    decided(&rules, &call("t", Some(arguments)))
}

#[test]
fn operators_mean_what_is_documented() {
    use Operator::{Contains, Eq, Exists, Gt, Gte, Lt, Lte, Matches, Neq, NotContains, NotExists};
    let big = json!(9_007_199_254_740_993_u64);
    for (operator, value, arguments, is_met) in [
        (Eq, json!("x"), r#"{"a":"x"}"#, true),
        (Eq, json!("x"), r#"{"\u0061":"\u0078"}"#, true),
        (Eq, json!("x"), r#"{"a":"X"}"#, false),
        (Eq, json!("x"), r#"{"a":["y","x"]}"#, true),
        (Eq, json!("x"), r#"{"b":"x"}"#, false),
        (Eq, json!("1"), r#"{"a":1}"#, false),
        (Eq, json!(1), r#"{"a":1.0}"#, true),
        (Eq, json!(true), r#"{"a":true}"#, true),
        (Eq, big.clone(), r#"{"a":9007199254740993}"#, true),
        (Eq, big.clone(), r#"{"a":9007199254740992}"#, false),
        (
            Eq,
            json!({"x": [1, {"y": 2}]}),
            r#"{"a":{"x" :[1.0,{"y":2}]}}"#,
            true,
        ),
        (Eq, json!({"x": 1, "y": 2}), r#"{"a":{"y":2,"x":1}}"#, true),
        (Eq, json!({"x": 1}), r#"{"a":{"x":1,"y":2}}"#, false),
        (Eq, json!([1]), r#"{"a":[1]}"#, true),
        (Eq, json!([1]), r#"{"a":[[1]]}"#, false),
        (Neq, json!("x"), r#"{"a":"y"}"#, true),
        (Neq, json!("x"), r#"{"a":"x"}"#, false),
        (Neq, json!("x"), r#"{"a":null}"#, true),
        (Neq, json!("x"), r#"{"b":"y"}"#, false),
        (Gt, json!(10), r#"{"a":10.000000000000000000001}"#, true),
        (Gt, json!(10), r#"{"a":10}"#, false),
        (Gt, json!(10), r#"{"a":"11"}"#, false),
        (Gt, json!(10), r#"{"a":[1,11]}"#, true),
        (Gt, big, r#"{"a":9007199254740994}"#, true),
        (Gt, json!(10), r#"{"a":[1,[11]]}"#, true),
        (Gt, json!(10), r#"{}"#, false),
        (Gte, json!(10), r#"{"a":1e1}"#, true),
        (Lt, json!(0), r#"{"a":-0.1}"#, true),
        (Lt, json!(0), r#"{"a":-0}"#, false),
        (Lte, json!(0), r#"{"a":-0}"#, true),
        (Contains, json!("ell"), r#"{"a":"hello"}"#, true),
        (Contains, json!("ell"), r#"{"a":["hello"]}"#, false),
        (Contains, json!("hello"), r#"{"a":["hello"]}"#, true),
        (Contains, json!({"x": 1}), r#"{"a":[0,{"x":1.0}]}"#, true),
        (Contains, json!("1"), r#"{"a":1}"#, false),
        (Contains, json!(1), r#"{"a":"1"}"#, false),
        (NotContains, json!("ell"), r#"{"a":"help"}"#, true),
        (NotContains, json!("ell"), r#"{"a":"hello"}"#, false),
        (NotContains, json!(1), r#"{"a":[1]}"#, false),
        (NotContains, json!(1), r#"{"a":[[1]]}"#, true),
        (NotContains, json!(1), r#"{"a":7}"#, true),
        (NotContains, json!(1), r#"{}"#, false),
        (Matches, json!("^/etc"), r#"{"a":"/etc/passwd"}"#, true),
        (Matches, json!("^/etc"), r#"{"a":"\/etc/passwd"}"#, true),
        (Matches, json!("^/etc"), r#"{"a":["/","/etc"]}"#, true),
        (Matches, json!("^/etc"), r#"{"a":{"b":"/etc"}}"#, false),
        (Matches, json!("1"), r#"{"a":1}"#, false),
        (Exists, json!(null), r#"{"a":null}"#, true),
        (Exists, json!(null), r#"{"b":1}"#, false),
        (NotExists, json!(null), r#"{"b":1}"#, true),
        (NotExists, json!(null), r#"{"a":null}"#, false),
        (NotExists, json!(null), "[]", true),
        (NotExists, json!(null), "1", true),
    ] {
        let expected = if is_met { "block r" } else { "allow -" };
        let found = holds("a", operator, &value, arguments);
        assert_eq!(found, expected, "{operator:?} {value} on {arguments}");
    }
}

#[test]
fn paths_lead_where_they_say() {
    for (field, arguments, is_met) in [
        ("", r#""x""#, true),
        ("a.b", r#"{"a":{"b":"x"}}"#, true),
        ("a.b", r#"{"a.b":"x"}"#, false),
        (r"a\.b", r#"{"a.b":"x"}"#, true),
        ("a.b", r#"{"a":[{"b":"y"},{"b":"x"}]}"#, true),
        ("a.b", r#"{"a":[[{"b":"x"}]]}"#, true),
        ("a.1.b", r#"{"a":[{"b":"y"},{"b":"x"}]}"#, true),
        ("a.0.b", r#"{"a":[{"b":"y"},{"b":"x"}]}"#, false),
        ("a.0", r#"{"a":{"0":"x"}}"#, true),
        ("a.*", r#"{"a":{"b":"y","c":"x"}}"#, true),
        ("a.*.c", r#"{"a":[{"c":"x"}]}"#, true),
        ("*", r#"{"a":{"b":"x"}}"#, false),
        ("**", r#"{"a":[{"b":["y",{"c":"x"}]}]}"#, true),
        ("a.**", r#"{"b":"x"}"#, false),
        ("a.**", r#"{"a":"x"}"#, true),
        ("a", r#"{"z":{"a":"x"}}"#, false),
        ("a.b.c", r#"{"a":{"b":"x"}}"#, false),
    ] {
        let expected = if is_met { "block r" } else { "allow -" };
        let found = holds(field, Operator::Eq, &json!("x"), arguments);
        assert_eq!(found, expected, "{field} on {arguments}");
    }
}

#[test]
fn what_cannot_be_decided_is_refused() {
    let deep = format!("{}1{}", r#"{"a":"#.repeat(200), "}".repeat(200));
    let long = format!(r#"{{"a":{{"b":"{}"}}}}"#, " ".repeat(300_000));
    for (field, value, arguments, expected) in [
        ("a", json!("x"), r#"{"a":"x","a":"y"}"#, "block r Twice"),
        (
            "a",
            json!("x"),
            r#"{"a":"y","\u0061":"y"}"#,
            "block r Twice",
        ),
        (
            "a.b",
            json!("x"),
            r#"{"a":{},"a":{"b":"y"}}"#,
            "block r Twice",
        ),
        ("b", json!("x"), r#"{"a":1,"a":2}"#, "allow -"),
        ("a", json!("x"), r#"{"a":"\ud800"}"#, "block r Text"),
        ("b", json!("x"), r#"{"a":"\ud800"}"#, "allow -"),
        (
            "a",
            json!({"b": 1}),
            r#"{"a":{"b":1,"b":2}}"#,
            "block r Ambiguous",
        ),
        ("a", json!({"b": 1}), long.as_str(), "block r Ambiguous"),
        ("a.**", json!("x"), deep.as_str(), "block r Depth"),
        ("a", json!("x"), r#"{"a":"#, "block r Syntax"),
        ("a", json!("x"), r#"{"a":1} 2"#, "block r Syntax"),
    ] {
        let found = holds(field, Operator::Eq, &value, arguments);
        assert_eq!(
            found,
            expected,
            "{field} {value} {}",
            arguments.chars().take(60).collect::<String>()
        );
    }
}

/// Arguments whose `a` is as many letters, `a` or `b`, as a fair coin gives.
fn coins(n: usize) -> String {
    let mut seed = 1_u64;
    let letter = |_| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        if seed >> 63 == 0 { 'a' } else { 'b' }
    };
    let text: String = (0..n).map(letter).collect();
    json!({ "a": text }).to_string()
}

/// A rule that takes too long over [`coins`].
fn hostile(mode: Mode) -> spec::Rule {
    spec::Rule {
        action: Action::Alert,
        mode: Some(mode),
        conditions: vec![condition("a", Operator::Matches, json!("[ab]*a[ab]{300}c"))],
        ..rule("r")
    }
}

#[test]
fn an_expression_that_would_take_too_long_refuses_whatever_its_rule_does() {
    let rules = of([hostile(Mode::Enforce)]);
    let arguments = coins(1024 * 1024);
    assert_eq!(
        decided(&rules, &call("t", Some(&arguments))),
        "block r Work"
    );
    // Letters in turn take few states.
    let arguments = json!({ "a": "ab".repeat(1024 * 1024) }).to_string();
    assert_eq!(decided(&rules, &call("t", Some(&arguments))), "allow -");
}

#[test]
fn a_rehearsed_rule_that_would_take_too_long_leaves_the_others_what_they_need() {
    let other = spec::Rule {
        conditions: vec![condition("a", Operator::Matches, json!("^x"))],
        ..rule("other")
    };
    let rules = of([hostile(Mode::Shadow), other]);
    let arguments = coins(1024 * 1024);
    assert_eq!(decided(&rules, &call("t", Some(&arguments))), "allow -");
}

#[test]
fn a_condition_that_does_not_hold_settles_what_another_leaves_open() {
    let rules = of([spec::Rule {
        conditions: vec![
            condition("a", Operator::Eq, json!("x")),
            condition("b", Operator::Eq, json!("x")),
        ],
        ..rule("r")
    }]);
    let twice = |b: &str| format!(r#"{{"a":"x","a":"x","b":"{b}"}}"#);
    assert_eq!(decided(&rules, &call("t", Some(&twice("y")))), "allow -");
    assert_eq!(
        decided(&rules, &call("t", Some(&twice("x")))),
        "block r Twice"
    );
}

#[test]
fn clients_and_servers_come_before_bypass_and_bypass_before_tools_and_conditions() {
    let rules = of([
        spec::Rule {
            clients: Some(vec!["ali*".to_owned()]),
            servers: Some(vec!["files".to_owned()]),
            tools: Some(vec!["never".to_owned()]),
            conditions: vec![condition("a", Operator::Eq, json!("never"))],
            bypass: true,
            ..rule("let")
        },
        spec::Rule {
            tools: Some(vec!["delete_*".to_owned()]),
            ..rule("no-delete")
        },
    ]);
    let on = |server| Subject {
        server,
        ..call("delete_all", Some("{}"))
    };
    assert_eq!(decided(&rules, &on("files")), "allow let");
    assert_eq!(decided(&rules, &on("github")), "block no-delete");
    let bob = Subject {
        client: "bob",
        ..on("files")
    };
    assert_eq!(decided(&rules, &bob), "block no-delete");
    assert_eq!(decided(&rules, &call("read", Some("{}"))), "allow -");
}

#[test]
fn the_first_rule_that_matches_decides() {
    let rules = of([
        spec::Rule {
            action: Action::Alert,
            conditions: vec![condition("a", Operator::Exists, json!(null))],
            ..rule("alert")
        },
        rule("block"),
    ]);
    assert_eq!(
        decided(&rules, &call("t", Some(r#"{"a":1}"#))),
        "alert alert"
    );
    assert_eq!(decided(&rules, &call("t", Some("{}"))), "block block");
    assert_eq!(decided(&rules, &call("t", None)), "block block");
}

#[test]
fn the_default_is_for_calls_alone() {
    let rules = compile(Spec {
        default_action: Fallback::Block,
        rules: vec![spec::Rule {
            on: vec![Kind::Results],
            action: Action::Alert,
            ..rule("r")
        }],
        ..Spec::default()
    });
    let prompt = Subject {
        kind: Kind::Prompts,
        ..call("t", None)
    };
    assert_eq!(decided(&rules, &call("t", None)), "block -");
    assert_eq!(decided(&rules, &prompt), "allow -");
    assert_eq!(decided(&of([]), &call("t", None)), "allow -");
}

#[test]
fn a_rule_looks_at_what_it_says_and_at_calls_if_it_says_nothing() {
    let rules = of([
        spec::Rule {
            on: vec![Kind::Results, Kind::Sampling],
            ..rule("results")
        },
        spec::Rule {
            servers: Some(vec!["files".to_owned()]),
            ..rule("calls")
        },
    ]);
    for kind in Kind::ALL {
        let subject = Subject {
            kind,
            ..call("t", Some("{}"))
        };
        let is_named = matches!(kind, Kind::Results | Kind::Sampling);
        assert_eq!(rules.concern(&subject), is_named, "{kind:?}");
        let expected = if is_named { "block results" } else { "allow -" };
        assert_eq!(decided(&rules, &subject), expected, "{kind:?}");
    }
    assert!(rules.reach("unknown").is_empty());
}

#[test]
fn what_may_be_any_tools_is_every_rules_and_no_alert_ends_it() {
    let tools = |name: &str| Some(vec![name.to_owned()]);
    let rules = of([
        spec::Rule {
            on: vec![Kind::Results],
            tools: tools("a"),
            action: Action::Alert,
            ..rule("a")
        },
        spec::Rule {
            on: vec![Kind::Results],
            tools: tools("b"),
            ..rule("b")
        },
    ]);
    let result = Subject {
        kind: Kind::Results,
        target: None,
        ..call("", Some("{}"))
    };
    assert_eq!(decided(&rules, &result), "block b");
}

#[test]
fn what_is_rehearsed_is_told_and_does_not_act() {
    let shadow = spec::Rule {
        mode: Some(Mode::Shadow),
        ..rule("shadow")
    };
    let rules = of([shadow, rule("block")]);
    let verdict = rules.inspect(&call("t", None));
    assert_eq!(told(&verdict.decision), "block block");
    let rehearsed: Vec<String> = verdict.rehearsed.iter().map(told).collect();
    assert_eq!(rehearsed, ["block shadow"]);

    let all = compile(Spec {
        mode: Mode::Shadow,
        rules: vec![rule("first"), rule("second")],
        ..Spec::default()
    });
    let verdict = all.inspect(&call("t", None));
    assert_eq!(told(&verdict.decision), "allow -");
    let rehearsed: Vec<String> = verdict.rehearsed.iter().map(told).collect();
    assert_eq!(
        rehearsed,
        ["block first"],
        "as it would be if it were enforced"
    );
}

/// What is decided, and what is rehearsed, with names of rules that say what they do and how.
fn rehearsed(mode: Mode, names: &[&str], fallback: Fallback) -> String {
    let rules = names.iter().map(|name| {
        let (own, deed) = name.split_once('-').unwrap_or_default();
        spec::Rule {
            mode: match own {
                "enforce" => Some(Mode::Enforce),
                "shadow" => Some(Mode::Shadow),
                _ => None,
            },
            bypass: deed == "bypass",
            action: match deed {
                "alert" => Action::Alert,
                "hold" => Action::RequireApproval,
                "transform" => Action::Transform,
                _ => Action::Block,
            },
            changes: vec![change("a", Edit::Set(json!(2)))],
            ..rule(name)
        }
    });
    let rules = compile(Spec {
        mode,
        default_action: fallback,
        rules: rules.collect(),
        ..Spec::default()
    });
    let verdict = rules.inspect(&call("t", Some(r#"{"a":1}"#)));
    let told = [told(&verdict.decision)];
    let rehearsed = verdict.rehearsed.iter().map(self::told);
    told.into_iter()
        .chain(rehearsed)
        .collect::<Vec<_>>()
        .join(" | ")
}

#[test]
fn a_rules_own_mode_wins_over_that_of_all() {
    use Mode::{Enforce, Shadow};
    for (mode, names, expected) in [
        (Enforce, &["as-block"][..], "block as-block"),
        (Enforce, &["enforce-block"], "block enforce-block"),
        (Enforce, &["shadow-block"], "allow - | block shadow-block"),
        (Shadow, &["as-block"], "allow - | block as-block"),
        (Shadow, &["enforce-block"], "block enforce-block"),
        (Shadow, &["shadow-block"], "allow - | block shadow-block"),
        (Shadow, &["enforce-hold"], "require_approval enforce-hold"),
        (Shadow, &["enforce-alert"], "alert enforce-alert"),
        (
            Shadow,
            &["enforce-transform"],
            r#"transform enforce-transform {"a":2}"#,
        ),
        (
            Shadow,
            &["as-transform", "enforce-block"],
            r#"block enforce-block | transform as-transform {"a":2}"#,
        ),
        (
            Shadow,
            &["as-block", "as-hold", "enforce-alert"],
            "alert enforce-alert | block as-block",
        ),
        (
            Enforce,
            &["shadow-hold", "shadow-block", "as-alert"],
            "alert as-alert | require_approval shadow-hold",
        ),
        (
            Shadow,
            &["enforce-alert", "as-block"],
            "alert enforce-alert",
        ),
        (
            Shadow,
            &["enforce-bypass", "as-block"],
            "allow enforce-bypass",
        ),
        (
            Shadow,
            &["enforce-bypass", "enforce-block"],
            "allow enforce-bypass",
        ),
    ] {
        let found = rehearsed(mode, names, Fallback::Allow);
        assert_eq!(found, expected, "{mode:?} {names:?}");
    }
}

#[test]
fn a_bypass_that_is_rehearsed_bypasses_nothing() {
    use Mode::{Enforce, Shadow};
    for (mode, names, expected) in [
        (
            Enforce,
            &["shadow-bypass", "as-block"][..],
            "block as-block | allow shadow-bypass",
        ),
        (
            Shadow,
            &["as-bypass", "enforce-block"],
            "block enforce-block | allow as-bypass",
        ),
        (
            Shadow,
            &["as-bypass", "as-block"],
            "allow - | allow as-bypass",
        ),
    ] {
        let found = rehearsed(mode, names, Fallback::Allow);
        assert_eq!(found, expected, "{mode:?} {names:?}");
    }
    let found = rehearsed(Enforce, &["shadow-bypass"], Fallback::Block);
    assert_eq!(found, "block - | allow shadow-bypass");
}

#[test]
fn the_default_follows_the_mode_of_all_alone() {
    use Mode::{Enforce, Shadow};
    for (mode, names, expected) in [
        (
            Enforce,
            &["shadow-alert"][..],
            "block - | alert shadow-alert",
        ),
        (Enforce, &["enforce-alert"], "alert enforce-alert"),
        (Enforce, &[], "block -"),
        (Shadow, &["enforce-alert"], "alert enforce-alert"),
        (Shadow, &["as-alert"], "allow - | alert as-alert"),
        (Shadow, &[], "allow - | block -"),
    ] {
        let found = rehearsed(mode, names, Fallback::Block);
        assert_eq!(found, expected, "{mode:?} {names:?}");
    }
}

#[test]
fn what_only_a_rehearsal_cannot_decide_is_not_refused() {
    let deep = format!(r#"{{"a":1,"z":{}1{}}}"#, "[".repeat(200), "]".repeat(200));
    let exists = |name, field| spec::Rule {
        conditions: vec![condition(field, Operator::Exists, json!(null))],
        ..rule(name)
    };
    let shadow = spec::Rule {
        mode: Some(Mode::Shadow),
        ..exists("shadow", "z.**")
    };
    for (field, expected) in [("b", "allow -"), ("a", "block enforced")] {
        let rules = of([shadow.clone(), exists("enforced", field)]);
        let verdict = rules.inspect(&call("t", Some(&deep)));
        assert_eq!(told(&verdict.decision), expected, "{field}");
        let rehearsed: Vec<String> = verdict.rehearsed.iter().map(told).collect();
        assert_eq!(rehearsed, ["block shadow Depth"], "{field}");
    }
}

#[test]
fn what_is_explained_is_what_is_decided() {
    let rules = of([
        spec::Rule {
            clients: Some(vec!["bob".to_owned()]),
            ..rule("client")
        },
        spec::Rule {
            tools: Some(vec!["x".to_owned()]),
            ..rule("tool")
        },
        spec::Rule {
            conditions: vec![
                condition("a", Operator::Exists, json!(null)),
                condition("b", Operator::Exists, json!(null)),
            ],
            ..rule("condition")
        },
        rule("match"),
        rule("late"),
    ]);
    let (verdict, considered) = rules.explain(&call("t", Some(r#"{"a":1}"#)));
    assert_eq!(told(&verdict.decision), "block match");
    let outcomes: Vec<Outcome> = considered.iter().map(|one| one.outcome).collect();
    assert_eq!(
        outcomes,
        [
            Outcome::Client,
            Outcome::Target,
            Outcome::Condition(1),
            Outcome::Match,
            Outcome::NotReached
        ]
    );
}

fn transformed(changes: Vec<spec::Change>, arguments: &str) -> String {
    let rules = of([spec::Rule {
        action: Action::Transform,
        changes,
        ..rule("r")
    }]);
    let verdict = rules.inspect(&call("t", Some(arguments)));
    let told = told(&verdict.decision);
    match told.strip_prefix("transform r ") {
        Some(text) => text.to_owned(),
        None => told,
    }
}

#[test]
fn changes_leave_every_other_byte_as_it_was() {
    for (path, edit, before, after) in [
        (
            "a",
            Edit::Set(json!(1)),
            r#"{ "b" : 1.50e1 , "a":2 ,"z":12345678901234567890}"#,
            r#"{ "b" : 1.50e1 , "a":1 ,"z":12345678901234567890}"#,
        ),
        ("a", Edit::Set(json!("x")), "{ }", r#"{"a":"x" }"#),
        (
            "a",
            Edit::Set(json!("x")),
            r#"{"b":1}"#,
            r#"{"b":1,"a":"x"}"#,
        ),
        (
            "a.b",
            Edit::Set(json!(1)),
            r#"{"a":{}}"#,
            r#"{"a":{"b":1}}"#,
        ),
        (
            "a.b",
            Edit::Set(json!(1)),
            r#"{"a":[{},{"b":2}]}"#,
            r#"{"a":[{"b":1},{"b":1}]}"#,
        ),
        ("a.b", Edit::Set(json!(1)), r#"{"c":{}}"#, r#"{"c":{}}"#),
        (
            "*",
            Edit::Set(json!(1)),
            r#"{"a":0,"b":{}}"#,
            r#"{"a":1,"b":1}"#,
        ),
        ("a", Edit::Delete, r#"{"a":1}"#, "{}"),
        ("a", Edit::Delete, r#"{"a":1,"b":2}"#, r#"{"b":2}"#),
        ("b", Edit::Delete, r#"{"a":1,"b":2}"#, r#"{"a":1}"#),
        (
            "b",
            Edit::Delete,
            r#"{"a":1,"b":2,"c":3}"#,
            r#"{"a":1,"c":3}"#,
        ),
        ("*", Edit::Delete, r#"{"a":1,"b":2}"#, "{}"),
        ("a.0", Edit::Delete, r#"{"a":[1,2,3]}"#, r#"{"a":[2,3]}"#),
        ("a.2", Edit::Delete, r#"{"a":[1,2,3]}"#, r#"{"a":[1,2]}"#),
        ("a.*", Edit::Delete, r#"{"a":[1,2,3]}"#, r#"{"a":[]}"#),
        (
            "a",
            Edit::Redact,
            r#"{"a":{"b":[1]}}"#,
            r#"{"a":"[REDACTED]"}"#,
        ),
        ("a", Edit::Redact, r#"{"b":1}"#, r#"{"b":1}"#),
    ] {
        let found = transformed(vec![change(path, edit.clone())], before);
        assert_eq!(found, after, "{path} {edit:?}");
    }
}

#[test]
fn changes_of_texts_are_made_in_all_texts_there() {
    let replace = |pattern: &str, with: &str| Edit::Replace {
        pattern: pattern.to_owned(),
        with: with.to_owned(),
    };
    for (path, edit, before, after) in [
        (
            "",
            Edit::RedactFound(vec![Detector::Card]),
            r#"{"a":["x 4111111111111111"],"b":4111111111111111,"c":12}"#,
            r#"{"a":["x [REDACTED:card]"],"b":"[REDACTED:card]","c":12}"#,
        ),
        (
            "a",
            Edit::Truncate(2),
            r#"{"a":"éèà","b":"éèà"}"#,
            r#"{"a":"éè","b":"éèà"}"#,
        ),
        (
            "a",
            Edit::Truncate(2),
            r#"{"a":["abc",{"x":"abc"},12345]}"#,
            r#"{"a":["ab",{"x":"abc"},12345]}"#,
        ),
        (
            "a",
            replace("(\\d+)-\\d+", "$1-x"),
            r#"{"a":"1-2 \"3-4"}"#,
            r#"{"a":"1-x \"3-x"}"#,
        ),
        (
            "**",
            replace("a", "b"),
            r#"{"a":"a","c":[{"d":"xa"}]}"#,
            r#"{"a":"b","c":[{"d":"xb"}]}"#,
        ),
    ] {
        let found = transformed(vec![change(path, edit.clone())], before);
        assert_eq!(found, after, "{path} {edit:?}");
    }
}

#[test]
fn changes_are_made_in_order_and_none_by_guess() {
    let changes = vec![
        change("a", Edit::Set(json!("secret: x"))),
        change("a", Edit::Truncate(6)),
    ];
    assert_eq!(transformed(changes, "{}"), r#"{"a":"secret"}"#);
    let twice = transformed(vec![change("a", Edit::Delete)], r#"{"a":1,"a":2}"#);
    assert_eq!(twice, "block r Twice");
}

#[test]
fn what_is_wrong_with_a_rule_is_told_where_it_is_written() {
    let wrong = [
        spec::Rule {
            conditions: vec![
                condition("a..b", Operator::Eq, json!(1)),
                condition("a", Operator::Gt, json!("1")),
                condition("a", Operator::Matches, json!("(?=a)")),
            ],
            ..rule("conditions")
        },
        spec::Rule {
            action: Action::Transform,
            ..rule("nothing")
        },
        spec::Rule {
            action: Action::Transform,
            changes: vec![
                change("**", Edit::Redact),
                change(
                    "a",
                    Edit::Replace {
                        pattern: "x*".to_owned(),
                        with: String::new(),
                    },
                ),
            ],
            ..rule("changes")
        },
        spec::Rule {
            action: Action::RequireApproval,
            on: vec![Kind::Results],
            ..rule("late")
        },
    ];
    let mut problems = Problems::default();
    let spec = Spec {
        rules: wrong.into(),
        ..Spec::default()
    };
    let rules = Rules::compile(&spec, &mut problems);
    assert!(rules.rules().is_empty());
    let paths: Vec<&str> = problems.iter().map(|one| one.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "rules.conditions.conditions[0].field",
            "rules.conditions.conditions[1].value",
            "rules.conditions.conditions[2].value",
            "rules.nothing.transform",
            "rules.changes.transform[0].path",
            "rules.changes.transform[1].replace",
            "rules.late.on",
        ]
    );
}

#[test]
fn detectors_look_everywhere_unless_they_are_told_where() {
    let rules = of([spec::Rule {
        conditions: vec![detect("", &[Detector::Email])],
        ..rule("r")
    }]);
    let deep = r#"{"a":[{"b":"to a@b.org"}]}"#;
    assert_eq!(decided(&rules, &call("t", Some(deep))), "block r");
    let rules = of([spec::Rule {
        conditions: vec![detect("c", &[Detector::Email])],
        ..rule("r")
    }]);
    assert_eq!(decided(&rules, &call("t", Some(deep))), "allow -");
}

#[test]
fn what_is_too_long_is_found_by_its_length() {
    let rules = of([spec::Rule {
        conditions: vec![spec::Condition {
            field: String::new(),
            check: Check::Oversize(10),
        }],
        ..rule("r")
    }]);
    assert_eq!(
        decided(&rules, &call("t", Some(r#"{"a":"12"}"#))),
        "allow -"
    );
    assert_eq!(
        decided(&rules, &call("t", Some(r#"{"a":"123"}"#))),
        "block r"
    );
}

#[test]
fn names_of_members_are_looked_at_where_everything_is() {
    let card = "4111 1111 1111 1111";
    let found = |conditions: Vec<spec::Condition>, arguments: &str| {
        let rules = of([spec::Rule {
            conditions,
            ..rule("r")
        }]);
        decided(&rules, &call("t", Some(arguments)))
    };
    let named = format!(r#"{{"a":{{"b":[{{"{card}":1}}]}}}}"#);
    let escaped = r#"{"4111 1111 1111 111\u0031":1}"#.replace("\\\\", "\\");
    let half = format!(r#"{{"\ud800":"{card}"}}"#);
    for (field, arguments, expected) in [
        ("", named.as_str(), "block r"),
        ("**", &named, "block r"),
        ("a.**", &named, "block r"),
        ("a", &named, "allow -"),
        ("b.**", &named, "allow -"),
        ("", &escaped, "block r"),
        ("", &half, "block r Text"),
        ("*", &half, "block r"),
    ] {
        let conditions = vec![detect(field, &[Detector::Card])];
        assert_eq!(
            found(conditions, arguments),
            expected,
            "{field} {arguments}"
        );
    }
    let matches = |field| vec![condition(field, Operator::Matches, json!("^b$"))];
    assert_eq!(found(matches("**"), &named), "block r");
    assert_eq!(found(matches("a"), &named), "allow -");
    let below_half = vec![condition("**", Operator::Eq, json!(card))];
    assert_eq!(found(below_half, &half), "block r", "no name hides a value");
}

#[test]
fn names_are_changed_where_everything_is_and_two_never_become_one() {
    let redact = || Edit::RedactFound(vec![Detector::Email]);
    for (path, edit, before, after) in [
        (
            "",
            redact(),
            r#"{ "a@b.org" : {"to c@d.org":"x"} ,"z":1.0}"#,
            r#"{ "[REDACTED:email]" : {"to [REDACTED:email]":"x"} ,"z":1.0}"#,
        ),
        (
            "a",
            redact(),
            r#"{"a":{"a@b.org":1}}"#,
            r#"{"a":{"a@b.org":1}}"#,
        ),
        (
            "a.**",
            redact(),
            r#"{"c@d.org":1,"a":{"a@b.org":1}}"#,
            r#"{"c@d.org":1,"a":{"[REDACTED:email]":1}}"#,
        ),
        (
            "",
            redact(),
            r#"{"a@b.org":1,"c@d.org":2}"#,
            "block r Twice",
        ),
        (
            "",
            redact(),
            r#"{"[REDACTED:email]":1,"c@d.org":2}"#,
            "block r Twice",
        ),
        ("", redact(), r#"{"a":1,"a":2}"#, r#"{"a":1,"a":2}"#),
        ("", redact(), r#"{"\ud800":1}"#, "block r Text"),
        (
            "",
            redact(),
            r#"{"\u005bREDACTED:email]":1,"c@d.org":2}"#,
            "block r Twice",
        ),
        ("", Edit::Truncate(1), r#"{"bb":"bb"}"#, r#"{"bb":"b"}"#),
    ] {
        let found = transformed(vec![change(path, edit)], before);
        assert_eq!(found, after, "{path} {before}");
    }
}
