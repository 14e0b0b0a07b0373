//! The request in flight: Pingora's `CTX`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use filters::identity::{Identity, Principal};
use filters::refusal::Refusal;
use filters::trace::Trace;
use http::HeaderValue;

use crate::state::Shared;
use crate::state::guard::approvals::Spent;
use crate::state::live::{InFlight, Live};
use crate::state::snapshot::Snapshot;
use crate::state::users::User;
use crate::telemetry::outcome::Outcome;

/// One request, from its head to its last byte.
pub struct Exchange {
    /// The configuration it is served under, whatever is reloaded meanwhile.
    pub snapshot: Arc<Snapshot>,
    /// What keeps its servers from being ended; a stream that only listens lets go of it.
    pub user: Option<User>,
    /// What outlives it.
    pub live: Arc<Live>,
    /// Where the configuration is by now.
    pub shared: Arc<Shared>,
    /// When its head had come.
    pub started: Instant,
    /// The trace it belongs to.
    pub trace: Trace,
    /// Who is calling.
    pub principal: Arc<Principal>,
    /// What tells the caller from all others: what is theirs is bound to it.
    pub subject: Arc<str>,
    /// The tenant that what is theirs is kept apart by, proven or not.
    pub tenant: Option<Arc<str>>,
    /// The origin of the web page that sent it, which may.
    pub origin: Option<HeaderValue>,
    /// The approval that it names.
    pub approval: Option<String>,
    /// The approval that its message made use of.
    pub spent: Option<Spent>,
    /// The session that its answer opens.
    pub opened: Option<Arc<str>>,
    /// The credential that its server wants from the client.
    pub challenge: Option<HeaderValue>,
    /// `Cache-Status` (RFC 9211)
    pub cache_status: Option<HeaderValue>,
    /// Whether its message was charged: each is once.
    pub has_paid: bool,
    /// How long its messages waited for their turn.
    pub waited: Duration,
    /// What will be told of it.
    pub outcome: Outcome,
    /// Whether it counts as an MCP request: the control plane's do not.
    pub is_counted: bool,
    _in_flight: InFlight,
}

/// A caller's tenant, as far as what is stored is concerned.
#[derive(Clone, Debug)]
pub struct Tenancy {
    principal: Arc<Principal>,
    apart: Option<Arc<str>>,
}

impl Tenancy {
    /// That of a caller of whom nothing is known.
    #[must_use]
    pub fn none() -> Self {
        Self {
            principal: Identity::anonymous().principal,
            apart: None,
        }
    }

    /// The tenant whose clients share what `share: tenant` stores: a proven one.
    #[must_use]
    pub fn shared(&self) -> Option<&str> {
        self.principal.tenant.as_deref()
    }

    /// The tenant outside which nothing goes, not even what a server calls public.
    #[must_use]
    pub fn isolated(&self) -> Option<&str> {
        self.apart.as_deref()
    }
}

impl Exchange {
    /// Counts and logs what became of it.
    pub fn finish(&mut self, response_bytes: usize) {
        self.outcome.trace_id = std::mem::take(&mut self.trace.id);
        let now = Instant::now();
        self.outcome.duration = now.saturating_duration_since(self.started);
        self.outcome.response_bytes = response_bytes;
        if self.is_counted {
            self.live.metrics.count(&self.outcome);
        }
        self.live.access.log(&self.outcome, now);
    }

    /// Notes that one of its messages was refused, and others may be served: it is counted by itself, and
    /// the line of the request tells of the first.
    pub fn note_refused(&mut self, reason: &'static str) {
        self.outcome.reason.get_or_insert(reason);
        let server = self.outcome.server_label();
        self.live.metrics.count_refusal(&server, reason);
    }

    /// Goes on with another message of the same request.
    pub fn turn(&mut self) {
        self.has_paid = false;
        self.spent = None;
    }

    /// Gives back the approval that a message made use of which is refused, unless it may have been done.
    pub fn forgo(&mut self, refusal: &Refusal) {
        if !refusal.may_have_been_sent() {
            self.unspend();
        }
    }

