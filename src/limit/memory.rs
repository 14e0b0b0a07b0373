//! Counts of one gateway, in its memory.
//!
//! They stand in parts with a lock each. A call locks the parts of all its buckets, in their order,
//! checks all and charges all: at most five locks, and a few look-ups for each limit.
//!
//! There is room for [`CELLS_MAX`] counts, or [`BYTES_MAX`]. What counts nothing any more makes room
//! first. Where all of a part counts, a newcomer is not given room at somebody's cost: all newcomers
//! of a limit in that part share one count, until there is room again. So who invents names shuts
//! out other newcomers at worst, and never makes the gateway forget what anybody has used up.
//!
//! **Invariant:** what counts is never dropped to make room.
//! **Invariant:** all counts together take at most [`BYTES_MAX`].

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::Arc;
use std::time::{Duration, Instant};

use filters::rate::charge::{self, Books, Decision, Standing};
use filters::rate::rules::{Bill, Bucket, KINDS, Rule};
use filters::rate::window::Ring;
use parking_lot::{Mutex, MutexGuard};

use crate::limit::key::{AsItIs, Key, Owner, Seeds};

/// Parts that the counts are split into.
const PARTS: usize = 64;

/// How many counts a part's first table has room for: an eighth of its places stay free, and of those
/// that are twice as large as well.
const ROOM_MIN: usize = 7;

/// Most counts in one part: as many as a table of 2^15 places takes.
const PART_CELLS_MAX: usize = (1 << 15) / 8 * 7;

/// Most memory of one part, in bytes: of its table, and of the names in it.
const PART_BYTES_MAX: usize = 6 * 1024 * 1024;

/// Most counts: one for each bucket and window.
pub const CELLS_MAX: usize = PARTS * PART_CELLS_MAX;

/// Most memory that all counts take, in bytes.
pub const BYTES_MAX: usize = PARTS * PART_BYTES_MAX;

/// How often a full part is looked through for what counts nothing any more.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// What a name takes beside its letters: the counts of its owners, and what an allocator rounds up.
const NAME_BYTES: usize = 32;

/// What is to be free for a newcomer's names, in bytes; longer ones may have to share a count.
const NAMES_TYPICAL: usize = 256;

/// The counts.
pub struct Memory {
    parts: [Mutex<Part>; PARTS],
    seeds: Seeds,
    started: Instant,
}

/// What is shown of a count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The limit it was last charged for.
    pub rule: Arc<Rule>,
    /// The client's tenant and id, where it is a client's own.
    pub client: Option<(Option<Arc<str>>, Arc<str>)>,
    /// How many calls count.
    pub used: u64,
    /// How long ago the oldest of them began, at most.
    pub oldest: Duration,
}

/// Counts by key.
type Table = HashMap<Key, Cell, BuildHasherDefault<AsItIs>>;

#[derive(Default)]
struct Part {
    cells: Table,
    /// How many cells the table was made for: it never grows by itself.
    room: usize,
    /// One for each limit, of those that found no room.
    shared: HashMap<Key, Ring>,
    /// What the names in the cells take, in bytes.
    name_bytes: usize,
    swept: Option<Duration>,
}

struct Cell {
    ring: Ring,
    rule: Arc<Rule>,
    client: Option<Arc<str>>,
    tenant: Option<Arc<str>>,
}

