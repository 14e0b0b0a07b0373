//! When somebody last relied on a server's changes being heard, to the second.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Cheap enough to be noted for every answer from the cache.
pub(super) struct Pulse {
    begun: Instant,
    /// Counted from 1; 0 where nobody does.
    second: AtomicU64,
}

impl Pulse {
    /// Nobody relies on anything.
    pub(super) fn new(begun: Instant) -> Self {
        Self {
            begun,
            second: AtomicU64::new(0),
        }
    }

    /// Notes that somebody does; `true` for the first in a second.
    pub(super) fn beat(&self, now: Instant) -> bool {
        let second = self.second(now);
        self.second.load(Ordering::Relaxed) != second
            && self.second.swap(second, Ordering::Relaxed) != second
    }

    /// Whether somebody did in the time `within` before `now`.
    pub(super) fn is_within(&self, now: Instant, within: Duration) -> bool {
        let last = self.second.load(Ordering::Relaxed);
        last > 0 && self.second(now).saturating_sub(last) <= within.as_secs()
    }

    /// From here on nobody does; whether somebody did.
    pub(super) fn stop(&self) -> bool {
        self.second.swap(0, Ordering::Relaxed) > 0
    }

    fn second(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.begun).as_secs() + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_beat_of_a_second_counts() {
        let begun = Instant::now();
        let pulse = Pulse::new(begun);
        assert!(pulse.beat(begun));
        assert!(!pulse.beat(begun + Duration::from_millis(999)));
        assert!(pulse.beat(begun + Duration::from_secs(1)));
    }

    #[test]
    fn nobody_relies_on_what_was_stopped_until_the_next_beat() {
        let begun = Instant::now();
        let pulse = Pulse::new(begun);
        let hour = Duration::from_secs(3600);
        assert!(!pulse.is_within(begun, hour));
        assert!(!pulse.stop());
        pulse.beat(begun);
        assert!(pulse.is_within(begun + hour, hour));
        assert!(!pulse.is_within(begun + hour + Duration::from_secs(1), hour));
        assert!(pulse.stop());
        assert!(!pulse.is_within(begun, hour));
        assert!(pulse.beat(begun), "the same second, but after the stop");
    }
}
