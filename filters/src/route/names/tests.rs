use proptest::prelude::prop;
use proptest::prop_assert;
use proptest::prop_assert_eq;
use proptest::prop_assume;
use proptest::prop_oneof;
use proptest::proptest;

use super::*;

const SEPARATORS: [&str; 4] = [".", "__", "-", "_"];

fn naming(strategy: Strategy, separator: &'static str, limit: Option<usize>) -> Naming {
    let servers = ["github", "a", "a-b", "G2"].map(str::to_owned);
    Naming::new(strategy, separator, limit, servers)
}

fn is_fitted(name: &str, limit: usize) -> bool {
    (1..=limit).contains(&name.len()) && name.chars().all(is_legal)
}

// === fit ===

#[test]
fn a_legal_name_stays_as_it_is() {
    let longest = "x".repeat(64);
    for name in ["create_issue", "a", "A-1", "_", &longest] {
        assert_eq!(fit(name, 64), name);
        assert!(matches!(fit(name, 64), Cow::Borrowed(_)), "{name}");
    }
}

#[test]
fn a_fitted_name_is_a_readable_head_and_a_digest() {
    // Clients keep these names: a change here breaks what they remember.
    let rows = [
        (
            "github.create_issue",
            64,
            "github_create_issue_bqk57u2fohpxl",
        ),
        (
            "github.create_issue",
            32,
            "github_create_issu_bqk57u2fohpxl",
        ),
        ("github.create_issue", 16, "github__bqk57u2f"),
        ("", 64, "_wla7fnjawuz3q"),
        ("größe/länge", 24, "gr__e_l_nge_bpyicjsqotyt"),
    ];
    for (name, limit, fitted) in rows {
        assert_eq!(fit(name, limit), fitted, "{name} in {limit}");
    }
}

#[test]
fn one_character_past_the_limit_is_fitted() {
    let long = "x".repeat(65);
    let fitted = fit(&long, 64);
    assert!(is_fitted(&fitted, 64) && fitted.len() == 64, "{fitted}");
    assert_ne!(fit(&"x".repeat(66), 64), fitted);
}

#[test]
fn a_digest_has_the_bits_that_the_limit_has_room_for() {
    let digits = |limit: usize| {
        let fitted = fit("a b", limit).into_owned();
        fitted.len() - "a_b_".len()
    };
    assert_eq!(digits(16) * 5, 40);
    assert_eq!(digits(24) * 5, 60);
    for limit in 26..=128 {
        assert_eq!(digits(limit) * 5, 65, "{limit}");
    }
}

#[test]
fn a_limit_out_of_range_counts_as_the_nearest_in_it() {
    let name = ".".repeat(300);
    assert_eq!(fit(&name, 0), fit(&name, LIMIT_MIN));
    assert_eq!(fit(&name, usize::MAX), fit(&name, LIMIT_MAX));
}

#[test]
fn names_that_look_alike_stay_apart() {
    let head = "p".repeat(200);
    let mut names: Vec<String> = (0..500).map(|n| format!("{head}{n}")).collect();
    let odd = "./:\\ \u{0}\n\u{e9}\u{301}\u{200b}語🦀_-";
    names.extend(odd.chars().map(|c| format!("read{c}file")));
    names.extend(odd.chars().map(|c| format!("read{c}{c}file")));
    names.extend(["", "_", "é", "e\u{301}"].map(str::to_owned));
    for limit in [LIMIT_MIN, 32, 60, 64, LIMIT_MAX] {
        let fitted: HashSet<_> = names.iter().map(|name| fit(name, limit)).collect();
        assert_eq!(fitted.len(), names.len(), "in {limit}");
    }
}

proptest! {
    #[test]
    fn a_fitted_name_is_legal_and_fitting_it_again_changes_nothing(
        name in ".{0,200}", limit in LIMIT_MIN..=LIMIT_MAX,
    ) {
        let fitted = fit(&name, limit);
        prop_assert!(is_fitted(&fitted, limit), "{}", fitted);
        prop_assert_eq!(fit(&fitted, limit), fitted.as_ref());
        prop_assert_eq!(fit(&name, limit), fitted.as_ref());
    }

    #[test]
    fn two_names_never_fit_to_one(
        head in ".{0,80}", one in "[a-z./ é]{0,3}", other in "[a-z./ é]{0,3}", tail in ".{0,80}",
        limit in LIMIT_MIN..=LIMIT_MAX,
    ) {
        let is_one = one == other;
        let (one, other) = (format!("{head}{one}{tail}"), format!("{head}{other}{tail}"));
        prop_assert_eq!(fit(&one, limit) == fit(&other, limit), is_one);
    }
}

