use std::sync::Arc;

use proptest::prop_assert;
use proptest::prop_assert_eq;
use proptest::proptest;

use super::*;

const NONCE: [u8; seal::NONCE_BYTES] = [9; seal::NONCE_BYTES];

/// Entries spelled `<server>.<inner>`.
fn entries(names: &[&str]) -> Vec<Entry> {
    let entry = |outer: &&str| {
        let (server, inner) = outer.split_once('.').unwrap();
        Entry {
            server: Arc::from(server),
            inner: inner.to_owned(),
            outer: (*outer).to_owned(),
            text: "{}".to_owned(),
            is_clear: true,
        }
    };
    names.iter().map(entry).collect()
}

fn names(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|e| e.outer.as_str()).collect()
}

/// The cursor after the first `size` of `before`.
fn cursor(before: &[&str], size: usize) -> Cursor {
    page(&entries(before), None, size).1.unwrap()
}

/// What is left of `now` after the first `size` of `before`.
fn rest<'n>(before: &[&str], size: usize, now: &'n [&'n str]) -> Vec<&'n str> {
    let list = entries(now);
    let given = now.len() - page(&list, Some(&cursor(before, size)), usize::MAX).0.len();
    now[given..].to_vec()
}

// === seal ===

#[test]
fn a_cursor_opens_for_its_own_scope_and_key_only() {
    let key = seal::Key::derive(b"k");
    let cursor = cursor(&["a.ü\n", "a.2"], 1);
    let text = seal(&key, NONCE, b"tools of p", &cursor);
    assert_eq!(open(&key, b"tools of p", &text), Some(cursor));
    assert_eq!(open(&key, b"tools of q", &text), None);
    assert_eq!(open(&seal::Key::derive(b"l"), b"tools of p", &text), None);
}

#[test]
fn what_is_no_cursor_of_ours_does_not_open() {
    let key = seal::Key::derive(b"k");
    let foreign = key.seal(NONCE, b"scope", br#"["a","x",1,1]"#);
    let other = key.seal(NONCE, &context(b"scope"), b"{}");
    for text in ["", "2", "eyJwYWdlIjoyfQ", &foreign, &other] {
        assert_eq!(open(&key, b"scope", text), None, "{text}");
    }
}

// === page ===

#[test]
fn pages_follow_each_other_to_the_end() {
    let list = entries(&["a.1", "a.2", "b.1", "b.2", "b.3"]);
    let (first, after) = page(&list, None, 2);
    assert_eq!(names(first), ["a.1", "a.2"]);
    let (second, after) = page(&list, after.as_ref(), 2);
    assert_eq!(names(second), ["b.1", "b.2"]);
    let (third, after) = page(&list, after.as_ref(), 2);
    assert_eq!(names(third), ["b.3"]);
    assert_eq!(after, None);
}

#[test]
fn a_page_that_holds_everything_has_no_cursor() {
    let list = entries(&["a.1", "a.2"]);
    assert_eq!(page(&list, None, 2), (list.as_slice(), None));
    assert!(page(&list, None, 1).1.is_some());
    assert_eq!(page::<Entry>(&[], None, 2), (&[][..], None));
}

#[test]
fn a_page_of_nothing_still_goes_on() {
    let list = entries(&["a.1", "a.2"]);
    assert_eq!(names(page(&list, None, 0).0), ["a.1"]);
}

#[test]
fn a_cursor_goes_on_after_its_item_wherever_that_is_now() {
    let before = ["a.1", "a.2", "b.1", "b.2"];
    let now = ["a.0", "a.1", "a.2", "a.3", "b.1"];
    assert_eq!(rest(&before, 2, &now), ["a.3", "b.1"]);
    assert_eq!(rest(&before, 2, &["b.1", "a.2", "c.1"]), ["c.1"]);
}

#[test]
fn if_its_item_is_gone_it_goes_on_with_the_next() {
    let before = ["a.1", "a.2", "b.1", "b.2"];
    assert_eq!(rest(&before, 2, &["a.1", "b.1", "b.2"]), ["b.1", "b.2"]);
    assert_eq!(rest(&before, 3, &["a.1", "a.2", "b.2"]), ["b.2"]);
    assert_eq!(rest(&before, 1, &["a.2", "b.1"]), ["a.2", "b.1"]);
}

#[test]
fn if_its_item_is_gone_and_others_came_after_it_none_is_left_out() {
    let now = ["a.1", "a.3", "a.4", "a.5"];
    assert_eq!(rest(&["a.1", "a.2", "a.3"], 2, &now), ["a.3", "a.4", "a.5"]);
}

#[test]
fn if_a_whole_server_is_gone_those_after_it_are_not_left_out() {
    let before = ["a.1", "a.2", "b.1", "b.2", "c.1"];
    assert_eq!(rest(&before, 4, &["a.1", "a.2", "c.1"]), ["c.1"]);
    assert_eq!(
        rest(&before, 2, &["b.1", "b.2", "c.1"]),
        ["b.1", "b.2", "c.1"]
    );
    assert_eq!(rest(&before, 4, &[]), [""; 0]);
}

proptest! {
    #[test]
    fn items_that_stay_are_all_given_whatever_goes_away(
        n in 1_usize..20, size in 1_usize..6,
        gone in proptest::collection::vec(0_usize..20, 0..6),
        when in 0_usize..6,
    ) {
        let all: Vec<String> = (0..n).map(|i| format!("s.{i}")).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let full = entries(&all);
        let fewer: Vec<&str> = all.iter().enumerate()
            .filter(|(at, _)| !gone.contains(at)).map(|(_, name)| *name).collect();
        let fewer = entries(&fewer);
        let (mut given, mut after) = (Vec::new(), None);
        for turn in 0.. {
            let list = if turn < when { &full } else { &fewer };
            let (page, next) = page(list, after.as_ref(), size);
            given.extend(names(page));
            after = next;
            if after.is_none() { break }
            prop_assert!(turn < 60, "it ends");
        }
        for name in names(&fewer) {
            prop_assert!(given.contains(&name), "{} of {:?}", name, given);
        }
        if gone.iter().all(|at| *at >= n) {
            prop_assert_eq!(given, all, "unchanged, each comes once");
        }
    }
}
