//! An entry as Redis holds it: its stamp, a line of JSON about it, and its text.
//!
//! **Invariant:** no time of day is written. How old an entry is follows from how long Redis will keep
//! it and how long it was to be kept, so that the clocks of two machines never meet.
//!
//! Results stand there as they are. Whoever can read Redis can read them, and whoever can write
//! to it can forge them.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use filters::cache::admit::Hints;
use filters::cache::freshness::{FRESH_MAX, Lifetime, Staleness};
use filters::cache::key::Key;
use filters::cache::policy::Share;
use filters::mcp::method::Method;
use filters::mcp::revision::Era;
use serde::{Deserialize, Serialize};

use crate::cache::entry::{Entry, Fresh, Origin};

/// The form. Raise it when another gateway would misread it.
const VERSION: u32 = 1;

/// What is written of an entry besides its text.
#[derive(Serialize, Deserialize)]
struct Header<'h> {
    version: u32,
    #[serde(borrow)]
    server: Cow<'h, str>,
    method: Cow<'h, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<Cow<'h, str>>,
    era: Cow<'h, str>,
    share: Cow<'h, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ttl_span: Option<Range<usize>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ttl_ms: Option<u64>,
    is_operators: bool,
    /// How long it is fresh in memory.
    fresh_ms: u64,
    /// How long it is fresh here.
    fresh_here_ms: u64,
    while_revalidate_ms: u64,
    if_error_ms: u64,
    /// How long it is kept from when it was fetched.
    kept_ms: u64,
    text_bytes: usize,
}

/// An entry as it is written.
pub(super) struct Written {
    /// What Redis is given.
    pub(super) value: Vec<u8>,
    /// Until when it is to keep it.
    pub(super) until: Instant,
    /// How long that is at most.
    pub(super) kept: Duration,
}

/// Writes an entry; nothing if it is good for nothing any more.
pub(super) fn write(entry: &Entry, stamp: &str, multiplier: f64, now: Instant) -> Option<Written> {
    let fresh = entry.lifetime.fresh();
    let fresh_here = if entry.is_operators {
        Duration::try_from_secs_f64(fresh.as_secs_f64() * multiplier).unwrap_or(FRESH_MAX)
    } else {
        fresh
    };
    let here = Lifetime::new(fresh_here, entry.lifetime.stale());
    let kept = here.kept();
    if kept.saturating_sub(entry.age(now)) < Duration::from_millis(1) {
        return None;
    }
    let until = entry.fetched.checked_add(kept)?;
    let header = Header {
        version: VERSION,
        server: Cow::Borrowed(&entry.origin.server),
        method: Cow::Borrowed(entry.origin.method.label()),
        target: entry.origin.target.as_deref().map(Cow::Borrowed),
        era: Cow::Borrowed(entry.era.label()),
        share: Cow::Borrowed(entry.share.label()),
        ttl_span: entry.ttl_span.clone(),
        ttl_ms: entry.ttl.map(milliseconds),
        is_operators: entry.is_operators,
        fresh_ms: milliseconds(fresh),
        fresh_here_ms: milliseconds(here.fresh()),
        while_revalidate_ms: milliseconds(here.stale().while_revalidate),
        if_error_ms: milliseconds(here.stale().if_error),
        kept_ms: milliseconds(kept),
        text_bytes: entry.text.len(),
    };
    let header = serde_json::to_string(&header).ok()?;
    let value = [stamp, "\n", &header, "\n", &entry.text].concat();
    Some(Written {
        value: value.into_bytes(),
        until,
        kept,
    })
}

/// Reads an entry that Redis still keeps for `left`, as it may be used from memory. Nothing if it is of
/// another form, or of anything else than `origin`.
pub(super) fn read(
    value: &[u8],
    key: Key,
    origin: &Origin,
    left: Duration,
    now: Instant,
) -> Option<Entry> {
    let value = std::str::from_utf8(value).ok()?;
    let (_stamp, value) = value.split_once('\n')?;
    let (header, text) = value.split_once('\n')?;
    let header: Header<'_> = serde_json::from_str(header).ok()?;
    let is_whole = header.version == VERSION && header.text_bytes == text.len();
    if !is_whole || !header.is_of(origin) {
        return None;
    }
    let spanned = header.ttl_span.clone().map(|span| text.get(span));
    if spanned.is_some_and(|number| !number.is_some_and(is_number)) {
        return None;
    }
    // More time left than there ever was: the clock of Redis was turned back, and tells nothing.
    let age = Duration::from_millis(header.kept_ms).checked_sub(left)?;
    let fresh = Fresh {
        key,
        origin: origin.clone(),
        era: header.era()?,
        text: text.into(),
        share: Share::parse(&header.share)?,
        is_operators: header.is_operators,
        lifetime: header.lifetime(age),
    };
    let hints = Hints {
        ttl: header.ttl_ms.map(Duration::from_millis),
        scope: None,
        ttl_span: header.ttl_span,
    };
    Some(Entry::new(fresh, &hints, now.checked_sub(age)?))
}

