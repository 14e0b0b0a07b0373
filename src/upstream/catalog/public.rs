//! What the views of a server have in common: lists that it lets everybody have, which one view reads
//! for all, and changes that one of them found.
//!
//! **Invariant:** a list is kept only if no change was told of, or found, since its reading began.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use filters::mcp::list::Kind;
use parking_lot::Mutex;

use super::Listing;

/// The lists, by what clients can do: they may depend on that.
#[derive(Default)]
pub(super) struct Public(Mutex<State>);

#[derive(Default)]
struct State {
    lists: HashMap<(Kind, String), Arc<Listing>>,
    /// How many changes were told of, or found.
    n_told: HashMap<Kind, u64>,
    /// When a list was read that turned out to be another than before.
    changed: HashMap<Kind, Instant>,
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

    /// A list that was read at `read` is another than at `before`: what was read earlier is old, whoever
    /// read it. A change since `before` that is known explains it; views do not outdate each other
    /// over that in turn.
    pub(super) fn outdate(&self, kind: Kind, before: Instant, read: Instant) {
        let mut state = self.0.lock();
        if state
            .changed
            .get(&kind)
            .is_some_and(|&known| known > before)
        {
            return;
        }
        state.changed.insert(kind, read);
        *state.n_told.entry(kind).or_default() += 1;
        let lists = &mut state.lists;
        lists.retain(|(known, _), listing| *known != kind || listing.read >= read);
    }

    /// Since when a list is another than before, as far as was found by reading.
    pub(super) fn changed(&self, kind: Kind) -> Option<Instant> {
        self.0.lock().changed.get(&kind).copied()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn views_that_find_the_same_change_do_not_outdate_each_other_in_turn() {
        let public = Public::default();
        let begun = Instant::now();
        let at = |second| begun + Duration::from_secs(second);
        assert_eq!(public.changed(Kind::Tools), None);
        public.outdate(Kind::Tools, at(0), at(10));
        // Another view had read it at 5: that it finds another one now is no news.
        public.outdate(Kind::Tools, at(5), at(11));
        assert_eq!(public.changed(Kind::Tools), Some(at(10)));
        public.outdate(Kind::Tools, at(11), at(20));
        assert_eq!(public.changed(Kind::Tools), Some(at(20)));
        assert_eq!(public.changed(Kind::Prompts), None);
    }
}
