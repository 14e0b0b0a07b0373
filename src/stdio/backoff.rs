//! How long to wait before a crashed child is started again.

use std::time::Duration;

/// The first wait; each further one is twice as long.
pub(super) const FIRST: Duration = Duration::from_millis(250);
/// The longest wait.
pub(super) const LONGEST: Duration = Duration::from_secs(30);
/// A child that ran this long has recovered: the next wait is the first again.
pub(super) const STABLE: Duration = Duration::from_secs(10);

/// Counts the crashes in a row.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    crashes: u32,
}

impl Backoff {
    /// The wait after a child that ran for `uptime`.
    pub(super) fn after(&mut self, uptime: Duration) -> Duration {
        if uptime >= STABLE {
            self.crashes = 0;
        }
        let wait = FIRST.saturating_mul(1_u32.checked_shl(self.crashes).unwrap_or(u32::MAX));
        self.crashes = self.crashes.saturating_add(1);
        wait.min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_from_the_first_to_the_longest() {
        let mut backoff = Backoff::default();
        let waits: Vec<u128> = (0..9)
            .map(|_| backoff.after(Duration::ZERO).as_millis())
            .collect();
        assert_eq!(
            waits,
            [250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]
        );
    }

    #[test]
    fn a_stable_run_starts_over_and_a_shorter_one_does_not() {
        let mut backoff = Backoff::default();
        backoff.after(Duration::ZERO);
        let almost = STABLE.checked_sub(Duration::from_millis(1)).unwrap();
        assert_eq!(backoff.after(almost), FIRST * 2);
        assert_eq!(backoff.after(STABLE), FIRST);
    }

    #[test]
    fn any_number_of_crashes_is_the_longest_wait() {
        let mut backoff = Backoff { crashes: u32::MAX };
        assert_eq!(backoff.after(Duration::ZERO), LONGEST);
    }
}
