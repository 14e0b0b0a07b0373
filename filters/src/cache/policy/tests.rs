use super::*;

const fn secs(secs: u64) -> Option<Duration> {
    Some(Duration::from_secs(secs))
}

const READS: Annotations = Annotations {
    read_only: true,
    destructive: false,
};
const DESTROYS: Annotations = Annotations {
    read_only: false,
    destructive: true,
};
const BOTH: Annotations = Annotations {
    read_only: true,
    destructive: true,
};
const NEITHER: Annotations = Annotations {
    read_only: false,
    destructive: false,
};

/// A server with a `cache` section and rules for the tool `t`.
fn policy(default_ttl: Option<Duration>, rules: Option<ToolRules>) -> Policy {
    Policy {
        is_enabled: true,
        is_written: true,
        default_ttl,
        tools: rules
            .map(|rules| ("t".to_owned(), rules))
            .into_iter()
            .collect(),
        ..Policy::default()
    }
}

fn rules(ttl: Option<Duration>) -> ToolRules {
    ToolRules {
        ttl,
        ..ToolRules::default()
    }
}

/// How long a call of `t` is kept.
fn kept(policy: &Policy, annotations: Option<&Annotations>) -> Option<Duration> {
    match policy.call("t", annotations) {
        CallPlan::Skip => None,
        CallPlan::Use { lifetime, .. } => Some(lifetime.fresh()),
    }
}

#[test]
fn only_reads_and_what_the_operator_named_are_kept() {
    for (default, rule, says, expected) in [
        // What destroys never is, whoever says otherwise.
        (secs(60), Some(secs(10)), Some(DESTROYS), None),
        (secs(60), Some(secs(10)), Some(BOTH), None),
        (secs(60), None, Some(DESTROYS), None),
        // What says nothing, or nothing that counts, is not.
        (secs(60), None, None, None),
        (secs(60), None, Some(NEITHER), None),
        (secs(60), Some(None), None, None),
        (secs(60), Some(None), Some(NEITHER), None),
        // Zero is off.
        (secs(0), None, Some(READS), None),
        (secs(0), Some(None), Some(READS), None),
        (secs(60), Some(secs(0)), Some(READS), None),
        (None, Some(secs(0)), Some(READS), None),
        // Reads are, for the operator's time or the usual one.
        (secs(60), None, Some(READS), secs(60)),
        (None, None, Some(READS), secs(300)),
        (None, Some(None), Some(READS), secs(300)),
        // A time for one tool is the operator's word for it.
        (secs(0), Some(secs(10)), Some(READS), secs(10)),
        (secs(0), Some(secs(10)), Some(NEITHER), secs(10)),
        (None, Some(secs(10)), None, secs(10)),
    ] {
        let policy = policy(default, rule.map(rules));
        assert_eq!(
            kept(&policy, says.as_ref()),
            expected,
            "{default:?} {rule:?} {says:?}"
        );
    }
}

#[test]
fn without_a_cache_section_no_call_is_kept() {
    let unwritten = Policy {
        is_written: false,
        ..policy(None, None)
    };
    assert_eq!(kept(&unwritten, Some(&READS)), None);
}

#[test]
fn a_cache_that_is_off_keeps_nothing_and_invalidates_nothing() {
    let off = Policy {
        is_enabled: false,
        ..policy(secs(60), Some(rules(secs(10))))
    };
    assert_eq!(kept(&off, Some(&READS)), None);
    assert_eq!(off.effects("t", Some(&DESTROYS)), None);
    assert_eq!(kept(&Policy::default(), Some(&READS)), None);
}

#[test]
fn a_tool_has_its_own_staleness_and_ignored_arguments_or_the_servers() {
    let stale = |secs| Staleness {
        while_revalidate: Duration::from_secs(secs),
        if_error: Duration::ZERO,
    };
    let ignored = Ignored::compile(["at"]);
    let own = ToolRules {
        ignored: ignored.clone(),
        staleness: Some(stale(7)),
        ..rules(secs(10))
    };
    let policy = Policy {
        calls: stale(5),
        ..policy(secs(60), Some(own))
    };
    let used = |secs, stale, ignored| CallPlan::Use {
        lifetime: Lifetime::new(Duration::from_secs(secs), stale),
        ignored,
    };
    assert_eq!(policy.call("t", None), used(10, stale(7), &ignored));
    assert_eq!(
        policy.call("u", Some(&READS)),
        used(60, stale(5), Ignored::NONE)
    );
}

