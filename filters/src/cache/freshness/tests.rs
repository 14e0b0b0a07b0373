use super::*;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn lifetime(fresh: u64, while_revalidate: u64, if_error: u64) -> Lifetime {
    let stale = Staleness {
        while_revalidate: ms(while_revalidate),
        if_error: ms(if_error),
    };
    Lifetime::new(ms(fresh), stale)
}

#[test]
fn an_answer_ages_at_exact_boundaries() {
    let fresh = |left| Freshness::Fresh { left: ms(left) };
    let nanosecond = Duration::from_nanos(1);
    for ((f, w, e), age, expected) in [
        ((0, 0, 0), ms(0), Freshness::Gone),
        ((0, 5, 0), ms(0), Freshness::WhileRevalidate),
        ((0, 0, 5), ms(0), Freshness::IfError),
        ((10, 0, 0), ms(0), fresh(10)),
        ((10, 0, 0), ms(9), fresh(1)),
        ((10, 0, 0), ms(10), Freshness::Gone),
        ((10, 5, 0), ms(10), Freshness::WhileRevalidate),
        ((10, 5, 0), ms(15) - nanosecond, Freshness::WhileRevalidate),
        ((10, 5, 0), ms(15), Freshness::Gone),
        ((10, 5, 8), ms(14), Freshness::WhileRevalidate),
        ((10, 5, 8), ms(15), Freshness::IfError),
        ((10, 5, 8), ms(18) - nanosecond, Freshness::IfError),
        ((10, 5, 8), ms(18), Freshness::Gone),
        ((10, 8, 5), ms(17), Freshness::WhileRevalidate),
        ((10, 8, 5), ms(18), Freshness::Gone),
        ((10, 8, 5), Duration::MAX, Freshness::Gone),
    ] {
        assert_eq!(
            lifetime(f, w, e).judge(age),
            expected,
            "{f} {w} {e} at {age:?}"
        );
    }
    let left = lifetime(10, 0, 0).judge(ms(10) - nanosecond);
    assert_eq!(left, Freshness::Fresh { left: nanosecond });
}

#[test]
fn nothing_is_kept_past_its_last_use_nor_given_out_then() {
    for (f, w, e) in [(0, 0, 0), (10, 0, 0), (10, 5, 8), (10, 8, 5)] {
        let lifetime = lifetime(f, w, e);
        assert_eq!(lifetime.kept(), ms(f + w.max(e)));
        assert_eq!(lifetime.judge(lifetime.kept()), Freshness::Gone);
    }
}

#[test]
fn no_server_and_no_operator_has_an_answer_kept_past_the_bounds() {
    let forever = Staleness {
        while_revalidate: Duration::MAX,
        if_error: Duration::MAX,
    };
    let lifetime = Lifetime::new(Duration::MAX, forever);
    assert_eq!(lifetime.fresh(), FRESH_MAX);
    assert_eq!(lifetime.kept(), FRESH_MAX + STALE_MAX);
    let short = Lifetime::new(FRESH_MAX - ms(1), Staleness::default());
    assert_eq!(short.fresh(), FRESH_MAX - ms(1));
}

#[test]
fn a_result_is_kept_as_long_as_server_or_operator_say() {
    let (list, discover) = (Method::ToolsList, Method::ServerDiscover);
    let read = Method::ResourcesRead;
    for (method, ttl, list_ttl, expected) in [
        (Method::PromptsGet, Some(5), Some(9), None),
        (Method::ToolsCall, Some(5), Some(9), None),
        (list, None, None, None),
        (list, Some(0), None, None),
        (list, None, Some(0), None),
        (list, Some(0), Some(0), None),
        (read, None, Some(9), None),
        (read, Some(0), Some(9), None),
        (list, Some(5), None, Some(5)),
        (list, Some(5), Some(9), Some(9)),
        (list, Some(9), Some(5), Some(9)),
        (list, Some(0), Some(5), Some(5)),
        (discover, None, Some(5), Some(5)),
        (read, Some(5), None, Some(5)),
        (read, Some(5), Some(9), Some(5)),
    ] {
        let hints = Hints {
            ttl: ttl.map(ms),
            ..Hints::default()
        };
        let mut policy = Policy {
            is_enabled: true,
            list_ttl: list_ttl.map(ms),
            ..Policy::default()
        };
        let fresh = super::lifetime(method, &hints, &policy).map(|lifetime| lifetime.fresh());
        assert_eq!(fresh, expected.map(ms), "{method:?} {ttl:?} {list_ttl:?}");
        policy.is_enabled = false;
        assert_eq!(super::lifetime(method, &hints, &policy), None);
    }
}

#[test]
fn lists_and_contents_go_stale_apart() {
    let stale = |for_ms| Staleness {
        while_revalidate: ms(for_ms),
        if_error: ms(0),
    };
    let policy = Policy {
        is_enabled: true,
        calls: stale(1),
        lists: stale(2),
        ..Policy::default()
    };
    let hints = Hints {
        ttl: Some(ms(5)),
        ..Hints::default()
    };
    let of = |method| super::lifetime(method, &hints, &policy).map(|lifetime| lifetime.stale());
    assert_eq!(of(Method::ToolsList), Some(stale(2)));
    assert_eq!(of(Method::ServerDiscover), Some(stale(2)));
    assert_eq!(of(Method::ResourcesRead), Some(stale(1)));
}
