use super::*;

fn key(first: u8) -> Key {
    Key::parse(&format!("{first:02x}{}", "0".repeat(62))).unwrap()
}

fn globs(patterns: &[&str]) -> Vec<Glob> {
    patterns.iter().copied().map(Glob::new).collect()
}

fn tool(name: &str) -> Reach {
    Reach::Tool(name.to_owned())
}

#[test]
fn a_reach_covers_what_it_names_and_nothing_else() {
    let call = |name| (Method::ToolsCall, Some(name));
    let read = |uri| (Method::ResourcesRead, Some(uri));
    let list = (Method::ToolsList, None);
    let either = || Reach::Union(vec![tool("a"), tool("b")]);
    for (reach, (method, target), is_covered) in [
        (Reach::Server, list, true),
        (Reach::Method(Method::ToolsList), list, true),
        (Reach::Method(Method::ToolsList), call("a"), false),
        (Reach::Method(Method::ResourcesList), list, false),
        (Reach::Method(Method::ToolsCall), call("a"), true),
        (Reach::Tools(globs(&["*"])), list, false),
        (Reach::Tools(globs(&["*"])), read("a"), false),
        (
            Reach::Tools(globs(&["*"])),
            (Method::ToolsCall, None),
            false,
        ),
        (Reach::Tools(globs(&["x", "get_*"])), call("get_a"), true),
        (Reach::Tools(globs(&["x", "get_*"])), call("set_a"), false),
        (Reach::Tools(Vec::new()), call("a"), false),
        (tool("get_*"), call("get_a"), false),
        (tool("get_*"), call("get_*"), true),
        (tool("a"), read("a"), false),
        (
            Reach::Resources(globs(&["file:*"])),
            read("file:///a"),
            true,
        ),
        (Reach::Resources(globs(&["file:*"])), call("file:a"), false),
        (Reach::Resource("u".into()), read("u"), true),
        (Reach::Resource("u".into()), read("u/v"), false),
        (Reach::Key(key(1)), list, true),
        (Reach::Key(key(2)), list, false),
        (either(), call("b"), true),
        (either(), call("c"), false),
        (Reach::Union(Vec::new()), call("a"), false),
    ] {
        let covers = reach.covers(method, target, &key(1));
        assert_eq!(covers, is_covered, "{reach:?} {method:?} {target:?}");
    }
}

#[test]
fn what_is_not_a_reach_is_not_read_as_one() {
    let deep = format!(
        "{}\"server\"{}",
        "{\"union\":[".repeat(200),
        "]}".repeat(200)
    );
    for text in [
        "",
        "null",
        "[]",
        "{}",
        "\"Server\"",
        "\"tools\"",
        "\"server\" x",
        r#"{"tool":1}"#,
        r#"{"tool":"a","tools":[]}"#,
        r#"{"method":"other"}"#,
        r#"{"method":"tasks"}"#,
        r#"{"method":"tools/get"}"#,
        r#"{"key":"00"}"#,
        r#"{"everything":true}"#,
        &deep,
    ] {
        assert_eq!(Reach::parse(text), None, "{text}");
    }
}

