//! Calls that make stored results stale.
//!
//! **Invariant:** what a call makes stale is gone before its client hears how it ended, and only if
//! the call was sent: a call that never left cannot have changed anything.

use std::sync::Arc;

use filters::cache::invalidate::Reach;

use crate::state::live::Live;

/// What a call in flight makes stale once it is over.
#[derive(Clone)]
pub(in crate::gateway) struct Write {
    live: Arc<Live>,
    server: Arc<str>,
    reach: Reach,
}

impl Write {
    /// A call to `server`.
    pub(in crate::gateway) fn new(live: &Arc<Live>, server: &Arc<str>, reach: Reach) -> Self {
        Self {
            live: Arc::clone(live),
            server: Arc::clone(server),
            reach,
        }
    }

    /// The call may be over, or not yet: what it made stale goes for now.
    pub(in crate::gateway) fn settle_so_far(&self) {
        self.live.cache.memory.invalidate(&self.server, &self.reach);
    }

    /// The call is over, one way or another: what it made stale goes, here and on other instances.
    pub(in crate::gateway) async fn settle(self) {
        let dropped = self.live.cache.invalidate(&self.server, &self.reach).await;
        tracing::debug!(server.id = %self.server, dropped, "A call made results stale");
    }

    /// As [`Self::settle`], when nobody waits for it.
    pub(in crate::gateway) fn settle_later(self) {
        let live = Arc::clone(&self.live);
        live.detached.spawn(self.settle());
    }
}
