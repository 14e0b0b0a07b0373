//! One request for approval: what is asked for, and what became of it.

use std::sync::Arc;
use std::time::SystemTime;

use filters::guard::approver::Requester;
use filters::identity::Proof;

/// A digest of who asks, server, kind, target and canonical arguments.
pub type Fingerprint = [u8; 32];

/// What tells one round of an approved call from all others.
pub type Round = [u8; 16];

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Nobody said anything yet.
    Pending,
    /// Somebody said yes.
    Approved,
    /// Somebody said no.
    Rejected,
    /// Whoever asked wants it no more.
    Withdrawn,
    /// Its time is over.
    Expired,
    /// It was approved, and made use of.
    Used,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Petition {
    /// Who asks, as people are told.
    pub requester: Arc<str>,
    /// Their tenant, as far as that is proved.
    pub tenant: Option<Arc<str>>,
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
    pub approver: Option<Decider>,
    /// What they had to say.
    pub note: Option<String>,
    /// The round that the call it was used for may go on with.
    pub(super) round: Option<Round>,
}

/// Who decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decider {
    /// The client's id.
    pub client: String,
    /// How that was proved.
    pub proof: Proof,
}

// === impl Status ===

impl Status {
    /// The label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Withdrawn => "withdrawn",
            Self::Expired => "expired",
            Self::Used => "used",
        }
    }

    /// Whether it may still be made use of, now or once somebody says yes.
    #[must_use]
    pub fn is_open(self) -> bool {
        match self {
            Self::Pending | Self::Approved => true,
            Self::Rejected | Self::Withdrawn | Self::Expired | Self::Used => false,
        }
    }
}

// === impl Petition ===

impl Petition {
    /// Who asks.
    #[must_use]
    pub fn requester(&self) -> Requester<'_> {
        Requester {
            client: &self.requester,
            tenant: self.tenant.as_deref(),
        }
    }

    /// Bytes that it takes, as far as a client decides on them.
    pub(super) fn n_bytes(&self) -> usize {
        self.target.len()
            + self.reason.len()
            + self.trace_id.len()
            + self.arguments.as_deref().map_or(0, str::len)
    }
}

// === impl Approval ===

impl Approval {
    /// A request that was just made.
    pub(super) fn new(
        id: String,
        petition: Petition,
        now: SystemTime,
        expires: SystemTime,
    ) -> Self {
        Self {
            id,
            petition,
            status: Status::Pending,
            created: now,
            updated: now,
            expires,
            approver: None,
            note: None,
            round: None,
        }
    }

    /// Lets its time pass.
    pub(super) fn age(&mut self, now: SystemTime) {
        if self.status.is_open() && now >= self.expires {
            self.settle(Status::Expired, self.expires);
        }
    }

    /// Notes what became of it.
    pub(super) fn settle(&mut self, status: Status, now: SystemTime) {
        self.status = status;
        self.updated = now;
    }

    /// Whether it takes one of its client's places.
    pub(super) fn has_place(&self, now: SystemTime) -> bool {
        match self.status {
            Status::Pending => true,
            Status::Withdrawn => now < self.expires,
            Status::Approved | Status::Rejected | Status::Expired | Status::Used => false,
        }
    }

    /// Whether it is what this client asked for.
    pub(super) fn is_for(&self, subject: &str, fingerprint: &Fingerprint) -> bool {
        *self.petition.subject == *subject && self.petition.fingerprint == *fingerprint
    }
}
