//! From how limits are configured to how they are decided.

use anyhow::Context;
use filters::rate::rules::Rules;
use filters::rate::window;

use crate::config::choice;
use crate::config::model::limit::{Limit, RateLimits, Store as StoreConfig};
use crate::limit::queue::Patience;
use crate::limit::redis::{Redis, Spec, TIMEOUT};
use crate::limit::{Limiter, OnBackendError, Policy, Store};

/// A limiter that counted nothing yet.
///
/// # Errors
/// Where Redis cannot be what the configuration says.
pub(super) fn limiter(config: &RateLimits) -> anyhow::Result<Limiter> {
    let store = match &config.store {
        StoreConfig::Memory => Store::Memory(Box::default()),
        StoreConfig::Redis { url, key_prefix } => {
            let redis = Redis::new(&Spec {
                url: url.expose(),
                key_prefix,
                timeout: TIMEOUT,
            });
            Store::Redis(redis.context("rate_limits.redis_url")?)
        }
    };
    Ok(Limiter::new(store))
}

/// What is enforced, if anything is.
pub(super) fn policy(config: &RateLimits) -> Option<Policy> {
    if !config.enabled {
        return None;
    }
    let mut rules = Rules::new(&limits(&config.global), &limits(&config.per_client));
    for one in &config.overrides {
        rules.add_server(&one.server, &limits(&one.limits));
        for (tool, all) in &one.per_tool {
            rules.add_tool(&one.server, tool, &limits(all), &[]);
        }
        for (tool, each) in &one.per_client_tool {
            rules.add_tool(&one.server, tool, &[], &limits(each));
        }
    }
    if rules.is_empty() {
        return None;
    }
    Some(Policy {
        rules,
        patience: config.queue.map(|queue| Patience {
            max_wait: queue.max_wait,
            n_calls_max: queue.n_calls_max,
        }),
        on_backend_error: match config.on_backend_error {
            choice::OnBackendError::Allow => OnBackendError::Allow,
            choice::OnBackendError::Deny => OnBackendError::Deny,
        },
    })
}

fn limits(limits: &[Limit]) -> Vec<window::Limit> {
    let limits = limits.iter();
    limits
        .map(|limit| window::Limit {
            n_calls: limit.n_calls,
            window: limit.window,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use filters::identity::Principal;

    use super::*;
    use crate::config::{self, source::Source};

    fn labels(text: &str) -> Option<Vec<String>> {
        let config = config::load(&Source::from_text(text)).unwrap().config;
        let policy = policy(&config.rate_limits)?;
        let anyone = Principal::anonymous();
        let bill = policy.rules.bill(&anyone, Some("s"), Some("t"));
        let buckets = bill.buckets();
        Some(
            buckets
                .map(|one| format!("{}={}", one.rule.label, one.rule.limit.n_calls))
                .collect(),
        )
    }

    #[test]
    fn both_dialects_are_enforced() {
        let mcp_conduit = "rate_limits: {enabled: true, per_client: {requests_per_minute: 5}}";
        let wizard = "rate_limits: {enabled: true, per_client: {requests: 5, window_seconds: 60}}";
        for text in [mcp_conduit, wizard] {
            assert_eq!(labels(text).unwrap(), ["client/minute=5"]);
        }
    }

    #[test]
    fn an_overrides_limit_is_that_of_its_server_and_of_nothing_else() {
        let text = "\
servers: [{id: s, url: 'http://h/mcp'}]
rate_limits:
  enabled: true
  overrides:
    - server: s
      requests_per_minute: 9
      per_tool: {t: {requests_per_hour: 8}}
      per_client_tool: {t: {requests: 7, window_seconds: 5}}
";
        let expected = ["server/minute=9", "tool/hour=8", "client-server-tool/5s=7"];
        assert_eq!(labels(text).unwrap(), expected);
    }

    #[test]
    fn limits_that_are_off_or_not_there_cost_nothing() {
        for text in [
            "",
            "rate_limits: {enabled: true}",
            "rate_limits: {enabled: false, global: {requests: 1}}",
        ] {
            assert_eq!(labels(text), None);
        }
    }
}
