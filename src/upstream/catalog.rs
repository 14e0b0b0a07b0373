//! What a server offers, as the gateway last saw it: capabilities, tools, prompts, resources,
//! templates, with all pages.
//!
//! Lists may differ by credential and by what the client can do, so each such view of a server has a
//! catalog of its own.
//!
//! **Invariant:** who asks waits for a server at most once: while it fails, its last good lists are
//! served at once and it is tried again in the background.

mod absent;
mod fetch;
mod keep;
mod listing;
mod public;
mod pulse;
mod state;

pub use listing::{Listed, Listing};

use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use filters::cache::policy::Annotations;
use filters::mcp::capability;
use filters::mcp::list::Kind;
use filters::mcp::mirror::Mirrors;
use filters::mcp::revision::Era;
use lru::LruCache;
use parking_lot::Mutex;
use tokio::sync::{Notify, broadcast, watch};

use crate::upstream::catalog::public::Public;
use crate::upstream::catalog::pulse::Pulse;
use crate::upstream::catalog::state::State;
use crate::upstream::fields::Caller;
use crate::upstream::group::Groups;
use crate::upstream::remote::Remote;
use crate::upstream::watch::Watches;

/// Most views of one server that are kept.
const VIEWS_MAX: usize = 256;
/// Longest time a server's own `ttlMs` is believed.
const TTL_MAX: Duration = Duration::from_secs(24 * 3600);

/// How catalogs are kept.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long is waited for one server.
    pub timeout: Duration,
    /// How long one reading of a list may take.
    pub deadline: Duration,
    /// After how long lists are read again anyway, before jitter.
    pub refresh: Duration,
    /// How long a list that cannot be read again is served.
    pub stale_max: Duration,
    /// How long lists are good by the operator's word, where their server gives them less.
    pub list_ttl: Option<Duration>,
}

impl Settings {
    /// How long a list is good that its server gave `ttl`.
    fn promise(&self, ttl: Option<Duration>) -> Duration {
        let own = self.list_ttl.unwrap_or_default();
        ttl.map_or(own, |ttl| ttl.min(TTL_MAX).max(own))
    }
}

/// What makes one caller's view of a server differ from another's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct View {
    /// The credential that goes to the server.
    pub authorization: Option<String>,
    /// The canonical text of the client's capabilities.
    pub capabilities: String,
}

impl View {
    /// The view of a client that can do nothing and brings no credential.
    #[must_use]
    pub fn plain() -> Self {
        Self {
            authorization: None,
            capabilities: "{}".to_owned(),
        }
    }
}

/// A change in what a server offers.
#[derive(Clone, Debug)]
pub struct Change {
    /// The server's id.
    pub server: Arc<str>,
    /// What changed.
    pub kind: Kind,
}

/// The catalogs of one server.
pub struct Catalogs {
    remote: Arc<Remote>,
    groups: Arc<Groups>,
    watches: Arc<Watches>,
    settings: Settings,
    changes: broadcast::Sender<Change>,
    views: Mutex<LruCache<View, Arc<Catalog>>>,
    plain: OnceLock<Arc<Catalog>>,
    public: Arc<Public>,
}

/// One view of a server.
pub struct Catalog {
    remote: Arc<Remote>,
    groups: Arc<Groups>,
    watches: Arc<Watches>,
    caller: Caller,
    view: View,
    settings: Settings,
    changes: broadcast::Sender<Change>,
    public: Arc<Public>,
    state: Mutex<State>,
    /// Counts what was read, well or not.
    version: watch::Sender<u64>,
    /// Wakes the keeper.
    wake: Notify,
    /// Who relies on changes being heard.
    pulse: Pulse,
}

/// What a server says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The era it was asked in.
    pub era: Era,
    /// Its capabilities, JSON text.
    pub capabilities: String,
    /// Its instructions.
    pub instructions: Option<String>,
    /// Its `Implementation`, JSON text.
    pub server_info: Option<String>,
}

