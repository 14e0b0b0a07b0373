//! Limits of several gateways that share a Redis, and what happens without it.

use std::sync::Arc;
use std::time::Duration;

use conduit::limit::redis::{self, Redis as Counts, Spec, TIMEOUT};
use conduit::limit::{Customer, Limiter, OnBackendError, Policy, Store, Verdict};
use filters::identity::Principal;
use filters::rate::rules::Rules;
use filters::rate::window::Limit;
use futures_util::future::join_all;
use serde_json::json;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{config, delete, get, n_passed};
use crate::support::gateway::Gateway;
use crate::support::message::modern_call;
use crate::support::redis::Redis;
use crate::support::upstream::{Upstream, friendly};
use crate::support::{until, within};

const PREFIX: &str = "test:limits:";

/// So patient that a slow machine fails no test.
const PATIENT: Duration = Duration::from_secs(20);

/// One gateway's counts. What it runs ends with it.
struct Instance {
    limiter: Limiter,
    counts: Arc<Counts>,
    _stop: DropGuard,
}

impl Instance {
    fn new(url: &str, timeout: Duration) -> Self {
        let counts = Counts::new(&Spec {
            url,
            key_prefix: PREFIX,
            timeout,
        });
        let counts = counts.unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(Arc::clone(&counts).run(stop.clone()));
        Self {
            limiter: Limiter::new(Store::Redis(Arc::clone(&counts))),
            counts,
            _stop: stop.drop_guard(),
        }
    }

    async fn started(redis: &Redis) -> Self {
        let instance = Self::new(&redis.url(), PATIENT);
        instance.connected().await;
        instance
    }

    async fn connected(&self) {
        until("Redis to be used", || async {
            self.counts.is_used().then_some(())
        })
        .await;
    }

    async fn call(&self, policy: &Policy, client: &str) -> Verdict {
        let customer = customer(client);
        let settling = self.limiter.settle(policy, &customer, Duration::ZERO);
        settling.await.verdict
    }
}

fn customer(client: &str) -> Customer {
    Customer {
        principal: Arc::new(Principal {
            client: client.into(),
            tenant: Some("t:1".into()),
            ..Principal::anonymous()
        }),
        server: Some("s".into()),
        tool: Some("t".to_owned()),
    }
}

fn limit(n_calls: u32, seconds: u64) -> Limit {
    Limit {
        n_calls,
        window: Duration::from_secs(seconds),
    }
}

fn policy(global: &[Limit], client: &[Limit]) -> Policy {
    Policy {
        rules: Rules::new(global, client),
        ..Policy::default()
    }
}

fn label(verdict: &Verdict) -> &str {
    match verdict {
        Verdict::Refused(refused) => &refused.rule.label,
        Verdict::Allowed => "allowed",
        Verdict::Uncounted => "uncounted",
        Verdict::Unavailable => "unavailable",
    }
}

/// So many calls of a client at the same time, spread over all instances; how many passed.
async fn passed(instances: &[Instance], policy: &Policy, client: &str, n_calls: usize) -> usize {
    let calls = instances.iter().cycle().take(n_calls);
    let verdicts = join_all(calls.map(|one| one.call(policy, client))).await;
    let passed = verdicts.iter().filter(|one| **one == Verdict::Allowed);
    passed.count()
}

async fn keys(redis: &Redis) -> Vec<String> {
    let mut keys: Vec<String> = redis
        .ask(::redis::cmd("KEYS").arg(format!("{PREFIX}*")))
        .await;
    keys.sort();
    keys
}

async fn four(redis: &Redis) -> Vec<Instance> {
    join_all((0..4).map(|_| Instance::started(redis))).await
}

