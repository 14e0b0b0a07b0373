//! What is kept of a result.

use std::mem::size_of;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use filters::cache::admit::Hints;
use filters::cache::freshness::{Freshness, Lifetime};
use filters::cache::key::Key;
use filters::cache::policy::Share;
use filters::mcp::method::Method;
use filters::mcp::revision::Era;
use filters::mcp::translate::down;

/// One result of one server, as the server gave it.
#[derive(Debug)]
pub struct Entry {
    /// What it is found by.
    pub key: Key,
    /// What it is a result of.
    pub origin: Origin,
    /// The era that its text is of.
    pub era: Era,
    /// The result, JSON text.
    pub text: Box<str>,
    /// Where the number of its `ttlMs` stands in the text, if it has one.
    pub ttl_span: Option<Range<usize>>,
    /// How long it is good, as its server said.
    pub ttl: Option<Duration>,
    /// Whether its lifetime is the operator's word, not its server's.
    pub is_operators: bool,
    /// Who may be given it.
    pub share: Share,
    /// When it was fetched, or when it would have been where another instance did.
    pub fetched: Instant,
    /// How long it is used, and how.
    pub lifetime: Lifetime,
    /// The result in the other era, once somebody asked for it in that.
    pub translated: Translated,
}

/// A result in the other era, made when it is first asked for.
#[derive(Debug, Default)]
pub struct Translated {
    text: OnceLock<Box<str>>,
    /// Whether its length counts already.
    is_weighed: AtomicBool,
}

/// What a result is a result of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The server's id.
    pub server: Arc<str>,
    /// The method.
    pub method: Method,
    /// The tool or the URI, as the server spells it; nothing for lists.
    pub target: Option<Arc<str>>,
}

/// A result that was just fetched.
#[derive(Debug)]
pub struct Fresh {
    /// What it is found by.
    pub key: Key,
    /// What it is a result of.
    pub origin: Origin,
    /// The era that its text is of.
    pub era: Era,
    /// The result, JSON text.
    pub text: Box<str>,
    /// Who may be given it.
    pub share: Share,
    /// Whether its lifetime is the operator's word, not its server's.
    pub is_operators: bool,
    /// How long it is used, and how.
    pub lifetime: Lifetime,
}

impl Entry {
    /// An entry that was fetched at `fetched`, as its text's `hints` have it.
    #[must_use]
    pub fn new(fresh: Fresh, hints: &Hints, fetched: Instant) -> Self {
        let Fresh {
            key,
            origin,
            era,
            text,
            share,
            is_operators,
            lifetime,
        } = fresh;
        Self {
            key,
            origin,
            era,
            text,
            ttl_span: hints.ttl_span.clone(),
            ttl: hints.ttl,
            is_operators,
            share,
            fetched,
            lifetime,
            translated: Translated::default(),
        }
    }

    /// The result in an era, and where the number of its `ttlMs` stands.
    #[must_use]
    pub fn in_era(&self, era: Era) -> (&str, Option<&Range<usize>>) {
        if era == self.era {
            return (&self.text, self.ttl_span.as_ref());
        }
        let text = self.translated.text.get_or_init(|| {
            let method = self.origin.method;
            let text = match era {
                Era::Modern => down::modern_result(method, &self.text, None),
                Era::Legacy => down::legacy_result(method, &self.text),
            };
            text.into_boxed_str()
        });
        // A translated result promises nothing: it has no `ttlMs`, or none but zero.
        (text, None)
    }

    /// How old it is.
    #[must_use]
    pub fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.fetched)
    }

    /// What it is still good for.
    #[must_use]
    pub fn freshness(&self, now: Instant) -> Freshness {
        self.lifetime.judge(self.age(now))
    }

    /// How long a client may take it as it is: what is left of the server's own promise.
    #[must_use]
    pub fn ttl_left(&self, now: Instant) -> Duration {
        let promised = self.ttl.unwrap_or_default();
        promised.saturating_sub(self.age(now))
    }

    /// About how much memory it takes, in bytes, with what finds it.
    #[must_use]
    pub fn weight(&self) -> usize {
        let target = self.origin.target.as_ref().map_or(0, |target| target.len());
        let translated = match self.translated.is_weighed.load(Ordering::Relaxed) {
            true => self.translated.bytes(),
            false => 0,
        };
        size_of::<Self>() + self.text.len() + translated + target + OVERHEAD_BYTES
    }

    /// By how much it became heavier since it was weighed: from here on it counts.
    #[must_use]
    pub fn gain(&self) -> usize {
        let Translated { text, is_weighed } = &self.translated;
        if text.get().is_none() || is_weighed.swap(true, Ordering::Relaxed) {
            return 0;
        }
        self.translated.bytes()
    }
}

impl Translated {
    fn bytes(&self) -> usize {
        self.text.get().map_or(0, |text| text.len())
    }
}

/// What maps, the order of use and the allocator take for an entry, measured (see docs/BENCHMARKS.md).
const OVERHEAD_BYTES: usize = 200;