// === Naming ===

#[test]
fn with_prefixes_a_name_carries_its_server() {
    let rows = [
        (".", "github.create.issue"),
        ("__", "github__create.issue"),
        ("-", "github-create.issue"),
        ("_", "github_create.issue"),
    ];
    for (separator, long) in rows {
        let naming = naming(Strategy::Prefix, separator, None);
        assert_eq!(naming.long("github", "create.issue"), long);
        assert_eq!(naming.outer("github", "create.issue"), long);
        assert_eq!(naming.split(long), Some(("github", "create.issue")));
    }
}

#[test]
fn without_prefixes_a_name_stays_and_splits_into_nothing() {
    let naming = naming(Strategy::None, ".", None);
    assert_eq!(naming.long("github", "a.b"), "a.b");
    assert_eq!(naming.outer("github", "a.b"), "a.b");
    assert_eq!(naming.split("a.b"), None);
}

#[test]
fn the_limit_holds_for_the_long_spelling() {
    let prefixed = naming(Strategy::Prefix, "__", Some(16));
    assert_eq!(prefixed.outer("github", "list_tag"), "github__list_tag");
    let fitted = prefixed.outer("github", "list_tags");
    assert_eq!(fitted, fit("github__list_tags", 16));
    let bare = naming(Strategy::None, "__", Some(16));
    assert_eq!(bare.outer("github", "a.b"), fit("a.b", 16));
}

#[test]
fn only_a_configured_id_is_split_off() {
    let naming = naming(Strategy::Prefix, ".", None);
    for name in [
        "",
        ".",
        "github",
        ".x",
        "gitlab.x",
        "GITHUB.x",
        "github-.x",
        "gith.ub",
        "é.x",
        "g2.x",
    ] {
        assert_eq!(naming.split(name), None, "{name}");
    }
    assert_eq!(naming.split("G2."), Some(("G2", "")));
    assert_eq!(naming.split("a..x"), Some(("a", ".x")));
    assert_eq!(naming.split("a.github.x"), Some(("a", "github.x")));
}

#[test]
fn the_longest_id_counts() {
    let naming = naming(Strategy::Prefix, "-", None);
    assert_eq!(naming.split("a-b-c"), Some(("a-b", "c")));
    assert_eq!(naming.split("a-c-b"), Some(("a", "c-b")));
    assert_eq!(naming.split("a-b"), Some(("a", "b")));
}

#[test]
fn an_underscore_after_the_separator_belongs_to_the_name() {
    for separator in ["__", "_"] {
        let naming = naming(Strategy::Prefix, separator, None);
        let long = naming.long("a", "_x__y").into_owned();
        assert_eq!(naming.split(&long), Some(("a", "_x__y")));
    }
}

proptest! {
    #[test]
    fn a_long_spelling_splits_into_what_it_was_made_of(
        servers in prop::collection::hash_set("[A-Za-z0-9-]{1,9}", 1..6),
        name in prop_oneof![".{0,40}", "[ab._-]{0,8}"],
        separator in prop::sample::select(&SEPARATORS[..]),
    ) {
        let begins = |id: &String, other: &String| {
            id.strip_prefix(other.as_str()).is_some_and(|rest| rest.starts_with(separator))
        };
        prop_assume!(!servers.iter().any(|id| servers.iter().any(|other| begins(id, other))));
        let naming = Naming::new(Strategy::Prefix, separator, None, servers.clone());
        for server in &servers {
            let long = naming.long(server, &name);
            prop_assert_eq!(naming.split(&long), Some((server.as_str(), name.as_str())));
        }
    }

    #[test]
    fn other_servers_do_not_change_a_name(
        others in prop::collection::vec("[A-Za-z0-9-]{1,9}", 0..6),
        name in ".{0,100}", limit in prop::option::of(LIMIT_MIN..=LIMIT_MAX),
    ) {
        let alone = Naming::new(Strategy::Prefix, ".", limit, ["a".to_owned()]);
        let among = Naming::new(Strategy::Prefix, ".", limit, others);
        prop_assert_eq!(alone.outer("a", &name), among.outer("a", &name));
    }

    #[test]
    fn any_text_may_be_split(text in ".{0,60}") {
        for separator in SEPARATORS {
            if let Some((server, inner)) = naming(Strategy::Prefix, separator, None).split(&text) {
                prop_assert_eq!([server, separator, inner].concat(), text.as_str());
            }
        }
    }
}
