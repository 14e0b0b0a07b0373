//! Requests for approval: what a guardrail holds until somebody says yes or no.
//!
//! **Invariant:** an approval is good once, for the client that asked, for what it asked, and until it
//! expires: [`Approvals::redeem`].
//! **Invariant:** no client keeps others from asking: each has a share of the places.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use filters::identity;
use parking_lot::Mutex;

/// Most requests that are kept, whatever became of them.
pub const APPROVALS_MAX: usize = 10_000;
/// Most pending ones of a client.
pub const PENDING_MAX: usize = 100;

/// A digest of who asks, server, kind, target and canonical arguments.
pub type Fingerprint = [u8; 32];

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Nobody said anything yet.
    Pending,
    /// Somebody said yes.
    Approved,
    /// Somebody said no.
    Rejected,
    /// Its time is over.
    Expired,
    /// It was approved, and made use of.
    Used,
}

impl Status {
    /// The label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Used => "used",
        }
    }
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Petition {
    /// Who asks, as people are told.
    pub requester: Arc<str>,
    /// What tells who asks from all others.
    pub subject: Arc<str>,
    /// The server.
    pub server: Arc<str>,
    /// The tool, prompt or URI.
    pub target: String,
    /// The rule that holds it.
    pub rule: Arc<str>,
    /// What the client was told.
    pub reason: String,
    /// The trace it belongs to.
    pub trace_id: String,
    /// What it is bound to.
    pub fingerprint: Fingerprint,
    /// The arguments as people are shown them, JSON text.
    pub arguments: Option<String>,
}

/// A request for approval.
#[derive(Clone, Debug)]
pub struct Approval {
    /// Its id: 32 hexadecimal digits that nobody guesses.
    pub id: String,
    /// What is asked for.
    pub petition: Petition,
    /// What became of it.
    pub status: Status,
    /// When it was made.
    pub created: SystemTime,
    /// When something became of it.
    pub updated: SystemTime,
    /// Until when it can be decided on and made use of.
    pub expires: SystemTime,
    /// Who decided.
    pub approver: Option<String>,
    /// What they had to say.
    pub note: Option<String>,
}

/// Why a decision is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no such request.
    Unknown,
    /// It was decided on before, or its time is over.
    Settled(Status),
    /// Whoever asked decides on nothing of their own.
    Own,
}

/// An approval that was made use of, and for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spent {
    /// Its id.
    pub id: String,
    /// What it is bound to.
    pub fingerprint: Fingerprint,
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
#[derive(Debug, Default)]
pub struct Approvals(Mutex<HashMap<String, Approval>>);

