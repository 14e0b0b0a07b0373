//! How many wrong credentials may come from one place.
//!
//! **Invariant:** bounded, and nothing is ever evicted: a source is counted in one slot of each of two
//! tables of fixed size, chosen by keyed hashes. Who has many addresses can neither make the table
//! forget anybody, nor choose whom to share slots with; a source is over its limit only if both its
//! slots are.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};

/// Slots of each table: 256 KiB.
const SLOTS: usize = 32 * 1024;

/// How many wrong credentials may come from one place in how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many.
    pub failures_max: u32,
    /// In how many seconds.
    pub window_seconds: u32,
}

/// Counts wrong credentials by where they come from.
pub struct Throttle {
    tables: [Table; 2],
}

struct Table {
    hasher: RandomState,
    /// The number of a window in the upper half, failures in it in the lower.
    slots: Box<[AtomicU64]>,
}

impl Default for Throttle {
    fn default() -> Self {
        let table = || Table {
            hasher: RandomState::new(),
            slots: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
        };
        Self {
            tables: [table(), table()],
        }
    }
}

impl Throttle {
    /// For how many more seconds a source is over its limit, if it is.
    #[must_use]
    pub fn is_over(&self, source: IpAddr, now: u64, limits: Limits) -> Option<u32> {
        let network = network(source);
        let window = limits.window(now);
        let counted = self.tables.iter().map(|table| {
            let slot = table.slot(network).map(|slot| slot.load(Ordering::Relaxed));
            let (of, failures) = split(slot.unwrap_or_default());
            if of == window { failures } else { 0 }
        });
        let failures = counted.min().unwrap_or_default();
        (failures >= limits.failures_max).then(|| limits.seconds_left(now))
    }

    /// Counts a wrong credential. Tells for how many more seconds its source was over its limit before.
    pub fn note(&self, source: IpAddr, now: u64, limits: Limits) -> Option<u32> {
        let over = self.is_over(source, now, limits);
        if over.is_some() {
            // What comes meanwhile does not make it longer.
            return over;
        }
        let network = network(source);
        let window = limits.window(now);
        for slot in self.tables.iter().filter_map(|table| table.slot(network)) {
            let count = |known: u64| {
                let (of, failures) = split(known);
                let failures = if of == window { failures } else { 0 };
                Some(join(window, failures.saturating_add(1)))
            };
            // It always has a new value.
            slot.fetch_update(Ordering::Relaxed, Ordering::Relaxed, count)
                .ok();
        }
        None
    }
}

impl Table {
    fn slot(&self, network: IpAddr) -> Option<&AtomicU64> {
        let hash = self.hasher.hash_one(network);
        let at = usize::try_from(hash % SLOTS as u64).ok()?;
        self.slots.get(at)
    }
}

impl Limits {
    /// The number of the window that `now` is in. Never 0, which is that of an empty slot.
    fn window(self, now: u64) -> u32 {
        let number = now / u64::from(self.window_seconds.max(1)) + 1;
        u32::try_from(number & u64::from(u32::MAX)).unwrap_or(u32::MAX)
    }

    fn seconds_left(self, now: u64) -> u32 {
        let window = u64::from(self.window_seconds.max(1));
        u32::try_from(window - now % window).unwrap_or(u32::MAX)
    }
}

fn join(window: u32, failures: u32) -> u64 {
    u64::from(window) << 32 | u64::from(failures)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "each half is taken by itself"
)]
fn split(slot: u64) -> (u32, u32) {
    ((slot >> 32) as u32, slot as u32)
}

/// What is counted as one place: an IPv4 address, or an IPv6 network of 64 bits, which is the least
/// that one host is given.
#[must_use]
pub fn network(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let network = address.to_bits() >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        failures_max: 3,
        window_seconds: 60,
    };

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_source_is_over_its_limit_for_the_rest_of_its_window() {
        let throttle = Throttle::default();
        let source = address("192.0.2.1");
        for now in 600..603 {
            assert_eq!(throttle.is_over(source, now, LIMITS), None);
            assert_eq!(throttle.note(source, now, LIMITS), None);
        }
        assert_eq!(throttle.is_over(source, 610, LIMITS), Some(50));
        assert_eq!(throttle.note(source, 659, LIMITS), Some(1));
        assert_eq!(throttle.is_over(source, 660, LIMITS), None);
        assert_eq!(throttle.note(source, 660, LIMITS), None);
    }

    #[test]
    fn other_sources_go_on() {
        let throttle = Throttle::default();
        for _ in 0..10 {
            throttle.note(address("192.0.2.1"), 600, LIMITS);
        }
        assert_eq!(throttle.is_over(address("192.0.2.2"), 600, LIMITS), None);
    }

    #[test]
    fn many_sources_make_nobody_be_forgotten() {
        let throttle = Throttle::default();
        let source = address("192.0.2.1");
        for _ in 0..3 {
            throttle.note(source, 600, LIMITS);
        }
        for n in 0..100_000_u32 {
            throttle.note(IpAddr::V4(n.into()), 600, LIMITS);
        }
        assert!(throttle.is_over(source, 600, LIMITS).is_some());
    }

    #[test]
    fn hosts_of_one_network_are_one_source() {
        assert_eq!(
            network(address("2001:db8::1")),
            network(address("2001:db8::ffff:1"))
        );
        assert_ne!(
            network(address("2001:db8::1")),
            network(address("2001:db8:0:1::1"))
        );
        assert_eq!(network(address("::ffff:192.0.2.1")), address("192.0.2.1"));
    }
}
