//! The metrics of clients' connections.

use prometheus::{IntCounterVec, IntGauge, Opts, Registry};

/// How many connections there are, and which came to nothing.
pub struct Connections {
    open: IntGauge,
    refusals: IntCounterVec,
    renewals: IntCounterVec,
    ends: IntGauge,
}

/// A connection that is open for as long as this lives.
pub struct Open(IntGauge);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Connections {
    /// Registers them.
    ///
    /// # Errors
    /// Where two metrics share a name.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str, label: &str| {
            let metric = IntCounterVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(metric.clone()))?;
            Ok::<_, prometheus::Error>(metric)
        };
        let gauge = |name: &str, help: &str| {
            let metric = IntGauge::new(name, help)?;
            registry.register(Box::new(metric.clone()))?;
            Ok::<_, prometheus::Error>(metric)
        };
        Ok(Self {
            open: gauge("conduit_connections", "Connections of clients")?,
            refusals: counter(
                "conduit_connections_closed_total",
                "Connections that the gateway closed before or between requests, by reason",
                "reason",
            )?,
            renewals: counter(
                "conduit_tls_renewals_total",
                "Certificate files that were read again: renewed, or failed and left as they were",
                "result",
            )?,
            ends: gauge(
                "conduit_tls_certificate_end_timestamp_seconds",
                "When the gateway's certificate expires; 0 without TLS",
            )?,
        })
    }

    /// Counts a connection for as long as the guard lives.
    #[must_use]
    pub fn open(&self) -> Open {
        self.open.inc();
        Open(self.open.clone())
    }

    /// Counts a connection that was closed.
    pub fn count_refusal(&self, reason: &'static str) {
        self.refusals.with_label_values(&[reason]).inc();
    }

    /// Counts certificate files that were read again.
    pub fn count_renewal(&self, result: &'static str) {
        self.renewals.with_label_values(&[result]).inc();
    }

    /// Notes when the certificate expires, in seconds since 1970.
    pub fn note_end(&self, seconds: i64) {
        self.ends.set(seconds);
    }
}
