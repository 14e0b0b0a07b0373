//! Who may still ask the servers of one snapshot for something.
//!
//! **Invariant:** nobody joins once those who left are waited for, so that the wait has an end.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio_util::sync::{CancellationToken, DropGuard};

/// The requests that pinned a snapshot and are not over yet. Streams that only listen are none of
/// them: those are told when their servers go.
pub struct Users {
    door: Mutex<Option<Arc<DropGuard>>>,
    left: CancellationToken,
}

/// One of them, for as long as it lives.
#[derive(Clone)]
pub struct User {
    _guard: Arc<DropGuard>,
}

impl Default for Users {
    fn default() -> Self {
        let left = CancellationToken::new();
        Self {
            door: Mutex::new(Some(Arc::new(left.clone().drop_guard()))),
            left,
        }
    }
}

impl Users {
    /// One more; nothing where the snapshot was replaced meanwhile.
    #[must_use]
    pub fn join(&self) -> Option<User> {
        let guard = self.door.lock().as_ref().map(Arc::clone)?;
        Some(User { _guard: guard })
    }

    /// Lets nobody in any more; gives what is cancelled once the last has left.
    #[must_use]
    pub fn dismiss(&self) -> CancellationToken {
        drop(self.door.lock().take());
        self.left.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_joined_are_waited_for_and_nobody_joins_then() {
        let users = Users::default();
        let (first, second) = (users.join().unwrap(), users.join().unwrap());
        let left = users.dismiss();
        assert!(users.join().is_none());
        drop(first);
        assert!(!left.is_cancelled());
        let third = second.clone();
        drop(second);
        assert!(!left.is_cancelled());
        drop(third);
        assert!(left.is_cancelled());
    }

    #[test]
    fn nobody_is_waited_for_where_nobody_joined() {
        assert!(Users::default().dismiss().is_cancelled());
    }
}
