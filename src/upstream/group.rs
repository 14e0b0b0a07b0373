//! Legacy sessions for callers that have none of their own: modern clients, and the catalog.
//!
//! Callers share a group's sessions if to the server they are the same: one principal, one
//! credential, the same capabilities.
//!
//! **Invariant:** a call that may be asked something, or that wants log messages, has a session to
//! itself while it lasts, and calls that share one do not enter it: what the server says then can
//! belong to nothing else.

mod follow;
mod usage;

pub use follow::Follower;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use pingora_timeout::fast_timeout::fast_timeout;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};

use filters::refusal::Phase;

use crate::upstream::error::Error;
use crate::upstream::fields::Caller;
use crate::upstream::group::follow::Followers;
use crate::upstream::group::usage::Use;
use crate::upstream::remote::Remote;
use crate::upstream::session::Session;
use crate::upstream::session::open::{OpenError, Unfinished};

/// Most sessions of one group that calls have to themselves; a further call waits for one. There is
/// one more that the others share.
const SESSIONS_MAX: usize = 64;
/// Most groups of one server.
const GROUPS_MAX: usize = 4096;
/// Messages that a slow follower may be behind.
const BACKLOG: usize = 1024;

/// Who shares sessions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The caller's principal, or the gateway's own name.
    pub principal: Arc<str>,
    /// The credential that goes to the server.
    pub authorization: Option<String>,
    /// The canonical text of the declared capabilities.
    pub capabilities: String,
}

/// The groups of one server.
#[derive(Default)]
pub struct Groups {
    groups: Mutex<HashMap<Key, Arc<Group>>>,
}

/// Sessions that callers share.
pub struct Group {
    remote: Arc<Remote>,
    caller: Caller,
    capabilities: String,
    slots: Mutex<Vec<Slot>>,
    /// Held while a session is opened, so that a burst opens no more than it needs.
    opening: tokio::sync::Mutex<()>,
    places: Arc<Semaphore>,
    notices: broadcast::Sender<Arc<str>>,
    followers: Followers,
}

struct Slot {
    session: Arc<Session>,
    usage: Use,
}

impl Groups {
    /// The group of `key`, made where there is none. A full table drops groups that nobody uses.
    ///
    /// # Errors
    /// [`Error::Busy`] where every group is in use.
    pub fn find(
        &self,
        key: &Key,
        remote: &Arc<Remote>,
        caller: &Caller,
    ) -> Result<Arc<Group>, Error> {
        let mut groups = self.groups.lock();
        if let Some(group) = groups.get(key) {
            return Ok(Arc::clone(group));
        }
        if groups.len() >= GROUPS_MAX {
            groups.retain(|_, group| Arc::strong_count(group) > 1);
        }
        if groups.len() >= GROUPS_MAX {
            return Err(Error::Busy);
        }
        let group = Arc::new(Group {
            remote: Arc::clone(remote),
            caller: caller.lasting(),
            capabilities: key.capabilities.clone(),
            slots: Mutex::new(Vec::new()),
            opening: tokio::sync::Mutex::new(()),
            places: Arc::new(Semaphore::new(SESSIONS_MAX)),
            notices: broadcast::channel(BACKLOG).0,
            followers: Followers::default(),
        });
        groups.insert(key.clone(), Arc::clone(&group));
        Ok(group)
    }

    /// Ends sessions that were not used for `idle`, and forgets groups without any.
    pub fn sweep(&self, idle: Duration) {
        let mut groups = self.groups.lock();
        groups.retain(|_, group| {
            group.sweep(idle);
            Arc::strong_count(group) > 1 || !group.slots.lock().is_empty()
        });
    }

    /// Takes out all sessions; whoever is in one stays in it until it is ended.
    #[must_use]
    pub fn empty(&self) -> Vec<Arc<Session>> {
        let groups = std::mem::take(&mut *self.groups.lock());
        let slots = groups.values();
        slots
            .flat_map(|group| std::mem::take(&mut *group.slots.lock()))
            .map(|slot| slot.session)
            .collect()
    }

    /// How many sessions there are.
    #[must_use]
    pub fn n_sessions(&self) -> usize {
        let groups = self.groups.lock();
        groups.values().map(|group| group.slots.lock().len()).sum()
    }
}

/// A session in use by one call.
pub struct Lease {
    /// The session.
    pub session: Arc<Session>,
    group: Arc<Group>,
    place: Option<OwnedSemaphorePermit>,
}

impl Lease {
    /// Whether the call has the session to itself.
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.place.is_some()
    }

    /// Tells all who follow the group's sessions what came on the stream of a call.
    pub fn publish(&self, notice: &str) {
        // Nobody may be following.
        self.group.notices.send(Arc::from(notice)).ok();
    }
}

