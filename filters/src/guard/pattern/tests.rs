use super::*;

fn pattern(text: &str) -> Pattern {
    Pattern::compile(text).unwrap()
}

fn is_match(text: &str, within: &str) -> Result<bool, Overwork> {
    pattern(text).is_match(within, &mut Meter::default())
}

/// A meter of which nothing is left but what needs no steps.
fn spent() -> Meter {
    Meter {
        steps_left: 0,
        ..Meter::default()
    }
}

/// As many letters, `a` or `b`, as a fair coin gives.
fn letters(n: usize) -> String {
    let mut seed = 1_u64;
    let letter = |_| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        if seed >> 63 == 0 { 'a' } else { 'b' }
    };
    (0..n).map(letter).collect()
}

const MIB: usize = 1024 * 1024;
const EXPLODING: &str = "[ab]*a[ab]{300}c";

#[test]
fn what_would_take_exponential_time_elsewhere_is_matched_in_linear_time() {
    assert_eq!(
        is_match("^(a+)+$", &format!("{}b", "a".repeat(MIB))),
        Ok(false)
    );
}

#[test]
fn what_cannot_be_matched_in_linear_time_is_told() {
    for (text, why) in [
        ("(?=a)", "look-around"),
        ("(a)\\1", "backreferences"),
        ("(", "unclosed group"),
        ("\\w{1000}", "too large"),
        (&"(".repeat(100), "unclosed group"),
    ] {
        let error = Pattern::compile(text).unwrap_err();
        assert!(error.contains(why), "{text}: {error}");
    }
}

#[test]
fn a_search_that_would_take_as_many_steps_as_states_for_each_byte_is_given_up() {
    assert_eq!(is_match(EXPLODING, &letters(10 * MIB)), Err(Overwork));
    assert_eq!(is_match(EXPLODING, &letters(10_000)), Ok(false));
    let matching = format!("{0}a{1}c", letters(5000), letters(300));
    assert_eq!(is_match(EXPLODING, &matching), Ok(true));
}

#[test]
fn a_text_in_many_parts_costs_no_more_than_in_one() {
    let pattern = pattern(EXPLODING);
    let text = letters(10 * MIB);
    let (parts, _) = text.as_bytes().as_chunks::<1000>();
    let mut meter = Meter::default();
    let given_up = parts.iter().position(|part| {
        let part = std::str::from_utf8(part).unwrap();
        pattern.is_match(part, &mut meter).is_err()
    });
    let given_up = given_up.expect("it is never given up");
    assert!(given_up < 5000, "only after {given_up} parts");
    // Nor does another expression begin anew.
    assert_eq!(
        Pattern::compile("x").unwrap().is_match("x", &mut meter),
        Err(Overwork)
    );
}

#[test]
fn what_was_paid_for_and_what_is_found_lazily_are_the_same() {
    for (text, within) in [
        ("a|ab", "xabab"),
        ("ab|a", "xabab"),
        ("a+?", "aaa"),
        ("a+", "aaa"),
        ("^a", "aa\na"),
        ("(?m)^a", "aa\na"),
        ("a$", "aba"),
        (r"\bb", "ab b cb"),
        (r"b\B", "bb b"),
        ("é.", "éaéé"),
        ("(?i)secret", "Secret sEcret"),
        (r"\d{2,3}", "1 12 123 1234 12345"),
        ("x", "none"),
        ("a.*z|a", "aaazaa"),
    ] {
        let pattern = pattern(text);
        let of = |mut meter: Meter| {
            let is_match = pattern.is_match(within, &mut meter);
            (is_match, pattern.replaced(within, "<>", 1000, &mut meter))
        };
        let paid = of(Meter::default());
        assert!(paid.0.is_ok() && paid.1.is_ok(), "{text}: {paid:?}");
        assert_eq!(of(spent()), paid, "{text} in {within}");
    }
}

#[test]
fn what_the_lazy_automaton_cannot_tell_is_no_text_without_a_match() {
    let word = pattern(r"\bsecret\b");
    assert_eq!(word.is_match("the secret é", &mut spent()), Ok(true));
    assert_eq!(word.is_match("the secreté", &mut spent()), Err(Overwork));
    let paid = word.is_match("the secreté", &mut Meter::default());
    assert_eq!(paid, Ok(false));
}

#[test]
fn groups_are_named_in_what_matches_are_replaced_with() {
    let replaced = |text: &str, with: &str, within: &str| {
        let replaced = pattern(text).replaced(within, with, 1000, &mut Meter::default());
        replaced.unwrap().unwrap_or_else(|| "nothing".to_owned())
    };
    assert_eq!(
        replaced(
            r"(\d{4})-(?<last>\d{4})",
            "****-$last",
            "1234-5678 é 1111-2222"
        ),
        "****-5678 é ****-2222"
    );
    assert_eq!(replaced(r"\b(\w)\w+", "${1}_", "two words"), "t_ w_");
    assert_eq!(replaced("a", "$$", "aba"), "$b$");
    assert_eq!(replaced("a", "b", "xyz"), "nothing");
}

#[test]
fn replacing_what_is_read_to_the_end_again_for_each_match_is_given_up() {
    let replaced =
        |n| pattern("a.*z|a").replaced(&"a".repeat(n), "b", 64 * MIB, &mut Meter::default());
    assert_eq!(replaced(100), Ok(Some("b".repeat(100))));
    assert_eq!(replaced(MIB), Err(Unreplaced::Overwork));
}

#[test]
fn many_matches_in_a_long_text_are_replaced() {
    let text = "card 4111111111111111 of é, ".repeat(100_000);
    let replaced = pattern(r"\d{12}").replaced(&text, "*", 64 * MIB, &mut Meter::default());
    assert_eq!(replaced, Ok(Some("card *1111 of é, ".repeat(100_000))));
    let last = pattern(r"[0-9]{12}([0-9]{4})");
    let replaced = last.replaced(&text, "*$1", 64 * MIB, &mut Meter::default());
    assert_eq!(replaced, Ok(Some("card *1111 of é, ".repeat(100_000))));
}

#[test]
fn what_becomes_too_long_is_told() {
    let replaced = |max| pattern("a").replaced("aaab", "bbb", max, &mut Meter::default());
    assert_eq!(replaced(9), Err(Unreplaced::Length));
    assert_eq!(replaced(10), Ok(Some("bbbbbbbbbb".to_owned())));
}

#[test]
fn what_matches_the_empty_text_somewhere_is_known() {
    for (text, expected) in [
        ("a*", true),
        (r"\b", true),
        ("^", true),
        ("a", false),
        ("a|b+", false),
    ] {
        assert_eq!(pattern(text).may_be_empty(), expected, "{text}");
    }
}
