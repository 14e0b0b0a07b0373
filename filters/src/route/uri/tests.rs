use proptest::prop_assert;
use proptest::prop_assert_eq;
use proptest::proptest;

use super::*;

#[test]
fn an_id_that_can_begin_a_scheme_is_its_own_tag() {
    for id in ["github", "a", "x", "a-b2", "xy-1"] {
        assert_eq!(tag(id), id);
    }
}

#[test]
fn any_other_id_is_tagged_by_its_hex() {
    let rows = [
        ("2nd", "x-326e64"),
        ("GitHub", "x-476974487562"),
        ("x-61", "x-782d3631"),
        ("-a", "x-2d61"),
    ];
    for (id, expected) in rows {
        assert_eq!(tag(id), expected, "{id}");
        let outer = format!("{expected}+file:///x");
        assert_eq!(split(&outer), Some((Cow::Borrowed(id), "file:///x")));
    }
}

#[test]
fn the_case_of_a_tag_does_not_count_and_that_of_the_rest_does() {
    assert_eq!(
        split("GitHub+Repo://A/b"),
        Some((Cow::Borrowed("github"), "Repo://A/b"))
    );
    assert_eq!(split("X-326E64+a:B"), Some((Cow::Borrowed("2nd"), "a:B")));
}

#[test]
fn a_scheme_may_have_a_plus_of_its_own() {
    let outer = outer("code", "git+https://host/a+b");
    assert_eq!(outer, "code+git+https://host/a+b");
    assert_eq!(
        split(&outer),
        Some((Cow::Borrowed("code"), "git+https://host/a+b"))
    );
}

#[test]
fn expressions_of_a_template_stay() {
    for template in ["repo://{owner}/{+path}{?q,page}", "{+uri}", "{scheme}://x"] {
        let outer = outer("a", template);
        assert_eq!(outer, format!("a+{template}"));
        assert_eq!(split(&outer), Some((Cow::Borrowed("a"), template)));
    }
}

#[test]
fn what_begins_with_no_tag_is_not_split() {
    for uri in [
        "",
        "+",
        "+a:b",
        "file:///a",
        "http://a/b+c",
        "1+x:y",
        "-a+x:y",
        "a_b+x:y",
        "a.b+x:y",
        "é+x:y",
        "x-+x:y",
        "x-6+x:y",
        "x-zz+x:y",
        "x-ff+x:y",
    ] {
        assert_eq!(split(uri), None, "{uri}");
    }
}

#[test]
fn an_id_has_one_tag_only() {
    assert_eq!(tag("a"), "a");
    assert_eq!(split("x-61+x:y"), None, "the hex of an id that needs none");
}

proptest! {
    #[test]
    fn splitting_undoes_naming(server in "[A-Za-z0-9-]{1,20}", uri in ".{0,60}") {
        let outer = outer(&server, &uri);
        prop_assert_eq!(split(&outer), Some((Cow::Borrowed(server.as_str()), uri.as_str())));
        let (scheme, rest) = outer.split_once('+').unwrap();
        prop_assert_eq!(scheme.to_ascii_lowercase(), scheme, "survives lower-casing");
        prop_assert!(scheme.starts_with(|c: char| c.is_ascii_alphabetic()));
        prop_assert_eq!(rest, uri);
    }

    #[test]
    fn naming_undoes_splitting(text in "[a-zX0-9-]{0,10}\\+.{0,20}") {
        if let Some((server, inner)) = split(&text) {
            let again = outer(&server, inner);
            prop_assert!(again.eq_ignore_ascii_case(&text), "{} {}", again, text);
        }
    }
}
