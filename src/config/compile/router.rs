//! `router`.

use std::time::Duration;

use filters::problem::Problems;

use crate::config::choice::NamespaceStrategy;
use crate::config::model::router::{CircuitBreaker, HealthCheck, Lists, Router};
use crate::config::path::Path;
use crate::config::raw::router as raw;

/// `router`, given the ids of all servers the file names, valid or not.
pub fn compile(raw: &raw::Router, server_ids: &[String], problems: &mut Problems) -> Router {
    check_prefixes(raw, server_ids, problems);
    Router {
        namespace_strategy: raw.namespace_strategy,
        namespace_separator: raw.namespace_separator,
        name_limit: match raw.name_limit {
            raw::NameLimit::Off(raw::Off::Off) => None,
            raw::NameLimit::Length(limit) => Some(to_size(limit)),
        },
        lists: lists(raw, problems),
        load_balancing: raw.load_balancing,
        health_check: health_check(&raw.health_check),
        circuit_breaker: raw.circuit_breaker.as_ref().and_then(circuit_breaker),
    }
}

/// Refuses ids that leave open whose a name is: with `-`, the tool `b-x` of `a` and the tool `x` of
/// `a-b` would both be `a-b-x`.
fn check_prefixes(raw: &raw::Router, server_ids: &[String], problems: &mut Problems) {
    match raw.namespace_strategy {
        NamespaceStrategy::Prefix => {}
        NamespaceStrategy::None => return,
    }
    let separator = raw.namespace_separator.as_str();
    let continues = |id: &str, head: &str| {
        let rest = id.strip_prefix(head).filter(|_| !head.is_empty());
        rest.is_some_and(|rest| rest.starts_with(separator))
    };
    for (index, id) in server_ids.iter().enumerate() {
        let heads = server_ids.iter().enumerate();
        for (other, head) in heads.filter(|(_, head)| continues(id, head)) {
            let path = Path::root().key("servers").index(index).key("id");
            let message = format!(
                "names of this server's tools could be those of servers[{other}] ({head:?}), \
                 because its id begins with that one and router.namespace_separator; choose \
                 another id or separator"
            );
            problems
                .error(path, message)
                .found(format!("{id:?}"))
                .because_of("router.namespace_separator");
        }
    }
}

fn lists(raw: &raw::Router, problems: &mut Problems) -> Lists {
    if raw.list_deadline_ms < raw.list_timeout_ms {
        let message = format!(
            "must not be less than router.list_timeout_ms, which is {}",
            raw.list_timeout_ms
        );
        problems
            .error("router.list_deadline_ms", message)
            .found(raw.list_deadline_ms.to_string())
            .because_of("router.list_timeout_ms");
    }
    Lists {
        timeout: Duration::from_millis(raw.list_timeout_ms.into()),
        deadline: Duration::from_millis(raw.list_deadline_ms.into()),
        refresh: Duration::from_secs(raw.list_refresh_seconds.into()),
        stale_max: Duration::from_secs(raw.list_stale_seconds.into()),
        page_size: to_size(raw.list_page_size),
    }
}

fn health_check(raw: &raw::HealthCheck) -> Option<HealthCheck> {
    raw.enabled.then(|| HealthCheck {
        interval: Duration::from_secs(raw.interval_seconds.into()),
        timeout: Duration::from_millis(raw.timeout_ms.into()),
        unhealthy_threshold: to_size(raw.unhealthy_threshold),
        healthy_threshold: to_size(raw.healthy_threshold),
    })
}

fn circuit_breaker(raw: &raw::CircuitBreaker) -> Option<CircuitBreaker> {
    raw.enabled.then(|| CircuitBreaker {
        failure_threshold: raw.failure_threshold,
        reset_timeout: Duration::from_millis(raw.reset_timeout_ms.into()),
        half_open_max_requests: raw.half_open_max_requests,
        success_threshold: raw.success_threshold,
    })
}

fn to_size(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
