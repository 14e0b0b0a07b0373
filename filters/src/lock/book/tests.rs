use expect_test::expect;

use super::*;

fn defined(text: &str) -> Definition {
    Definition::read(text).unwrap()
}

fn book() -> Book {
    let mut book = Book::default();
    let tools = book.open("git-hub");
    let search = defined(r#"{"name":"search","description":"d","inputSchema":{"type":"object"}}"#);
    tools
        .approve(&search, "2026-11-23T10:00:00Z", Before::Replaced)
        .unwrap();
    let add = defined(r#"{"name":"add"}"#);
    tools
        .approve(&add, "2026-11-23T11:00:00Z", Before::Replaced)
        .unwrap();
    book.open("empty");
    book
}

#[test]
fn the_file_is_sorted_and_has_a_member_a_line() {
    expect![[r#"
        {
          "version": 1,
          "servers": {
            "empty": {
              "digest": "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
              "tools": {}
            },
            "git-hub": {
              "digest": "sha256:060bd9901cc33c82f7f27e63b8684dc0bd44bb3efc5f24ef70513650eebf0659",
              "tools": {
                "add": [
                  {
                    "digest": "sha256:240000bda55a139aa9efe6866274f7c1a2c3095160ecd6683719298f62507916",
                    "approved_at": "2026-11-23T11:00:00Z",
                    "definition": {
                      "name": "add"
                    }
                  }
                ],
                "search": [
                  {
                    "digest": "sha256:c07118c8ab3063bba9ab35718d17722d4d74cc9539082e6923f7c9d58b5e7265",
                    "approved_at": "2026-11-23T10:00:00Z",
                    "definition": {
                      "description": "d",
                      "inputSchema": {
                        "type": "object"
                      },
                      "name": "search"
                    }
                  }
                ]
              }
            }
          }
        }
    "#]]
    .assert_eq(&book().write());
}

#[test]
fn what_was_written_is_read_again() {
    let mut book = book();
    let odd = defined(r#"{"name":"a\"\\\n{\u202e","n":12345678901234567890.5,"e":{"":[]}}"#);
    book.open("git-hub")
        .approve(&odd, "t", Before::Replaced)
        .unwrap();
    let read = Book::read(&book.write()).unwrap();
    assert_eq!(read, book);
    assert_eq!(read.write(), book.write());
    assert_eq!(Book::read(&Book::default().write()), Ok(Book::default()));
}

#[track_caller]
fn broken(text: &str) -> String {
    Book::read(text).unwrap_err().to_string()
}

#[test]
fn an_edited_file_is_refused_and_the_place_is_named() {
    let text = book().write();
    let edit = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        broken(&text.replacen(from, to, 1))
    };
    let edited = "servers.git-hub.tools.search: its digest or name is not that of its definition";
    assert!(edit(r#""description": "d""#, r#""description": "e""#).starts_with(edited));
    assert!(edit(r#""name": "search""#, r#""name": "seek""#).starts_with(edited));
    let set = "servers.git-hub: its digest is not that of its tools";
    let renamed = edit(r#""search": ["#, r#""seek": ["#);
    assert!(
        renamed.starts_with("servers.git-hub.tools.seek: its digest or name"),
        "{renamed}"
    );
    let whole: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut less = whole.clone();
    less["servers"]["git-hub"]["tools"]
        .as_object_mut()
        .unwrap()
        .remove("add");
    assert!(broken(&less.to_string()).starts_with(set));
    let mut more = whole.clone();
    more["servers"]["empty"]["tools"]["add"] = whole["servers"]["git-hub"]["tools"]["add"].clone();
    assert!(broken(&more.to_string()).starts_with("servers.empty: its digest"));
}

#[test]
fn a_broken_file_is_refused_and_the_place_is_named() {
    for (text, expected) in [
        (
            "",
            "is no JSON object, or not of the form that Conduit writes",
        ),
        (
            "<<<<<<< HEAD",
            "is no JSON object, or not of the form that Conduit writes",
        ),
        ("{}", "version: is missing"),
        (r#"{"version":1}"#, "servers: is missing"),
        (
            r#"{"version":2,"servers":{}}"#,
            "version: is of a version that this Conduit does not know",
        ),
        (
            r#"{"version":1,"servers":{},"x":1}"#,
            "x: does not belong there",
        ),
        (
            r#"{"version":1,"servers":{},"servers":{}}"#,
            "servers: stands there twice",
        ),
        (
            r#"{"version":1,"servers":{"a":{},"a":{}}}"#,
            "servers.a: stands there twice",
        ),
        (
            r#"{"version":1,"servers":{"a":[]}}"#,
            "servers.a: is no JSON object, or not of the form that Conduit writes",
        ),
        (
            r#"{"version":1,"servers":{"a":{"tools":{"t":{}}}}}"#,
            "servers.a.tools.t: is no list",
        ),
        (
            r#"{"version":1,"servers":{"a":{"tools":{"t":[]}}}}"#,
            "servers.a.tools.t: has no definition, or too many",
        ),
        (
            r#"{"version":1,"servers":{"a":{"tools":{"t":[{}]}}}}"#,
            "servers.a.tools.t: `approved_at` is missing",
        ),
    ] {
        assert_eq!(broken(text), expected, "{text}");
    }
}

#[test]
fn a_tool_is_judged_by_what_was_approved_under_its_name() {
    let book = book();
    let tools = book.server("git-hub").unwrap();
    let add = defined(r#"{"name":"add"}"#).digest;
    let other = defined(r#"{"name":"add","x":1}"#).digest;
    assert_eq!(tools.judge("add", Ok(add)), Verdict::Approved);
    assert_eq!(tools.judge("add", Ok(other)), Verdict::Changed);
    assert_eq!(tools.judge("sub", Ok(add)), Verdict::Added);
    assert_eq!(tools.judge("search", Ok(add)), Verdict::Changed);
    assert_eq!(tools.judge("add", Err(Unclear)), Verdict::Unclear);
}

#[test]
fn a_tool_has_one_definition_unless_others_are_kept_up_to_a_bound() {
    let mut tools = Tools::default();
    let variant = |n: usize| defined(&format!(r#"{{"name":"t","n":{n}}}"#));
    tools.approve(&variant(0), "", Before::Replaced).unwrap();
    tools.approve(&variant(1), "", Before::Replaced).unwrap();
    assert_eq!(tools.approved("t").count(), 1);
    assert_eq!(tools.substitute("t"), Some(r#"{"n":1,"name":"t"}"#));
    for n in 1..=VARIANTS_MAX {
        tools.approve(&variant(n), "", Before::Kept).unwrap();
    }
    assert_eq!(tools.approved("t").count(), VARIANTS_MAX);
    assert_eq!(tools.substitute("t"), None);
    assert_eq!(tools.approve(&variant(0), "", Before::Kept), Err(Full));
    assert_eq!(tools.judge("t", Ok(variant(3).digest)), Verdict::Approved);
    assert!(tools.forget("t"));
    assert!(!tools.forget("t"));
}
