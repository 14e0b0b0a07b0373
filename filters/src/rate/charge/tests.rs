use std::collections::{BTreeSet, HashMap};

use proptest::prelude::*;

use super::*;
use crate::identity::Principal;
use crate::rate::rules::{Kind, Rules};
use crate::rate::window::Limit;

type Key = (
    Box<str>,
    Option<Arc<str>>,
    Option<Arc<str>>,
    Option<[Option<Arc<str>>; 2]>,
);

#[derive(Clone, Debug, Default, PartialEq)]
struct Plain(HashMap<Key, Ring>);

fn key(bucket: &Bucket<'_>) -> Key {
    let Rule {
        label,
        server,
        tool,
        ..
    } = &**bucket.rule;
    let owner = bucket
        .owner
        .map(|owner| [owner.tenant.clone(), Some(Arc::clone(&owner.client))]);
    (label.clone(), server.clone(), tool.clone(), owner)
}

impl Books for Plain {
    fn find(&self, bucket: &Bucket<'_>) -> Option<&Ring> {
        self.0.get(&key(bucket))
    }

    fn note(&mut self, bucket: &Bucket<'_>, now: Duration) {
        let ring = self.0.entry(key(bucket)).or_default();
        ring.add(bucket.rule.limit.window, now);
    }
}

fn limit(n_calls: u32, seconds: u64) -> Limit {
    Limit {
        n_calls,
        window: Duration::from_secs(seconds),
    }
}

fn client(name: &str) -> Principal {
    Principal {
        client: name.into(),
        ..Principal::anonymous()
    }
}

fn call(rules: &Rules, books: &mut Plain, who: &Principal, tool: &str, now: u64) -> Decision {
    let bill = rules.bill(who, Some("s"), Some(tool));
    charge(&bill, books, Duration::from_secs(now))
}

fn n_passed(n_calls: usize, mut call: impl FnMut() -> Decision) -> usize {
    let made = (0..n_calls).map(|_| call());
    made.filter(|decision| *decision == Decision::Allowed)
        .count()
}

#[test]
fn a_refused_client_burns_nobody_elses_budget() {
    let rules = Rules::new(&[limit(10, 60)], &[limit(3, 60)]);
    let (mut books, greedy) = (Plain::default(), client("greedy"));
    assert_eq!(
        n_passed(500, || call(&rules, &mut books, &greedy, "t", 0)),
        3
    );
    let before = books.clone();
    assert_ne!(call(&rules, &mut books, &greedy, "t", 1), Decision::Allowed);
    assert_eq!(books, before);
    for other in ["a", "b"] {
        let other = client(other);
        assert_eq!(n_passed(9, || call(&rules, &mut books, &other, "t", 0)), 3);
    }
    assert_eq!(
        n_passed(9, || call(&rules, &mut books, &client("c"), "t", 0)),
        1
    );
}

#[test]
fn a_minute_and_an_hour_count_by_themselves() {
    let rules = Rules::new(&[], &[limit(10, 60), limit(20, 3600)]);
    let (mut books, who) = (Plain::default(), client("c"));
    assert_eq!(n_passed(30, || call(&rules, &mut books, &who, "t", 0)), 10);
    assert_eq!(n_passed(30, || call(&rules, &mut books, &who, "t", 64)), 10);
    let Decision::Refused(refused) = call(&rules, &mut books, &who, "t", 128) else {
        panic!("the hour is used up");
    };
    assert_eq!(&*refused.rule.label, "client/hour");
}

#[test]
fn a_refusal_names_the_limit_that_keeps_the_call_out_longest() {
    let mut rules = Rules::new(&[limit(1, 3600)], &[limit(1, 60)]);
    rules.add_tool("s", "t", &[limit(1, 10)], &[limit(1, 86_400)]);
    let (mut books, who) = (Plain::default(), client("c"));
    assert_eq!(call(&rules, &mut books, &who, "t", 0), Decision::Allowed);
    let Decision::Refused(refused) = call(&rules, &mut books, &who, "t", 0) else {
        panic!("all is used up");
    };
    assert_eq!(&*refused.rule.label, "client-server-tool/day");
    assert_eq!(refused.seconds(), 86_400 / 15 * 16);
}

