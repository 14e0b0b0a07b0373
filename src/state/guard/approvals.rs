//! Requests for approval: what a guardrail holds until somebody says yes or no.
//!
//! **Invariant:** an approval is good once, for the client that asked, for what it asked, and until it
//! expires: [`Approvals::redeem`]. Where the server asks something before it answers, the same call goes
//! on, each round once: [`Approvals::resume`].
//! **Invariant:** no client keeps others from asking: each has a share of the places.

pub mod record;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use filters::guard::approver::{Approver, Denied, Requester};
use filters::identity;
use parking_lot::Mutex;

use crate::state::guard::approvals::record::{
    Approval, Decider, Fingerprint, Petition, Round, Status,
};

/// Most requests that are kept, whatever became of them.
pub const APPROVALS_MAX: usize = 10_000;
/// Most of a client that are pending, or that it withdrew before their time was over: whoever takes back
/// what they asked for makes no room by it.
pub const PENDING_MAX: usize = 100;
/// Most bytes that all requests take.
pub const BYTES_MAX: usize = 256 * 1024 * 1024;
/// Most bytes that those of a client take of which there may be [`PENDING_MAX`].
pub const PENDING_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Somebody's yes or no.
#[derive(Clone, Debug)]
pub struct Decision<'a> {
    /// Who decides.
    pub approver: Approver<'a>,
    /// Whether they say yes.
    pub is_yes: bool,
    /// What they have to say.
    pub note: Option<String>,
}

/// Why a decision is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no such request.
    Unknown,
    /// It was decided on before, or its time is over.
    Settled(Status),
    /// They may not decide on it.
    Denied(Denied),
}

/// An approval that was made use of, and for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spent {
    /// Its id.
    pub id: String,
    /// What it is bound to.
    pub fingerprint: Fingerprint,
    /// The round that the call went on with, where it was approved in an earlier one.
    pub round: Option<Round>,
}

/// Whether something was approved.
#[derive(Clone, Debug)]
pub enum Redeemed {
    /// It was, and is not any more.
    Yes,
    /// It is not: what became of the request.
    No(Status),
    /// The id names no request of this client for this.
    Mismatch,
}

/// All requests.
#[derive(Debug)]
pub struct Approvals {
    all: Mutex<HashMap<String, Approval>>,
    /// Most bytes that they take.
    bytes_max: usize,
    /// Whether any client was ever given a state of ours to come back with.
    has_states: AtomicBool,
}

impl Default for Approvals {
    fn default() -> Self {
        Self {
            all: Mutex::default(),
            bytes_max: BYTES_MAX,
            has_states: AtomicBool::default(),
        }
    }
}

impl Approvals {
    /// Asks for an approval, under this id if the same was not asked for already. Nothing where there
    /// is no place for it.
    #[must_use]
    pub fn ask(
        &self,
        id: String,
        petition: Petition,
        ttl: Duration,
        now: SystemTime,
    ) -> Option<Approval> {
        let mut all = self.all.lock();
        all.values_mut().for_each(|one| one.age(now));
        let is_same = |one: &&Approval| {
            one.status.is_open() && one.petition.fingerprint == petition.fingerprint
        };
        if let Some(same) = all.values().find(is_same) {
            return Some(same.clone());
        }
        let n_bytes = petition.n_bytes();
        let payer = identity::payer(&petition.subject);
        let (mut n_own, mut n_own_bytes) = (0, n_bytes);
        for one in all.values() {
            if one.has_place(now) && identity::payer(&one.petition.subject) == payer {
                n_own += 1;
                n_own_bytes += one.petition.n_bytes();
            }
        }
        if n_own >= PENDING_MAX || n_own_bytes > PENDING_BYTES_MAX {
            return None;
        }
        make_room(&mut all, n_bytes, self.bytes_max)?;
        let expires = now.checked_add(ttl).unwrap_or(now);
        let approval = Approval::new(id.clone(), petition, now, expires);
        all.insert(id, approval.clone());
        Some(approval)
    }

    /// Makes use of an approval.
    #[must_use]
    pub fn redeem(
        &self,
        id: &str,
        subject: &str,
        fingerprint: &Fingerprint,
        now: SystemTime,
    ) -> Redeemed {
        self.take(id, subject, fingerprint, now, |one| {
            let is_approved = one.status == Status::Approved;
            if is_approved {
                one.settle(Status::Used, now);
            }
            is_approved
        })
    }

    /// Takes a request back, also one that was approved and not made use of.
    #[must_use]
    pub fn withdraw(
        &self,
        id: &str,
        subject: &str,
        fingerprint: &Fingerprint,
        now: SystemTime,
    ) -> Redeemed {
        self.take(id, subject, fingerprint, now, |one| {
            let is_open = one.status.is_open();
            if is_open {
                one.settle(Status::Withdrawn, now);
            }
            is_open
        })
    }

