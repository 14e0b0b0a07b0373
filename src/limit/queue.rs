//! Calls over a limit that wait for their turn.
//!
//! Each bucket that refuses calls has a line. Its head sleeps until the bucket has something again,
//! tries, and lets the next one be the head. Who comes later and would have to pay from that bucket
//! stands in line as well, whatever else it pays from. A head that another bucket refuses goes to
//! the end of that one's line; heads of different lines do not wait for each other otherwise.
//!
//! **Invariant:** in one line, who came first goes first.
//! **Invariant:** who is dropped is in no line, and who waits does so until its deadline at most.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use filters::rate::charge::Refused;
use filters::rate::rules::Bill;
use parking_lot::Mutex;
use tokio::select;
use tokio::sync::{Notify, Semaphore};
use tokio::time::{sleep, timeout};

use crate::limit::Verdict;
use crate::limit::key::{Owner, Seeds};

/// How long calls wait, and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// How long one waits at most.
    pub max_wait: Duration,
    /// How many wait at once.
    pub n_calls_max: usize,
}

/// All lines.
#[derive(Default)]
pub(super) struct Queues {
    lines: Mutex<HashMap<Owner, Arc<Line>>>,
    n_waiting: AtomicUsize,
    /// Tells all heads that budgets may be back before their time.
    changed: Notify,
}

/// A call that waits.
pub(super) struct Turn<'t> {
    /// Whose line it stands in first.
    pub(super) owner: Owner,
    /// Why it could not go, where it tried.
    pub(super) refused: Option<Refused>,
    pub(super) deadline: Instant,
    pub(super) n_calls_max: usize,
    pub(super) seeds: &'t Seeds,
    pub(super) bill: &'t Bill<'t>,
}

/// Those who wait for one bucket.
struct Line {
    /// Taken by the head.
    head: Semaphore,
    n_members: AtomicUsize,
    /// Why the head could not go when it tried last.
    refused: Mutex<Option<Refused>>,
}

/// A place in a line.
struct Place<'q> {
    queues: &'q Queues,
    owner: Owner,
    line: Arc<Line>,
}

/// One of the places that there are for those who wait.
struct Room<'q>(&'q Queues);

/// How a head's time ended.
enum Ended {
    /// This becomes of the call.
    With(Verdict),
    /// It has to stand in this line.
    Elsewhere(Owner),
}

// === impl Queues ===

impl Queues {
    /// The first line that stands before a call that is in none.
    pub(super) fn ahead(&self, seeds: &Seeds, bill: &Bill<'_>) -> Option<Owner> {
        if self.n_waiting() == 0 {
            return None;
        }
        let lines = self.lines.lock();
        let mut owners = bill.owners().map(|bucket| seeds.owner(&bucket));
        owners.find(|owner| lines.contains_key(owner))
    }

    /// How many wait.
    pub(super) fn n_waiting(&self) -> usize {
        self.n_waiting.load(Ordering::Acquire)
    }

    /// Has all heads try again.
    pub(super) fn wake(&self) {
        self.changed.notify_waiters();
    }

    /// Waits until it is the call's turn and `ask` lets it pass.
    pub(super) async fn wait<F>(&self, turn: Turn<'_>, ask: impl Fn() -> F) -> Verdict
    where
        F: Future<Output = Verdict>,
    {
        let mut place = self.join(turn.owner);
        let Some(_room) = self.enter(turn.n_calls_max) else {
            return place.line.overdue(&turn);
        };
        loop {
            let line = Arc::clone(&place.line);
            let left = turn.deadline.saturating_duration_since(Instant::now());
            let Ok(Ok(_head)) = timeout(left, line.head.acquire()).await else {
                return line.overdue(&turn);
            };
            match self.lead(&turn, place.owner, &line, &ask).await {
                Ended::With(verdict) => return verdict,
                Ended::Elsewhere(owner) => place = self.join(owner),
            }
        }
    }

    /// What the head of a line does.
    async fn lead<F>(
        &self,
        turn: &Turn<'_>,
        owner: Owner,
        line: &Line,
        ask: &impl Fn() -> F,
    ) -> Ended
    where
        F: Future<Output = Verdict>,
    {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            // Before it asks: a change between the answer and the sleep wakes it.
            changed.as_mut().enable();
            let refused = match ask().await {
                Verdict::Refused(refused) => refused,
                verdict @ (Verdict::Allowed | Verdict::Uncounted | Verdict::Unavailable) => {
                    return Ended::With(verdict);
                }
            };
            let refusing = owner_of(turn.seeds, turn.bill, &refused);
            if refusing != owner {
                return Ended::Elsewhere(refusing);
            }
            let left = turn.deadline.saturating_duration_since(Instant::now());
            if refused.wait > left {
                return Ended::With(Verdict::Refused(refused));
            }
            *line.refused.lock() = Some(refused.clone());
            select! {
                () = sleep(refused.wait) => {}
                () = changed => {}
            }
        }
    }

    fn enter(&self, n_calls_max: usize) -> Option<Room<'_>> {
        let entered = self
            .n_waiting
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| {
                (n < n_calls_max).then_some(n + 1)
            });
        // Made only where it was entered: dropping it leaves.
        entered.is_ok().then(|| Room(self))
    }

    fn join(&self, owner: Owner) -> Place<'_> {
        let mut lines = self.lines.lock();
        let line = lines.entry(owner).or_default();
        line.n_members.fetch_add(1, Ordering::AcqRel);
        Place {
            queues: self,
            owner,
            line: Arc::clone(line),
        }
    }
}

/// Whose bucket refused a call.
pub(super) fn owner_of(seeds: &Seeds, bill: &Bill<'_>, refused: &Refused) -> Owner {
    let mut owners = bill.owners();
    let kind = refused.rule.kind;
    let bucket = owners.find(|bucket| bucket.rule.kind == kind);
    bucket.map_or_else(Owner::default, |bucket| seeds.owner(&bucket))
}

// === impl Line ===

impl Default for Line {
    fn default() -> Self {
        Self {
            head: Semaphore::new(1),
            n_members: AtomicUsize::new(0),
            refused: Mutex::default(),
        }
    }
}

impl Line {
    /// What becomes of a call whose time was over before it was the head.
    fn overdue(&self, turn: &Turn<'_>) -> Verdict {
        let known = turn.refused.clone();
        let known = known.or_else(|| self.refused.lock().clone());
        // The head has not tried yet: it can only be the first limit that they have in common.
        let first = || {
            let bucket = turn.bill.buckets().next()?;
            Some(Refused {
                rule: Arc::clone(bucket.rule),
                wait: Duration::from_secs(1),
            })
        };
        known
            .or_else(first)
            .map_or(Verdict::Unavailable, Verdict::Refused)
    }
}

// === impl Place ===

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut lines = self.queues.lines.lock();
        // Under the lock: nobody joins a line that is taken away.
        if self.line.n_members.fetch_sub(1, Ordering::AcqRel) == 1 {
            lines.remove(&self.owner);
        }
    }
}

// === impl Room ===

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.0.n_waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests;
