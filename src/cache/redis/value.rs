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
    /// How long it is to keep it.
    pub(super) expiry: Duration,
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
    let expiry = kept.saturating_sub(entry.age(now));
    if expiry < Duration::from_millis(1) {
        return None;
    }
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
        expiry,
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