    /// Goes on with a call that an approval was used for, in the round that its server began.
    #[must_use]
    pub fn resume(
        &self,
        id: &str,
        subject: &str,
        fingerprint: &Fingerprint,
        round: &Round,
        now: SystemTime,
    ) -> Redeemed {
        let mut is_over = false;
        let resumed = self.take(id, subject, fingerprint, now, |one| {
            is_over = now >= one.expires;
            let is_next = one.status == Status::Used && one.round.as_ref() == Some(round);
            is_next && !is_over && one.round.take().is_some()
        });
        match resumed {
            Redeemed::No(_) if is_over => Redeemed::No(Status::Expired),
            Redeemed::Yes | Redeemed::No(_) | Redeemed::Mismatch => resumed,
        }
    }

    /// Has the call that an approval was used for go on in this round only. Whether there still is one.
    #[must_use]
    pub fn begin_round(&self, id: &str, round: Round) -> bool {
        let mut all = self.all.lock();
        let one = all.get_mut(id).filter(|one| one.status == Status::Used);
        let is_there = one.map(|one| one.round = Some(round)).is_some();
        if is_there {
            self.note_state();
        }
        is_there
    }

    /// Has an approval that was made use of be good again: what it was for was not done.
    pub fn restore(&self, spent: &Spent) {
        if let Some(one) = self.all.lock().get_mut(&spent.id)
            && one.status == Status::Used
        {
            match spent.round {
                Some(round) => one.round = Some(round),
                None => one.status = Status::Approved,
            }
        }
    }

    /// The request of this id.
    #[must_use]
    pub fn find(&self, id: &str, now: SystemTime) -> Option<Approval> {
        let mut all = self.all.lock();
        let one = all.get_mut(id)?;
        one.age(now);
        Some(one.clone())
    }

    /// Notes that a client was given a state of ours.
    pub fn note_state(&self) {
        self.has_states.store(true, Ordering::Relaxed);
    }

    /// Whether any client may come back with a state of ours.
    #[must_use]
    pub fn has_states(&self) -> bool {
        self.has_states.load(Ordering::Relaxed)
    }

    /// Decides on a request. Who may is said by `check`.
    ///
    /// # Errors
    /// [`Refused`] where it cannot be decided on, or not by them.
    pub fn decide(
        &self,
        id: &str,
        decision: Decision<'_>,
        check: impl FnOnce(Approver<'_>, Requester<'_>) -> Result<(), Denied>,
        now: SystemTime,
    ) -> Result<Approval, Refused> {
        let mut all = self.all.lock();
        let one = all.get_mut(id).ok_or(Refused::Unknown)?;
        check(decision.approver, one.petition.requester()).map_err(Refused::Denied)?;
        one.age(now);
        if one.status != Status::Pending {
            return Err(Refused::Settled(one.status));
        }
        let status = if decision.is_yes {
            Status::Approved
        } else {
            Status::Rejected
        };
        one.settle(status, now);
        one.approver = Some(Decider {
            client: decision.approver.client().to_owned(),
            proof: decision.approver.proof(),
        });
        one.note = decision.note;
        Ok(one.clone())
    }

    /// All requests, newest first.
    #[must_use]
    pub fn list(&self, now: SystemTime) -> Vec<Approval> {
        let mut all = self.all.lock();
        all.values_mut().for_each(|one| one.age(now));
        let mut list: Vec<Approval> = all.values().cloned().collect();
        list.sort_by(|one, other| (other.created, &other.id).cmp(&(one.created, &one.id)));
        list
    }

    /// Does something to a request of this client for this; what became of it where that cannot be.
    fn take(
        &self,
        id: &str,
        subject: &str,
        fingerprint: &Fingerprint,
        now: SystemTime,
        take: impl FnOnce(&mut Approval) -> bool,
    ) -> Redeemed {
        let mut all = self.all.lock();
        let own = all
            .get_mut(id)
            .filter(|one| one.is_for(subject, fingerprint));
        let Some(one) = own else {
            return Redeemed::Mismatch;
        };
        one.age(now);
        if take(one) {
            Redeemed::Yes
        } else {
            Redeemed::No(one.status)
        }
    }
}

/// Forgets what was settled longest ago, until there is room for so many bytes; nothing where there is none.
fn make_room(all: &mut HashMap<String, Approval>, n_bytes: usize, bytes_max: usize) -> Option<()> {
    let mut held: usize = all.values().map(|one| one.petition.n_bytes()).sum();
    while all.len() >= APPROVALS_MAX || held + n_bytes > bytes_max {
        let settled = all.values().filter(|one| !one.status.is_open());
        let oldest = settled.min_by_key(|one| one.updated)?.id.clone();
        held -= all.remove(&oldest)?.petition.n_bytes();
    }
    Some(())
}

#[cfg(test)]
mod tests;
