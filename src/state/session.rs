//! The sessions of legacy clients: their ids, what was negotiated, which sessions with servers stand
//! behind them, and what waits to be told to the client.
//!
//! **Invariant:** a session is found only by the principal it was made for, on the endpoint it was
//! made at; for everybody else it does not exist.
//! **Invariant:** a session that is over has no links.

mod calls;
mod links;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use filters::mcp::revision::Revision;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::state::outlet::Outlet;
use crate::upstream::remote::Remote;
use crate::upstream::session::Session as Upstream;

/// Most questions to one client that wait for their answer.
const QUESTIONS_MAX: usize = 256;
/// Most subscriptions of one session.
const SUBSCRIPTIONS_MAX: usize = 1024;

/// What a client said when it opened its session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// Whose session it is.
    pub principal: Arc<str>,
    /// The endpoint it was opened at: `server:<id>` or `profile:<id>`.
    pub scope: String,
    /// The negotiated revision.
    pub revision: Revision,
    /// The client's capabilities, JSON text.
    pub capabilities: String,
    /// The client's `Implementation`, JSON text.
    pub client_info: Option<String>,
    /// The credential for servers that get the client's own.
    pub authorization: Option<String>,
}

/// One client's session.
pub struct Session {
    /// Its id.
    pub id: Arc<str>,
    /// What the client said when it opened it.
    pub opening: Opening,
    /// What goes to the client on no call's stream.
    pub outlet: Arc<Outlet>,
    /// Ended by the client, by expiry or by the gateway.
    pub over: CancellationToken,
    /// Held while a session with a server is opened.
    linking: Mutex<HashMap<Arc<str>, Arc<tokio::sync::Mutex<()>>>>,
    is_saved: AtomicBool,
    is_behind: AtomicBool,
    is_over: AtomicBool,
    usage: Arc<Mutex<Usage>>,
    state: Mutex<State>,
    serial: AtomicU64,
}

struct Usage {
    last: Instant,
    n_uses: usize,
}

struct State {
    confirmed: Instant,
    log_level: Option<String>,
    links: HashMap<Arc<str>, Link>,
    calls: HashMap<String, Running>,
    questions: HashMap<String, oneshot::Sender<Reply>>,
    subscriptions: BTreeSet<String>,
    followers: HashMap<String, DropGuard>,
}

/// How a session's messages go to one server.
#[derive(Clone)]
pub enum Link {
    /// In a session with it.
    Legacy(Arc<Upstream>),
    /// One by one, each with the whole context.
    Modern,
}

impl Link {
    fn remote(&self) -> Option<&Arc<Remote>> {
        match self {
            Self::Legacy(upstream) => Some(&upstream.remote),
            Self::Modern => None,
        }
    }
}

/// A call in flight.
#[derive(Clone)]
pub struct Running {
    /// The server it went to.
    pub server: Arc<str>,
    /// Ends it.
    pub cancel: CancellationToken,
    /// Whether its server knows nothing of it.
    pub is_wait: bool,
    number: u64,
}

/// A client's answer to a question; JSON text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Its result.
    Result(String),
    /// Its error object.
    Error(String),
}

/// Keeps a call where its client can cancel it, for as long as anything of it goes on: a client that
/// leaves may say so by a message of its own, which may come later.
pub struct Registered {
    /// Cancelled when the call is.
    pub cancelled: CancellationToken,
    session: Arc<Session>,
    id: String,
    number: u64,
}

/// Somebody is using the session: it does not expire.
pub struct Use(Arc<Mutex<Usage>>);

impl Session {
    /// A session that nobody has used.
    #[must_use]
    pub fn new(id: Arc<str>, opening: Opening, outlet: Arc<Outlet>) -> Self {
        Self {
            id,
            opening,
            outlet,
            over: CancellationToken::new(),
            linking: Mutex::default(),
            is_saved: AtomicBool::new(false),
            is_behind: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            usage: Arc::new(Mutex::new(Usage {
                last: Instant::now(),
                n_uses: 0,
            })),
            state: Mutex::new(State {
                confirmed: Instant::now(),
                log_level: None,
                links: HashMap::new(),
                calls: HashMap::new(),
                questions: HashMap::new(),
                subscriptions: BTreeSet::new(),
                followers: HashMap::new(),
            }),
            serial: AtomicU64::new(1),
        }
    }

    /// A session in this one's place: whoever uses this one uses that one, and its stream is the same.
    #[must_use]
    pub fn successor(&self, opening: Opening) -> Self {
        Self {
            usage: Arc::clone(&self.usage),
            ..Self::new(Arc::clone(&self.id), opening, Arc::clone(&self.outlet))
        }
    }

    /// Keeps the session from expiring while the guard lives.
    #[must_use]
    pub fn hold(&self) -> Use {
        self.usage.lock().n_uses += 1;
        Use(Arc::clone(&self.usage))
    }

    /// Whether nobody used it for `idle`.
    #[must_use]
    pub fn is_idle(&self, idle: Duration) -> bool {
        let usage = self.usage.lock();
        usage.n_uses == 0 && usage.last.elapsed() >= idle
    }

