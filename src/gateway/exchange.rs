//! The request in flight: Pingora's `CTX`.

use std::sync::Arc;
use std::time::Instant;

use filters::identity::Principal;
use filters::trace::Trace;
use http::HeaderValue;

use crate::state::Shared;
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
    pub principal: Principal,
    /// The approval that it names.
    pub approval: Option<String>,
    /// The session that its answer opens.
    pub opened: Option<Arc<str>>,
    /// The credential that its server wants from the client.
    pub challenge: Option<HeaderValue>,
    /// `Cache-Status` (RFC 9211)
    pub cache_status: Option<String>,
    /// What will be told of it.
    pub outcome: Outcome,
    /// Whether it counts as an MCP request: the control plane's do not.
    pub is_counted: bool,
    _in_flight: InFlight,
}

impl Exchange {
    /// Counts and logs what became of it.
    pub fn finish(&mut self, response_bytes: usize) {
        self.outcome.trace_id = std::mem::take(&mut self.trace.id);
        self.outcome.duration = self.started.elapsed();
        self.outcome.response_bytes = response_bytes;
        if self.is_counted {
            self.live.metrics.count(&self.outcome);
        }
        self.live.access.log(&self.outcome);
    }

    /// Pins the configuration.
    #[must_use]
    pub fn begin(shared: Arc<Shared>) -> Self {
        let (snapshot, user) = shared.pin();
        Self::resume(shared, snapshot, Some(user))
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
        let principal = Principal::anonymous();
        let outcome = Outcome::begin(Arc::clone(&principal.client));
        Self {
            snapshot,
            user,
            shared,
            started: Instant::now(),
            trace: Trace::default(),
            principal,
            approval: None,
            opened: None,
            challenge: None,
            cache_status: None,
            outcome,
            is_counted: true,
            _in_flight: InFlight::start(Arc::clone(&live)),
            live,
        }
    }
}