/// The server that an entry is of.
pub(super) fn server(value: &[u8]) -> Option<Arc<str>> {
    let mut lines = value.split(|byte| *byte == b'\n');
    let header = lines.nth(1)?;
    let header: Header<'_> = serde_json::from_slice(header).ok()?;
    Some(Arc::from(header.server))
}

impl Header<'_> {
    fn is_of(&self, origin: &Origin) -> bool {
        *self.server == *origin.server
            && Method::parse(&self.method) == origin.method
            && self.target.as_deref() == origin.target.as_deref()
    }

    fn era(&self) -> Option<Era> {
        [Era::Legacy, Era::Modern]
            .into_iter()
            .find(|era| era.label() == self.era)
    }

    /// How it is used from memory: from now on fresh for as long as a new one would be, but never
    /// longer than here.
    fn lifetime(&self, age: Duration) -> Lifetime {
        let anew = age.saturating_add(Duration::from_millis(self.fresh_ms));
        let stale = Staleness {
            while_revalidate: Duration::from_millis(self.while_revalidate_ms),
            if_error: Duration::from_millis(self.if_error_ms),
        };
        Lifetime::new(anew.min(Duration::from_millis(self.fresh_here_ms)), stale)
    }
}

fn is_number(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
    !text.is_empty() && text.bytes().all(is_part)
}

/// A time in whole milliseconds, rounded down: nothing is used longer than it may.
pub(super) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(origin: &Origin, age: Duration, is_operators: bool) -> (Entry, Instant) {
        let fetched = Instant::now();
        let stale = Staleness {
            while_revalidate: Duration::from_secs(10),
            if_error: Duration::from_secs(20),
        };
        let fresh = Fresh {
            key: Key::parse(&"ab".repeat(32)).unwrap(),
            origin: origin.clone(),
            era: Era::Legacy,
            text: r#"{"ttlMs":5}"#.into(),
            is_operators,
            share: Share::Public,
            lifetime: Lifetime::new(Duration::from_secs(100), stale),
        };
        let hints = Hints {
            ttl: Some(Duration::from_millis(5)),
            scope: None,
            ttl_span: Some(9..10),
        };
        (Entry::new(fresh, &hints, fetched), fetched + age)
    }

    fn origin() -> Origin {
        Origin {
            server: Arc::from("s"),
            method: Method::ToolsCall,
            target: Some(Arc::from("t")),
        }
    }

    /// How long an entry of some age is kept.
    fn expiry(age_secs: u64, is_operators: bool, multiplier: f64) -> Option<u64> {
        let (entry, now) = entry(&origin(), Duration::from_secs(age_secs), is_operators);
        let written = write(&entry, "stamp", multiplier, now)?;
        Some(written.until.checked_duration_since(now)?.as_secs())
    }

    #[test]
    fn it_is_kept_for_all_that_it_may_be_used_for_and_no_longer() {
        assert_eq!(expiry(0, false, 3.0), Some(120));
        assert_eq!(expiry(60, false, 3.0), Some(60));
        assert_eq!(expiry(120, false, 3.0), None);
        assert_eq!(expiry(0, true, 3.0), Some(320));
        assert_eq!(expiry(120, true, 2.5), Some(150));
        assert_eq!(expiry(1_000_000, true, 3.0), None);
    }

    #[test]
    fn no_multiplier_makes_it_fresh_for_longer_than_anything_may_be() {
        for multiplier in [1e9, f64::MAX, f64::INFINITY, f64::NAN] {
            let kept = FRESH_MAX.as_secs() + 20;
            assert_eq!(expiry(0, true, multiplier), Some(kept), "{multiplier}");
        }
    }

    #[test]
    fn what_is_read_is_as_old_as_the_time_that_is_over() {
        let (stored, now) = entry(&origin(), Duration::ZERO, true);
        let written = write(&stored, "stamp", 3.0, now).unwrap();
        // (seconds left of 320, age, fresh for)
        for (left, age, fresh) in [
            (320, 0, 100),
            (200, 120, 220),
            (50, 270, 300),
            (0, 320, 300),
        ] {
            let left = Duration::from_secs(left);
            let read = read(&written.value, stored.key, &origin(), left, now).unwrap();
            assert_eq!(read.age(now).as_secs(), age);
            assert_eq!(read.lifetime.fresh().as_secs(), fresh);
            assert_eq!(read.lifetime.stale(), stored.lifetime.stale());
        }
        let more = Duration::from_secs(321);
        assert!(read(&written.value, stored.key, &origin(), more, now).is_none());
    }

    #[test]
    fn nothing_is_read_of_what_was_cut_anywhere() {
        let (stored, now) = entry(&origin(), Duration::ZERO, true);
        let written = write(&stored, "stamp", 3.0, now).unwrap();
        for at in 0..written.value.len() {
            let cut = &written.value[..at];
            assert!(read(cut, stored.key, &origin(), Duration::ZERO, now).is_none());
        }
        assert_eq!(server(&written.value).as_deref(), Some("s"));
    }
}
