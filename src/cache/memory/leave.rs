//! How entries leave: because something made them stale, their time is over, or others need the room.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use filters::cache::freshness::Freshness;
use filters::cache::invalidate::Reach;
use filters::cache::key::Key;
use filters::mcp::method::Method;
use pingora::cache::eviction::{CacheEntryKey, EvictionManager};

use crate::cache::entry::Entry;
use crate::cache::memory::book::{Book, Page};
use crate::cache::memory::{Memory, PARTS, half, order_key};

impl Memory {
    /// Drops all that `reach` covers of a server, and keeps whatever is being fetched of it from being
    /// stored. How many entries there were.
    pub fn invalidate(&self, server: &Arc<str>, reach: &Reach) -> usize {
        // Of what has no book nothing was ever asked for: whoever begins to now gets nothing older.
        let Some(book) = self.books.read().get(server).map(Arc::clone) else {
            return 0;
        };
        let mut book = book.lock();
        book.ledger.note(reach.clone());
        self.drop_all(&mut book, reach)
    }

    /// Drops all that `reach` covers. What it names is found without looking through the rest.
    fn drop_all(&self, book: &mut Book, reach: &Reach) -> usize {
        match reach {
            Reach::Key(key) => self.drop_key(book, key),
            Reach::Tool(name) => self.drop_page(book, Method::ToolsCall, name),
            Reach::Resource(uri) => self.drop_page(book, Method::ResourcesRead, uri),
            Reach::Union(parts) => parts.iter().map(|part| self.drop_all(book, part)).sum(),
            Reach::Server | Reach::Method(_) | Reach::Tools(_) | Reach::Resources(_) => {
                let mut dropped = 0;
                book.pages.retain(|(method, target), page| {
                    page.retain(|key| {
                        let is_covered = reach.covers(*method, target.as_deref(), key);
                        dropped += usize::from(is_covered && self.forget(key).is_some());
                        !is_covered
                    })
                });
                dropped
            }
        }
    }

    fn drop_key(&self, book: &mut Book, key: &Key) -> usize {
        let Some(entry) = self.peek(key) else {
            return 0;
        };
        book.remove(&entry.origin, key);
        usize::from(self.forget(key).is_some())
    }

    fn drop_page(&self, book: &mut Book, method: Method, target: &str) -> usize {
        let page = book.pages.remove(&(method, Some(Arc::from(target))));
        match page {
            None => 0,
            Some(Page::One(key)) => usize::from(self.forget(&key).is_some()),
            Some(Page::Many(keys)) => {
                let dropped = keys.iter().filter(|key| self.forget(key).is_some());
                dropped.count()
            }
        }
    }

    /// Drops the entry of a key, and keeps what is being fetched of these servers from being stored
    /// there.
    pub fn remove<'s>(&self, key: &Key, servers: impl Iterator<Item = &'s Arc<str>>) -> bool {
        let reach = Reach::Key(*key);
        let dropped: usize = servers.map(|server| self.invalidate(server, &reach)).sum();
        dropped > 0
    }

    /// Drops everything, and keeps whatever is being fetched from being stored.
    pub fn clear(&self) -> usize {
        let servers: Vec<_> = self.books.read().keys().map(Arc::clone).collect();
        let servers = servers.iter();
        servers
            .map(|server| self.invalidate(server, &Reach::Server))
            .sum()
    }

    /// Looks through one part for entries that are good for nothing any more, and drops them.
    pub fn sweep(&self, now: Instant) {
        let at = self.swept.fetch_add(1, Ordering::Relaxed) % PARTS;
        let gone: Vec<Arc<Entry>> = self.parts.get(at).map_or_else(Vec::new, |part| {
            let part = part.read();
            let gone = part
                .values()
                .filter(|entry| entry.freshness(now) == Freshness::Gone);
            gone.map(Arc::clone).collect()
        });
        for entry in gone {
            self.drop_if(&entry);
        }
    }

    /// Drops an entry, unless another has taken its place.
    pub(super) fn drop_if(&self, entry: &Arc<Entry>) {
        let book = self.book(&entry.origin.server);
        let mut book = book.lock();
        if self
            .peek(&entry.key)
            .is_some_and(|known| Arc::ptr_eq(&known, entry))
        {
            self.forget(&entry.key);
            book.remove(&entry.origin, &entry.key);
        }
    }

    /// Drops what the order of use says is to go.
    pub(super) fn evict_all(&self, evicted: &[CacheEntryKey]) {
        for old in evicted {
            self.n_evicted.fetch_add(1, Ordering::Relaxed);
            self.evict(old);
        }
    }

    /// Drops one of them.
    fn evict(&self, old: &CacheEntryKey) {
        let half = &old.key().primary;
        let entry = self.part(half).read().get(half).map(Arc::clone);
        if let Some(entry) = entry {
            self.drop_if(&entry);
        }
    }

    /// Takes an entry out of the map and the order. Its book is locked by the caller.
    fn forget(&self, key: &Key) -> Option<Arc<Entry>> {
        let half = half(key);
        let entry = self.part(&half).write().remove(&half)?;
        self.n_entries.fetch_sub(1, Ordering::Relaxed);
        EvictionManager::remove(&self.order, (&order_key(half)).into());
        Some(entry)
    }
}
