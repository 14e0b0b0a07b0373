//! When a list is waited for.

use std::collections::HashMap;

use super::*;

const HOUR: Duration = Duration::from_secs(3600);
const TIMEOUT: Duration = Duration::from_secs(5);

fn settings(list_ttl: Option<Duration>) -> Settings {
    Settings {
        timeout: TIMEOUT,
        deadline: TIMEOUT,
        refresh: HOUR,
        stale_max: HOUR,
        list_ttl,
    }
}

/// The tools as they were read at `read`.
fn state(settings: &Settings, ttl: Option<Duration>, read: Instant) -> State {
    let listing = Listing {
        locking: Default::default(),
        items: Vec::new(),
        read,
        ttl,
        promise: settings.promise(ttl),
        is_public: false,
        places: HashMap::default(),
        mirrored: HashMap::default(),
        annotations: HashMap::default(),
    };
    let list = List {
        last: Some(Arc::new(listing)),
        came: Some(read),
        ..List::default()
    };
    State {
        lists: BTreeMap::from([(Kind::Tools, list)]),
        ..State::default()
    }
}

fn waits(ttl: Option<Duration>, list_ttl: Option<Duration>, age: Duration) -> Option<Duration> {
    let (settings, now) = (settings(list_ttl), Instant::now());
    state(&settings, ttl, now).patience(Kind::Tools, now + age, &settings)
}

#[test]
fn the_longer_of_the_servers_and_the_operators_time_counts() {
    let (second, zero) = (Duration::from_secs(1), Some(Duration::ZERO));
    for (ttl, list_ttl, promise, wait) in [
        (None, None, UNPROMISED, RENEWAL_MAX),
        (zero, None, UNPROMISED, RENEWAL_MAX),
        (None, zero, UNPROMISED, RENEWAL_MAX),
        (None, Some(HOUR), HOUR, RENEWAL_MAX),
        (zero, Some(HOUR), HOUR, RENEWAL_MAX),
        (Some(second), Some(HOUR), HOUR, TIMEOUT),
        (Some(HOUR), Some(second), HOUR, TIMEOUT),
        (Some(HOUR), None, HOUR, TIMEOUT),
    ] {
        let before = waits(ttl, list_ttl, promise - Duration::from_millis(1));
        assert_eq!(before, None, "{ttl:?} {list_ttl:?}");
        let after = waits(ttl, list_ttl, promise);
        assert_eq!(after, Some(wait), "{ttl:?} {list_ttl:?}");
    }
}

#[test]
fn a_change_is_read_whatever_the_operators_time_is() {
    let (settings, now) = (settings(Some(HOUR)), Instant::now());
    let mut state = state(&settings, None, now);
    state.lists.entry(Kind::Tools).or_default().is_dirty = true;
    assert_eq!(state.patience(Kind::Tools, now, &settings), Some(TIMEOUT));
}

#[test]
fn nobody_waits_for_a_server_that_fails() {
    let (settings, now) = (settings(Some(HOUR)), Instant::now());
    let mut state = state(&settings, None, now);
    state.failure = Some(Arc::from("gone"));
    assert_eq!(state.patience(Kind::Tools, now + 2 * HOUR, &settings), None);
    assert_eq!(state.patience(Kind::Prompts, now, &settings), None);
}

#[test]
fn a_missing_tool_is_looked_for_again_once_a_change_was_told() {
    let (settings, now) = (settings(None), Instant::now());
    let mut state = state(&settings, None, now);
    state.absent.note("new", now);
    assert!(state.is_absent("new", now));
    state.lists.entry(Kind::Tools).or_default().is_told = true;
    assert!(!state.is_absent("new", now));
}

#[test]
fn a_list_is_read_again_only_if_it_is_older_than_the_change_another_view_found() {
    let (settings, read) = (settings(Some(HOUR)), Instant::now());
    let moment = Duration::from_millis(1);
    for (changed, wait) in [
        (None, None),
        (Some(read), None),
        (Some(read + moment), Some(TIMEOUT)),
    ] {
        let mut state = state(&settings, None, read);
        state.outdate(Kind::Tools, changed);
        assert_eq!(state.patience(Kind::Tools, read, &settings), wait);
    }
}
