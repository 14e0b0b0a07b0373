use std::sync::Arc;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::explain::{List, explain};
use super::need::{Named, Need};
use super::screen::{self, News, Shown};
use super::spec::{Policy, Rule, Who};
use super::view::{Decision, Item};
use super::*;
use crate::mcp::call::Call;
use crate::mcp::header::Headers;
use crate::mcp::list::Kind;
use crate::rpc::parse;

fn list(patterns: &[&str]) -> Vec<String> {
    patterns.iter().map(|one| (*one).to_owned()).collect()
}

fn tools(server: &str, patterns: &[&str]) -> Rule {
    Rule {
        server: server.to_owned(),
        tools: Some(list(patterns)),
        ..Rule::default()
    }
}

fn resources(server: &str, patterns: &[&str]) -> Rule {
    Rule {
        server: server.to_owned(),
        resources: Some(list(patterns)),
        ..Rule::default()
    }
}

fn policy(name: &str, clients: &[&str], allow: Vec<Rule>, deny: Vec<Rule>) -> Policy {
    Policy {
        name: name.to_owned(),
        who: Who {
            clients: Some(list(clients)),
            ..Who::default()
        },
        allow,
        deny,
    }
}

fn spec(default: Effect, policies: Vec<Policy>) -> Spec {
    Spec {
        default,
        policies,
        ..Spec::default()
    }
}

fn client(name: &str) -> Principal {
    Principal {
        client: name.into(),
        ..Principal::anonymous()
    }
}

fn may(rules: &Rules, name: &str, server: &str, tool: &str) -> bool {
    rules.view(&client(name), server).permits(Item::Tool(tool))
}

fn permitted(rules: &Rules, who: &Principal, server: &str, need: Need<'_>) -> Result<(), Refusal> {
    permit(rules, who, server, || need).map(|_| ())
}

// === policies ===

#[test]
fn rules_that_are_off_ask_nothing_and_permit_everything() {
    let rules = Rules::default();
    let made = permit(&rules, &client("c"), "s", || unreachable!());
    assert!(made.unwrap().shadowed().is_none());
    assert!(rules.sees(&client("c"), "s"));
}

#[test]
fn without_a_policy_for_the_client_the_default_decides() {
    for (default, is_allowed) in [(Effect::Allow, true), (Effect::Deny, false)] {
        let rules = Rules::compile(&spec(
            default,
            vec![policy("p", &["other"], vec![], vec![])],
        ));
        assert_eq!(may(&rules, "c", "s", "t"), is_allowed);
        assert_eq!(rules.sees(&client("c"), "s"), is_allowed);
    }
}

#[test]
fn the_first_policy_for_the_client_decides_alone() {
    let first = policy("first", &["a*"], vec![tools("s", &["x"])], vec![]);
    let second = policy("second", &["*"], vec![tools("*", &["*"])], vec![]);
    let rules = Rules::compile(&spec(Effect::Deny, vec![first, second]));
    assert!(may(&rules, "ab", "s", "x") && !may(&rules, "ab", "s", "y"));
    assert!(may(&rules, "b", "s", "y"));
}

#[test]
fn deny_wins_over_allow_and_what_neither_names_is_left_to_the_default() {
    for default in [Effect::Allow, Effect::Deny] {
        let one = policy(
            "p",
            &["c"],
            vec![tools("s", &["get_*"])],
            vec![tools("*", &["get_secret"])],
        );
        let rules = Rules::compile(&spec(default, vec![one]));
        assert!(may(&rules, "c", "s", "get_x"));
        assert!(!may(&rules, "c", "s", "get_secret"));
        assert_eq!(may(&rules, "c", "s", "put_x"), default == Effect::Allow);
        assert_eq!(may(&rules, "c", "t", "get_x"), default == Effect::Allow);
    }
}

#[test]
fn names_are_compared_letter_by_letter() {
    let rules = Rules::compile(&spec(
        Effect::Deny,
        vec![policy("p", &["c"], vec![tools("s", &["drop"])], vec![])],
    ));
    for other in [
        "Drop",
        "drop ",
        " drop",
        "dro\u{440}",
        "ｄrop",
        "drop\0",
        "dro\u{200b}p",
        "s.drop",
    ] {
        assert!(!may(&rules, "c", "s", other), "{other:?}");
    }
    assert!(!may(&rules, "C", "s", "drop") && !may(&rules, "c", "S", "drop"));
}