#[test]
fn only_explicit_booleans_of_a_tools_own_annotations_count() {
    for (tool, read_only, destructive) in [
        ("", false, false),
        ("[]", false, false),
        ("{}", false, false),
        (
            r#"{"readOnlyHint":true,"destructiveHint":true}"#,
            false,
            false,
        ),
        (r#"{"annotations":null}"#, false, false),
        (r#"{"annotations":[true]}"#, false, false),
        (
            r#"{"annotations":{"readOnlyHint":"true","destructiveHint":1}}"#,
            false,
            false,
        ),
        (
            r#"{"annotations":{"readOnlyHint":null,"destructiveHint":false}}"#,
            false,
            false,
        ),
        (
            r#"{"annotations":{"idempotentHint":true,"openWorldHint":true}}"#,
            false,
            false,
        ),
        (
            r#"{"inputSchema":{"annotations":{"readOnlyHint":true}}}"#,
            false,
            false,
        ),
        (r#"{"annotations":{"readOnlyHint": true }}"#, true, false),
        (r#"{"annotations":{"destructiveHint":true}}"#, false, true),
        (
            r#"{"annotations":{"readOnlyHint":true,"destructiveHint":true}}"#,
            true,
            true,
        ),
    ] {
        let expected = Annotations {
            read_only,
            destructive,
        };
        assert_eq!(Annotations::read(tool), expected, "{tool}");
    }
}

fn writes(patterns: &[&str], ttl: Option<Duration>) -> ToolRules {
    ToolRules {
        invalidates: patterns.iter().copied().map(Pattern::parse).collect(),
        ..rules(ttl)
    }
}

#[test]
fn a_write_invalidates_what_it_names_whatever_its_own_ttl() {
    let tools = |globs: &[&str]| Reach::Tools(globs.iter().copied().map(Glob::new).collect());
    for ttl in [None, secs(0), secs(10)] {
        let effects = |patterns: &[&str], says: Option<&Annotations>| {
            policy(None, Some(writes(patterns, ttl))).effects("t", says)
        };
        assert_eq!(
            effects(&["get_*", "list"], None),
            Some(tools(&["get_*", "list"]))
        );
        // Named targets are all that a destructive tool reaches.
        assert_eq!(
            effects(&["get_*"], Some(&DESTROYS)),
            Some(tools(&["get_*"]))
        );
        let files = Reach::Resources(vec![Glob::new("file:*")]);
        assert_eq!(effects(&["resource:file:*"], None), Some(files.clone()));
        let both = Reach::union([tools(&["a"]), files]);
        assert_eq!(effects(&["resource:file:*", "a"], None), both);
        assert_eq!(effects(&["tag:nobody"], Some(&DESTROYS)), None);
    }
}

#[test]
fn a_tag_names_the_tools_that_have_it() {
    let tagged = |tags: &[&str]| ToolRules {
        tags: tags.iter().copied().map(str::to_owned).collect(),
        ..ToolRules::default()
    };
    let mut policy = policy(None, Some(writes(&["tag:issues", "search"], None)));
    for (name, tags) in [
        ("b", &["issues", "x"][..]),
        ("a*", &["issues"]),
        ("c", &["issue"]),
    ] {
        policy.tools.insert(name.to_owned(), tagged(tags));
    }
    let expected = Reach::union([
        Reach::Tools(vec![Glob::new("search")]),
        Reach::Tool("a*".to_owned()),
        Reach::Tool("b".to_owned()),
    ]);
    assert_eq!(policy.effects("t", None), expected);
}

#[test]
fn what_destroys_invalidates_all_contents_of_its_server() {
    let all = Reach::union([Method::ToolsCall, Method::ResourcesRead].map(Reach::Method));
    for rule in [None, Some(rules(secs(10))), Some(rules(None))] {
        let policy = policy(None, rule);
        assert_eq!(policy.effects("t", Some(&DESTROYS)), all);
        assert_eq!(policy.effects("t", Some(&BOTH)), all);
        assert_eq!(policy.effects("t", Some(&READS)), None);
        assert_eq!(policy.effects("t", Some(&NEITHER)), None);
        assert_eq!(policy.effects("t", None), None);
    }
}

#[test]
fn an_answer_is_shared_only_as_far_as_server_and_operator_say() {
    use Share::{Private, Public, Tenant};
    let (list, read, call) = (Method::ToolsList, Method::ResourcesRead, Method::ToolsCall);
    for (operator, method, scope, expected) in [
        (Public, Method::PromptsGet, Some(Scope::Public), Private),
        (Public, list, Some(Scope::Private), Private),
        (Public, call, Some(Scope::Private), Private),
        (Private, list, None, Private),
        (Private, call, None, Private),
        (Private, call, Some(Scope::Public), Private),
        (Tenant, call, Some(Scope::Public), Tenant),
        (Tenant, list, None, Tenant),
        (Public, read, None, Public),
        (Public, call, None, Public),
        (Private, list, Some(Scope::Public), Public),
        (Private, read, Some(Scope::Public), Public),
    ] {
        let policy = Policy {
            share: operator,
            ..Policy::default()
        };
        assert_eq!(
            policy.share(method, scope),
            expected,
            "{operator:?} {method:?} {scope:?}"
        );
    }
}
