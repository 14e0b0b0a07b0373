//! Whether a call can pay all it has to, and what it pays.

use core::time::Duration;
use std::sync::Arc;

use crate::rate::rules::{Bill, Bucket, Rule};
use crate::rate::window::Ring;

/// Where it is counted what was paid.
pub trait Books {
    /// What was paid from a bucket; nothing where nothing ever was.
    fn find(&self, bucket: &Bucket<'_>) -> Option<&Ring>;

    /// Notes a call in a bucket.
    fn note(&mut self, bucket: &Bucket<'_>, now: Duration);
}

/// What becomes of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It paid.
    Allowed,
    /// It did not, and nothing was charged.
    Refused(Refused),
}

/// Why a call is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The limit that keeps it out longest.
    pub rule: Arc<Rule>,
    /// For how long, if nobody calls meanwhile.
    pub wait: Duration,
}

/// How a bucket stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its limit.
    pub rule: Arc<Rule>,
    /// How many calls count.
    pub used: u64,
    /// How long until a call fits.
    pub wait: Duration,
    /// How long until the oldest of what counts is forgotten.
    pub reset: Duration,
}

/// Charges every bucket, or none.
pub fn charge(bill: &Bill<'_>, books: &mut impl Books, now: Duration) -> Decision {
    if let Some(refused) = check(bill, books, now) {
        return Decision::Refused(refused);
    }
    for bucket in bill.buckets() {
        books.note(&bucket, now);
    }
    Decision::Allowed
}

/// Which limit keeps a call out longest, if one does.
fn check(bill: &Bill<'_>, books: &impl Books, now: Duration) -> Option<Refused> {
    let mut refused: Option<(&Arc<Rule>, Duration)> = None;
    for bucket in bill.buckets() {
        let wait = wait(&bucket, books, now);
        if refused.map_or(Duration::ZERO, |(_, longest)| longest) < wait {
            refused = Some((bucket.rule, wait));
        }
    }
    refused.map(|(rule, wait)| Refused {
        rule: Arc::clone(rule),
        wait,
    })
}

fn wait(bucket: &Bucket<'_>, books: &impl Books, now: Duration) -> Duration {
    let ring = books.find(bucket);
    ring.map_or(Duration::ZERO, |ring| ring.wait(bucket.rule.limit, now))
}

/// How a bucket stands; nothing is charged.
#[must_use]
pub fn stand(bucket: &Bucket<'_>, books: &impl Books, now: Duration) -> Standing {
    let window = bucket.rule.limit.window;
    let ring = books.find(bucket);
    Standing {
        rule: Arc::clone(bucket.rule),
        used: ring.map_or(0, |ring| ring.used(window, now)),
        wait: wait(bucket, books, now),
        reset: ring.map_or(Duration::ZERO, |ring| ring.reset(window, now)),
    }
}

// === impl Refused ===

impl Refused {
    /// For how long, in whole seconds: at least one, and never too short.
    #[must_use]
    pub fn seconds(&self) -> u32 {
        seconds(self.wait).max(1)
    }
}

// === impl Standing ===

impl Standing {
    /// How many calls fit now.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        u64::from(self.rule.limit.n_calls).saturating_sub(self.used)
    }
}

/// Whole seconds that are no shorter.
#[must_use]
pub fn seconds(time: Duration) -> u32 {
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