impl Group {
    /// The capabilities that its sessions declare, JSON text.
    #[must_use]
    pub fn capabilities(&self) -> &str {
        &self.capabilities
    }

    /// A session for a call that shares it with others.
    ///
    /// # Errors
    /// Where none can be opened.
    pub async fn share(self: &Arc<Self>) -> Result<Lease, OpenError> {
        let shared = self.enter(Use::shared);
        let session = match shared {
            Some(session) => session,
            None => self.open(Use::shared).await?,
        };
        Ok(Lease {
            session,
            group: Arc::clone(self),
            place: None,
        })
    }

    /// A session for one call alone: the one used last, so that what a server remembers is found
    /// again by whoever calls it one by one.
    ///
    /// # Errors
    /// Where none can be opened, or none became free before `deadline`.
    pub async fn take(self: &Arc<Self>, deadline: Instant) -> Result<Lease, OpenError> {
        let left = deadline.saturating_duration_since(Instant::now());
        let place = fast_timeout(left, Arc::clone(&self.places).acquire_owned())
            .await
            .map_err(|_| Error::Timeout(Phase::Total))?
            .map_err(|_| Error::Busy)?;
        let free = self.enter(Use::taken);
        let session = match free {
            Some(session) => session,
            None => self.open(Use::taken).await?,
        };
        Ok(Lease {
            session,
            group: Arc::clone(self),
            place: Some(place),
        })
    }

    /// Waits to open a session: behind a server that hangs, no longer than the first who did.
    async fn turn(&self) -> Result<tokio::sync::MutexGuard<'_, ()>, Error> {
        let limits = self.remote.cluster.limits;
        fast_timeout(limits.connect + limits.header, self.opening.lock())
            .await
            .map_err(|_| Error::Timeout(Phase::Header))
    }

    /// The oldest session, for what is no call; opened where there is none.
    ///
    /// # Errors
    /// Where it cannot be opened.
    pub async fn main(self: &Arc<Self>) -> Result<Arc<Session>, OpenError> {
        if let Some(session) = self.first() {
            return Ok(session);
        }
        let _turn = self.turn().await?;
        match self.first() {
            Some(session) => Ok(session),
            None => self.open_now(Use::FREE).await,
        }
    }

    fn first(&self) -> Option<Arc<Session>> {
        let mut slots = self.slots.lock();
        slots.retain(|slot| !slot.session.is_over());
        slots.first().map(|slot| Arc::clone(&slot.session))
    }

    /// The first session that `enter` lets a call into.
    fn enter(&self, enter: fn(Use) -> Option<Use>) -> Option<Arc<Session>> {
        let mut slots = self.slots.lock();
        slots.retain(|slot| !slot.session.is_over());
        slots.iter_mut().find_map(|slot| {
            slot.usage = enter(slot.usage)?;
            Some(Arc::clone(&slot.session))
        })
    }

    /// As [`Self::enter`], with a new session where there is no other.
    async fn open(
        self: &Arc<Self>,
        enter: fn(Use) -> Option<Use>,
    ) -> Result<Arc<Session>, OpenError> {
        let _turn = self.turn().await?;
        match self.enter(enter) {
            Some(session) => Ok(session),
            None => {
                let usage = enter(Use::FREE).unwrap_or(Use::FREE);
                self.open_now(usage).await
            }
        }
    }

    async fn open_now(self: &Arc<Self>, usage: Use) -> Result<Arc<Session>, OpenError> {
        let opened = Session::open(&self.remote, &self.caller, &self.capabilities).await?;
        let opened = Unfinished::of(opened);
        let session = &opened.session;
        session.relay_to(self.notices.clone());
        if self.capabilities != "{}" {
            session.attend().await;
        }
        let session = opened.finish();
        self.slots.lock().push(Slot {
            session: Arc::clone(&session),
            usage,
        });
        Ok(session)
    }

    fn sweep(&self, idle: Duration) {
        let is_followed = self.followers.is_any();
        let mut is_first = true;
        self.slots.lock().retain(|slot| {
            // Followers listen on the first.
            let is_needed = std::mem::take(&mut is_first) && is_followed;
            let is_kept = !slot.session.is_over()
                && (slot.usage != Use::FREE || is_needed || slot.session.used().elapsed() < idle);
            if !is_kept {
                Arc::clone(&slot.session).close_later();
            }
            is_kept
        });
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for slot in self.slots.get_mut().drain(..) {
            slot.session.close_later();
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut slots = self.group.slots.lock();
        if let Some(slot) = slots
            .iter_mut()
            .find(|slot| Arc::ptr_eq(&slot.session, &self.session))
        {
            slot.usage = slot.usage.left();
        }
    }
}
