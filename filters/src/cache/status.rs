//! What clients and operators are told about how the cache served a request: in
//! `X-Conduit-Cache-Status`, and in `Cache-Status` (RFC 9211).

use core::time::Duration;

/// The value of `X-Conduit-Cache-Status`, and the label in metrics and logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Answered with what was kept, which is fresh.
    Hit,
    /// Nothing was kept: the server was asked, for this request or for another like it.
    Miss,
    /// Answered with one that is no longer fresh.
    Stale,
    /// What was kept is no longer fresh: the server was asked.
    Revalidated,
    /// The answer to such a call is not kept.
    Skip,
    /// The answer would be kept, but it says that the tool failed.
    SkipError,
    /// The cache has nothing to do with such a request.
    Bypass,
}

impl Status {
    /// The word.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Hit => "HIT",
            Self::Miss => "MISS",
            Self::Stale => "STALE",
            Self::Revalidated => "REVALIDATED",
            Self::Skip => "SKIP",
            Self::SkipError => "SKIP_ERROR",
            Self::Bypass => "BYPASS",
        }
    }
}

/// The value of `Cache-Status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheStatus<'a> {
    /// Where the answer came from.
    pub source: Source,
    /// For how many seconds it is fresh yet: see [`ttl`].
    pub ttl: Option<i64>,
    /// Whether it was kept.
    pub is_stored: bool,
    /// Whether the request shared another one's.
    pub is_collapsed: bool,
    /// Why, in a word of ours.
    pub detail: Option<&'a str>,
}

/// Where an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// From the cache.
    Hit,
    /// From the server, for a reason.
    Forward(Reason),
}

/// Why a request went to its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The cache was not to be asked.
    Bypass,
    /// It had nothing under that key.
    UriMiss,
    /// What it had was no longer fresh.
    Stale,
}

impl CacheStatus<'_> {
    /// An answer from `source`, of which nothing more is said.
    #[must_use]
    pub fn new(source: Source) -> Self {
        Self {
            source,
            ttl: None,
            is_stored: false,
            is_collapsed: false,
            detail: None,
        }
    }
}

impl CacheStatus<'_> {
    /// The field's value.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::with_capacity(BYTES_USUAL);
        text.push_str(match self.source {
            Source::Hit => "Conduit; hit",
            Source::Forward(Reason::Bypass) => "Conduit; fwd=bypass",
            Source::Forward(Reason::UriMiss) => "Conduit; fwd=uri-miss",
            Source::Forward(Reason::Stale) => "Conduit; fwd=stale",
        });
        if let Some(ttl) = self.ttl {
            text.push_str("; ttl=");
            let ttl = ttl.clamp(-INTEGER_MAX, INTEGER_MAX);
            text.push_str(itoa::Buffer::new().format(ttl));
        }
        if self.is_stored {
            text.push_str("; stored");
        }
        if self.is_collapsed {
            text.push_str("; collapsed");
        }
        if let Some(detail) = self.detail {
            push_detail(&mut text, detail);
        }
        text
    }
}

/// Room for a value of usual length.
const BYTES_USUAL: usize = 48;

/// Largest integer that a structured field may have (RFC 9651, 3.3.1).
const INTEGER_MAX: i64 = 999_999_999_999_999;

/// Appends the detail: a token where it is one, else a string. What a header cannot have is `?`.
fn push_detail(text: &mut String, detail: &str) {
    text.push_str("; detail=");
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if detail.bytes().all(is_plain) && detail.starts_with(|first: char| first.is_ascii_alphabetic())
    {
        text.push_str(detail);
        return;
    }
    text.push('"');
    for character in detail.chars() {
        match character {
            '"' | '\\' => text.extend(['\\', character]),
            ' '..='~' => text.push(character),
            _ => text.push('?'),
        }
    }
    text.push('"');
}

/// How many seconds an answer is fresh yet, rounded down, so that one that has been stale for however
/// little has a negative number.
#[must_use]
pub fn ttl(fresh: Duration, age: Duration) -> i64 {
    let whole = |secs: u64| i64::try_from(secs).unwrap_or(INTEGER_MAX);
    match fresh.checked_sub(age) {
        Some(left) => whole(left.as_secs()),
        None => {
            let past = age.saturating_sub(fresh);
            let is_more = past.subsec_nanos() > 0;
            -whole(past.as_secs().saturating_add(u64::from(is_more)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_status_is_what_rfc_9211_has() {
        let hit = CacheStatus::new(Source::Hit);
        let miss = CacheStatus::new(Source::Forward(Reason::UriMiss));
        let stale = CacheStatus::new(Source::Forward(Reason::Stale));
        let bypass = CacheStatus::new(Source::Forward(Reason::Bypass));
        let detail = |detail| CacheStatus {
            detail: Some(detail),
            ..bypass
        };
        for (status, expected) in [
            (hit, "Conduit; hit"),
            (
                CacheStatus {
                    ttl: Some(12),
                    ..hit
                },
                "Conduit; hit; ttl=12",
            ),
            (
                CacheStatus {
                    ttl: Some(-3),
                    ..hit
                },
                "Conduit; hit; ttl=-3",
            ),
            (
                CacheStatus {
                    ttl: Some(i64::MIN),
                    ..hit
                },
                "Conduit; hit; ttl=-999999999999999",
            ),
            (
                CacheStatus {
                    is_stored: true,
                    ..miss
                },
                "Conduit; fwd=uri-miss; stored",
            ),
            (
                CacheStatus {
                    is_collapsed: true,
                    ..miss
                },
                "Conduit; fwd=uri-miss; collapsed",
            ),
            (
                CacheStatus {
                    ttl: Some(60),
                    is_stored: true,
                    ..stale
                },
                "Conduit; fwd=stale; ttl=60; stored",
            ),
            (detail("is-error"), "Conduit; fwd=bypass; detail=is-error"),
            (detail("9x"), "Conduit; fwd=bypass; detail=\"9x\""),
            (detail(""), "Conduit; fwd=bypass; detail=\"\""),
            (
                detail("a\"\\b\r\né, c"),
                "Conduit; fwd=bypass; detail=\"a\\\"\\\\b???, c\"",
            ),
        ] {
            assert_eq!(status.to_text(), expected);
        }
    }

    #[test]
    fn what_is_stale_has_a_negative_ttl() {
        let ms = Duration::from_millis;
        for (fresh, age, expected) in [
            (ms(12_900), ms(0), 12),
            (ms(12_000), ms(1), 11),
            (ms(12_000), ms(12_000), 0),
            (ms(12_000), ms(12_001), -1),
            (ms(12_000), ms(15_000), -3),
            (ms(0), Duration::MAX, -INTEGER_MAX),
            (Duration::MAX, ms(0), INTEGER_MAX),
        ] {
            assert_eq!(ttl(fresh, age), expected, "{fresh:?} {age:?}");
        }
    }

    #[test]
    fn every_status_has_a_word_of_its_own() {
        let words = [
            Status::Hit,
            Status::Miss,
            Status::Stale,
            Status::Revalidated,
            Status::Skip,
            Status::SkipError,
            Status::Bypass,
        ]
        .map(Status::label);
        assert_eq!(
            words.join(" "),
            "HIT MISS STALE REVALIDATED SKIP SKIP_ERROR BYPASS"
        );
    }
}