impl Catalogs {
    /// No views yet.
    #[must_use]
    pub fn new(
        remote: Arc<Remote>,
        groups: Arc<Groups>,
        watches: Arc<Watches>,
        settings: Settings,
        changes: broadcast::Sender<Change>,
    ) -> Self {
        let max = NonZeroUsize::new(VIEWS_MAX).unwrap_or(NonZeroUsize::MIN);
        Self {
            remote,
            groups,
            watches,
            settings,
            changes,
            views: Mutex::new(LruCache::new(max)),
            plain: OnceLock::new(),
            public: Arc::default(),
        }
    }

    /// The catalog of a view.
    #[must_use]
    pub fn find(&self, view: &View, caller: &Caller) -> Arc<Catalog> {
        // What a client can think up is no view of its own.
        let view = View {
            authorization: view.authorization.clone(),
            capabilities: capability::known(&view.capabilities),
        };
        let mut views = self.views.lock();
        if let Some(catalog) = views.get(&view) {
            return Arc::clone(catalog);
        }
        let catalog = Arc::new(Catalog {
            remote: Arc::clone(&self.remote),
            groups: Arc::clone(&self.groups),
            watches: Arc::clone(&self.watches),
            // The trace of whoever came first is not the catalog's.
            caller: caller.lasting(),
            view: view.clone(),
            settings: self.settings,
            changes: self.changes.clone(),
            public: Arc::clone(&self.public),
            state: Mutex::default(),
            version: watch::channel(0).0,
            wake: Notify::new(),
            pulse: Pulse::new(Instant::now()),
        });
        views.put(view, Arc::clone(&catalog));
        self.remote
            .background
            .spawn(keep::run(Arc::downgrade(&catalog)));
        catalog
    }

    /// The catalog of [`View::plain`].
    #[must_use]
    pub fn plain(&self) -> &Arc<Catalog> {
        self.plain
            .get_or_init(|| self.find(&View::plain(), &Caller::default()))
    }

    /// Notes that a server told somebody of a change, which [`Remote::hear`] took first.
    pub fn nudge(&self, kind: Kind) {
        let mut is_read = false;
        for (_, catalog) in self.views.lock().iter() {
            is_read |= catalog.nudge(kind);
        }
        if !is_read {
            let server = Arc::clone(self.remote.id());
            // Nobody may be listening.
            self.changes.send(Change { server, kind }).ok();
        }
    }
}

impl Catalog {
    /// A list: a good one, if there is one in time.
    pub async fn list(self: &Arc<Self>, kind: Kind) -> Listed {
        let now = Instant::now();
        let changed = self.public.changed(kind);
        let wait = {
            let mut state = self.state.lock();
            self.note_use(&mut state, now);
            state.outdate(kind, changed);
            state.patience(kind, now, &self.settings)
        };
        if let Some(wait) = wait {
            self.wait(wait, |state| state.is_tried(kind, now)).await;
        }
        self.last(kind)
    }

    /// The list as it was last read. Who is given none is told of a change once there is one.
    #[must_use]
    pub fn last(&self, kind: Kind) -> Listed {
        let mut state = self.state.lock();
        let listed = state.listed(kind, &self.settings);
        if listed.listing.is_none()
            && let Some(list) = state.lists.get_mut(&kind)
        {
            list.is_missed = true;
        }
        listed
    }

    /// The list as it is known, without waiting for it. It is kept fresh for whoever asks.
    #[must_use]
    pub fn known(&self, kind: Kind) -> Option<Arc<Listing>> {
        self.known_at(kind, Instant::now())
    }

    /// As [`Self::known`], for one who has looked at the clock.
    #[must_use]
    pub fn known_at(&self, kind: Kind, now: Instant) -> Option<Arc<Listing>> {
        let mut state = self.state.lock();
        self.note_use(&mut state, now);
        let last = state.lists.get(&kind)?.last.as_ref();
        last.map(Arc::clone)
    }

    /// What the server says of itself, if it does in time.
    pub async fn profile(self: &Arc<Self>) -> Option<Arc<Profile>> {
        let wait = {
            let mut state = self.state.lock();
            self.note_use(&mut state, Instant::now());
            (state.profile.is_none() && state.failure.is_none()).then_some(self.settings.timeout)
        };
        if let Some(wait) = wait {
            self.wait(wait, |state| state.profile.is_some()).await;
        }
        self.state.lock().profile.clone()
    }

