//! Lists that their server lets everybody have: one view reads them for all.
//!
//! **Invariant:** a list is kept only if no change was told of since its reading began.

use std::collections::HashMap;
use std::sync::Arc;

use filters::mcp::list::Kind;
use parking_lot::Mutex;

use super::Listing;

/// The lists, by what clients can do: they may depend on that.
#[derive(Default)]
pub(super) struct Public(Mutex<State>);

#[derive(Default)]
struct State {
    lists: HashMap<(Kind, String), Arc<Listing>>,
    /// How many changes were told of.
    n_told: HashMap<Kind, u64>,
}

impl Public {
    /// A list that is still good.
    pub(super) fn find(&self, kind: Kind, capabilities: &str) -> Option<Arc<Listing>> {
        let mut state = self.0.lock();
        state.lists.retain(|_, listing| listing.is_promised());
        let found = state.lists.get(&(kind, capabilities.to_owned()));
        found.map(Arc::clone)
    }

    /// Where the changes of a list stand.
    pub(super) fn stamp(&self, kind: Kind) -> u64 {
        self.0.lock().n_told.get(&kind).copied().unwrap_or_default()
    }

    /// Keeps a list whose reading began at `stamp`, if everybody may have it.
    pub(super) fn keep(&self, kind: Kind, capabilities: &str, listing: &Arc<Listing>, stamp: u64) {
        let mut state = self.0.lock();
        let is_current = state.n_told.get(&kind).copied().unwrap_or_default() == stamp;
        if is_current && listing.is_public && listing.is_promised() {
            let key = (kind, capabilities.to_owned());
            state.lists.insert(key, Arc::clone(listing));
        }
    }

    /// A list is not what it was.
    pub(super) fn forget(&self, kind: Kind) {
        let mut state = self.0.lock();
        *state.n_told.entry(kind).or_default() += 1;
        state.lists.retain(|(known, _), _| *known != kind);
    }
}