/// The parts of one call's buckets, locked.
struct Opened<'m> {
    seeds: &'m Seeds,
    /// By the place of the bucket's kind.
    owners: [Option<Owner>; KINDS],
    /// In the order of the parts, each once.
    parts: [Option<(usize, MutexGuard<'m, Part>)>; KINDS],
}

// === impl Memory ===

impl Default for Memory {
    fn default() -> Self {
        Self {
            parts: std::array::from_fn(|_| Mutex::default()),
            seeds: Seeds::default(),
            started: Instant::now(),
        }
    }
}

impl Memory {
    /// Charges a call, if it can pay all it has to.
    pub fn charge(&self, bill: &Bill<'_>) -> Decision {
        self.charge_at(bill, self.now())
    }

    /// As [`Self::charge`], at a time since the start.
    pub fn charge_at(&self, bill: &Bill<'_>, now: Duration) -> Decision {
        charge::charge(bill, &mut self.open(bill.owners(), now), now)
    }

    /// How buckets stand.
    #[must_use]
    pub fn stand(&self, buckets: &[Bucket<'_>]) -> Vec<Standing> {
        let now = self.now();
        let each = buckets.iter();
        each.map(|bucket| charge::stand(bucket, &self.open([*bucket], now), now))
            .collect()
    }

    /// Forgets everything.
    pub fn reset(&self) {
        for part in &self.parts {
            *part.lock() = Part::default();
        }
    }

    /// Forgets a client's own counts, in one tenant or in all.
    pub fn reset_client(&self, client: &str, tenant: Option<&str>) {
        for part in &self.parts {
            let mut part = part.lock();
            let room = part.room;
            part.rebuild(room, |cell| !cell.is_of(client, tenant));
        }
    }

    /// Some of what counts, `n_max` at most.
    #[must_use]
    pub fn show(&self, n_max: usize) -> Vec<Shown> {
        let now = self.now();
        let mut shown = Vec::new();
        for part in &self.parts {
            let part = part.lock();
            let left = n_max.saturating_sub(shown.len());
            let live = part.cells.values().filter_map(|cell| cell.show(now));
            shown.extend(live.take(left));
        }
        shown
    }

    /// How many counts there are.
    #[must_use]
    pub fn count(&self) -> usize {
        let parts = self.parts.iter();
        parts.map(|part| part.lock().cells.len()).sum()
    }

    /// The memory that they take, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.parts.iter().map(|part| part.lock().bytes()).sum()
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Locks the parts of buckets of different kinds.
    fn open<'b>(&self, buckets: impl IntoIterator<Item = Bucket<'b>>, now: Duration) -> Opened<'_> {
        let mut owners = [None; KINDS];
        let mut wanted = [usize::MAX; KINDS];
        for bucket in buckets {
            let place = bucket.rule.kind.place();
            let owner = self.seeds.owner(&bucket);
            if let (Some(known), Some(part)) = (owners.get_mut(place), wanted.get_mut(place)) {
                *known = Some(owner);
                *part = owner.part(PARTS);
            }
        }
        // Whoever locks several parts locks them in the same order: nobody waits in a ring.
        wanted.sort_unstable();
        let mut last = usize::MAX;
        let parts = wanted.map(|place| {
            if place == last {
                return None;
            }
            last = place;
            let mut part = self.parts.get(place)?.lock();
            part.tidy(now);
            Some((place, part))
        });
        Opened {
            seeds: &self.seeds,
            owners,
            parts,
        }
    }
}

// === impl Opened ===

impl Opened<'_> {
    fn owner(&self, bucket: &Bucket<'_>) -> Option<Owner> {
        *self.owners.get(bucket.rule.kind.place())?
    }
}

impl Books for Opened<'_> {
    fn find(&self, bucket: &Bucket<'_>) -> Option<&Ring> {
        let owner = self.owner(bucket)?;
        let place = owner.part(PARTS);
        let parts = self.parts.iter().flatten();
        let part = &parts.into_iter().find(|(at, _)| *at == place)?.1;
        let cell = part.cells.get(&owner.key(bucket.rule.limit.window));
        match cell {
            Some(cell) => Some(&cell.ring),
            None if part.shared.is_empty() => None,
            None if part.has_room_for(Cell::new(bucket).name_bytes()) => None,
            // Somebody who was counted here begins anew once there is room.
            None => {
                let shared = self.seeds.owner(&bucket.unowned());
                part.shared.get(&shared.key(bucket.rule.limit.window))
            }
        }
    }

    fn note(&mut self, bucket: &Bucket<'_>, now: Duration) {
        let Some(owner) = self.owner(bucket) else {
            return;
        };
        let window = bucket.rule.limit.window;
        let key = owner.key(window);
        let place = owner.part(PARTS);
        let parts = self.parts.iter_mut().flatten();
        let Some((_, part)) = parts.into_iter().find(|(at, _)| *at == place) else {
            return;
        };
        if let Some(cell) = part.cells.get_mut(&key) {
            cell.ring.add(window, now);
            if !Arc::ptr_eq(&cell.rule, bucket.rule) {
                cell.rule = Arc::clone(bucket.rule);
            }
            return;
        }
        part.tidy(now);
        let mut cell = Cell::new(bucket);
        if part.has_room_for(cell.name_bytes()) {
            cell.ring.add(window, now);
            part.name_bytes += cell.name_bytes();
            part.cells.insert(key, cell);
        } else {
            let shared = self.seeds.owner(&bucket.unowned());
            let ring = part.shared.entry(shared.key(window)).or_default();
            ring.add(window, now);
        }
    }
}

