//! `sessions`.

use std::time::Duration;

use filters::problem::Problems;

use crate::config::choice::SessionBackend;
use crate::config::compile::cache::redis_url;
use crate::config::model::Secret;
use crate::config::model::session::{Parked, Redis, SECRET_BYTES_MIN, Sessions, Store};
use crate::config::raw::Raw;
use crate::config::raw::session as raw;

const OWN_URL: &str = "sessions.redis_url";

/// The Redis URLs that a file writes for other sections, with their paths; the first one serves
/// where `sessions` has none of its own.
#[must_use]
pub fn redis_urls(raw: &Raw) -> Vec<(&'static str, String)> {
    let l2 = raw.cache.l2.as_ref();
    let written = [
        ("rate_limits.redis_url", raw.rate_limits.redis_url.as_ref()),
        (
            "cache.l2.redis_url",
            l2.and_then(|l2| l2.redis_url.as_ref()),
        ),
    ];
    written
        .into_iter()
        .filter_map(|(path, url)| Some((path, url?.clone())))
        .filter(|(_, url)| !url.is_empty())
        .collect()
}

/// `sessions`, given what [`redis_urls`] found.
pub fn compile(
    raw: raw::Sessions,
    others: Vec<(&'static str, String)>,
    problems: &mut Problems,
) -> Sessions {
    let to_size = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
    Sessions {
        store: match raw.backend {
            SessionBackend::Memory => Store::Memory,
            SessionBackend::Redis => redis(raw.redis_url, raw.key_prefix, others, problems)
                .map(Store::Redis)
                .unwrap_or_default(),
        },
        secret: secret(raw.secret, problems),
        max_sessions: to_size(raw.max_sessions),
        max_per_client: to_size(raw.max_per_client),
        idle: Duration::from_secs(raw.idle_seconds.into()),
        parked: Parked {
            ttl: Duration::from_secs(raw.parked_ttl_seconds.into()),
            max_calls: to_size(raw.max_parked),
            max_per_client: to_size(raw.max_parked_per_client),
        },
    }
}

fn redis(
    own: Option<String>,
    key_prefix: String,
    others: Vec<(&'static str, String)>,
    problems: &mut Problems,
) -> Option<Redis> {
    let own = own.filter(|url| !url.is_empty()).map(|url| (OWN_URL, url));
    let (path, url) = match own.or_else(|| others.into_iter().next()) {
        Some((path, url)) => (path, Some(url)),
        None => (OWN_URL, None),
    };
    if problems.iter().any(|problem| problem.path == path) {
        return None;
    }
    let missing = "is required when sessions.backend is redis; set it or CONDUIT_REDIS_URL, or \
                   rate_limits.redis_url to share that one";
    let url = redis_url(path, url, missing, problems)?;
    Some(Redis { url, key_prefix })
}

/// An empty secret is no secret, as `${NAME:-}` leaves it.
fn secret(text: Option<String>, problems: &mut Problems) -> Option<Secret> {
    let text = text.filter(|text| !text.is_empty())?;
    if text.len() < SECRET_BYTES_MIN {
        let message = format!(
            "must have at least {SECRET_BYTES_MIN} bytes; `openssl rand -base64 32` makes one"
        );
        problems.error("sessions.secret", message);
        return None;
    }
    Some(Secret::new(text))
}
