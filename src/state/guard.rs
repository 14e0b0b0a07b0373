//! What guardrails did so far, and what they hold: both outlive a reload.

pub mod approvals;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use parking_lot::Mutex;

use crate::state::guard::approvals::Approvals;

/// Most rules that are counted by name; names come from configurations, which may change.
const RULES_MAX: usize = 10_000;

/// What guardrails did, and what they hold.
#[derive(Debug, Default)]
pub struct Desk {
    /// Calls that wait for an approval.
    pub approvals: Approvals,
    /// Webhooks that are on their way.
    pub n_webhooks: AtomicUsize,
    counts: Mutex<BTreeMap<Arc<str>, Counts>>,
}

/// How often a rule did what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// It refused.
    pub blocks: u64,
    /// It let through and told.
    pub alerts: u64,
    /// It changed.
    pub transforms: u64,
    /// It held.
    pub holds: u64,
    /// It would have done something.
    pub rehearsed: u64,
}

/// What a rule did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Refused.
    Block,
    /// Let through and told.
    Alert,
    /// Changed.
    Transform,
    /// Held.
    Hold,
    /// Would have done something.
    Rehearsal,
}

impl Desk {
    /// Counts what a rule did.
    pub fn count(&self, rule: &Arc<str>, deed: Deed) {
        let mut counts = self.counts.lock();
        if counts.len() >= RULES_MAX && !counts.contains_key(rule) {
            return;
        }
        let counts = counts.entry(Arc::clone(rule)).or_default();
        match deed {
            Deed::Block => counts.blocks += 1,
            Deed::Alert => counts.alerts += 1,
            Deed::Transform => counts.transforms += 1,
            Deed::Hold => counts.holds += 1,
            Deed::Rehearsal => counts.rehearsed += 1,
        }
    }

    /// How often each rule did what, by name.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<Arc<str>, Counts> {
        self.counts.lock().clone()
    }
}
