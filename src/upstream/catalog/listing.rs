//! One list of a server's, whole.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use filters::cache::policy::Annotations;
use filters::lock::Mode;
use filters::lock::book::Tools;
use filters::lock::definition::{Digest, Fingerprints, Unclear};
use filters::lock::screen::{Lens, Seen};
use filters::mcp::list::{self, Kind};
use filters::mcp::mirror::Mirrors;
use filters::mcp::revision::Era;
use foldhash::HashMap;
use parking_lot::Mutex;

use super::{Catalog, Catalogs};

/// One list, whole.
#[derive(Debug)]
pub struct Listing {
    /// The items, JSON text each, in the server's order.
    pub items: Vec<String>,
    /// When it was read.
    pub read: Instant,
    /// How long it is good, as the server said.
    pub ttl: Option<Duration>,
    /// How long it is good by anybody's word, the operator's, too.
    pub(super) promise: Duration,
    /// Whether the server lets anybody share it.
    pub is_public: bool,
    pub(super) places: HashMap<String, usize>,
    /// The tools of which some arguments stand in headers, too.
    pub(super) mirrored: HashMap<String, Arc<Mirrors>>,
    /// What tools do, as their server says.
    pub(super) annotations: HashMap<String, Annotations>,
    /// What only the tool lock asks for.
    pub(super) locking: Locking,
}

/// What the tool lock makes of a list, once somebody asks.
#[derive(Debug, Default)]
pub(super) struct Locking {
    fingerprints: OnceLock<Fingerprints>,
    /// What was shown of it last, and by what was approved then.
    shown: Mutex<Option<Shown>>,
}

#[derive(Debug)]
struct Shown {
    tools: Option<Arc<Tools>>,
    mode: Mode,
    /// Nothing where it is the whole list.
    listing: Option<Arc<Listing>>,
}

impl Shown {
    fn is_by(&self, tools: Option<&Arc<Tools>>, mode: Mode) -> bool {
        let is_same = match (&self.tools, tools) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        is_same && self.mode == mode
    }
}

/// Where each item of a list is. Of several that are called the same the first counts.
pub(super) fn places(kind: Kind, items: &[String]) -> HashMap<String, usize> {
    let items = items.iter().enumerate().rev();
    items
        .filter_map(|(at, item)| Some((list::identify(kind, item)?.into_owned(), at)))
        .collect()
}

/// What tools do, as their server says.
pub(super) fn annotations(kind: Kind, items: &[String]) -> HashMap<String, Annotations> {
    let tools = items.iter().filter(|_| kind == Kind::Tools);
    let named = tools.filter_map(|item| {
        let name = list::identify(kind, item)?.into_owned();
        Some((name, Annotations::read(item)))
    });
    named.collect()
}

impl Listing {
    /// Whether somebody's word for how long it is good still holds.
    pub(super) fn is_promised(&self) -> bool {
        self.read.elapsed() < self.promise
    }

    /// Which arguments of a tool stand in headers, too; nothing where none do.
    #[must_use]
    pub fn mirrors(&self, tool: &str) -> Option<Arc<Mirrors>> {
        self.mirrored.get(tool).map(Arc::clone)
    }

    /// What a tool does, as its server says; nothing where it is not in the list.
    #[must_use]
    pub fn annotations(&self, tool: &str) -> Option<Annotations> {
        self.annotations.get(tool).copied()
    }

    /// The names or URIs of the items.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.places.keys().map(String::as_str)
    }

    /// The digest of a tool's definition; nothing where it is not in the list.
    #[must_use]
    pub fn fingerprint(&self, tool: &str) -> Option<Result<Digest, Unclear>> {
        let all = self.locking.fingerprints.get_or_init(|| {
            let items = self.items.iter().map(String::as_str);
            Fingerprints::of(items)
        });
        all.find(tool)
    }

    /// A list of tools as the tool lock shows it. What it makes of a tool is told to `note` when it is
    /// asked first.
    #[must_use]
    pub fn under(
        self: &Arc<Self>,
        tools: Option<&Arc<Tools>>,
        mode: Mode,
        note: impl FnMut(Seen<'_>),
    ) -> Arc<Self> {
        let mut known = self.locking.shown.lock();
        let known = match known.take().filter(|known| known.is_by(tools, mode)) {
            Some(same) => known.insert(same),
            None => {
                let lens = Lens {
                    tools: tools.map(AsRef::as_ref),
                    mode,
                    era: Era::Modern,
                };
                let items: Vec<&str> = self.items.iter().map(String::as_str).collect();
                let shown = lens.items(&items, note);
                let shown = shown.map(|items| items.into_iter().map(String::from).collect());
                known.insert(Shown {
                    tools: tools.map(Arc::clone),
                    mode,
                    listing: shown.map(|items| Arc::new(self.with(items))),
                })
            }
        };
        let shown = known.listing.as_ref();
        Arc::clone(shown.unwrap_or(self))
    }

    /// The same list of tools with other items.
    fn with(&self, items: Vec<String>) -> Self {
        Self {
            read: self.read,
            ttl: self.ttl,
            promise: self.promise,
            is_public: self.is_public,
            places: places(Kind::Tools, &items),
            mirrored: self.mirrored.clone(),
            annotations: annotations(Kind::Tools, &items),
            locking: Locking::default(),
            items,
        }
    }

    /// The item of that name or URI.
    #[must_use]
    pub fn find(&self, key: &str) -> Option<&str> {
        self.places
            .get(key)
            .and_then(|&at| self.items.get(at))
            .map(String::as_str)
    }
}

impl Catalogs {
    /// A list as each view has it that has it, without waiting for any.
    #[must_use]
    pub fn listings(&self, kind: Kind) -> Vec<Arc<Listing>> {
        let views: Vec<Arc<Catalog>> = {
            let views = self.views.lock();
            views.iter().map(|(_, view)| Arc::clone(view)).collect()
        };
        let views = views.iter();
        views
            .filter_map(|view| view.state.lock().listed(kind, &view.settings).listing)
            .collect()
    }
}

/// A list as it is given, and how good it is.
#[derive(Clone, Debug, Default)]
pub struct Listed {
    /// The last good list; nothing where there never was one, or it is too old.
    pub listing: Option<Arc<Listing>>,
    /// Why it is not a fresh one.
    pub failure: Option<Arc<str>>,
}
