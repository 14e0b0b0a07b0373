//! What a server offers, as the gateway last saw it: capabilities, tools, prompts, resources,
//! templates, with all pages.
//!
//! Lists may differ by credential and by what the client can do, so each such view of a server has a
//! catalog of its own.
//!
//! **Invariant:** who asks waits for a server at most once: while it fails, its last good lists are
//! served at once and it is tried again in the background.

mod fetch;
mod keep;
mod listing;
mod public;

pub use listing::{Listed, Listing};

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use filters::mcp::capability;
use filters::mcp::list::Kind;
use filters::mcp::mirror::Mirrors;
use filters::mcp::revision::Era;
use lru::LruCache;
use parking_lot::Mutex;
use tokio::sync::{Notify, broadcast, watch};

use crate::upstream::catalog::public::Public;
use crate::upstream::fields::Caller;
use crate::upstream::group::Groups;
use crate::upstream::remote::Remote;
use crate::upstream::watch::{Hearing, Watches};

/// Most views of one server that are kept.
const VIEWS_MAX: usize = 256;
/// How long a list without any promise of the server's is taken as it is.
const UNPROMISED: Duration = Duration::from_secs(1);
/// How long is waited for a list again that there is a good copy of.
const RENEWAL_MAX: Duration = Duration::from_millis(200);
/// How long a view that nobody uses is kept fresh.
const USED_WITHIN: Duration = Duration::from_secs(15 * 60);
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
}

#[derive(Default)]
struct State {
    profile: Option<Arc<Profile>>,
    lists: HashMap<Kind, List>,
    /// Why the last attempt failed.
    failure: Option<Arc<str>>,
    is_reading: bool,
    /// A failing server is due to be tried again.
    retry: bool,
    /// The profile is due to be read again.
    profile_due: bool,
    /// How changes are heard of, where the server promised to tell of them.
    hearing: Option<Hearing>,
    used: Option<Instant>,
}

#[derive(Default)]
struct List {
    last: Option<Arc<Listing>>,
    /// When it came here: one that another view had read is older than that.
    came: Option<Instant>,
    /// It is to be read.
    is_dirty: bool,
    /// A change was told since it was read.
    is_told: bool,
    /// Somebody was given nothing in its place since it was read.
    is_missed: bool,
    /// Why the last attempt failed; the server's other lists may well be good.
    failure: Option<Arc<str>>,
}

impl State {
    /// Whether a list was read since `since`, or cannot be read for now.
    fn is_tried(&self, kind: Kind, since: Instant) -> bool {
        self.lists.get(&kind).is_some_and(|list| {
            let has_come = list.came.is_some_and(|came| came >= since);
            has_come || list.failure.is_some()
        })
    }

    fn is_used(&self, now: Instant) -> bool {
        self.used
            .is_some_and(|used| now.saturating_duration_since(used) < USED_WITHIN)
    }
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
        let wait = self.patience(kind, now);
        if let Some(wait) = wait {
            self.wait(wait, |state| state.is_tried(kind, now)).await;
        }
        self.last(kind)
    }

    /// The list as it was last read. Who is given none is told of a change once there is one.
    #[must_use]
    pub fn last(&self, kind: Kind) -> Listed {
        let mut state = self.state.lock();
        let listed = self.listed(&state, kind);
        if listed.listing.is_none()
            && let Some(list) = state.lists.get_mut(&kind)
        {
            list.is_missed = true;
        }
        listed
    }

    fn listed(&self, state: &State, kind: Kind) -> Listed {
        let list = state.lists.get(&kind);
        let failure = state
            .failure
            .as_ref()
            .or_else(|| list.and_then(|list| list.failure.as_ref()));
        let listing = list.and_then(|list| list.last.clone()).filter(|listing| {
            failure.is_none() || listing.read.elapsed() < self.settings.stale_max
        });
        let failure = match (failure, &listing) {
            (Some(failure), _) => Some(Arc::clone(failure)),
            (None, None) => Some(Arc::from("did not answer in time")),
            (None, Some(_)) => None,
        };
        Listed { listing, failure }
    }

    /// The list as it is known, without waiting for it. It is kept fresh for whoever asks.
    #[must_use]
    pub fn known(&self, kind: Kind) -> Option<Arc<Listing>> {
        let mut state = self.state.lock();
        self.note_use(&mut state, Instant::now());
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

    /// Has changes of the lists heard, where the server tells of them, without reading any.
    pub fn attend(&self) {
        let mut state = self.state.lock();
        self.note_use(&mut state, Instant::now());
        if state.profile.is_none() && state.failure.is_none() {
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
        let known = self.listed(&self.state.lock(), Kind::Tools).listing;
        let listing = match known {
            Some(listing) if listing.find(tool).is_some() => listing,
            Some(_) | None => self.list(Kind::Tools).await.listing?,
        };
        listing.mirrors(tool)
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

    /// How long to wait for a list; nothing where what is there will do.
    fn patience(&self, kind: Kind, now: Instant) -> Option<Duration> {
        let mut state = self.state.lock();
        self.note_use(&mut state, now);
        let is_failing = state.failure.is_some();
        let hearing = state.hearing.as_ref();
        let is_watched = hearing.is_some_and(|hearing| hearing.hears(kind));
        let list = state.lists.entry(kind).or_default();
        if list.failure.is_some() {
            return None;
        }
        let Some(last) = &list.last else {
            list.is_dirty = true;
            return (!is_failing).then_some(self.settings.timeout);
        };
        if is_failing {
            return None;
        }
        if list.is_dirty {
            return Some(self.settings.timeout);
        }
        let age = now.saturating_duration_since(last.read);
        match last.ttl.map(|ttl| ttl.min(TTL_MAX)) {
            Some(ttl) if !ttl.is_zero() => {
                let is_old = age >= ttl;
                list.is_dirty |= is_old;
                is_old.then_some(self.settings.timeout)
            }
            _ if is_watched || age < UNPROMISED => None,
            _ => {
                list.is_dirty = true;
                Some(RENEWAL_MAX.min(self.settings.timeout))
            }
        }
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