#[test]
fn a_reach_reads_back_as_it_was_written() {
    for reach in [
        Reach::Server,
        Reach::Method(Method::ResourcesTemplatesList),
        Reach::Tools(globs(&["get_*", "a?"])),
        tool("get_*"),
        Reach::Resources(globs(&["file:///*"])),
        Reach::Resource("file:///\"é\n".into()),
        Reach::Key(key(7)),
        Reach::Union(vec![tool("a"), Reach::Union(vec![Reach::Server])]),
        Reach::Union(Vec::new()),
    ] {
        let text = reach.write();
        assert_eq!(Reach::parse(&text), Some(reach), "{text}");
    }
    assert_eq!(Reach::Server.write(), WHOLE_SERVER);
    assert_eq!(Reach::Tools(globs(&["a*"])).write(), r#"{"tools":["a*"]}"#);
    let list = Reach::Method(Method::ToolsList);
    assert_eq!(list.write(), r#"{"method":"tools/list"}"#);
}

#[test]
fn a_reach_too_long_to_be_told_covers_the_server() {
    let named = |bytes: usize| tool(&"a".repeat(bytes - r#"{"tool":""}"#.len()));
    let told = |bytes| Reach::parse(&named(bytes).write());
    assert_eq!(told(TEXT_BYTES_MAX), Some(named(TEXT_BYTES_MAX)));
    assert_eq!(told(TEXT_BYTES_MAX + 1), Some(Reach::Server));
    let padded = format!("{}{WHOLE_SERVER}", " ".repeat(TEXT_BYTES_MAX));
    assert_eq!(Reach::parse(&padded), None);
}

#[test]
fn a_union_of_nothing_is_nothing() {
    assert_eq!(Reach::union([]), None);
    assert_eq!(Reach::union([Reach::Server]), Some(Reach::Server));
    let two = [Reach::Server, Reach::Key(key(1))];
    assert_eq!(Reach::union(two.clone()), Some(Reach::Union(two.to_vec())));
}

#[test]
fn a_read_that_began_before_a_write_is_not_stored_after_it() {
    let mut ledger = Ledger::default();
    let allows =
        |ledger: &Ledger, stamp, tool| ledger.allows(stamp, Method::ToolsCall, Some(tool), &key(1));
    let before = ledger.stamp();
    assert!(allows(&ledger, before, "get"));
    let after = ledger.note(tool("get"));
    assert!(!allows(&ledger, before, "get"));
    assert!(allows(&ledger, before, "other"));
    assert!(allows(&ledger, after, "get"));
    assert_eq!(ledger.stamp(), after);
    ledger.note(tool("other"));
    assert!(!allows(&ledger, before, "get"));
    assert!(!allows(&ledger, before, "other"));
    assert!(allows(&ledger, after, "get"));
    assert!(!allows(&ledger, after, "other"));
}

#[test]
fn what_a_ledger_forgot_covered_everything() {
    let mut ledger = Ledger::default();
    let allows = |ledger: &Ledger, stamp| ledger.allows(stamp, Method::ToolsList, None, &key(1));
    let before = ledger.stamp();
    for number in 0..NOTES_MAX {
        ledger.note(tool(&number.to_string()));
    }
    assert!(allows(&ledger, before));
    ledger.note(tool("one more"));
    assert!(!allows(&ledger, before));
    assert!(allows(&ledger, before + 1));
    assert_eq!(ledger.notes.len(), NOTES_MAX);
}

#[test]
fn what_is_told_again_and_again_makes_nothing_be_forgotten() {
    let mut ledger = Ledger::default();
    let list = |ledger: &Ledger, stamp| ledger.allows(stamp, Method::ToolsList, None, &key(1));
    let before = ledger.stamp();
    let told = ledger.note(tool("other"));
    for _ in 0..2 * NOTES_MAX {
        ledger.note(tool("x"));
        ledger.note(tool("y"));
    }
    assert!(list(&ledger, before));
    assert_eq!(ledger.notes.len(), 3);
    let call = |name, stamp| ledger.allows(stamp, Method::ToolsCall, Some(name), &key(1));
    assert!(!call("other", before) && call("other", told));
    let last = ledger.stamp();
    assert!(!call("x", last - 2) && call("x", last - 1));
    assert!(!call("y", last - 1) && call("y", last));
}

#[test]
fn a_write_that_is_noted_again_covers_what_began_between() {
    let mut ledger = Ledger::default();
    ledger.note(tool("x"));
    let between = ledger.note(tool("y"));
    let call =
        |ledger: &Ledger, name| ledger.allows(between, Method::ToolsCall, Some(name), &key(1));
    assert!(call(&ledger, "x"));
    assert_eq!(ledger.note(tool("x")), between + 1);
    assert!(!call(&ledger, "x"));
    assert!(call(&ledger, "y"));
}

#[test]
fn the_oldest_note_by_its_latest_number_is_forgotten_first() {
    let mut ledger = Ledger::default();
    let first = ledger.note(tool("x"));
    for number in 1..NOTES_MAX {
        ledger.note(tool(&number.to_string()));
    }
    ledger.note(tool("x"));
    let allows = |ledger: &Ledger, stamp| ledger.allows(stamp, Method::ToolsList, None, &key(1));
    assert!(allows(&ledger, first));
    // "1" goes, not "x".
    ledger.note(tool("one more"));
    assert!(!allows(&ledger, first));
    assert!(allows(&ledger, first + 1));
    let call = |stamp| ledger.allows(stamp, Method::ToolsCall, Some("x"), &key(1));
    assert!(!call(first + 1));
}

#[test]
fn a_stamp_of_another_ledger_allows_nothing() {
    let ledger = Ledger::default();
    assert!(!ledger.allows(1, Method::ToolsList, None, &key(1)));
    assert!(!ledger.allows(u64::MAX, Method::ToolsList, None, &key(1)));
}
