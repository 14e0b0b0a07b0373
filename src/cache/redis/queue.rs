//! What is to be written to Redis, until the writer takes it.
//!
//! **Invariant:** at most [`WRITES_MAX`] writes of [`BYTES_MAX`] bytes wait; what comes then is not
//! written.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use filters::cache::key::Key;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::cache::entry::Entry;
use crate::cache::redis::versions::Clock;

/// The most writes that wait.
pub(super) const WRITES_MAX: usize = 1_024;
/// The most bytes of results that wait.
pub(super) const BYTES_MAX: usize = 16 * 1024 * 1024;
/// The most writes that are sent in one go.
const BATCH_MAX: usize = 64;
/// The bytes of results after which no more are sent along, so that look-ups on the same connection do not
/// wait for long.
const BATCH_BYTES_MAX: usize = 256 * 1024;

/// The writes that wait, first in first out.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    filled: Notify,
}

#[derive(Default)]
struct Waiting {
    order: VecDeque<Place>,
    stores: HashMap<Key, Store>,
    bytes: usize,
}

enum Place {
    Store(Key),
    Release(Hold),
}

/// An entry to be stored.
pub(super) struct Store {
    pub(super) entry: Arc<Entry>,
    /// What it depends on, as it was looked up.
    pub(super) stamp: Box<str>,
    /// The clock of Redis, as of the look-up.
    pub(super) clock: Clock,
}

/// A lease that is held.
pub(super) struct Hold {
    pub(super) key: Key,
    pub(super) owner: String,
}

/// What is taken from the queue.
pub(super) enum Write {
    Store(Store),
    Release(Hold),
}

/// What became of an entry that was to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// It waits.
    Waits,
    /// It took the place of an earlier one.
    Replaced,
    /// There is no room.
    Dropped,
}

impl Queue {
    /// Has an entry wait. One of the same key that waits already is not written any more.
    pub(super) fn put(&self, store: Store) -> Put {
        let mut waiting = self.waiting.lock();
        let key = store.entry.key;
        let known = waiting.stores.get(&key);
        let (is_known, freed) = (known.is_some(), known.map_or(0, Store::bytes));
        let bytes = waiting.bytes - freed + store.bytes();
        if bytes > BYTES_MAX || (!is_known && waiting.order.len() >= WRITES_MAX) {
            return Put::Dropped;
        }
        waiting.bytes = bytes;
        waiting.stores.insert(key, store);
        if is_known {
            return Put::Replaced;
        }
        waiting.order.push_back(Place::Store(key));
        drop(waiting);
        self.filled.notify_one();
        Put::Waits
    }

    /// Has a lease be given back, after all that waits already. Without room it ends by itself.
    pub(super) fn release(&self, hold: Hold) {
        let mut waiting = self.waiting.lock();
        if waiting.order.len() < WRITES_MAX {
            waiting.order.push_back(Place::Release(hold));
            drop(waiting);
            self.filled.notify_one();
        }
    }

    /// Waits until there is something, and takes as much as is sent in one go. Cancel-safe.
    pub(super) async fn take(&self) -> Vec<Write> {
        loop {
            let batch = self.waiting.lock().batch();
            if !batch.is_empty() {
                return batch;
            }
            self.filled.notified().await;
        }
    }
}

impl Waiting {
    fn batch(&mut self) -> Vec<Write> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while batch.len() < BATCH_MAX && bytes < BATCH_BYTES_MAX {
            match self.order.pop_front() {
                Some(Place::Store(key)) => {
                    if let Some(store) = self.stores.remove(&key) {
                        bytes += store.bytes();
                        self.bytes -= store.bytes();
                        batch.push(Write::Store(store));
                    }
                }
                Some(Place::Release(hold)) => batch.push(Write::Release(hold)),
                None => break,
            }
        }
        batch
    }
}

impl Store {
    fn bytes(&self) -> usize {
        self.entry.text.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use filters::cache::freshness::Lifetime;
    use filters::mcp::method::Method;
    use filters::mcp::revision::Era;
    use futures_util::FutureExt;

    use filters::cache::admit::Hints;
    use filters::cache::policy::Share;

    use crate::cache::entry::{Fresh, Origin};

    use super::*;

    fn key(n: usize) -> Key {
        Key::parse(&format!("{n:064x}")).unwrap()
    }

    fn store(n: usize, bytes: usize) -> Store {
        let fresh = Fresh {
            key: key(n),
            origin: Origin {
                server: Arc::from("s"),
                method: Method::ToolsList,
                target: None,
            },
            era: Era::Modern,
            text: "x".repeat(bytes).into(),
            is_operators: false,
            share: Share::Public,
            lifetime: Lifetime::new(Duration::from_secs(1), Default::default()),
        };
        Store {
            entry: Arc::new(Entry::new(fresh, &Hints::default(), Instant::now())),
            stamp: "".into(),
            clock: Clock {
                ms: 0,
                at: Instant::now(),
            },
        }
    }

    /// The lengths of what is taken in one go; a lease is none.
    fn taken(queue: &Queue) -> Vec<Option<usize>> {
        let batch = queue.take().now_or_never().unwrap_or_default();
        let batch = batch.iter().map(|write| match write {
            Write::Store(store) => Some(store.bytes()),
            Write::Release(_) => None,
        });
        batch.collect()
    }

    #[test]
    fn as_many_wait_as_there_is_room_for_and_no_more() {
        let queue = Queue::default();
        for n in 0..WRITES_MAX {
            assert_eq!(queue.put(store(n, 1)), Put::Waits);
        }
        assert_eq!(queue.put(store(WRITES_MAX, 1)), Put::Dropped);
        // It takes no place of its own.
        assert_eq!(queue.put(store(0, 2)), Put::Replaced);
        assert_eq!(taken(&queue).len(), BATCH_MAX);
        assert_eq!(queue.put(store(WRITES_MAX, 1)), Put::Waits);
    }

    #[test]
    fn as_many_bytes_wait_as_there_is_room_for_and_no_more() {
        let queue = Queue::default();
        assert_eq!(queue.put(store(0, BYTES_MAX)), Put::Waits);
        assert_eq!(queue.put(store(1, 1)), Put::Dropped);
        assert_eq!(queue.put(store(0, BYTES_MAX + 1)), Put::Dropped);
        assert_eq!(queue.put(store(0, BYTES_MAX - 1)), Put::Replaced);
        assert_eq!(queue.put(store(1, 1)), Put::Waits);
        assert_eq!(taken(&queue), [Some(BYTES_MAX - 1)]);
        assert_eq!(taken(&queue), [Some(1)]);
        assert_eq!(taken(&queue), []);
    }

    #[test]
    fn a_lease_is_given_back_after_what_was_fetched_under_it() {
        let queue = Queue::default();
        queue.put(store(1, 1));
        queue.release(Hold {
            key: key(1),
            owner: "owner".to_owned(),
        });
        queue.put(store(1, 2));
        queue.put(store(2, 3));
        assert_eq!(taken(&queue), [Some(2), None, Some(3)]);
    }
}
