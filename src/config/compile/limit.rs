//! `rate_limits`.

use std::collections::BTreeMap;
use std::time::Duration;

use filters::problem::Problems;

use crate::config::choice::LimitBackend;
use crate::config::compile::cache::redis_url;
use crate::config::model::Secret;
use crate::config::model::limit::{Limit, Override, Queue, RateLimits, Store};
use crate::config::path::Path;
use crate::config::raw::limit as raw;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// `rate_limits`.
pub fn compile(raw: raw::RateLimits, problems: &mut Problems) -> RateLimits {
    let path = Path::root().key("rate_limits");
    let queue = raw.queue.enabled.then(|| Queue {
        max_wait: Duration::from_millis(raw.queue.max_wait_ms.into()),
        n_calls_max: usize::try_from(raw.queue.max_queue_size).unwrap_or(usize::MAX),
    });
    let overrides = raw.overrides.into_iter().enumerate();
    RateLimits {
        enabled: raw.enabled,
        store: store(
            raw.enabled,
            raw.backend,
            raw.redis_url,
            raw.key_prefix,
            problems,
        ),
        on_backend_error: raw.on_backend_error,
        global: windows(&raw.global, &path.key("global"), problems),
        per_client: windows(&raw.per_client, &path.key("per_client"), problems),
        overrides: overrides
            .map(|(index, raw)| one(raw, &path.key("overrides").index(index), problems))
            .collect(),
        queue,
    }
}

fn store(
    enabled: bool,
    backend: LimitBackend,
    url: Option<String>,
    key_prefix: String,
    problems: &mut Problems,
) -> Store {
    let redis = |url| Store::Redis { url, key_prefix };
    match backend {
        LimitBackend::Redis if enabled => {
            let missing =
                "is required when rate_limits.backend is redis; set it or CONDUIT_REDIS_URL";
            redis_url("rate_limits.redis_url", url, missing, problems)
                .map(redis)
                .unwrap_or_default()
        }
        LimitBackend::Redis => url.map(|url| redis(Secret::new(url))).unwrap_or_default(),
        LimitBackend::Memory => Store::Memory,
    }
}

fn one(raw: raw::LimitOverride, path: &Path, problems: &mut Problems) -> Override {
    let own = raw::Limit {
        requests_per_minute: raw.requests_per_minute,
        requests_per_hour: raw.requests_per_hour,
        requests_per_day: raw.requests_per_day,
        requests: raw.requests,
        window_seconds: raw.window_seconds,
    };
    Override {
        server: raw.server,
        limits: windows(&own, path, problems),
        per_tool: tools(raw.per_tool, &path.key("per_tool"), problems),
        per_client_tool: tools(raw.per_client_tool, &path.key("per_client_tool"), problems),
    }
}

fn tools(
    raw: BTreeMap<String, raw::Limit>,
    path: &Path,
    problems: &mut Problems,
) -> BTreeMap<String, Vec<Limit>> {
    let tools = raw.into_iter().map(|(tool, limit)| {
        let limits = windows(&limit, &path.key(&tool), problems);
        (tool, limits)
    });
    tools.collect()
}

/// The limits of one place, in either dialect.
fn windows(raw: &raw::Limit, path: &Path, problems: &mut Problems) -> Vec<Limit> {
    if raw.window_seconds.is_some() && raw.requests.is_none() {
        problems.error(path.key("requests"), "is required with window_seconds");
    }
    let window = raw
        .window_seconds
        .map_or(MINUTE, |n| Duration::from_secs(n.into()));
    let written = [
        (raw.requests, window),
        (raw.requests_per_minute, MINUTE),
        (raw.requests_per_hour, HOUR),
        (raw.requests_per_day, DAY),
    ];
    let mut limits: Vec<Limit> = Vec::new();
    for (n_calls, window) in written {
        let Some(n_calls) = n_calls else { continue };
        match limits.iter_mut().find(|limit| limit.window == window) {
            // Two limits over the same time: the stricter one is the only one that matters.
            Some(limit) => limit.n_calls = limit.n_calls.min(n_calls),
            None => limits.push(Limit { n_calls, window }),
        }
    }
    limits.sort_by_key(|limit| limit.window);
    limits
}

/// A quota, which knows only the three fixed spans.
#[must_use]
pub fn quota(per_minute: Option<u32>, per_hour: Option<u32>, per_day: Option<u32>) -> Vec<Limit> {
    let written = [(per_minute, MINUTE), (per_hour, HOUR), (per_day, DAY)];
    let each = written.into_iter();
    each.filter_map(|(n_calls, window)| {
        Some(Limit {
            n_calls: n_calls?,
            window,
        })
    })
    .collect()
}
