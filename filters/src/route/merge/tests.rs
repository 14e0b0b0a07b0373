use proptest::prop_assert;
use proptest::prop_assert_eq;
use proptest::proptest;

use super::*;

/// A merge of tools: each server with the names of its tools.
fn merged(naming: &Naming, servers: &[(&str, &[&str])]) -> Merged {
    let items: Vec<Vec<String>> = servers
        .iter()
        .map(|(_, names)| names.iter().map(|name| item(name)).collect())
        .collect();
    let sources: Vec<Source<'_>> = servers
        .iter()
        .zip(&items)
        .map(|((server, _), items)| Source { server, items })
        .collect();
    merge(Kind::Tools, naming, &sources)
}

fn item(name: &str) -> String {
    serde_json::json!({ "name": name, "n": 1 }).to_string()
}

fn naming(strategy: Strategy, separator: &'static str, limit: Option<usize>) -> Naming {
    Naming::new(
        strategy,
        separator,
        limit,
        ["a", "a-b", "b"].map(str::to_owned),
    )
}

fn outers(merged: &Merged) -> Vec<&str> {
    merged.entries.iter().map(|e| e.outer.as_str()).collect()
}

fn conflict(name: &str, servers: [&str; 2]) -> Conflict {
    Conflict {
        name: name.to_owned(),
        servers: servers.map(str::to_owned),
    }
}

