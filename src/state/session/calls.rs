//! The calls of a session that are in flight: its client may cancel them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio_util::sync::CancellationToken;

use crate::state::session::{Registered, Running, Session};

impl Session {
    /// Notes a call, so that the client can cancel it.
    #[must_use]
    pub fn register(self: &Arc<Self>, id: &str, server: &Arc<str>) -> Registered {
        self.note_call(id, server, false)
    }

    /// Notes a call that waits for what is fetched for several: its server knows it under no id, so
    /// that only the wait can be cancelled.
    #[must_use]
    pub fn wait(self: &Arc<Self>, id: &str, server: &Arc<str>) -> Registered {
        self.note_call(id, server, true)
    }

    fn note_call(self: &Arc<Self>, id: &str, server: &Arc<str>, is_wait: bool) -> Registered {
        let cancelled = CancellationToken::new();
        let number = self.serial.fetch_add(1, Ordering::Relaxed);
        let running = Running {
            server: Arc::clone(server),
            cancel: cancelled.clone(),
            is_wait,
            number,
        };
        self.state.lock().calls.insert(id.to_owned(), running);
        Registered {
            cancelled,
            session: Arc::clone(self),
            id: id.to_owned(),
            number,
        }
    }

    /// The call that an id names.
    #[must_use]
    pub fn running(&self, id: &str) -> Option<Running> {
        self.state.lock().calls.get(id).cloned()
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let calls = &mut self.session.state.lock().calls;
        // A client that uses an id twice is at the later call.
        if calls
            .get(&self.id)
            .is_some_and(|running| running.number == self.number)
        {
            calls.remove(&self.id);
        }
    }
}