#[tokio::test]
async fn of_four_instances_exactly_the_limit_passes_and_windows_count_by_themselves() {
    let redis = Redis::started().await;
    let instances = four(&redis).await;
    let policy = policy(
        &[],
        &[limit(3600, 86_400), limit(100, 3600), limit(150, 7200)],
    );
    assert_eq!(passed(&instances, &policy, "c", 173).await, 100);
    assert_eq!(passed(&instances, &policy, "other", 101).await, 100);
    let verdict = instances[0].call(&policy, "c").await;
    assert_eq!(label(&verdict), "client/hour");
    let key = |seconds: u32| format!("{PREFIX}client:t%3A1:c:~:~:{seconds}");
    for seconds in [3600, 7200, 86_400] {
        let counts: Vec<u64> = redis.ask(::redis::cmd("HVALS").arg(key(seconds))).await;
        assert_eq!(counts.iter().sum::<u64>(), 100, "{seconds}");
        let left: i64 = redis.ask(::redis::cmd("TTL").arg(key(seconds))).await;
        assert!(
            (1..=i64::from(seconds) / 15 * 16 + 1).contains(&left),
            "{left}"
        );
    }
    // As time does with the shorter window: the longer one goes on counting.
    let _: u64 = redis.ask(::redis::cmd("DEL").arg(key(3600))).await;
    assert_eq!(passed(&instances, &policy, "c", 100).await, 50);
    let verdict = instances[3].call(&policy, "c").await;
    assert_eq!(label(&verdict), "client/7200s");
}

#[tokio::test]
async fn a_refused_client_burns_nobody_elses_budget_on_any_instance() {
    let redis = Redis::started().await;
    let instances = four(&redis).await;
    let policy = policy(&[limit(30, 3600)], &[limit(10, 3600)]);
    assert_eq!(passed(&instances, &policy, "greedy", 200).await, 10);
    assert_eq!(passed(&instances, &policy, "a", 20).await, 10);
    assert_eq!(passed(&instances, &policy, "b", 20).await, 10);
    let verdict = instances[0].call(&policy, "c").await;
    assert_eq!(label(&verdict), "global/hour");
}

#[tokio::test]
async fn an_old_step_is_forgotten_and_one_of_the_window_is_not() {
    let redis = Redis::started().await;
    let instance = Instance::started(&redis).await;
    let policy = policy(&[], &[limit(10, 3600)]);
    let key = format!("{PREFIX}client:t%3A1:c:~:~:3600");
    let (seconds, _): (u64, u64) = redis.ask(&::redis::cmd("TIME")).await;
    let step = seconds / 240;
    let mut write = ::redis::cmd("HSET");
    write
        .arg(&key)
        .arg(step - 16)
        .arg(100)
        .arg(step - 14)
        .arg(7);
    let _: u64 = redis.ask(&write).await;
    assert_eq!(passed(&[instance], &policy, "c", 9).await, 3);
    let fields: Vec<u64> = redis.ask(::redis::cmd("HKEYS").arg(&key)).await;
    assert!(fields.iter().all(|field| *field >= step - 14), "{fields:?}");
}

#[tokio::test]
async fn a_reset_forgets_what_it_names_on_all_instances() {
    let redis = Redis::started().await;
    let instances = four(&redis).await;
    let mut policy = policy(&[limit(100, 3600)], &[limit(5, 3600)]);
    policy.rules.add_tool("s", "t", &[], &[limit(50, 3600)]);
    for client in ["a", "b", "a:~"] {
        assert_eq!(passed(&instances, &policy, client, 9).await, 5);
    }
    let foreign = "another:client:t%3A1:a:~:~:60";
    let _: () = redis.ask(::redis::cmd("SET").arg(foreign).arg(1)).await;
    let limiter = &instances[2].limiter;
    limiter.reset_client("a", Some("elsewhere")).await.unwrap();
    assert_eq!(keys(&redis).await.len(), 7);
    limiter.reset_client("a", None).await.unwrap();
    let left = keys(&redis).await;
    assert_eq!(left.len(), 5, "{left:?}");
    assert!(!left.iter().any(|key| key.contains(":a:")), "{left:?}");
    assert_eq!(passed(&instances, &policy, "a", 9).await, 5);
    assert_eq!(passed(&instances, &policy, "b", 9).await, 0);
    limiter.reset().await.unwrap();
    assert_eq!(keys(&redis).await, [""; 0]);
    assert_eq!(passed(&instances, &policy, "b", 9).await, 5);
    let kept: u8 = redis.ask(::redis::cmd("GET").arg(foreign)).await;
    assert_eq!(kept, 1);
}