// === impl Part ===

impl Part {
    fn has_room_for(&self, name_bytes: usize) -> bool {
        self.cells.len() < self.room && self.bytes() + name_bytes <= PART_BYTES_MAX
    }

    /// Sees to it that there is room for one more, if what counts leaves any. A table that grows, or
    /// of which half is dropped, is spared that for as many newcomers; a full one for some time.
    fn tidy(&mut self, now: Duration) {
        if self.has_room_for(NAMES_TYPICAL) {
            return;
        }
        let grown = (self.room * 2).clamp(ROOM_MIN, PART_CELLS_MAX);
        let can_grow = grown > self.room && table_bytes(grown) + self.name_bytes < PART_BYTES_MAX;
        let is_rested = self.swept.is_none_or(|swept| now >= swept + SWEEP_EVERY);
        if !can_grow && !is_rested {
            return;
        }
        self.swept = Some(now);
        let live = self.cells.values().filter(|cell| !cell.is_idle(now));
        let is_crowded = live.count() * 2 >= self.room;
        let room = if is_crowded && can_grow {
            grown
        } else {
            self.room
        };
        self.rebuild(room, |cell| !cell.is_idle(now));
    }

    /// Makes a new table of what is kept. A table out of which something is taken would not say any
    /// more how large it is.
    fn rebuild(&mut self, room: usize, mut keeps: impl FnMut(&Cell) -> bool) {
        let mut kept = Table::with_capacity_and_hasher(room, BuildHasherDefault::default());
        let cells = std::mem::take(&mut self.cells).into_iter();
        kept.extend(cells.filter(|(_, cell)| keeps(cell)));
        self.name_bytes = kept.values().map(Cell::name_bytes).sum();
        self.cells = kept;
        self.room = room;
    }

    fn bytes(&self) -> usize {
        table_bytes(self.room) + self.name_bytes
    }
}

// === impl Cell ===

impl Cell {
    fn new(bucket: &Bucket<'_>) -> Self {
        let tenant = bucket.owner.and_then(|owner| owner.tenant.as_ref());
        Self {
            ring: Ring::default(),
            rule: Arc::clone(bucket.rule),
            client: bucket.owner.map(|owner| Arc::clone(&owner.client)),
            tenant: tenant.map(Arc::clone),
        }
    }

    fn is_idle(&self, now: Duration) -> bool {
        self.ring.is_idle(self.rule.limit.window, now)
    }

    fn is_of(&self, client: &str, tenant: Option<&str>) -> bool {
        let is_client = self.client.as_deref() == Some(client);
        is_client && tenant.is_none_or(|tenant| self.tenant.as_deref() == Some(tenant))
    }

    /// What the names take. They may be shared with others; then this is more than it is.
    fn name_bytes(&self) -> usize {
        let names = [&self.client, &self.tenant].into_iter().flatten();
        names.map(|name| name.len() + NAME_BYTES).sum()
    }

    fn show(&self, now: Duration) -> Option<Shown> {
        let window = self.rule.limit.window;
        let client = self.client.as_ref();
        Some(Shown {
            rule: Arc::clone(&self.rule),
            client: client.map(|client| (self.tenant.clone(), Arc::clone(client))),
            used: self.ring.used(window, now),
            oldest: self.ring.oldest(window, now)?,
        })
    }
}

/// What a table takes that was made for so many: a power of two of places, an eighth of them free,
/// each with a byte of the table's own.
fn table_bytes(room: usize) -> usize {
    if room == 0 {
        return 0;
    }
    let n_places = (room * 8).div_ceil(7).next_power_of_two();
    n_places * (size_of::<(Key, Cell)>() + 1)
}

#[cfg(test)]
mod tests;