#[test]
fn clients_of_the_same_name_in_two_tenants_are_two() {
    let rules = Rules::new(&[], &[limit(1, 60)]);
    let mut books = Plain::default();
    for tenant in [None, Some("t1"), Some("t2")] {
        let who = Principal {
            tenant: tenant.map(Arc::from),
            ..client("c")
        };
        assert_eq!(n_passed(3, || call(&rules, &mut books, &who, "t", 0)), 1);
    }
}

#[test]
fn a_bucket_says_how_it_stands() {
    let rules = Rules::new(&[], &[limit(3, 60)]);
    let (mut books, who) = (Plain::default(), client("c"));
    assert_eq!(call(&rules, &mut books, &who, "t", 2), Decision::Allowed);
    let standing = stand(&rules.of_client(&who)[0], &books, Duration::from_secs(12));
    assert_eq!((standing.used, standing.remaining()), (1, 2));
    assert_eq!(
        (standing.wait.as_secs(), standing.reset.as_secs()),
        (0, 64 - 12)
    );
    assert_eq!(seconds(Duration::from_millis(1_001)), 2);
    assert_eq!(standing.rule.kind, Kind::Client);
}

/// A call as the reference remembers it.
#[derive(Debug)]
struct Logged {
    at: u64,
    who: usize,
    tool: usize,
}

proptest! {
    /// Against a log of all calls that passed, searched as a whole for each limit.
    #[test]
    fn what_passes_is_what_a_log_of_all_calls_would_let_pass(
        limits in prop::array::uniform5((1_u32..6, 1_u64..30)),
        calls in prop::collection::vec((0_u64..4, 0_usize..3, 0_usize..3), 1..200),
    ) {
        let [global, each, server, tool, narrow] = limits.map(|(n, seconds)| limit(n, seconds * 15));
        let mut rules = Rules::new(&[global], &[each]);
        rules.add_server("s", &[server]);
        rules.add_tool("s", "0", &[tool], &[narrow]);
        let (mut books, mut log, mut now) = (Plain::default(), Vec::<Logged>::new(), 0);
        for (pause, who, tool_at) in calls {
            now += pause;
            let is_of_tool = |one: &Logged| one.tool == 0 && tool_at == 0;
            // Windows are whole steps here, so the log forgets at the same moment.
            let step = |limit: Limit| limit.window.as_secs() / 15;
            let count = |limit: Limit, of: &dyn Fn(&Logged) -> bool| {
                let is_live = |one: &&Logged| now / step(limit) - one.at / step(limit) < 16;
                log.iter().filter(is_live).filter(|one| of(one)).count() < limit.n_calls as usize
            };
            let mut fits = vec![
                count(global, &|_| true),
                count(each, &|one| one.who == who),
                count(server, &|_| true),
            ];
            if tool_at == 0 {
                fits.push(count(tool, &is_of_tool));
                fits.push(count(narrow, &|one| is_of_tool(one) && one.who == who));
            }
            let expected = fits.into_iter().all(|fit| fit);
            let caller = client(&who.to_string());
            let decision = call(&rules, &mut books, &caller, &tool_at.to_string(), now);
            prop_assert_eq!(decision == Decision::Allowed, expected);
            if expected {
                log.push(Logged { at: now, who, tool: tool_at });
            }
        }
    }
}

#[test]
fn labels_are_plain_english() {
    let limits = [limit(1, 60), limit(1, 3600), limit(1, 86_400), limit(1, 7)];
    let mut rules = Rules::new(&limits, &limits);
    rules.add_server("s", &limits);
    rules.add_tool("s", "t", &limits, &limits);
    let anyone = Principal::anonymous();
    let bill = rules.bill(&anyone, Some("s"), Some("t"));
    let labels: BTreeSet<_> = bill
        .buckets()
        .map(|one| one.rule.label.to_string())
        .collect();
    assert_eq!(labels.len(), 20);
    for label in [
        "client/minute",
        "global/hour",
        "tool/day",
        "client-server-tool/7s",
    ] {
        assert!(labels.contains(label), "{label}");
    }
}
