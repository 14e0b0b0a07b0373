//! Calls that make stored results stale.
//!
//! **Invariant:** what a call makes stale is gone before its client hears how it ended, and only if
//! the call was sent: a call that never left cannot have changed anything. What is given up may go on
//! all the same: what it makes stale goes once more when it can be no longer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use filters::cache::invalidate::Reach;

use crate::state::live::Live;
use crate::state::snapshot::Server;

/// What a call in flight makes stale once it is over.
#[derive(Clone)]
pub(in crate::gateway) struct Write {
    live: Arc<Live>,
    server: Arc<str>,
    reach: Reach,
    /// How long a call may take that nobody hears of any more.
    patience: Duration,
}

impl Write {
    /// A call to `server`.
    pub(in crate::gateway) fn new(live: &Arc<Live>, server: &Server, reach: Reach) -> Self {
        Self {
            live: Arc::clone(live),
            server: Arc::clone(&server.id),
            reach,
            patience: server.cluster.limits.total,
        }
    }

    /// What it makes stale.
    pub(in crate::gateway) fn reach(&self) -> &Reach {
        &self.reach
    }

    /// The call may be over, or not yet: what it made stale goes for now.
    pub(in crate::gateway) fn settle_so_far(&self) {
        self.live.cache.memory.invalidate(&self.server, &self.reach);
    }

    /// The call is over: what it made stale goes, here and on other instances.
    pub(in crate::gateway) async fn settle(self) {
        settle(&self.live, &self.server, &self.reach).await;
    }

    /// Nobody will hear how the call ends, or whether it did: what it made stale goes, and once more
    /// when it must be over.
    pub(in crate::gateway) async fn give_up(self) {
        let until = Instant::now() + self.patience;
        let unsettled = &self.live.cache.unsettled;
        unsettled.owe(&self.server, self.reach.clone(), until);
        self.settle().await;
    }

    /// As [`Self::give_up`], when nobody waits for it.
    pub(in crate::gateway) fn give_up_later(self) {
        let live = Arc::clone(&self.live);
        live.detached.spawn(self.give_up());
    }
}

/// What a call made stale goes, here and on other instances.
pub(in crate::gateway) async fn settle(live: &Live, server: &Arc<str>, reach: &Reach) {
    let dropped = live.cache.invalidate(server, reach).await;
    tracing::debug!(server.id = %server, dropped, "A call made results stale");
}