impl Approval {
    fn age(&mut self, now: SystemTime) {
        let is_open = matches!(self.status, Status::Pending | Status::Approved);
        if is_open && now >= self.expires {
            self.status = Status::Expired;
            self.updated = self.expires;
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
        let mut all = self.0.lock();
        all.values_mut().for_each(|one| one.age(now));
        let is_same = |one: &&Approval| {
            matches!(one.status, Status::Pending | Status::Approved)
                && one.petition.fingerprint == petition.fingerprint
        };
        if let Some(same) = all.values().find(is_same) {
            return Some(same.clone());
        }
        if all.len() >= APPROVALS_MAX {
            let oldest = all
                .values()
                .filter(|one| !matches!(one.status, Status::Pending | Status::Approved))
                .min_by_key(|one| one.updated)
                .map(|one| one.id.clone())?;
            all.remove(&oldest);
        }
        let payer = identity::payer(&petition.subject);
        let n_own = all.values().filter(|one| {
            one.status == Status::Pending && identity::payer(&one.petition.subject) == payer
        });
        if n_own.count() >= PENDING_MAX {
            return None;
        }
        let approval = Approval {
            id: id.clone(),
            petition,
            status: Status::Pending,
            created: now,
            updated: now,
            expires: now.checked_add(ttl).unwrap_or(now),
            approver: None,
            note: None,
        };
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
        let mut all = self.0.lock();
        let Some(one) = all.get_mut(id) else {
            return Redeemed::Mismatch;
        };
        let is_same = *one.petition.subject == *subject && one.petition.fingerprint == *fingerprint;
        if !is_same {
            return Redeemed::Mismatch;
        }
        one.age(now);
        if one.status != Status::Approved {
            return Redeemed::No(one.status);
        }
        one.status = Status::Used;
        one.updated = now;
        Redeemed::Yes
    }

    /// Has an approval that was made use of be good again: what it was for was not done.
    pub fn restore(&self, spent: &Spent) {
        if let Some(one) = self.0.lock().get_mut(&spent.id)
            && one.status == Status::Used
        {
            one.status = Status::Approved;
        }
    }

    /// Decides on a request.
    ///
    /// # Errors
    /// [`Refused`] where it cannot be decided on, or not by them.
    pub fn decide(
        &self,
        id: &str,
        verdict: Status,
        (approver, note): (&str, Option<String>),
        may_be_own: bool,
        now: SystemTime,
    ) -> Result<Approval, Refused> {
        let mut all = self.0.lock();
        let one = all.get_mut(id).ok_or(Refused::Unknown)?;
        one.age(now);
        if one.status != Status::Pending {
            return Err(Refused::Settled(one.status));
        }
        if !may_be_own && *one.petition.requester == *approver {
            return Err(Refused::Own);
        }
        one.status = verdict;
        one.updated = now;
        one.approver = Some(approver.to_owned());
        one.note = note;
        Ok(one.clone())
    }

    /// All requests, newest first.
    #[must_use]
    pub fn list(&self, now: SystemTime) -> Vec<Approval> {
        let mut all = self.0.lock();
        all.values_mut().for_each(|one| one.age(now));
        let mut list: Vec<Approval> = all.values().cloned().collect();
        list.sort_by(|one, other| (other.created, &other.id).cmp(&(one.created, &one.id)));
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use filters::identity::Identity;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn petition(requester: &str, fingerprint: u8) -> Petition {
        Petition {
            requester: requester.into(),
            subject: requester.into(),
            server: "s".into(),
            target: "t".to_owned(),
            rule: "r".into(),
            reason: String::new(),
            trace_id: String::new(),
            fingerprint: [fingerprint; 32],
            arguments: None,
        }
    }

    const TTL: Duration = Duration::from_secs(10);

    fn asked(approvals: &Approvals, id: &str, fingerprint: u8) -> Approval {
        let petition = petition("alice", fingerprint);
        approvals.ask(id.to_owned(), petition, TTL, at(0)).unwrap()
    }

    fn approve(approvals: &Approvals, id: &str, by: &str, now: u64) -> Result<Approval, Refused> {
        approvals.decide(id, Status::Approved, (by, None), false, at(now))
    }

    fn label(redeemed: &Redeemed) -> &'static str {
        match redeemed {
            Redeemed::Yes => "yes",
            Redeemed::No(status) => status.label(),
            Redeemed::Mismatch => "mismatch",
        }
    }

    #[test]
    fn an_approval_is_good_once_for_who_asked_and_what_was_asked() {
        let approvals = Approvals::default();
        asked(&approvals, "a", 1);
        let redeem = |id, client, print: u8, now| {
            label(&approvals.redeem(id, client, &[print; 32], at(now)))
        };
        assert_eq!(redeem("a", "alice", 1, 1), "pending");
        approve(&approvals, "a", "bob", 1).unwrap();
        assert_eq!(redeem("a", "bob", 1, 1), "mismatch");
        assert_eq!(redeem("a", "alice", 2, 1), "mismatch");
        assert_eq!(redeem("b", "alice", 1, 1), "mismatch");
        assert_eq!(redeem("a", "alice", 1, 9), "yes");
        assert_eq!(redeem("a", "alice", 1, 9), "used");
    }

    #[test]
    fn what_is_given_back_is_good_once_more() {
        let approvals = Approvals::default();
        asked(&approvals, "a", 1);
        approve(&approvals, "a", "bob", 1).unwrap();
        let spent = Spent {
            id: "a".to_owned(),
            fingerprint: [1; 32],
        };
        let redeem = |now| label(&approvals.redeem("a", "alice", &[1; 32], at(now)));
        assert_eq!(redeem(2), "yes");
        approvals.restore(&spent);
        assert_eq!(redeem(3), "yes");
        assert_eq!(redeem(3), "used");
        approvals.restore(&spent);
        assert_eq!(redeem(10), "expired");
    }

    #[test]
    fn what_expired_is_neither_approved_nor_used() {
        let approvals = Approvals::default();
        asked(&approvals, "a", 1);
        asked(&approvals, "b", 2);
        approve(&approvals, "a", "bob", 9).unwrap();
        let redeemed = approvals.redeem("a", "alice", &[1; 32], at(10));
        assert_eq!(label(&redeemed), "expired");
        let late = approve(&approvals, "b", "bob", 10).map(|_| ());
        assert_eq!(late, Err(Refused::Settled(Status::Expired)));
    }

    #[test]
    fn nobody_decides_on_their_own_or_twice() {
        let approvals = Approvals::default();
        asked(&approvals, "a", 1);
        let own = approve(&approvals, "a", "alice", 1).map(|_| ());
        assert_eq!(own, Err(Refused::Own));
        let rejected = approvals.decide("a", Status::Rejected, ("bob", None), false, at(1));
        assert_eq!(rejected.unwrap().status, Status::Rejected);
        let again = approve(&approvals, "a", "bob", 1).map(|_| ());
        assert_eq!(again, Err(Refused::Settled(Status::Rejected)));
        assert_eq!(
            approve(&approvals, "x", "bob", 1).map(|_| ()),
            Err(Refused::Unknown)
        );
    }

    #[test]
    fn the_same_is_asked_for_once() {
        let approvals = Approvals::default();
        asked(&approvals, "a", 1);
        assert_eq!(asked(&approvals, "b", 1).id, "a");
        approve(&approvals, "a", "bob", 1).unwrap();
        assert!(matches!(
            approvals.redeem("a", "alice", &[1; 32], at(1)),
            Redeemed::Yes
        ));
        assert_eq!(
            asked(&approvals, "c", 1).id,
            "c",
            "one that was used is over"
        );
    }

    #[test]
    fn a_client_has_its_share_of_the_places_and_no_more() {
        let approvals = Approvals::default();
        let ask = |who: &str, n: usize| {
            let mut petition = petition(who, 0);
            petition.fingerprint[..8].copy_from_slice(&n.to_le_bytes());
            petition.fingerprint[8] = who.as_bytes()[0];
            approvals.ask(format!("{who}{n}"), petition, TTL, at(0))
        };
        assert!((0..PENDING_MAX).all(|n| ask("alice", n).is_some()));
        assert!(ask("alice", PENDING_MAX).is_none());
        assert!(ask("bob", 0).is_some());
        let said = |n: usize| Identity::of_tenant(&n.to_string()).subject;
        assert!((0..PENDING_MAX).all(|n| ask(&said(n), n).is_some()));
        assert!(ask(&said(PENDING_MAX), PENDING_MAX).is_none());
    }
}
