//! The first tier: results in the gateway's own memory.
//!
//! Which entry goes first is decided by Pingora's LRU manager, bounded by entries and by bytes; the
//! entries themselves stand in a map of parts. A book for each server knows what entries there are
//! of it, so that what a write makes stale is found without looking through the rest.
//!
//! **Invariant:** an entry is stored only if nothing that covers it was invalidated since its fetch
//! began: the server's book is locked for both.

mod book;
mod leave;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Instant, SystemTime};

use filters::cache::freshness::Freshness;
use filters::cache::key::Key;
use parking_lot::{Mutex, RwLock};
use pingora::cache::eviction::lru::Manager;
use pingora::cache::eviction::{CacheEntryKey, EvictionManager};
use pingora::cache::key::{CompactCacheKey, HashBinary};

use crate::cache::entry::{Entry, Origin};
use crate::cache::memory::book::Book;

/// Parts that the map is split into.
const PARTS: usize = 64;
/// Parts that the order of use is split into.
const ORDERS: usize = 32;

/// The order of use goes by use alone.
const NO_TIME: SystemTime = SystemTime::UNIX_EPOCH;

/// How much is held.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most entries.
    pub entries_max: usize,
    /// Most memory that all entries take, in bytes.
    pub bytes_max: usize,
    /// Longest result that is held, in bytes.
    pub entry_bytes_max: usize,
}

/// The entries.
pub struct Memory {
    limits: Limits,
    parts: [RwLock<Part>; PARTS],
    order: Manager<ORDERS>,
    books: RwLock<HashMap<Arc<str>, Arc<Mutex<Book>>>>,
    n_entries: AtomicUsize,
    n_evicted: AtomicU64,
    /// The part that is looked through next for what is good for nothing any more.
    swept: AtomicUsize,
}

/// Some of the entries, by the first half of their keys: all that the order of use knows of them.
type Part = foldhash::HashMap<HashBinary, Arc<Entry>>;

/// When a fetch began, as its server's book counts: nothing that was invalidated since is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp(u64);

/// Why an entry was not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is too long.
    TooLong,
    /// What it tells was made stale while it was fetched.
    Outdated,
}

impl Memory {
    /// An empty memory.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            order: Manager::with_capacity_and_watermark(
                limits.bytes_max,
                0,
                Some(limits.entries_max),
            ),
            limits,
            parts: std::array::from_fn(|_| RwLock::default()),
            books: RwLock::default(),
            n_entries: AtomicUsize::new(0),
            n_evicted: AtomicU64::new(0),
            swept: AtomicUsize::new(0),
        }
    }

    /// How much is held at most.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Where the server's book stands now.
    #[must_use]
    pub fn stamp(&self, server: &Arc<str>) -> Stamp {
        Stamp(self.book(server).lock().ledger.stamp())
    }

    /// Whether nothing that concerns `origin` was invalidated since `stamp`.
    #[must_use]
    pub fn is_current(&self, origin: &Origin, key: &Key, stamp: Stamp) -> bool {
        let book = self.book(&origin.server);
        let book = book.lock();
        book.ledger
            .allows(stamp.0, origin.method, origin.target.as_deref(), key)
    }

    /// Whether there is anything of a server.
    #[must_use]
    pub fn has(&self, server: &Arc<str>) -> bool {
        let books = self.books.read();
        books
            .get(server)
            .is_some_and(|book| !book.lock().pages.is_empty())
    }

    /// The entry of `key`, if it is good for anything.
    #[must_use]
    pub fn find(&self, key: &Key, now: Instant) -> Option<(Arc<Entry>, Freshness)> {
        let half = half(key);
        let (entry, freshness) = {
            let part = self.part(&half).read();
            let entry = part.get(&half).filter(|entry| entry.key == *key)?;
            let freshness = entry.freshness(now);
            if freshness != Freshness::Gone {
                // Under the part's lock: what is taken out of the map leaves the order after it.
                EvictionManager::access(&self.order, &order_key(half), entry.weight(), NO_TIME);
            }
            (Arc::clone(entry), freshness)
        };
        if freshness == Freshness::Gone {
            self.drop_if(&entry);
            return None;
        }
        Some((entry, freshness))
    }

    /// Stores an entry whose fetch began at `stamp`.
    ///
    /// # Errors
    /// Why it was not stored.
    pub fn store(&self, entry: Arc<Entry>, stamp: Stamp) -> Result<(), Refused> {
        if entry.text.len() > self.limits.entry_bytes_max {
            return Err(Refused::TooLong);
        }
        let key = entry.key;
        let evicted = {
            let book = self.book(&entry.origin.server);
            let mut book = book.lock();
            let Origin { method, target, .. } = &entry.origin;
            let target = target.as_deref();
            if !book.ledger.allows(stamp.0, *method, target, &key) {
                return Err(Refused::Outdated);
            }
            book.add(&entry.origin, key);
            let weight = entry.weight();
            if self
                .part(&half(&key))
                .write()
                .insert(half(&key), entry)
                .is_none()
            {
                self.n_entries.fetch_add(1, Ordering::Relaxed);
            }
            EvictionManager::admit(&self.order, order_key(half(&key)), weight, NO_TIME)
        };
        self.evict_all(&evicted);
        Ok(())
    }

    /// Counts what an entry became heavier by since it was stored.
    pub fn weigh(&self, entry: &Entry) {
        let gain = entry.gain();
        if gain == 0 {
            return;
        }
        let half = half(&entry.key);
        let evicted = {
            // Under the part's lock: what is taken out of the map leaves the order after it.
            let part = self.part(&half).read();
            let is_there = part
                .get(&half)
                .is_some_and(|known| std::ptr::eq(Arc::as_ptr(known), entry));
            if !is_there {
                return;
            }
            EvictionManager::increment_weight(&self.order, &order_key(half), gain, None)
        };
        self.evict_all(&evicted);
    }

    /// All entries that `is_wanted`, in the order of their keys, after `after`, at most `max`.
    #[must_use]
    pub fn show(
        &self,
        after: Option<&Key>,
        max: usize,
        is_wanted: impl Fn(&Entry) -> bool,
    ) -> Vec<Arc<Entry>> {
        let mut first: BTreeMap<Key, Arc<Entry>> = BTreeMap::new();
        for part in &self.parts {
            let part = part.read();
            let wanted = part
                .values()
                .filter(|entry| after.is_none_or(|after| entry.key > *after) && is_wanted(entry));
            for entry in wanted {
                let is_early = first
                    .last_key_value()
                    .is_none_or(|(last, _)| entry.key < *last);
                if first.len() < max || is_early {
                    first.insert(entry.key, Arc::clone(entry));
                }
                if first.len() > max {
                    first.pop_last();
                }
            }
        }
        first.into_values().collect()
    }

    /// How many entries there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.n_entries.load(Ordering::Relaxed)
    }

    /// The memory that all entries take, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.order.total_size()
    }

    /// How many entries had to go for others.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.n_evicted.load(Ordering::Relaxed)
    }

    fn book(&self, server: &Arc<str>) -> Arc<Mutex<Book>> {
        if let Some(book) = self.books.read().get(server) {
            return Arc::clone(book);
        }
        let mut books = self.books.write();
        Arc::clone(books.entry(Arc::clone(server)).or_default())
    }

    fn part(&self, half: &HashBinary) -> &RwLock<Part> {
        let [first, ..] = half;
        let [zeroth, ..] = &self.parts;
        // There is a part for every remainder.
        self.parts
            .get(usize::from(*first) % PARTS)
            .unwrap_or(zeroth)
    }

    fn peek(&self, key: &Key) -> Option<Arc<Entry>> {
        let half = half(key);
        let part = self.part(&half).read();
        part.get(&half)
            .filter(|entry| entry.key == *key)
            .map(Arc::clone)
    }
}

