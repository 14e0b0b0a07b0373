//! What there is of one server: its entries by what they are results of, and what was invalidated.

use std::collections::{BTreeSet, HashMap, hash_map};
use std::sync::Arc;

use filters::cache::invalidate::Ledger;
use filters::cache::key::Key;
use filters::mcp::method::Method;

use crate::cache::entry::Origin;

/// What there is of one server.
#[derive(Default)]
pub(super) struct Book {
    pub(super) ledger: Ledger,
    pub(super) pages: HashMap<(Method, Option<Arc<str>>), Page>,
}

/// The entries of one target.
pub(super) enum Page {
    One(Key),
    Many(BTreeSet<Key>),
}

impl Book {
    pub(super) fn add(&mut self, origin: &Origin, key: Key) {
        let page = (origin.method, origin.target.clone());
        match self.pages.entry(page) {
            hash_map::Entry::Vacant(place) => {
                place.insert(Page::One(key));
            }
            hash_map::Entry::Occupied(mut page) => page.get_mut().add(key),
        }
    }

    pub(super) fn remove(&mut self, origin: &Origin, key: &Key) {
        let page = (origin.method, origin.target.clone());
        if let hash_map::Entry::Occupied(mut page) = self.pages.entry(page)
            && !page.get_mut().remove(key)
        {
            page.remove();
        }
    }
}

impl Page {
    pub(super) fn add(&mut self, key: Key) {
        match self {
            Self::One(known) if *known == key => {}
            Self::One(known) => *self = Self::Many(BTreeSet::from([*known, key])),
            Self::Many(keys) => {
                keys.insert(key);
            }
        }
    }

    /// Takes one out, without a look at the others: there may be a million. Whether anything is left.
    pub(super) fn remove(&mut self, key: &Key) -> bool {
        match self {
            Self::One(known) => known != key,
            Self::Many(keys) => {
                keys.remove(key);
                !keys.is_empty()
            }
        }
    }

    /// Keeps what `is_kept`; whether anything is left.
    pub(super) fn retain(&mut self, mut is_kept: impl FnMut(&Key) -> bool) -> bool {
        match self {
            Self::One(key) => is_kept(key),
            Self::Many(keys) => {
                keys.retain(is_kept);
                !keys.is_empty()
            }
        }
    }
}
