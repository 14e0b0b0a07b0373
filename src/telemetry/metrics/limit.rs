//! The metrics of rate limits.

use std::collections::HashSet;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts, Registry};

use crate::telemetry::metrics::sanitize;

/// Most clients told apart; the rest count as `_other`.
const CLIENT_LABELS_MAX: usize = 1000;

const WAIT_BUCKETS_SECONDS: [f64; 5] = [0.1, 0.5, 1.0, 2.0, 5.0];

/// What limits kept out, and how long calls waited.
pub struct Limits {
    rejections: IntCounterVec,
    waits: Histogram,
    uncounted: IntCounter,
    clients: Mutex<HashSet<String>>,
}

impl Limits {
    /// Registers them.
    ///
    /// # Errors
    /// Where two metrics share a name.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let rejections = IntCounterVec::new(
            Opts::new(
                "conduit_rate_limit_rejections_total",
                "Calls that a rate limit refused",
            ),
            &["client", "server", "limit_type"],
        )?;
        let waits = Histogram::with_opts(
            HistogramOpts::new(
                "conduit_rate_limit_queue_wait_seconds",
                "How long calls waited for their turn",
            )
            .buckets(WAIT_BUCKETS_SECONDS.to_vec()),
        )?;
        let uncounted = IntCounter::new(
            "conduit_rate_limit_backend_errors_total",
            "Calls that Redis did not count, whether they passed or not",
        )?;
        registry.register(Box::new(rejections.clone()))?;
        registry.register(Box::new(waits.clone()))?;
        registry.register(Box::new(uncounted.clone()))?;
        Ok(Self {
            rejections,
            waits,
            uncounted,
            clients: Mutex::default(),
        })
    }

    /// Counts a call that a limit refused.
    pub fn count_rejection(&self, client: &str, server: &str, limit: &str) {
        let client = self.client_label(client);
        self.rejections
            .with_label_values(&[&client, server, limit])
            .inc();
    }

    /// Notes how long a call waited, whatever became of it.
    pub fn note_wait(&self, waited: Duration) {
        self.waits.observe(waited.as_secs_f64());
    }

    /// Counts a call that could not be counted.
    pub fn count_uncounted(&self) {
        self.uncounted.inc();
    }

    fn client_label(&self, client: &str) -> String {
        let label = sanitize(client);
        let mut clients = self.clients.lock();
        if clients.contains(&label) {
            return label;
        }
        if clients.len() < CLIENT_LABELS_MAX {
            clients.insert(label.clone());
            return label;
        }
        "_other".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_labels_are_bounded() {
        let limits = Limits::new(&Registry::new()).unwrap();
        for n in 0..=CLIENT_LABELS_MAX {
            limits.count_rejection(&format!("c {n}"), "s", "client/minute");
        }
        assert_eq!(limits.client_label("c 0"), "c_0");
        assert_eq!(limits.client_label("another"), "_other");
    }
}