#[test]
fn a_policy_is_for_tenants_roles_and_scopes_too_and_for_all_that_it_lists() {
    let who = Who {
        clients: None,
        tenants: Some(list(&["acme"])),
        roles: Some(list(&["dev*", "ops"])),
        scopes: Some(list(&["mcp:read"])),
    };
    let one = Policy {
        name: "p".to_owned(),
        who,
        allow: vec![tools("*", &["*"])],
        deny: vec![],
    };
    let rules = Rules::compile(&spec(Effect::Deny, vec![one]));
    let held =
        |texts: &[&str]| -> Arc<[Arc<str>]> { texts.iter().map(|&one| one.into()).collect() };
    let of = |tenant: Option<&str>, roles: &[&str], scopes: &[&str]| Principal {
        tenant: tenant.map(Into::into),
        roles: held(roles),
        scopes: held(scopes),
        ..client("c")
    };
    for (who, is_it) in [
        (of(Some("acme"), &["developer"], &["mcp:read"]), true),
        (of(Some("acme"), &["x", "ops"], &["y", "mcp:read"]), true),
        (of(Some("other"), &["ops"], &["mcp:read"]), false),
        (of(None, &["ops"], &["mcp:read"]), false),
        (of(Some("acme"), &[], &["mcp:read"]), false),
        (of(Some("acme"), &["ops"], &["mcp:write"]), false),
        (Principal::anonymous(), false),
    ] {
        let is_allowed = rules.view(&who, "s").permits(Item::Tool("t"));
        assert_eq!(is_allowed, is_it, "{who:?}");
    }
}

// === kinds ===

#[test]
fn a_rule_says_nothing_of_kinds_that_it_does_not_list() {
    for default in [Effect::Allow, Effect::Deny] {
        let one = policy("p", &["c"], vec![tools("s", &["t*"])], vec![]);
        let rules = Rules::compile(&spec(default, vec![one]));
        let who = client("c");
        let view = rules.view(&who, "s");
        assert!(view.permits(Item::Tool("t")));
        let is_left = default == Effect::Allow;
        assert_eq!(view.permits(Item::Prompt("t")), is_left);
        assert_eq!(view.permits(Item::Resource("file:///t")), is_left);
        assert_eq!(view.permits(Item::Template("file:///{t}")), is_left);
    }
}

#[test]
fn all_tools_alone_are_whole_servers() {
    let who = client("c");
    let everything = [
        Item::Tool("t"),
        Item::Prompt("p"),
        Item::Resource("file:///r"),
        Item::Template("file:///{r}"),
    ];
    let allowed = policy("p", &["c"], vec![tools("s", &["*"])], vec![]);
    let rules = Rules::compile(&spec(Effect::Deny, vec![allowed]));
    assert!(
        everything
            .iter()
            .all(|item| rules.view(&who, "s").permits(*item))
    );
    let denied = policy("p", &["c"], vec![], vec![tools("s", &["*"])]);
    let rules = Rules::compile(&spec(Effect::Allow, vec![denied]));
    assert!(
        !everything
            .iter()
            .any(|item| rules.view(&who, "s").permits(*item))
    );
    assert!(!rules.sees(&who, "s") && rules.sees(&who, "other"));
    let tools_only = Rule {
        prompts: Some(vec![]),
        ..tools("s", &["*"])
    };
    let rules = Rules::compile(&spec(
        Effect::Deny,
        vec![policy("p", &["c"], vec![tools_only], vec![])],
    ));
    let view = rules.view(&who, "s");
    assert!(view.permits(Item::Tool("t")) && !view.permits(Item::Prompt("p")));
}

#[test]
fn every_reading_of_a_uri_has_to_be_permitted() {
    let one = policy(
        "p",
        &["c"],
        vec![resources("s", &["file:///public/*", "db://h/a%20b"])],
        vec![resources("s", &["file:///public/keys/*"])],
    );
    let who = client("c");
    let rules = Rules::compile(&spec(Effect::Deny, vec![one.clone()]));
    for (uri, is_allowed) in [
        ("file:///public/a", true),
        ("file:///public/a%20b", true),
        ("db://h/a%20b", true),
        ("db://h/a b", false),
        ("file:///public/../secret", false),
        ("file:///public/%2e%2e/secret", false),
        ("file:///public/%252e%252e%252fsecret", false),
        ("file:///public/..\\secret", false),
        ("file:///secret/../public/a", false),
        ("file:///public/keys/a", false),
        ("file:///public/%6beys/a", false),
        ("file:///public//keys/a", false),
        ("file:///public/./keys/a", false),
        ("file:///public/x/../keys/a", false),
        ("FILE:///public/a", false),
    ] {
        let view = rules.view(&who, "s");
        assert_eq!(view.permits(Item::Resource(uri)), is_allowed, "{uri}");
    }
    let rules = Rules::compile(&spec(Effect::Allow, vec![one]));
    for spelling in [
        "FILE:///public/keys/a",
        "file:/public/keys/a",
        "file://localhost/public/keys/a",
        "file:///public/keys%2fa",
    ] {
        let view = rules.view(&who, "s");
        assert!(!view.permits(Item::Resource(spelling)), "{spelling}");
    }
}

