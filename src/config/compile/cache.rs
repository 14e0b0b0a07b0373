//! `cache`.

use std::time::Duration;

use filters::problem::Problems;

use crate::config::model::Secret;
use crate::config::model::cache::{Cache, L2};
use crate::config::raw;

/// The bytes of a kilobyte, and the kilobytes of a megabyte.
const KILO: usize = 1024;

/// `cache`.
pub fn compile(raw: raw::cache::Cache, problems: &mut Problems) -> Cache {
    check_entry_size(&raw.l1, problems);
    let l2 = raw.l2.filter(|l2| l2.enabled);
    Cache {
        enabled: raw.enabled,
        l1_max_entries: usize::try_from(raw.l1.max_entries).unwrap_or(usize::MAX),
        l1_entry_bytes_max: bytes(raw.l1.max_entry_size_kb),
        l1_bytes_max: bytes(raw.l1.max_size_mb).saturating_mul(KILO),
        l2: l2.and_then(|l2| compile_l2(l2, problems)),
    }
}

/// A result that is allowed by its own bound and never by the whole would silently not be kept.
fn check_entry_size(l1: &raw::cache::L1, problems: &mut Problems) {
    let (whole, all) = (l1.max_size_mb, "cache.l1.max_size_mb");
    if bytes(l1.max_entry_size_kb) > bytes(whole).saturating_mul(KILO) {
        let message = format!("is more than the {whole} MB of {all}: no such result could be kept");
        problems
            .error("cache.l1.max_entry_size_kb", message)
            .found(l1.max_entry_size_kb.to_string())
            .because_of(all);
    }
}

fn compile_l2(raw: raw::cache::L2, problems: &mut Problems) -> Option<L2> {
    let redis_url = redis_url(
        "cache.l2.redis_url",
        raw.redis_url,
        "is required when cache.l2 is enabled; set it or CONDUIT_REDIS_URL",
        problems,
    )?;
    let milliseconds = |n: u32| Duration::from_millis(n.into());
    Some(L2 {
        redis_url,
        ttl_multiplier: raw.default_ttl_multiplier,
        key_prefix: raw.key_prefix,
        entry_bytes_max: bytes(raw.max_entry_size_kb),
        timeout: milliseconds(raw.timeout_ms),
        lease: (raw.lease_ms > 0).then(|| milliseconds(raw.lease_ms)),
    })
}

fn bytes(kilobytes: u32) -> usize {
    usize::try_from(kilobytes)
        .unwrap_or(usize::MAX)
        .saturating_mul(KILO)
}

/// Checks the URL of a Redis server, which is never shown: it may hold a password.
pub fn redis_url(
    path: &str,
    text: Option<String>,
    if_missing: &str,
    problems: &mut Problems,
) -> Option<Secret> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        problems.error(path, if_missing);
        return None;
    };
    let schemes = [
        "redis://",
        "rediss://",
        "redis+unix://",
        "unix://",
        "valkey://",
        "valkeys://",
    ];
    let has_rest = |scheme: &&str| {
        text.strip_prefix(scheme)
            .is_some_and(|rest| !rest.is_empty())
    };
    if !schemes.iter().any(has_rest) {
        problems.error(path, "must be a Redis URL, such as redis://localhost:6379");
        return None;
    }
    Some(Secret::new(text))
}
