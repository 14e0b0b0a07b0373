//! What is remembered of the calls in a span of time: how many began in each sixteenth of it.
//!
//! A window is cut into [`STEPS`] steps. A call counts from its own step to the end of the
//! [`STEPS`]th step after it, so for at least the window and for at most a fifteenth of it longer.
//! That makes the two things certain that an operator relies on, in constant space and time:
//!
//! **Invariant:** no span as long as the window holds more calls than the limit, wherever it begins.
//! **Invariant:** a call is refused only where as many as the limit were let through in the last
//! window and a fifteenth; a burst after a quiet window passes to exactly the limit.

use core::time::Duration;

/// How many steps make a window.
pub const STEPS: usize = 15;

/// How many steps are remembered: those of a window, and the one that has only begun.
pub const SLOTS: usize = STEPS + 1;

/// So many calls in any span of this length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limit {
    /// How many calls.
    pub n_calls: u32,
    /// In which time.
    pub window: Duration,
}

/// The calls of one bucket in the steps of one window. It does not know the window's length: that is
/// the same whenever it is asked. Time counts from whatever its owner likes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ring {
    /// The newest step is the first.
    counts: [u32; SLOTS],
    /// The number of the newest step.
    newest: u64,
}

impl Ring {
    /// How many calls count at `now`.
    #[must_use]
    pub fn used(&self, window: Duration, now: Duration) -> u64 {
        let counts = self.live(step(window, now)).iter();
        counts.map(|count| u64::from(*count)).sum()
    }

    /// Whether nothing counts any more.
    #[must_use]
    pub fn is_idle(&self, window: Duration, now: Duration) -> bool {
        self.used(window, now) == 0
    }

    /// Notes a call. A clock that goes back is taken to have stood still.
    pub fn add(&mut self, window: Duration, now: Duration) {
        let step = step(window, now);
        let lag = lag(self.newest, step);
        self.counts.rotate_right(lag % SLOTS);
        self.counts
            .iter_mut()
            .take(lag)
            .for_each(|count| *count = 0);
        self.newest = self.newest.max(step);
        if let Some(newest) = self.counts.first_mut() {
            *newest = newest.saturating_add(1);
        }
    }

    /// How long until a call fits, if none is made meanwhile; zero where one fits now.
    #[must_use]
    pub fn wait(&self, limit: Limit, now: Duration) -> Duration {
        let used = self.used(limit.window, now);
        let limit_calls = u64::from(limit.n_calls);
        if used < limit_calls {
            return Duration::ZERO;
        }
        self.until_fewer(used - limit_calls + 1, limit.window, now)
    }

    /// How long until the oldest of what counts is forgotten; zero where nothing counts.
    #[must_use]
    pub fn reset(&self, window: Duration, now: Duration) -> Duration {
        if self.is_idle(window, now) {
            return Duration::ZERO;
        }
        self.until_fewer(1, window, now)
    }

    /// How long ago the oldest step began of which something counts.
    #[must_use]
    pub fn oldest(&self, window: Duration, now: Duration) -> Option<Duration> {
        let live = self.live(step(window, now)).iter();
        let age = live.enumerate().rfind(|(_, count)| **count > 0)?.0;
        let began = length(window) * self.number(age);
        Some(now.saturating_sub(Duration::from_nanos(began)))
    }

    /// How long until at least `n_calls` of what counts are forgotten, oldest first.
    fn until_fewer(&self, n_calls: u64, window: Duration, now: Duration) -> Duration {
        let mut n_gone = 0;
        for (age, count) in self.live(step(window, now)).iter().enumerate().rev() {
            n_gone += u64::from(*count);
            if n_gone >= n_calls {
                let left = (self.number(age) + SLOTS as u64).saturating_mul(length(window));
                return Duration::from_nanos(left).saturating_sub(now);
            }
        }
        Duration::from_nanos(length(window).saturating_mul(SLOTS as u64))
    }

    /// The steps that count at `step`, the newest first.
    fn live(&self, step: u64) -> &[u32] {
        let n_live = SLOTS - lag(self.newest, step);
        self.counts.get(..n_live).unwrap_or_default()
    }

    /// The number of the step at this place.
    fn number(&self, age: usize) -> u64 {
        self.newest.saturating_sub(age as u64)
    }
}

/// How many steps `step` is after `newest`, up to all.
fn lag(newest: u64, step: u64) -> usize {
    usize::try_from(step.saturating_sub(newest)).map_or(SLOTS, |lag| lag.min(SLOTS))
}

/// The length of a step in nanoseconds; [`STEPS`] of them are no shorter than the window.
fn length(window: Duration) -> u64 {
    nanos(window).div_ceil(STEPS as u64).max(1)
}