    /// Whether it ended. Each request asks: the token would be locked for that.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// Whether somebody made sure within `every` that it did not end elsewhere.
    #[must_use]
    pub fn is_confirmed(&self, every: Duration) -> bool {
        self.state.lock().confirmed.elapsed() < every
    }

    /// Whether nobody made sure for `every` that it did not end elsewhere: true for one who asks.
    #[must_use]
    pub fn is_unconfirmed(&self, every: Duration) -> bool {
        let mut state = self.state.lock();
        let is_due = state.confirmed.elapsed() >= every;
        if is_due {
            state.confirmed = Instant::now();
        }
        is_due
    }

    /// Notes that other instances know the session.
    pub fn note_saved(&self) {
        self.is_saved.store(true, Ordering::Release);
    }

    /// Notes whether other instances know the session as it was before something of it changed.
    pub fn note_behind(&self, is_behind: bool) {
        self.is_behind.store(is_behind, Ordering::Release);
    }

    /// Whether other instances know the session as it was before.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.is_behind.load(Ordering::Acquire)
    }

    /// Whether other instances know the session, or did: one that they do not know any more has ended.
    #[must_use]
    pub fn is_saved(&self) -> bool {
        self.is_saved.load(Ordering::Acquire)
    }

    /// The level of log messages that the client asked for.
    #[must_use]
    pub fn log_level(&self) -> Option<String> {
        self.state.lock().log_level.clone()
    }

    /// Sets the level of log messages.
    pub fn set_log_level(&self, level: Option<String>) {
        self.state.lock().log_level = level;
    }

    /// Begins a question to the client: its id, as JSON text, and where its answer comes. Nothing
    /// where too many wait already.
    #[must_use]
    pub fn question(&self) -> Option<(String, oneshot::Receiver<Reply>)> {
        let number = self.serial.fetch_add(1, Ordering::Relaxed);
        let id = format!("\"conduit-{number}\"");
        let (sender, receiver) = oneshot::channel();
        let mut state = self.state.lock();
        state.questions.retain(|_, waiting| !waiting.is_closed());
        if state.questions.len() >= QUESTIONS_MAX {
            return None;
        }
        state.questions.insert(id.clone(), sender);
        Some((id, receiver))
    }

    /// Takes the client's answer to a question; `false` where none of that id waits.
    pub fn reply(&self, id: &str, reply: Reply) -> bool {
        let waiting = self.state.lock().questions.remove(id);
        waiting.is_some_and(|waiting| waiting.send(reply).is_ok())
    }

    /// Notes a subscription; `false` where there are too many.
    pub fn subscribe(&self, uri: &str) -> bool {
        let mut state = self.state.lock();
        if state.subscriptions.len() >= SUBSCRIPTIONS_MAX && !state.subscriptions.contains(uri) {
            return false;
        }
        state.subscriptions.insert(uri.to_owned());
        true
    }

    /// Forgets a subscription.
    pub fn unsubscribe(&self, uri: &str) {
        let mut state = self.state.lock();
        state.subscriptions.remove(uri);
        state.followers.remove(uri);
    }

    /// What is subscribed to, as the client spells it.
    #[must_use]
    pub fn subscriptions(&self) -> Vec<String> {
        self.state.lock().subscriptions.iter().cloned().collect()
    }

    /// Whether a resource is subscribed to.
    #[must_use]
    pub fn is_subscribed(&self, uri: &str) -> bool {
        self.state.lock().subscriptions.contains(uri)
    }

    /// Begins to follow changes for a subscription; gives what says when to stop.
    #[must_use]
    pub fn follow(&self, uri: &str) -> CancellationToken {
        let over = CancellationToken::new();
        let guard = over.clone().drop_guard();
        self.state.lock().followers.insert(uri.to_owned(), guard);
        over
    }

    /// Ends it: what waits is let go, sessions with servers are closed.
    pub fn end(&self) {
        self.outlet.close();
        self.give_way();
    }

    /// Ends it as [`Self::end`] does, but leaves its outlet to the session that takes its place.
    pub fn give_way(&self) {
        for upstream in self.let_go() {
            upstream.close_later();
        }
    }

    /// Ends it on this instance only: sessions with servers stay, for another instance uses them.
    pub fn leave(&self) {
        self.outlet.close();
        for upstream in self.let_go() {
            upstream.lose();
        }
    }

    /// Lets go of all that waits; gives the sessions with servers. None is added from now on.
    fn let_go(&self) -> Vec<Arc<Upstream>> {
        let mut state = self.state.lock();
        self.is_over.store(true, Ordering::Release);
        self.over.cancel();
        state.questions.clear();
        state.followers.clear();
        for running in state.calls.values() {
            running.cancel.cancel();
        }
        let links = state.links.drain();
        links
            .filter_map(|(_, link)| match link {
                Link::Legacy(upstream) => Some(upstream),
                Link::Modern => None,
            })
            .collect()
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        let mut usage = self.0.lock();
        usage.n_uses = usage.n_uses.saturating_sub(1);
        usage.last = Instant::now();
    }
}
