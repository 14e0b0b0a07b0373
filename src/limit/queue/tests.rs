use std::time::Duration;

use filters::identity::Principal;
use filters::rate::rules::Rules;
use filters::rate::window::Limit;
use futures_util::FutureExt;
use futures_util::future::join_all;

use super::*;
use crate::limit::{Charged, Customer, Limiter, Policy, Store};

/// No test comes to the end of it.
const LONG: Duration = Duration::from_secs(24 * 3600);

fn limiter() -> Limiter {
    Limiter::new(Store::Memory(Box::default()))
}

fn limit(n_calls: u32) -> Limit {
    Limit {
        n_calls,
        window: Duration::from_secs(3600),
    }
}

fn policy(global: &[Limit], client: &[Limit], n_calls_max: usize) -> Policy {
    Policy {
        rules: Rules::new(global, client),
        patience: Some(Patience {
            max_wait: LONG,
            n_calls_max,
        }),
        ..Policy::default()
    }
}

fn customer(name: &str) -> Customer {
    Customer {
        principal: Arc::new(Principal {
            client: name.into(),
            ..Principal::anonymous()
        }),
        server: None,
        tool: None,
    }
}

/// A call that passes at once.
fn pass(limiter: &Limiter, policy: &Policy, name: &str) {
    let customer = customer(name);
    let charged = limiter.charge(policy, &customer.bill(policy));
    assert!(matches!(charged, Charged::Now(Verdict::Allowed)), "{name}");
}

async fn call(limiter: &Limiter, policy: &Policy, name: &str) -> Verdict {
    limiter.settle(policy, &customer(name), LONG).await.verdict
}

#[tokio::test]
async fn who_came_first_goes_first() {
    let (limiter, policy) = (limiter(), policy(&[], &[limit(1)], 100));
    pass(&limiter, &policy, "c");
    let mut waiting: Vec<_> = (0..5)
        .map(|_| Box::pin(call(&limiter, &policy, "c")))
        .collect();
    for one in &mut waiting {
        assert!(one.now_or_never().is_none());
    }
    assert_eq!(limiter.n_waiting(), 5);
    for n in 0..5 {
        limiter.reset().await.unwrap();
        assert_eq!(waiting.remove(0).await, Verdict::Allowed);
        for one in &mut waiting {
            assert!(one.now_or_never().is_none(), "{n}");
        }
    }
    assert_eq!(limiter.n_waiting(), 0);
}

#[tokio::test]
async fn a_newcomer_stands_behind_those_who_wait_whatever_else_it_pays_from() {
    let (limiter, policy) = (limiter(), policy(&[limit(1)], &[limit(5)], 100));
    pass(&limiter, &policy, "a");
    let mut first = Box::pin(call(&limiter, &policy, "b"));
    assert!((&mut first).now_or_never().is_none());
    limiter.reset_client("b", None).await.unwrap();
    let other = customer("c");
    let charged = limiter.charge(&policy, &other.bill(&policy));
    assert!(matches!(charged, Charged::Later));
    let mut second = Box::pin(call(&limiter, &policy, "c"));
    assert!((&mut second).now_or_never().is_none());
    limiter.reset().await.unwrap();
    assert!((&mut second).now_or_never().is_none());
    assert_eq!(first.await, Verdict::Allowed);
    limiter.reset().await.unwrap();
    assert_eq!(second.await, Verdict::Allowed);
}

#[tokio::test]
async fn lines_of_different_clients_do_not_wait_for_each_other() {
    let (limiter, policy) = (limiter(), policy(&[], &[limit(1)], 100));
    pass(&limiter, &policy, "a");
    let mut waiting = Box::pin(call(&limiter, &policy, "a"));
    assert!((&mut waiting).now_or_never().is_none());
    pass(&limiter, &policy, "b");
    assert!((&mut waiting).now_or_never().is_none());
}

#[tokio::test]
async fn who_leaves_is_in_no_line() {
    let (limiter, policy) = (limiter(), policy(&[], &[limit(1)], 100));
    pass(&limiter, &policy, "c");
    let mut waiting: Vec<_> = (0..3)
        .map(|_| Box::pin(call(&limiter, &policy, "c")))
        .collect();
    for one in &mut waiting {
        assert!(one.now_or_never().is_none());
    }
    // The head, and one in the middle.
    drop(waiting.remove(1));
    drop(waiting.remove(0));
    assert_eq!(limiter.n_waiting(), 1);
    limiter.reset().await.unwrap();
    assert_eq!(waiting.remove(0).await, Verdict::Allowed);
    assert_eq!(limiter.n_waiting(), 0);
    assert!(limiter.queues.lines.lock().is_empty());
}

#[tokio::test]
async fn at_the_bound_one_more_is_refused_and_overtakes_nobody() {
    let (limiter, policy) = (limiter(), policy(&[], &[limit(1)], 2));
    pass(&limiter, &policy, "c");
    let mut waiting: Vec<_> = (0..2)
        .map(|_| Box::pin(call(&limiter, &policy, "c")))
        .collect();
    for one in &mut waiting {
        assert!(one.now_or_never().is_none());
    }
    let refused = call(&limiter, &policy, "c").now_or_never();
    assert!(matches!(refused, Some(Verdict::Refused(_))), "{refused:?}");
    limiter.reset().await.unwrap();
    // There is budget, and it is the head's.
    let refused = call(&limiter, &policy, "c").now_or_never();
    assert!(matches!(refused, Some(Verdict::Refused(_))), "{refused:?}");
    assert_eq!(waiting.remove(0).await, Verdict::Allowed);
}

#[tokio::test]
async fn whose_turn_cannot_come_in_time_is_refused_at_once() {
    let limiter = limiter();
    let mut policy = policy(&[], &[limit(1)], 2);
    policy.patience = Some(Patience {
        max_wait: Duration::from_secs(60),
        n_calls_max: 2,
    });
    pass(&limiter, &policy, "c");
    let customer = customer("c");
    let charged = limiter.charge(&policy, &customer.bill(&policy));
    assert!(matches!(charged, Charged::Now(Verdict::Refused(_))));
    let settled = limiter.settle(&policy, &customer, Duration::from_secs(60));
    let settled = settled.now_or_never().unwrap();
    assert!(matches!(settled.verdict, Verdict::Refused(_)));
    assert_eq!(settled.waited, None);
}

#[tokio::test]
async fn who_waits_behind_others_does_so_until_its_deadline() {
    let (limiter, policy) = (limiter(), policy(&[], &[limit(1)], 10));
    pass(&limiter, &policy, "c");
    let mut head = Box::pin(call(&limiter, &policy, "c"));
    assert!((&mut head).now_or_never().is_none());
    let customer = customer("c");
    let settled = limiter
        .settle(&policy, &customer, Duration::from_millis(1))
        .await;
    let Verdict::Refused(refused) = settled.verdict else {
        panic!("its time is over");
    };
    assert_eq!(&*refused.rule.label, "client/hour");
    assert!(settled.waited.is_some());
    assert!((&mut head).now_or_never().is_none());
    assert_eq!(limiter.n_waiting(), 1);
}

#[tokio::test]
async fn a_budget_that_comes_back_wakes_the_head_and_those_behind_it() {
    let limiter = limiter();
    let mut policy = policy(&[], &[], 100);
    let window = Duration::from_millis(30);
    policy.rules = Rules::new(&[], &[Limit { n_calls: 2, window }]);
    let calls = (0..7).map(|_| call(&limiter, &policy, "c"));
    for verdict in join_all(calls).await {
        assert_eq!(verdict, Verdict::Allowed);
    }
}