fn step(window: Duration, now: Duration) -> u64 {
    nanos(now) / length(window)
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const NANO: Duration = Duration::from_nanos(1);

    fn limit(n_calls: u32) -> Limit {
        Limit {
            n_calls,
            window: MINUTE,
        }
    }

    /// Calls at these moments; when each was let through.
    fn passed(limit: Limit, moments: impl IntoIterator<Item = Duration>) -> Vec<Duration> {
        let mut ring = Ring::default();
        let mut passed = Vec::new();
        for now in moments {
            if ring.wait(limit, now).is_zero() {
                ring.add(limit.window, now);
                passed.push(now);
            }
        }
        passed
    }

    #[test]
    fn of_a_burst_exactly_the_limit_passes() {
        let at = Duration::from_secs(1_000_000_007);
        for n_calls in [1, 2, 15, 16, 1000] {
            let burst = std::iter::repeat_n(at, n_calls as usize + 20);
            assert_eq!(passed(limit(n_calls), burst).len(), n_calls as usize);
        }
    }

    #[test]
    fn a_call_counts_for_its_window_and_at_most_a_fifteenth_longer() {
        for began in [0, 1, 3_999, 4_000, 59_999] {
            let began = Duration::from_millis(began);
            let mut ring = Ring::default();
            ring.add(MINUTE, began);
            assert_eq!(ring.used(MINUTE, began + MINUTE - NANO), 1);
            assert_eq!(ring.used(MINUTE, began + MINUTE + MINUTE / 15), 0);
        }
    }

    #[test]
    fn a_window_that_no_number_of_steps_divides_is_not_shortened() {
        let window = Duration::from_nanos(31);
        for began in 0..100 {
            let began = Duration::from_nanos(began);
            let mut ring = Ring::default();
            ring.add(window, began);
            assert_eq!(ring.used(window, began + window - NANO), 1);
        }
    }

    #[test]
    fn a_clock_that_goes_back_forgets_nothing() {
        let mut ring = Ring::default();
        ring.add(MINUTE, 10 * MINUTE);
        ring.add(MINUTE, MINUTE);
        assert_eq!(ring.used(MINUTE, MINUTE), 2);
        assert_eq!(ring.used(MINUTE, 10 * MINUTE), 2);
    }

    #[test]
    fn a_lowered_limit_waits_for_all_that_is_too_much() {
        let mut ring = Ring::default();
        for second in [0, 20, 40] {
            ring.add(MINUTE, Duration::from_secs(second));
        }
        let now = Duration::from_secs(40);
        assert_eq!(ring.wait(limit(4), now), Duration::ZERO);
        // The step of the first call is over at 4 s, and counts for 60 s from there.
        assert_eq!(ring.wait(limit(3), now), Duration::from_secs(64 - 40));
        assert_eq!(ring.wait(limit(1), now), Duration::from_secs(104 - 40));
        assert_eq!(ring.reset(MINUTE, now), Duration::from_secs(64 - 40));
        assert_eq!(ring.oldest(MINUTE, now), Some(now));
    }

    #[test]
    fn nothing_overflows_at_the_end_of_time() {
        let mut ring = Ring::default();
        ring.add(MINUTE, Duration::MAX);
        assert_eq!(ring.used(MINUTE, Duration::MAX), 1);
        assert!(ring.wait(limit(1), Duration::MAX) <= 2 * MINUTE);
        assert!(ring.wait(limit(0), Duration::ZERO) <= 2 * MINUTE);
    }

    proptest! {
        /// Against a log of all calls, which is what the ring stands for.
        #[test]
        fn it_is_between_the_window_and_a_fifteenth_more(
            n_calls in 1_u32..20,
            window_ms in 1_u64..5_000,
            pauses in prop::collection::vec(0_u64..400, 1..300),
        ) {
            let limit = Limit { n_calls, window: Duration::from_millis(window_ms) };
            let longest = Duration::from_nanos(length(limit.window) * SLOTS as u64);
            let mut ring = Ring::default();
            let mut log: Vec<Duration> = Vec::new();
            let mut now = Duration::ZERO;
            for pause in pauses {
                now += Duration::from_millis(pause);
                let since = |span: Duration| log.iter().filter(|then| now - **then < span).count();
                let (strict, lax) = (since(limit.window), since(longest));
                let wait = ring.wait(limit, now);
                if wait.is_zero() {
                    prop_assert!(strict < n_calls as usize);
                    ring.add(limit.window, now);
                    log.push(now);
                } else {
                    prop_assert!(lax >= n_calls as usize);
                    prop_assert!(!ring.wait(limit, now + wait - NANO).is_zero());
                    prop_assert!(ring.wait(limit, now + wait).is_zero());
                }
            }
        }
    }
}
