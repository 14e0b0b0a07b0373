//! The time between two attempts to connect: longer each time, and never the same on two instances.

use std::time::Duration;

use tokio::time::sleep;

/// The first pause and the longest.
const FIRST: Duration = Duration::from_millis(25);
const LAST: Duration = Duration::from_secs(2);
/// A connection that lasted this long was good: the next one is made at once.
const STEADY: Duration = Duration::from_secs(5);

/// The next pause.
pub struct Pause(Duration);

impl Default for Pause {
    fn default() -> Self {
        Self(FIRST)
    }
}

impl Pause {
    /// Begins again with a short one after something that lasted.
    pub fn reset_after(&mut self, lasted: Duration) {
        if lasted > STEADY {
            self.0 = FIRST;
        }
    }

    /// Waits.
    pub async fn wait(&mut self) {
        sleep(self.0.mul_f64(0.75 + fastrand::f64() / 2.0)).await;
        self.0 = (self.0 * 2).min(LAST);
    }
}
