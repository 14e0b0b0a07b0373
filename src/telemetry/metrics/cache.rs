//! The metrics of the cache.

use filters::cache::status::Status as CacheStatus;
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use crate::telemetry::outcome::Outcome;

/// What the cache did, and how full it is.
pub struct Cache {
    hits: IntCounterVec,
    misses: IntCounterVec,
    collapsed: IntCounterVec,
    /// Results in memory.
    pub entries: IntGauge,
    /// The memory that they take, in bytes.
    pub bytes: IntGauge,
    /// Results that left memory to make room.
    pub evictions: IntCounter,
    /// Fetches that callers wait for.
    pub fetches: IntGauge,
}

impl Cache {
    /// Registers them.
    ///
    /// # Errors
    /// Where two metrics share a name.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let labelled = |name: &str, help: &str| {
            let metric = IntCounterVec::new(Opts::new(name, help), &["server", "tool"])?;
            registry.register(Box::new(metric.clone()))?;
            Ok::<_, prometheus::Error>(metric)
        };
        let gauge = |name: &str, help: &str| {
            let metric = IntGauge::new(name, help)?;
            registry.register(Box::new(metric.clone()))?;
            Ok::<_, prometheus::Error>(metric)
        };
        let evictions = IntCounter::new(
            "conduit_cache_evictions_total",
            "Results that left the memory cache to make room",
        )?;
        registry.register(Box::new(evictions.clone()))?;
        Ok(Self {
            hits: labelled("conduit_cache_hits_total", "Answers given from the cache")?,
            misses: labelled(
                "conduit_cache_misses_total",
                "Answers that could have been in the cache and were not",
            )?,
            collapsed: labelled(
                "conduit_dedup_coalesced_total",
                "Requests that waited for the answer to another that asked the same",
            )?,
            entries: gauge("conduit_cache_entries", "Results in the memory cache")?,
            bytes: gauge(
                "conduit_cache_bytes",
                "Memory that the results in the memory cache take",
            )?,
            evictions,
            fetches: gauge(
                "conduit_dedup_inflight",
                "Fetches in flight that callers may wait for together",
            )?,
        })
    }

    /// Counts a finished request.
    pub(super) fn count(&self, outcome: &Outcome, server: &str, tool: &str) {
        if let Some(counter) = self.found(outcome, server, tool) {
            counter.inc();
        }
        if outcome.is_collapsed {
            self.collapsed.with_label_values(&[server, tool]).inc();
        }
    }

    /// What counts whether the cache had the answer; nothing where it was not asked.
    pub(super) fn found(&self, outcome: &Outcome, server: &str, tool: &str) -> Option<IntCounter> {
        let counter = match outcome.cache_status {
            Some(CacheStatus::Hit | CacheStatus::Stale) => &self.hits,
            Some(CacheStatus::Miss | CacheStatus::Revalidated | CacheStatus::SkipError) => {
                &self.misses
            }
            Some(CacheStatus::Skip | CacheStatus::Bypass) | None => return None,
        };
        Some(counter.with_label_values(&[server, tool]))
    }
}
