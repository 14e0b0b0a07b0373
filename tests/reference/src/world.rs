//! What all sessions and requests share, and what one session keeps to itself.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use rmcp::{
    model::{LoggingLevel, RequestStateCodec},
    task_manager::TaskManager,
};
use tokio_util::sync::CancellationToken;

use crate::{audience::Audience, era::Era, runs::Runs, tools::Catalog};

/// Fixed, so that a retry may reach another instance of the fixture, as the protocol allows.
const REQUEST_STATE_KEY: &[u8; 32] = b"conduit-reference-server-fixture";

/// The state of the process.
pub(crate) struct World {
    pub(crate) era: Era,
    pub(crate) catalog: Catalog,
    pub(crate) audience: Audience,
    pub(crate) runs: Runs,
    pub(crate) tasks: TaskManager,
    pub(crate) seal: RequestStateCodec,
    /// Stdio: the one client has closed stdin.
    pub(crate) client_gone: CancellationToken,
    next_session: AtomicU64,
}

impl World {
    pub(crate) fn new(era: Era) -> Self {
        Self {
            era,
            catalog: Catalog::new(era),
            audience: Audience::default(),
            runs: Runs::default(),
            tasks: TaskManager::new(),
            seal: RequestStateCodec::new(*REQUEST_STATE_KEY),
            client_gone: CancellationToken::new(),
            next_session: AtomicU64::new(1),
        }
    }

    /// A session nobody has used yet.
    pub(crate) fn open_session(&self) -> Session {
        Session {
            number: self.next_session.fetch_add(1, Ordering::Relaxed),
            level: Mutex::new(LoggingLevel::Info),
        }
    }
}

/// The state of one legacy session; of one request where there are no sessions.
pub(crate) struct Session {
    /// Unique in the process.
    pub(crate) number: u64,
    /// The least severe level to send, as `logging/setLevel` left it.
    pub(crate) level: Mutex<LoggingLevel>,
}