#[test]
fn a_template_is_shown_where_some_of_what_it_may_become_is_permitted() {
    let one = policy(
        "p",
        &["c"],
        vec![resources("s", &["file:///public/*"])],
        vec![resources("s", &["file:///public/keys/*"])],
    );
    let rules = Rules::compile(&spec(Effect::Deny, vec![one]));
    let who = client("c");
    for (template, is_shown) in [
        ("file:///{path}", true),
        ("file:///public/{name}.md", true),
        ("file:///public/keys/{name}", false),
        ("file:///secret/{name}", false),
        ("file:///public/a", true),
    ] {
        let view = rules.view(&who, "s");
        assert_eq!(
            view.permits(Item::Template(template)),
            is_shown,
            "{template}"
        );
    }
}

#[test]
fn a_template_is_not_shown_for_what_is_allowed_and_all_denied() {
    for (allow, deny, template, is_shown) in [
        ("file:///a/*", "file:///a/*", "file:///{x}", false),
        ("file:///a/b", "file:///a/*", "file:///{x}", false),
        ("file:///a/*", "file:///a/b", "file:///{x}", true),
        ("file:///*", "file:///a/*", "file:///a{x}", true),
        ("file:///a/?", "file:///a/*", "{x}", false),
    ] {
        let (allow, deny) = (resources("s", &[allow]), resources("s", &[deny]));
        let one = policy("p", &["c"], vec![allow], vec![deny]);
        let rules = Rules::compile(&spec(Effect::Deny, vec![one]));
        let who = client("c");
        let is_permitted = rules.view(&who, "s").permits(Item::Template(template));
        assert_eq!(is_permitted, is_shown, "{template}");
        assert_eq!(rules.sees(&who, "s"), is_shown, "{template}");
    }
}

#[test]
fn an_allowing_pattern_that_is_denied_elsewhere_only_is_left() {
    let allow = resources("*", &["db://h", "file:///a/*"]);
    let deny = resources("git", &["file:///*"]);
    let one = policy("p", &["c"], vec![allow], vec![deny]);
    let rules = Rules::compile(&spec(Effect::Deny, vec![one]));
    let who = client("c");
    let template = |server: &str, text| rules.view(&who, server).permits(Item::Template(text));
    assert!(!template("git", "file:///{x}"));
    // Its other pattern is left.
    assert!(template("git", "{+x}"));
    assert!(template("db", "file:///{x}"));
}

// === needs ===