#[tokio::test]
async fn scripts_that_somebody_flushed_are_loaded_again() {
    let redis = Redis::started().await;
    let instances = four(&redis).await;
    let policy = policy(&[], &[limit(6, 3600)]);
    assert_eq!(passed(&instances, &policy, "c", 4).await, 4);
    let _: () = redis.ask(::redis::cmd("SCRIPT").arg("FLUSH")).await;
    assert_eq!(passed(&instances, &policy, "c", 9).await, 2);
}

#[tokio::test]
async fn a_redis_that_hangs_costs_one_time_out_and_what_follows_is_as_configured() {
    let redis = Redis::started().await;
    let instance = Instance::new(&redis.url(), TIMEOUT);
    instance.connected().await;
    let mut policy = policy(&[], &[limit(1, 3600)]);
    for (on_backend_error, expected) in [
        (OnBackendError::Allow, Verdict::Uncounted),
        (OnBackendError::Deny, Verdict::Unavailable),
    ] {
        policy.on_backend_error = on_backend_error;
        redis.freeze();
        let calls = (0..50).map(|_| instance.call(&policy, "c"));
        for verdict in within("verdicts in spite of Redis", join_all(calls)).await {
            assert_eq!(verdict, expected);
        }
        // Nobody waits any more.
        assert!(!instance.counts.is_used());
        for _ in 0..1_000 {
            assert_eq!(instance.call(&policy, "c").await, expected);
        }
        assert!(matches!(
            instance.limiter.reset().await,
            Err(redis::Error::Unused)
        ));
        redis.thaw();
        instance.connected().await;
    }
}

#[tokio::test]
async fn a_redis_that_is_gone_is_used_again_when_it_is_back() {
    let mut redis = Redis::absent();
    let instance = Instance::new(&redis.url(), PATIENT);
    let policy = policy(&[], &[limit(1, 3600)]);
    assert_eq!(instance.call(&policy, "c").await, Verdict::Uncounted);
    for _ in 0..2 {
        redis.start().await;
        instance.connected().await;
        assert_eq!(label(&instance.call(&policy, "c").await), "allowed");
        assert_eq!(label(&instance.call(&policy, "c").await), "client/hour");
        redis.stop();
        until("the loss to be noticed", || async {
            (instance.call(&policy, "c").await == Verdict::Uncounted).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn gateways_share_limits_and_answer_without_redis_as_they_are_told_to() {
    let mut redis = Redis::started().await;
    let upstream = Upstream::start(friendly).await;
    let limits = |on_backend_error: &str| {
        json!({ "backend": "redis", "redis_url": redis.url(), "on_backend_error": on_backend_error,
            "global": { "requests_per_hour": 3 } })
    };
    let lenient = Gateway::with(config(&upstream, limits("allow"))).await;
    let strict = Gateway::with(config(&upstream, limits("deny"))).await;
    for gateway in [&lenient, &strict] {
        connected(gateway, true).await;
    }
    let call = modern_call("/mcp/a", &json!(1), "t", json!({}));
    assert_eq!(n_passed(&lenient, 2, &call).await, 2);
    assert_eq!(n_passed(&strict, 5, &call).await, 1);
    assert_eq!(n_passed(&lenient, 5, &call).await, 0);
    delete(&strict, "/conduit/limits/reset").await;
    assert_eq!(n_passed(&lenient, 5, &call).await, 3);
    redis.stop();
    for gateway in [&lenient, &strict] {
        connected(gateway, false).await;
    }
    assert_eq!(n_passed(&lenient, 9, &call).await, 9);
    let answer = super::ask(&strict, &call).await;
    assert_eq!(
        (answer.status, &answer.json()["error"]["code"]),
        (503, &json!(-31503))
    );
    assert_eq!(answer.headers.get("retry-after"), Some("1"));
    let metrics = get(&lenient, "/conduit/metrics").await.text();
    assert!(
        metrics.contains("conduit_rate_limit_backend_errors_total 9"),
        "{metrics}"
    );
}

async fn connected(gateway: &Gateway, expected: bool) {
    until("the state of Redis to be known", || async {
        let health = get(gateway, "/conduit/health").await.json();
        (health["redis"]["connected"] == expected).then_some(())
    })
    .await;
}
