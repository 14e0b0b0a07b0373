//! Who hears what answers no call.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::stdio::desk::Desk;

/// Who hears what answers no call.
#[derive(Debug)]
pub(in crate::stdio) enum Audience {
    /// Modern clients, whose messages all belong to a request.
    Requests,
    /// The one session that the child is for.
    Session(Arc<Desk>),
    /// The sessions that share the child, by their number.
    Sessions(Mutex<HashMap<u64, Member>>),
}

/// One of the sessions that share a child.
#[derive(Debug)]
pub(in crate::stdio) struct Member {
    pub(in crate::stdio) desk: Arc<Desk>,
    /// The resources it has subscribed to.
    pub(in crate::stdio) subscriptions: BTreeSet<String>,
}

impl Member {
    /// Whether it asked for `uri`, or for a resource that contains it.
    pub(super) fn is_subscribed(&self, uri: &str) -> bool {
        self.subscriptions
            .iter()
            .any(|to| uri.starts_with(to.as_str()))
    }
}
