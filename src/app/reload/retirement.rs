//! The end of servers that a reload took out.
//!
//! **Invariant:** it comes in bounded time, whatever requests still do, and at once when the gateway
//! ends.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::app::build::parts::Parts;
use crate::gateway::retire::Departed;
use crate::state::Shared;

/// What is to end, and after whom.
pub(super) struct Retirement {
    /// What runs for the servers.
    pub(super) parts: Vec<Arc<Parts>>,
    /// What their clients had.
    pub(super) departed: Departed,
    /// Cancelled when the last request is over that could use them.
    pub(super) left: CancellationToken,
    pub(super) shared: Arc<Shared>,
    /// Cancelled when the gateway ends.
    pub(super) stop: CancellationToken,
}

impl Retirement {
    /// Lets requests in flight finish, closes sessions, and ends what runs.
    pub(super) async fn run(self) {
        // No call may take longer.
        let limit = self
            .parts
            .iter()
            .map(|parts| parts.server.cluster.limits.total)
            .max()
            .unwrap_or(Duration::ZERO);
        let quiet = async {
            self.left.cancelled().await;
            self.departed.unparked(&self.shared).await;
        };
        let quiet = self.stop.run_until_cancelled(timeout(limit, quiet)).await;
        if matches!(quiet, Some(Err(_))) {
            tracing::warn!("Requests cut off at a reload");
        }
        self.departed.end().await;
        join_all(self.parts.iter().map(|parts| parts.end())).await;
        let snapshot = self.shared.snapshot.load();
        for parts in &self.parts {
            let id = &parts.server.id;
            if !snapshot.servers.contains_key(&**id) {
                self.shared
                    .live
                    .metrics
                    .forget(id, parts.server.cluster.replicas().len());
            }
            tracing::info!(server.id = %id, "Server taken out");
        }
    }
}