    /// Has changes of the lists heard, where the server tells of them, without reading any. Costs next
    /// to nothing: it is called for whatever of the lists is stored, and whenever that is used.
    pub fn attend(&self) {
        let now = Instant::now();
        if !self.pulse.beat(now) {
            return;
        }
        let mut state = self.state.lock();
        self.note_use(&mut state, now);
        let is_idle = std::mem::take(&mut state.is_idle);
        // The keeper listens again where it asks again what the server tells of.
        state.profile_due |= is_idle;
        if is_idle || (state.profile.is_none() && state.failure.is_none()) {
            self.wake.notify_one();
        }
    }

    /// Whether anybody asked for a list.
    #[must_use]
    pub fn is_asked(&self, kind: Kind) -> bool {
        self.state.lock().lists.contains_key(&kind)
    }

    /// What the server last said of itself, and why it is not reached, if it is not.
    #[must_use]
    pub fn standing(&self) -> (Option<Arc<Profile>>, Option<Arc<str>>) {
        let state = self.state.lock();
        (state.profile.clone(), state.failure.clone())
    }

    /// Which arguments of a tool stand in headers, too; nothing where none do, or the tool is not
    /// known.
    pub async fn mirrors(self: &Arc<Self>, tool: &str) -> Option<Arc<Mirrors>> {
        self.search(tool).await?.mirrors(tool)
    }

    /// What a tool does, as its server says; nothing where the tool is not known.
    pub async fn annotations(self: &Arc<Self>, tool: &str) -> Option<Annotations> {
        self.search(tool).await?.annotations(tool)
    }

    /// The tools, read again where one is missing; one that stays missing is waited for now and then.
    async fn search(self: &Arc<Self>, tool: &str) -> Option<Arc<Listing>> {
        let now = Instant::now();
        let (known, is_absent) = {
            let mut state = self.state.lock();
            self.note_use(&mut state, now);
            let known = state.listed(Kind::Tools, &self.settings).listing;
            (known, state.is_absent(tool, now))
        };
        if let Some(listing) = known
            && (is_absent || listing.find(tool).is_some())
        {
            return Some(listing);
        }
        let listing = self.list(Kind::Tools).await.listing?;
        if listing.find(tool).is_none() {
            self.state.lock().absent.note(tool, now);
        }
        Some(listing)
    }

    /// Notes that the server told of a change. What was read is read again, and then told on;
    /// `false` where nothing was.
    pub fn nudge(&self, kind: Kind) -> bool {
        self.public.forget(kind);
        let mut state = self.state.lock();
        let list = state.lists.entry(kind).or_default();
        let is_read = list.last.is_some();
        list.is_dirty |= is_read;
        list.is_told |= is_read;
        drop(state);
        self.wake.notify_one();
        is_read
    }

    /// Reads a list anew, whatever is known of it.
    pub async fn reread(self: &Arc<Self>, kind: Kind) -> Listed {
        let now = Instant::now();
        self.public.forget(kind);
        {
            let mut state = self.state.lock();
            self.note_use(&mut state, now);
            let list = state.lists.entry(kind).or_default();
            list.is_dirty = true;
            list.failure = None;
        }
        let wait = self.settings.timeout;
        self.wait(wait, |state| state.is_tried(kind, now)).await;
        self.last(kind)
    }

    /// Notes that somebody asks; a keeper that rests tries a failing server again.
    fn note_use(&self, state: &mut State, now: Instant) {
        state.used = Some(now);
        if state.failure.is_some() {
            self.wake.notify_one();
        }
    }

    /// Has the keeper read, and waits until `is_done` or something failed.
    async fn wait(&self, limit: Duration, is_done: impl Fn(&State) -> bool) {
        let mut version = self.version.subscribe();
        self.wake.notify_one();
        let done = async {
            loop {
                {
                    let state = self.state.lock();
                    if is_done(&state) || state.failure.is_some() {
                        return;
                    }
                }
                if version.changed().await.is_err() {
                    return;
                }
            }
        };
        if pingora_timeout::fast_timeout::fast_timeout(limit, done)
            .await
            .is_err()
        {
            let mut state = self.state.lock();
            // Nobody else waits until it has answered.
            if state.is_reading && limit >= self.settings.timeout {
                state.failure = Some(Arc::from("did not answer in time"));
            }
        }
    }
}
