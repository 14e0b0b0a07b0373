//! Fetches in flight: callers that want the same wait for one of them.
//!
//! **Invariant:** a flight lands exactly once, also where its task panics or is dropped, so that
//! nobody waits for ever.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use filters::cache::key::Key;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::cache::entry::Origin;
use crate::cache::memory::Stamp;

/// Parts that the table is split into, so that flights that have nothing to do with each other do not
/// wait for each other.
const PARTS: usize = 16;

/// All flights, by what is fetched. `T` is what a flight brings.
pub struct Flights<T> {
    parts: [Mutex<Part<T>>; PARTS],
    n: AtomicUsize,
}

type Part<T> = HashMap<Key, Arc<Flight<T>>>;

/// One fetch in flight.
pub struct Flight<T> {
    /// What is fetched.
    pub origin: Origin,
    /// When it began.
    pub began: SystemTime,
    /// When it began, as its server's book counts.
    stamp: Stamp,
    n_joined: AtomicUsize,
    landed: watch::Sender<Option<T>>,
}

/// A caller's part in a flight.
pub enum Place<T> {
    /// It is the first: it fetches.
    First(Pilot<T>, Seat<T>),
    /// It waits for the one that does.
    Seat(Seat<T>),
}

/// The duty to land a flight.
pub struct Pilot<T> {
    flights: Arc<Flights<T>>,
    key: Key,
    flight: Arc<Flight<T>>,
}

/// What waits for a flight.
pub struct Seat<T>(watch::Receiver<Option<T>>);

/// A flight as it is shown.
#[derive(Clone, Debug)]
pub struct Shown {
    /// What it is stored under.
    pub key: Key,
    /// What is fetched.
    pub origin: Origin,
    /// When it began.
    pub began: SystemTime,
    /// How many callers wait besides the first.
    pub n_joined: usize,
}

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Self {
            parts: std::array::from_fn(|_| Mutex::default()),
            n: AtomicUsize::new(0),
        }
    }
}

impl<T: Clone> Flights<T> {
    /// Joins the flight of `key`, or begins it at `stamp`. One that is not current any more brings
    /// what was true before a write: whoever comes after the write does not join it.
    #[must_use]
    pub fn join(
        self: &Arc<Self>,
        key: Key,
        origin: &Origin,
        stamp: Stamp,
        is_current: impl Fn(Stamp) -> bool,
    ) -> Place<T> {
        let mut part = self.part(&key).lock();
        if let Some(flight) = part.get(&key)
            && is_current(flight.stamp)
        {
            flight.n_joined.fetch_add(1, Ordering::Relaxed);
            return Place::Seat(Seat(flight.landed.subscribe()));
        }
        let (pilot, seat) = self.start(&mut part, key, origin, stamp);
        Place::First(pilot, Seat(seat))
    }

    /// Begins a flight of `key` that nobody waits for yet; nothing where there is one.
    #[must_use]
    pub fn begin(
        self: &Arc<Self>,
        key: Key,
        origin: &Origin,
        stamp: Stamp,
        is_current: impl Fn(Stamp) -> bool,
    ) -> Option<Pilot<T>> {
        let mut part = self.part(&key).lock();
        let is_there = part
            .get(&key)
            .is_some_and(|flight| is_current(flight.stamp));
        (!is_there).then(|| self.start(&mut part, key, origin, stamp).0)
    }

    fn start(
        self: &Arc<Self>,
        part: &mut Part<T>,
        key: Key,
        origin: &Origin,
        stamp: Stamp,
    ) -> (Pilot<T>, watch::Receiver<Option<T>>) {
        let (landed, seat) = watch::channel(None);
        let flight = Arc::new(Flight {
            origin: origin.clone(),
            began: SystemTime::now(),
            stamp,
            n_joined: AtomicUsize::new(0),
            landed,
        });
        if part.insert(key, Arc::clone(&flight)).is_none() {
            self.n.fetch_add(1, Ordering::Relaxed);
        }
        let pilot = Pilot {
            flights: Arc::clone(self),
            key,
            flight,
        };
        (pilot, seat)
    }

    /// All flights.
    #[must_use]
    pub fn show(&self) -> Vec<Shown> {
        let parts = self.parts.iter();
        parts
            .flat_map(|part| {
                let part = part.lock();
                let shown = part.iter().map(|(key, flight)| Shown {
                    key: *key,
                    origin: flight.origin.clone(),
                    began: flight.began,
                    n_joined: flight.n_joined.load(Ordering::Relaxed),
                });
                shown.collect::<Vec<_>>()
            })
            .collect()
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.n.load(Ordering::Relaxed)
    }
}

impl<T> Flights<T> {
    fn part(&self, key: &Key) -> &Mutex<Part<T>> {
        let [first, ..] = key.as_bytes();
        let [zeroth, ..] = &self.parts;
        // There is a part for every remainder.
        self.parts
            .get(usize::from(*first) % PARTS)
            .unwrap_or(zeroth)
    }
}

impl<T> Pilot<T> {
    /// Brings what was fetched to all who wait; how many do besides the first.
    pub fn land(self, brought: T) -> usize {
        self.leave();
        self.flight.landed.send_replace(Some(brought));
        self.flight.n_joined.load(Ordering::Relaxed)
    }

    /// Resolves when nobody waits any more. Cancel-safe.
    pub async fn deserted(&self) {
        self.flight.landed.closed().await;
    }

    /// Whoever comes from here on begins a flight of their own.
    fn leave(&self) {
        let mut part = self.flights.part(&self.key).lock();
        if part
            .get(&self.key)
            .is_some_and(|flight| Arc::ptr_eq(flight, &self.flight))
        {
            part.remove(&self.key);
            self.flights.n.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl<T> Drop for Pilot<T> {
    fn drop(&mut self) {
        self.leave();
    }
}

impl<T: Clone> Seat<T> {
    /// What the flight brought; nothing where it came down without. Cancel-safe.
    pub async fn landed(&mut self) -> Option<T> {
        let landed = self.0.wait_for(Option::is_some).await.ok()?;
        landed.clone()
    }
}