fn need(text: &str, check: impl FnOnce(Need<'_>)) {
    let headers = Headers::default();
    let call = Call::classify(parse::message(text).unwrap(), &headers).unwrap();
    check(Need::of(&call));
}

fn request(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#)
}

#[test]
fn a_message_needs_what_its_server_will_act_on() {
    let tool = || Need::Item(Named::Tool("t".into()));
    let unnamed = |need: Need<'_>| assert!(matches!(need, Need::Unnamed(_)), "{need:?}");
    need(&request("tools/call", r#"{"name":"t"}"#), |one| {
        assert_eq!(one, tool())
    });
    need(&request("tools/call", r#"{"n\u0061me":"\u0074"}"#), |one| {
        assert_eq!(one, tool())
    });
    need(&request("tools/call", r#"{"name":7}"#), unnamed);
    need(&request("tools/call", "{}"), unnamed);
    need(&request("prompts/get", r#"{"name":"t"}"#), |one| {
        assert_eq!(one, Need::Item(Named::Prompt("t".into())));
    });
    for method in ["resources/read", "resources/subscribe"] {
        need(&request(method, r#"{"uri":"u:x"}"#), |one| {
            assert_eq!(one, Need::Item(Named::Resource("u:x".into())));
        });
    }
    need(&request("tasks/get", r#"{"taskId":"1"}"#), |one| {
        assert_eq!(one, Need::Task)
    });
    need(&request("tools/call_all", "{}"), |one| {
        assert_eq!(one, Need::Everything("tools/call_all".into()));
    });
    for method in [
        "ping",
        "tools/list",
        "logging/setLevel",
        "server/discover",
        "notifications/x",
    ] {
        need(&request(method, "{}"), |one| assert_eq!(one, Need::Server));
    }
    // What wants no answer is acted on all the same.
    let told = r#"{"jsonrpc":"2.0","method":"tools/call_all","params":{"name":"t"}}"#;
    need(told, |one| {
        assert_eq!(one, Need::Everything("tools/call_all".into()));
    });
    let answer = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
    need(answer, |one| assert_eq!(one, Need::Server));
}

#[test]
fn a_completion_needs_what_its_reference_names() {
    let complete = |reference: &str| request("completion/complete", &format!("{{{reference}}}"));
    need(
        &complete(r#""ref":{"type":"ref/prompt","name":"p"}"#),
        |one| {
            assert_eq!(one, Need::Item(Named::Prompt("p".into())));
        },
    );
    need(
        &complete(r#""ref":{"type":"ref/resource","uri":"u:{x}","name":"p"}"#),
        |one| {
            assert_eq!(one, Need::Item(Named::Template("u:{x}".into())));
        },
    );
    for twice in [
        r#""ref":{"type":"ref/prompt","name":"p"},"ref":{"type":"ref/prompt","name":"q"}"#,
        r#""ref":{"type":"ref/prompt","name":"p","name":"q"}"#,
        r#""ref":{"type":"ref/prompt","type":"ref/resource","name":"p","uri":"u"}"#,
        r#""ref":{"type":"ref/prompt","name":"p","Name":"q"}"#,
        r#""ref":{"type":"ref/prompt"}"#,
        r#""ref":{"type":"ref/other","name":"p"}"#,
        r#""ref":7"#,
        "",
    ] {
        need(&complete(twice), |one| {
            assert!(matches!(one, Need::Unnamed(_)), "{twice}");
        });
    }
}

#[test]
fn who_listens_needs_every_resource_that_it_names() {
    let listen = |filter: &str| {
        request(
            "subscriptions/listen",
            &format!(r#"{{"notifications":{filter}}}"#),
        )
    };
    need(
        &listen(r#"{"resourceSubscriptions":["u:a","u:\u0062"],"taskIds":["t"]}"#),
        |one| {
            let wanted = Need::Listen {
                uris: vec!["u:a".into(), "u:b".into()],
                has_tasks: true,
            };
            assert_eq!(one, wanted);
        },
    );
    for unclear in [
        r#"{"resourceSubscriptions":["u:a"],"resourceSubscriptions":["u:b"]}"#,
        r#"{"resourceSubscriptions":[7]}"#,
        r#"{"resourceSubscriptions":"u:a"}"#,
        "[]",
        r#"{},"notifications":{"resourceSubscriptions":["u:b"]}"#,
    ] {
        need(&listen(unclear), |one| {
            assert!(matches!(one, Need::Unnamed(_)), "{unclear}");
        });
    }
    let one = policy("p", &["c"], vec![resources("s", &["u:a"])], vec![]);
    let rules = Rules::compile(&spec(Effect::Deny, vec![one]));
    let asks = |uris: &[&'static str]| {
        let uris = uris.iter().map(|&uri| uri.into()).collect();
        let has_tasks = false;
        permitted(&rules, &client("c"), "s", Need::Listen { uris, has_tasks })
    };
    assert_eq!(asks(&["u:a"]), Ok(()));
    assert!(matches!(
        asks(&["u:a", "u:b"]),
        Err(Refusal::AccessDenied(_))
    ));
}

#[test]
fn a_method_that_nobody_knows_is_for_who_may_do_everything() {
    let whole = policy("w", &["whole"], vec![tools("s", &["*"])], vec![]);
    let part = policy("p", &["part"], vec![tools("s", &["t"])], vec![]);
    let rules = Rules::compile(&spec(Effect::Deny, vec![whole, part]));
    let ask = |who: &str| permitted(&rules, &client(who), "s", Need::Everything("x/y".into()));
    assert_eq!(ask("whole"), Ok(()));
    assert!(matches!(ask("part"), Err(Refusal::AccessDenied(_))));
    let unnamed = |who: &str| permitted(&rules, &client(who), "s", Need::Unnamed("n"));
    assert_eq!(unnamed("whole"), Ok(()));
    assert_eq!(unnamed("part"), Err(Refusal::ParamsInvalid { what: "n" }));
}

#[test]
fn tasks_are_for_who_may_call_a_tool() {
    let one = policy(
        "p",
        &["c"],
        vec![tools("s", &["t"]), resources("r", &["*"])],
        vec![],
    );
    let rules = Rules::compile(&spec(Effect::Deny, vec![one]));
    let ask = |server| permitted(&rules, &client("c"), server, Need::Task);
    assert_eq!(ask("s"), Ok(()));
    assert!(matches!(ask("r"), Err(Refusal::AccessDenied(_))));
}

// === what is told ===

#[test]
fn a_server_of_which_nothing_is_permitted_is_one_that_there_is_not() {
    let one = policy(
        "p",
        &["c"],
        vec![tools("s", &["t"])],
        vec![tools("s", &["*"])],
    );
    let rules = Rules::compile(&spec(Effect::Deny, vec![one]));
    for server in ["s", "other"] {
        let unknown = Refusal::ServerUnknown {
            server: server.to_owned(),
        };
        let asked = permitted(&rules, &client("c"), server, Need::Server);
        assert_eq!(asked, Err(unknown));
    }
}

#[test]
fn a_refusal_names_the_client_the_tool_the_server_and_the_rule() {
    let one = policy(
        "readers",
        &["c"],
        vec![tools("s", &["t"])],
        vec![tools("s", &["x"])],
    );
    let rules = Rules::compile(&spec(Effect::Deny, vec![one]));
    let said = |tool: &'static str| {
        let need = Need::Item(Named::Tool(tool.into()));
        let refusal = permitted(&rules, &client("c"), "s", need).unwrap_err();
        assert_eq!(
            (refusal.status(), refusal.code(), refusal.label()),
            (200, -32000, "acl_denied")
        );
        refusal.message().into_owned()
    };
    let head = "Access denied: client 'c' is not allowed to call";
    assert_eq!(
        said("x"),
        format!("{head} 'x' on server 's' (policy 'readers', deny[0])")
    );
    assert_eq!(
        said("y"),
        format!(
            "{head} 'y' on server 's' (policy 'readers' does not allow it, nor does \
             acl.default_action)"
        )
    );
}

#[test]
fn a_strangers_name_is_kept_and_repeated_in_part_only() {
    let rules = Rules::compile(&spec(
        Effect::Deny,
        vec![policy("p", &["c"], vec![tools("s", &["t"])], vec![])],
    ));
    let need = Need::Item(Named::Tool("é".repeat(10_000).into()));
    let refusal = permitted(&rules, &client("c"), "s", need).unwrap_err();
    let n_said = refusal.message().chars().filter(|&c| c == 'é').count();
    let Refusal::AccessDenied(denial) = refusal else {
        panic!("{refusal:?}");
    };
    assert_eq!((denial.name.chars().count(), n_said), (256, 64));
}

#[test]
fn in_shadow_mode_everything_passes_and_what_would_be_denied_is_told() {
    let one = policy("p", &["c"], vec![tools("s", &["t"])], vec![]);
    let rules = Rules::compile(&Spec {
        mode: Mode::Shadow,
        ..spec(Effect::Deny, vec![one])
    });
    let who = client("c");
    let ask =
        |tool: &'static str| permit(&rules, &who, "s", || Need::Item(Named::Tool(tool.into())));
    assert!(ask("t").unwrap().shadowed().is_none());
    let denied = ask("x").unwrap();
    assert_eq!(&*denied.shadowed().unwrap().name, "x");
    assert!(rules.sees(&who, "other") && !rules.is_enforced());
    let other = permit(&rules, &who, "other", || Need::Server).unwrap();
    assert!(other.shadowed().is_some());
}

#[test]
fn an_explanation_is_the_whole_walk() {
    let policies = vec![
        policy("others", &["x"], vec![], vec![]),
        policy(
            "mine",
            &["c"],
            vec![tools("*", &["get_*"])],
            vec![tools("other", &["*"]), tools("s", &["drop_*"])],
        ),
        policy("late", &["*"], vec![], vec![]),
    ];
    let rules = Rules::compile(&spec(Effect::Deny, policies));
    let who = client("c");
    let told = explain(&rules, &who, "s", Item::Tool("get_x"));
    assert_eq!(
        told.decision,
        rules.view(&who, "s").decide(Item::Tool("get_x"))
    );
    let names: Vec<_> = told
        .considered
        .iter()
        .map(|one| (&*one.policy, one.is_match))
        .collect();
    assert_eq!(names, [("others", false), ("mine", true)]);
    let rules: Vec<_> = told.considered[1]
        .rules
        .iter()
        .map(|rule| {
            (
                rule.list,
                rule.index,
                rule.is_server,
                rule.pattern.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        rules,
        [
            (List::Deny, 0, false, None),
            (List::Deny, 1, true, None),
            (List::Allow, 0, true, Some("get_*")),
        ]
    );
}

// === lists ===

fn half() -> (Rules, Principal) {
    let rule = Rule {
        tools: Some(list(&["a*"])),
        prompts: Some(list(&["p"])),
        resources: Some(list(&["u:a*"])),
        server: "s".to_owned(),
    };
    let one = policy("p", &["c"], vec![rule], vec![]);
    (Rules::compile(&spec(Effect::Deny, vec![one])), client("c"))
}

#[test]
fn a_list_is_given_without_what_may_not_be_used_and_byte_for_byte_otherwise() {
    let (rules, who) = half();
    let view = rules.view(&who, "s");
    let tool = |name: &str| format!(r#"{{"x":1.50,"name":"{name}"}}"#);
    let result = format!(
        r#"{{"tools":[{},{},{}],"nextCursor":"n","cacheScope":"public"}}"#,
        tool("a1"),
        tool("b"),
        tool("a2")
    );
    let wanted = format!(
        r#"{{"tools":[{},{}],"nextCursor":"n","cacheScope":"private"}}"#,
        tool("a1"),
        tool("a2")
    );
    assert_eq!(
        screen::result(&view, &[Kind::Tools], &result),
        Shown::Changed(wanted)
    );
    let all = format!(r#"{{"tools":[{}]}}"#, tool("a1"));
    assert_eq!(screen::result(&view, &[Kind::Tools], &all), Shown::AsIs);
}

#[test]
fn what_of_a_list_cannot_be_told_apart_is_not_shown() {
    let (rules, who) = half();
    let view = rules.view(&who, "s");
    for (result, shown) in [
        (r#"{"tools":[{"name":7},{},"a"]}"#, r#"{"tools":[]}"#),
        (r#"{"tools":{"name":"b"}}"#, r#"{"tools":[]}"#),
        (
            r#"{"tools":[{"name":"b"}],"tools":[{"name":"a"}]}"#,
            r#"{"tools":[{"name":"a"}]}"#,
        ),
        (
            r#"{"tools":[{"name":"b"}],"t\u006fols":[{"name":"c"}]}"#,
            r#"{"tools":[]}"#,
        ),
    ] {
        let screened = screen::result(&view, &[Kind::Tools], result);
        assert_eq!(screened, Shown::Changed(shown.to_owned()), "{result}");
    }
}

#[test]
fn a_stream_that_brings_anything_is_screened_message_by_message() {
    let (rules, who) = half();
    let view = rules.view(&who, "s");
    let news = |uri: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{{"uri":"{uri}"}}}}"#
        )
    };
    assert_eq!(screen::message(&view, &news("u:a1")), Shown::AsIs);
    assert_eq!(screen::message(&view, &news("u:b")), Shown::Hidden);
    let escaped =
        r#"{"jsonrpc":"2.0","m\u0065thod":"notifications\/resources\/updated","params":{}}"#;
    assert_eq!(screen::message(&view, escaped), Shown::Unclear);
    let other = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"uri":"u:b"}}"#;
    assert_eq!(screen::message(&view, other), Shown::AsIs);
    let list = r#"{"jsonrpc":"2.0","id":1,"result":{"prompts":[{"name":"q"},{"name":"p"}]}}"#;
    let shown = r#"{"jsonrpc":"2.0","id":1,"result":{"prompts":[{"name":"p"}]}}"#;
    assert_eq!(
        screen::message(&view, list),
        Shown::Changed(shown.to_owned())
    );
}

#[test]
fn no_way_of_writing_an_answer_shows_more() {
    let (rules, who) = half();
    let view = rules.view(&who, "s");
    let of = |result: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#);
    for result in [
        r#"{"\ud800":1,"tools":[{"name":"b"}]}"#,
        r#"{"to\u006fls":[{"name":"b"}]}"#,
        r#"{"TOOLS":[{"name":"b"}]}"#,
        r#"{"tools":[{"name":"b"}],"tools":[{"name":"a"}]}"#,
        r#"{"tools":[{"name":"b","name":"a"}]}"#,
        r#"{"tools":[{"Name":"b","name":"a"}]}"#,
        r#"{"tools":[["b"],"b",{"\ud800":"b","name":"a"}]}"#,
        r#"[{"tools":[{"name":"b"}]}]"#,
    ] {
        let text = of(result);
        let twice = format!(r#"{{"result":{result},"result":{{}}}}"#);
        for text in [&text, &twice, &format!("[{text}]"), &format!("[[{text}]]")] {
            let shown = [
                screen::answer(&view, Kind::Tools, text),
                screen::message(&view, text),
            ];
            for shown in shown {
                match shown {
                    Shown::Changed(shown) => assert!(!shown.contains("\"b\""), "{text}"),
                    Shown::Hidden | Shown::Unclear => {}
                    Shown::AsIs => panic!("{text}"),
                }
            }
        }
    }
    assert_eq!(screen::message(&view, "{"), Shown::Unclear);
    assert_eq!(screen::message(&view, ""), Shown::AsIs);
    let good = of(r#"{"tools":[{"name":"a"}]}"#);
    assert_eq!(screen::message(&view, &format!("[{good}]")), Shown::AsIs);
}

#[test]
fn news_that_is_unclear_is_told_to_nobody_who_is_screened() {
    let denied = policy("p", &["c"], vec![], vec![resources("s", &["u:b"])]);
    let rules = Rules::compile(&spec(Effect::Allow, vec![denied]));
    let who = client("c");
    let view = rules.view(&who, "s");
    let of = |members: &str| format!(r#"{{"jsonrpc":"2.0",{members}}}"#);
    let method = r#""method":"notifications/resources/updated""#;
    for unclear in [
        of(&format!(r#"{method},"params":{{"uri":"u:a","uri":"u:b"}}"#)),
        of(&format!(r#"{method},"params":{{"uri":"u:a","URI":"u:b"}}"#)),
        of(&format!(r#"{method},"params":{{"uri":["u:b"]}}"#)),
        of(&format!(r#"{method},"params":{{"uri":"\ud800"}}"#)),
        of(&format!(r#"{method},"params":["u:b"]"#)),
        of(method),
        of(&format!(
            r#"{method},"params":{{}},"Params":{{"uri":"u:b"}}"#
        )),
        of(&format!(
            r#""method":"x",{method},"params":{{"uri":"u:b"}}"#
        )),
        of(&format!(r#"{method},"\ud800":1,"params":{{"uri":"u:b"}}"#)),
        of(&format!(
            r#"{method},"params":{{"uri":"u:b"}},"result":{{}}"#
        )),
        format!(r#"{{{method},"params":{{"uri":"u:b"}}}}"#),
    ] {
        assert_eq!(screen::news(&unclear), News::Unclear, "{unclear}");
        assert_eq!(screen::message(&view, &unclear), Shown::Unclear);
    }
    let news = of(&format!(r#"{method},"params":{{"uri":"u:\u0062"}}"#));
    assert_eq!(screen::news(&news), News::Of("u:b".to_owned()));
    assert_eq!(screen::message(&view, &news), Shown::Hidden);
    let other = of(r#""method":"notifications/message","params":{"data":1}"#);
    assert_eq!(screen::news(&other), News::Nothing);
}

// === any rules ===

const CLIENTS: [&str; 3] = ["ann", "anna", "bob"];
const SERVERS: [&str; 3] = ["git", "git-two", "db"];
const NAMES: [&str; 6] = ["get", "get_all", "drop", "drop_all", "a.b", "*"];
const URIS: [&str; 6] = [
    "file:///a",
    "file:///a/b",
    "file:///a/%62",
    "file:///a/../b",
    "file:///{x}",
    "db://h",
];
const PATTERNS: [&str; 10] = [
    "*",
    "get*",
    "drop",
    "*_all",
    "?et",
    "a.*",
    "file:///*",
    "file:///a/*",
    "file:///a/b",
    "db://h",
];

fn any_rule() -> impl Strategy<Value = Rule> {
    let patterns = || option::of(vec(select(&PATTERNS[..]).prop_map(str::to_owned), 0..3));
    let server = select(vec!["*", "git", "git*", "db"]);
    (server, patterns(), patterns(), patterns()).prop_map(|(server, tools, prompts, resources)| {
        Rule {
            server: server.to_owned(),
            tools,
            prompts,
            resources,
        }
    })
}

fn any_policy() -> impl Strategy<Value = Policy> {
    let clients = vec(select(vec!["*", "ann", "ann*", "bob"]), 1..3);
    let texts = |one: &'static str, other: &'static str| {
        option::weighted(0.2, vec(select(vec![one, other, "*"]), 1..2))
    };
    let rules = || vec(any_rule(), 0..4);
    (
        clients,
        texts("t1", "t2"),
        texts("r1", "r2"),
        rules(),
        rules(),
    )
        .prop_map(|(clients, tenants, roles, allow, deny)| Policy {
            name: "p".to_owned(),
            who: Who {
                clients: Some(list(&clients)),
                tenants: tenants.map(|one| list(&one)),
                roles: roles.map(|one| list(&one)),
                scopes: None,
            },
            allow,
            deny,
        })
}

fn any_rules() -> impl Strategy<Value = (Spec, Principal)> {
    let who = (
        select(&CLIENTS[..]),
        option::of(select(vec!["t1", "t2"])),
        vec(select(vec!["r1", "r2"]), 0..2),
    );
    let default = select(vec![Effect::Allow, Effect::Deny]);
    (default, vec(any_policy(), 0..4), who).prop_map(|(default, policies, who)| {
        let (name, tenant, roles) = who;
        let who = Principal {
            tenant: tenant.map(Into::into),
            roles: roles.into_iter().map(Into::into).collect(),
            ..client(name)
        };
        (spec(default, policies), who)
    })
}

/// The documented rules, read as slowly and plainly as possible; for names only.
fn by_the_book(spec: &Spec, who: &Principal, server: &str, item: Item<'_>) -> bool {
    let glob = |pattern: &String, text: &str| crate::glob::Glob::new(pattern).matches(text);
    let one_of = |list: &Option<Vec<String>>, held: &[&str]| {
        let has = |patterns: &Vec<String>| {
            patterns
                .iter()
                .any(|pattern| held.iter().any(|one| glob(pattern, one)))
        };
        list.as_ref().is_none_or(has)
    };
    let roles: Vec<&str> = who.roles.iter().map(|one| &**one).collect();
    let tenant: Vec<&str> = who.tenant.iter().map(|one| &**one).collect();
    let policy = spec.policies.iter().find(|policy| {
        one_of(&policy.who.clients, &[&who.client])
            && one_of(&policy.who.tenants, &tenant)
            && one_of(&policy.who.roles, &roles)
    });
    let names = |rule: &Rule| {
        let whole = Some(list(&["*"])).filter(|_| rule.is_of_whole_servers());
        let (written, name) = match item {
            Item::Tool(name) => (&rule.tools, name),
            Item::Prompt(name) => (&rule.prompts, name),
            Item::Resource(name) | Item::Template(name) => (&rule.resources, name),
        };
        let patterns = written.clone().or(whole).unwrap_or_default();
        glob(&rule.server, server) && patterns.iter().any(|pattern| glob(pattern, name))
    };
    match policy {
        Some(policy) if policy.deny.iter().any(names) => false,
        Some(policy) if policy.allow.iter().any(names) => true,
        Some(_) | None => spec.default == Effect::Allow,
    }
}

fn items() -> impl Iterator<Item = (Kind, &'static str)> {
    let names = [Kind::Tools, Kind::Prompts].into_iter();
    let names = names.flat_map(|kind| NAMES.into_iter().map(move |name| (kind, name)));
    let uris = [Kind::Resources, Kind::Templates].into_iter();
    names.chain(uris.flat_map(|kind| URIS.into_iter().map(move |uri| (kind, uri))))
}

proptest! {
    #[test]
    fn names_are_decided_by_the_book((spec, who) in any_rules()) {
        let rules = Rules::compile(&spec);
        for server in SERVERS {
            let view = rules.view(&who, server);
            for name in NAMES {
                for item in [Item::Tool(name), Item::Prompt(name)] {
                    prop_assert_eq!(
                        view.permits(item),
                        by_the_book(&spec, &who, server, item),
                        "{:?}", item
                    );
                }
            }
            for uri in ["file:///a", "file:///a/b", "db://h"] {
                let item = Item::Resource(uri);
                prop_assert_eq!(view.permits(item), by_the_book(&spec, &who, server, item));
            }
        }
    }

    #[test]
    fn a_list_shows_exactly_what_may_be_used((spec, who) in any_rules()) {
        let rules = Rules::compile(&spec);
        for server in SERVERS {
            let view = rules.view(&who, server);
            for (kind, name) in items() {
                let key = kind.key();
                let result = format!(r#"{{"{}":[{{"{key}":"{name}"}}]}}"#, kind.member());
                let is_shown = screen::result(&view, &[kind], &result) == Shown::AsIs;
                let need = match kind {
                    Kind::Tools => Named::Tool(name.into()),
                    Kind::Prompts => Named::Prompt(name.into()),
                    Kind::Resources => Named::Resource(name.into()),
                    Kind::Templates => Named::Template(name.into()),
                };
                let asked = permitted(&rules, &who, server, Need::Item(need));
                prop_assert_eq!(is_shown, asked.is_ok(), "{} {:?}", name, kind);
            }
        }
    }

    #[test]
    fn the_shortcuts_say_what_the_walk_says((spec, who) in any_rules()) {
        let rules = Rules::compile(&spec);
        for server in SERVERS {
            let view = rules.view(&who, server);
            for (kind, name) in items() {
                let item = Item::of(kind, name);
                let is_permitted = view.permits(item);
                prop_assert!(view.is_any_of(kind) || !is_permitted, "{} {:?}", name, kind);
                prop_assert!(!view.is_all_of(kind) || is_permitted, "{} {:?}", name, kind);
                prop_assert!(rules.sees(&who, server) || !is_permitted);
                let told = explain(&rules, &who, server, item);
                prop_assert_eq!(told.decision, view.decide(item));
                prop_assert_eq!(told.is_visible, rules.sees(&who, server));
            }
        }
    }

    #[test]
    fn a_template_is_permitted_with_anything_that_it_may_become((spec, who) in any_rules()) {
        let rules = Rules::compile(&spec);
        for server in SERVERS {
            let view = rules.view(&who, server);
            for (template, uri) in [
                ("file:///{x}", "file:///a"),
                ("file:///{x}", "file:///a/b"),
                ("file:///a{/x}", "file:///a/b"),
                ("{+x}", "db://h"),
                ("db://h", "db://h"),
            ] {
                prop_assert!(
                    view.permits(Item::Template(template)) || !view.permits(Item::Resource(uri)),
                    "{} {}", template, uri
                );
            }
        }
    }

    #[test]
    fn another_spelling_of_a_uri_never_opens_what_is_denied(
        (spec, who) in any_rules(),
        uri in select(&["file:///a/b", "file:///a", "db://h"][..]),
        spelling in 0_usize..5,
    ) {
        let other = match spelling {
            0 => uri.replacen("///", "///x/../", 1),
            1 => uri.replace('a', "%61").replace('h', "%68"),
            2 => uri.replacen("file", "FiLe", 1).replacen("db", "DB", 1),
            3 => uri.replace("/b", "//b"),
            _ => uri.replace("/b", "/.%2fb"),
        };
        let rules = Rules::compile(&spec);
        for server in SERVERS {
            let view = rules.view(&who, server);
            let Decision { effect, rule, .. } = view.decide(Item::Resource(uri));
            let is_denied_by_a_rule = effect == Effect::Deny && rule.is_some();
            prop_assert!(!is_denied_by_a_rule || !view.permits(Item::Resource(&other)), "{}", other);
        }
    }
}