#[test]
fn entries_come_in_the_order_of_the_servers_and_of_their_items() {
    let naming = naming(Strategy::Prefix, ".", None);
    let merged = merged(&naming, &[("b", &["y", "x"]), ("a", &["z", "x"])]);
    assert_eq!(outers(&merged), ["b.y", "b.x", "a.z", "a.x"]);
    assert_eq!(merged.conflicts, []);
    let entry = merged.find("a.x").unwrap();
    assert_eq!((&*entry.server, entry.inner.as_str()), ("a", "x"));
    assert_eq!(entry.text, r#"{"name":"a.x","n":1}"#);
}

#[test]
fn a_key_that_comes_twice_in_one_server_is_listed_once() {
    let naming = naming(Strategy::Prefix, ".", None);
    let items = [
        r#"{"name":"x","first":true}"#,
        r#"{"title":"no name"}"#,
        "null",
        r#"{"name":"\u0078"}"#,
        r#"{"name":"y"}"#,
    ]
    .map(str::to_owned);
    let source = Source {
        server: "a",
        items: &items,
    };
    let merged = merge(Kind::Tools, &naming, &[source]);
    assert_eq!(outers(&merged), ["a.x", "a.y"]);
    assert_eq!(merged.entries[0].text, r#"{"name":"a.x","first":true}"#);
    assert_eq!(merged.conflicts, []);
}

#[test]
fn without_prefixes_a_name_of_two_servers_is_nobodys() {
    let naming = naming(Strategy::None, ".", None);
    let merged = merged(
        &naming,
        &[("a", &["x", "y"]), ("b", &["z", "x"]), ("a-b", &["x", "z"])],
    );
    assert_eq!(outers(&merged), ["y"]);
    assert_eq!(
        merged.conflicts,
        [conflict("x", ["a", "b"]), conflict("z", ["b", "a-b"])]
    );
    assert_eq!(merged.find("x"), None);
    assert_eq!(merged.find("a.y"), None);
    assert_eq!(merged.find("y").unwrap().text, item("y"));
}

#[test]
fn without_prefixes_an_item_stays_byte_for_byte() {
    let naming = naming(Strategy::None, ".", None);
    let items = [r#"{ "name" : "\u0078" }"#.to_owned()];
    let source = Source {
        server: "a",
        items: &items,
    };
    let merged = merge(Kind::Prompts, &naming, &[source]);
    assert_eq!(merged.find("x").unwrap().text, items[0]);
}

#[test]
fn a_long_spelling_leads_to_the_same_entry() {
    let naming = naming(Strategy::Prefix, ".", Some(32));
    let merged = merged(&naming, &[("a", &["x"])]);
    let outer = naming.outer("a", "x").into_owned();
    assert_ne!(outer, "a.x");
    assert_eq!(outers(&merged), [outer.as_str()]);
    assert_eq!(merged.find(&outer), merged.find("a.x"));
    assert!(merged.find("a.x").is_some());
}

#[test]
fn two_servers_whose_names_run_together_are_ambiguous() {
    let naming = naming(Strategy::Prefix, "-", None);
    let merged = merged(&naming, &[("a", &["b-c", "d"]), ("a-b", &["c"])]);
    assert_eq!(outers(&merged), ["a-d"]);
    assert_eq!(merged.conflicts, [conflict("a-b-c", ["a", "a-b"])]);
    assert_eq!(merged.find("a-b-c"), None);
}

#[test]
fn a_name_made_to_look_like_a_fitted_one_takes_nobodys_place() {
    let naming = naming(Strategy::None, ".", Some(32));
    let fitted = naming.outer("a", "x.y").into_owned();
    let merged = merged(&naming, &[("a", &["x.y"]), ("b", &[&fitted])]);
    assert_eq!(outers(&merged), [""; 0]);
    assert_eq!(merged.conflicts, [conflict(&fitted, ["a", "b"])]);
    assert_eq!(merged.find("x.y"), None);
}

#[test]
fn uris_are_tagged_with_prefixes_and_bare_without() {
    let resource = [r#"{"uri":"file:///x","name":"n"}"#.to_owned()];
    let template = [r#"{"uriTemplate":"t:{+x}","name":"n"}"#.to_owned()];
    let rows = [
        (Kind::Resources, &resource, "b+file:///x", "file:///x"),
        (Kind::Templates, &template, "b+t:{+x}", "t:{+x}"),
    ];
    for (kind, items, tagged, bare) in rows {
        let source = Source { server: "b", items };
        let prefixed = merge(kind, &naming(Strategy::Prefix, ".", Some(16)), &[source]);
        assert_eq!(outers(&prefixed), [tagged]);
        assert_eq!(prefixed.find(tagged).unwrap().inner, bare);
        let plain = merge(kind, &naming(Strategy::None, ".", Some(16)), &[source]);
        assert_eq!(outers(&plain), [bare]);
        assert_eq!(plain.entries[0].text, items[0]);
    }
}

proptest! {
    #[test]
    fn every_entry_is_found_and_no_name_leads_to_two(
        lists in proptest::collection::vec(proptest::collection::vec("[ab.-]{0,3}", 0..8), 3),
        is_prefixed in proptest::bool::ANY,
        separator in proptest::sample::select(&[".", "__", "-", "_"][..]),
        limit in proptest::option::of(16_usize..=64),
    ) {
        let strategy = if is_prefixed { Strategy::Prefix } else { Strategy::None };
        let naming = naming(strategy, separator, limit);
        let lists: Vec<Vec<&str>> =
            lists.iter().map(|list| list.iter().map(String::as_str).collect()).collect();
        let servers: Vec<(&str, &[&str])> =
            ["a", "a-b", "b"].into_iter().zip(lists.iter().map(Vec::as_slice)).collect();
        let merged_once = merged(&naming, &servers);
        prop_assert_eq!(&merged_once.entries, &merged(&naming, &servers).entries);
        for entry in &merged_once.entries {
            prop_assert_eq!(merged_once.find(&entry.outer), Some(entry));
            prop_assert_eq!(merged_once.find(&naming.long(&entry.server, &entry.inner)), Some(entry));
        }
        for conflict in &merged_once.conflicts {
            prop_assert_eq!(merged_once.find(&conflict.name), None);
        }
        for (server, names) in servers {
            for name in names {
                let outer = naming.outer(server, name);
                let is_listed = merged_once.find(&outer)
                    .is_some_and(|entry| *entry.server == *server && entry.inner == *name);
                let is_ambiguous = merged_once.conflicts.iter().any(|c| c.name == outer);
                prop_assert!(is_listed != is_ambiguous, "{} {}", server, name);
            }
        }
    }
}