    /// Gives back the approval that its message made use of, which does nothing after all.
    pub fn unspend(&mut self) {
        if let Some(spent) = self.spent.take() {
            self.live.guard.approvals.restore(&spent);
        }
    }

    /// Notes who is calling.
    pub fn identify(&mut self, identity: Identity) {
        let Identity {
            principal,
            tenant,
            subject,
        } = identity;
        self.outcome.client = Arc::clone(&principal.client);
        self.outcome.tenant.clone_from(&tenant);
        self.principal = principal;
        self.tenant = tenant;
        self.subject = subject;
    }

    /// Who is calling.
    #[must_use]
    pub fn identity(&self) -> Identity {
        Identity {
            principal: Arc::clone(&self.principal),
            tenant: self.tenant.clone(),
            subject: Arc::clone(&self.subject),
        }
    }

    /// Who of the caller's tenant shares with whom.
    #[must_use]
    pub fn tenancy(&self) -> Tenancy {
        let is_isolated = self.snapshot.auth.is_isolated;
        Tenancy {
            principal: Arc::clone(&self.principal),
            apart: self.tenant.as_ref().filter(|_| is_isolated).cloned(),
        }
    }

    /// Pins the configuration.
    #[must_use]
    pub fn begin(shared: Arc<Shared>) -> Self {
        let (snapshot, user) = shared.pin();
        Self::resume(shared, snapshot, Some(user))
    }

    /// The same request as one of several messages in it sees it: charged, and not counted by itself.
    #[must_use]
    pub fn branch(&self) -> Self {
        Self {
            has_paid: true,
            is_counted: false,
            ..self.detach()
        }
    }

    /// The same request, as it goes on where its HTTP exchange is over: all that is known of it goes along.
    #[must_use]
    pub fn detach(&self) -> Self {
        // In full: what is new is not to be forgotten here.
        let Self {
            snapshot,
            user,
            live,
            shared,
            started,
            trace,
            principal,
            subject,
            tenant,
            origin,
            approval,
            spent,
            opened,
            challenge,
            cache_status,
            has_paid,
            waited,
            outcome,
            is_counted,
            _in_flight,
        } = self;
        Self {
            snapshot: Arc::clone(snapshot),
            user: user.clone(),
            live: Arc::clone(live),
            shared: Arc::clone(shared),
            started: *started,
            trace: trace.clone(),
            principal: Arc::clone(principal),
            subject: Arc::clone(subject),
            tenant: tenant.clone(),
            origin: origin.clone(),
            approval: approval.clone(),
            spent: spent.clone(),
            opened: opened.clone(),
            challenge: challenge.clone(),
            cache_status: cache_status.clone(),
            has_paid: *has_paid,
            waited: *waited,
            outcome: outcome.clone(),
            is_counted: *is_counted,
            _in_flight: InFlight::start(Arc::clone(live)),
        }
    }

    /// Goes on under the configuration in force by now.
    pub fn repin(&mut self) {
        let (snapshot, user) = self.shared.pin();
        self.snapshot = snapshot;
        self.user = Some(user);
    }

    /// Goes on under a configuration that was pinned before.
    #[must_use]
    pub fn resume(shared: Arc<Shared>, snapshot: Arc<Snapshot>, user: Option<User>) -> Self {
        let live = Arc::clone(&shared.live);
        let Identity {
            principal,
            tenant,
            subject,
        } = Identity::anonymous();
        let outcome = Outcome::begin(Arc::clone(&principal.client));
        Self {
            snapshot,
            user,
            shared,
            started: Instant::now(),
            trace: Trace::default(),
            principal,
            subject,
            tenant,
            origin: None,
            approval: None,
            spent: None,
            opened: None,
            challenge: None,
            cache_status: None,
            has_paid: false,
            waited: Duration::ZERO,
            outcome,
            is_counted: true,
            _in_flight: InFlight::start(Arc::clone(&live)),
            live,
        }
    }
}