/// The first half of a key: 128 bits of a hash, which is what Pingora's keys have.
fn half(key: &Key) -> HashBinary {
    let mut half = HashBinary::default();
    for (to, from) in half.iter_mut().zip(key.as_bytes()) {
        *to = *from;
    }
    half
}

fn order_key(primary: HashBinary) -> CacheEntryKey {
    CacheEntryKey::key_only(CompactCacheKey {
        primary,
        variance: None,
        user_tag: Box::default(),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use filters::cache::admit::Hints;
    use filters::cache::freshness::Lifetime;
    use filters::cache::invalidate::Reach;
    use filters::cache::policy::Share;
    use filters::mcp::method::Method;
    use filters::mcp::revision::Era;

    use super::*;
    use crate::cache::entry::Fresh;

    fn entry(n: u8) -> Arc<Entry> {
        let fresh = Fresh {
            key: Key::parse(&format!("{n:02x}").repeat(32)).unwrap(),
            origin: Origin {
                server: Arc::from("s"),
                method: Method::ToolsCall,
                target: Some(Arc::from("t")),
            },
            era: Era::Legacy,
            text: format!(
                r#"{{"content":[],"_meta":{{"x":"{}"}}}}"#,
                "x".repeat(10_000)
            )
            .into(),
            share: Share::Private,
            is_operators: true,
            lifetime: Lifetime::new(Duration::from_secs(60), Default::default()),
        };
        Arc::new(Entry::new(fresh, &Hints::default(), Instant::now()))
    }

    fn memory(bytes_max: usize) -> Memory {
        Memory::new(Limits {
            entries_max: 100,
            bytes_max,
            entry_bytes_max: 100_000,
        })
    }

    fn store(memory: &Memory, n: u8) -> Arc<Entry> {
        let entry = entry(n);
        let stamp = memory.stamp(&entry.origin.server);
        memory.store(Arc::clone(&entry), stamp).unwrap();
        entry
    }

    #[test]
    fn what_is_held_in_both_eras_counts_twice_and_once() {
        let memory = memory(1_000_000);
        let entry = store(&memory, 1);
        let alone = memory.bytes();
        memory.weigh(&entry);
        assert_eq!(memory.bytes(), alone);
        let (translated, _) = entry.in_era(Era::Modern);
        for _ in 0..2 {
            memory.weigh(&entry);
            assert_eq!(memory.bytes(), alone + translated.len());
        }
        memory.invalidate(&entry.origin.server, &Reach::Server);
        assert_eq!(memory.bytes(), 0);
    }

    #[test]
    fn what_becomes_too_heavy_has_others_go() {
        let memory = memory(45_000);
        let entries = [1, 2, 3, 4].map(|n| store(&memory, n));
        assert_eq!(memory.count(), 4);
        for entry in &entries {
            assert!(!entry.in_era(Era::Modern).0.is_empty());
            memory.weigh(entry);
            assert!(memory.bytes() <= 45_000, "{}", memory.bytes());
        }
        assert!(memory.count() < 4);
        let known = memory.show(None, 10, |_| true);
        assert_eq!(known.len(), memory.count());
    }

    #[test]
    fn what_is_not_held_weighs_nothing() {
        let memory = memory(1_000_000);
        let entry = store(&memory, 1);
        memory.invalidate(&entry.origin.server, &Reach::Server);
        assert!(!entry.in_era(Era::Modern).0.is_empty());
        memory.weigh(&entry);
        assert_eq!(memory.bytes(), 0);
    }
}
