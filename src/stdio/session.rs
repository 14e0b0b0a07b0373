//! The legacy sessions of one server.
//!
//! **Invariant:** a session id is random, and is an answer to `initialize` before it means anything;
//! when a session's child is gone so is the session, and its client is told to initialize again
//! (404).

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::desk::Desk;
use super::failure::Failure;
use super::link::Link;
use super::link::audience::Audience;

/// Random bytes of a session id.
const ID_BYTES: usize = 16;

/// All sessions of one server.
#[derive(Debug)]
pub(super) struct Sessions {
    table: Mutex<HashMap<String, Arc<Session>>>,
    numbers: AtomicU64,
    places: Arc<Semaphore>,
    sessions_max: usize,
}

/// One legacy client's session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: String,
    /// Its number among the sessions of its child.
    pub(super) number: u64,
    pub(super) link: Arc<Link>,
    pub(super) desk: Arc<Desk>,
    /// Ends its child; none where the child is shared.
    stop: Option<CancellationToken>,
    used: Mutex<Instant>,
    _place: OwnedSemaphorePermit,
}

impl Sessions {
    pub(super) fn new(sessions_max: usize) -> Self {
        Self {
            table: Mutex::default(),
            numbers: AtomicU64::new(1),
            places: Arc::new(Semaphore::new(sessions_max.min(Semaphore::MAX_PERMITS))),
            sessions_max,
        }
    }

    /// Sessions that are open now.
    pub(super) fn len(&self) -> usize {
        self.table.lock().len()
    }

    /// A place for one more session.
    ///
    /// # Errors
    /// [`Failure::TooMany`] at the bound.
    pub(super) fn place(&self) -> Result<OwnedSemaphorePermit, Failure> {
        Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| Failure::TooMany {
                what: "sessions",
                max: self.sessions_max,
            })
    }

    /// Opens a session on `link`, which is its own if it may `stop` it.
    ///
    /// # Errors
    /// [`Failure::ShuttingDown`] where the system gives no random bytes, without which no session
    /// is safe.
    pub(super) fn open(
        &self,
        place: OwnedSemaphorePermit,
        link: Arc<Link>,
        desk: Arc<Desk>,
        stop: Option<CancellationToken>,
    ) -> Result<Arc<Session>, Failure> {
        let session = Arc::new(Session {
            id: random_id().map_err(|_| Failure::ShuttingDown)?,
            number: self.numbers.fetch_add(1, Ordering::Relaxed),
            link,
            desk,
            stop,
            used: Mutex::new(Instant::now()),
            _place: place,
        });
        let kept = Arc::clone(&session);
        self.table.lock().insert(session.id.clone(), kept);
        Ok(session)
    }

    /// The session of that id, used now.
    ///
    /// # Errors
    /// [`Failure::SessionUnknown`] where there is none, or its child is gone.
    pub(super) fn find(&self, id: &str) -> Result<Arc<Session>, Failure> {
        let found = self.table.lock().get(id).cloned();
        let session = found.ok_or(Failure::SessionUnknown)?;
        if !session.link.is_open() {
            self.end(id);
            return Err(Failure::SessionUnknown);
        }
        *session.used.lock() = Instant::now();
        Ok(session)
    }

    /// Ends a session, and its child if that is its own. `false` where there is none.
    pub(super) fn end(&self, id: &str) -> bool {
        let Some(session) = self.table.lock().remove(id) else {
            return false;
        };
        session.desk.close();
        match &session.stop {
            Some(stop) => stop.cancel(),
            None => session.link.end_session(session.number),
        }
        true
    }

    /// Ends the sessions that nobody has used for `idle`, and those whose child is gone.
    pub(super) fn sweep(&self, idle: Duration) {
        let over: Vec<String> = {
            let table = self.table.lock();
            let over = table.values().filter(|session| session.is_over(idle));
            over.map(|session| session.id.clone()).collect()
        };
        for id in over {
            self.end(&id);
        }
        let links: Vec<Arc<Link>> = {
            let table = self.table.lock();
            table
                .values()
                .map(|session| Arc::clone(&session.link))
                .collect()
        };
        for link in links {
            link.forget_abandoned(idle);
        }
    }

    /// The links of all sessions, each child's once.
    pub(super) fn own_links(&self) -> Vec<Arc<Link>> {
        let table = self.table.lock();
        let own = table.values().filter(|session| session.stop.is_some());
        own.map(|session| Arc::clone(&session.link)).collect()
    }

    /// Ends every session's event stream.
    pub(super) fn close_streams(&self) {
        for session in self.table.lock().values() {
            session.desk.close();
        }
    }
}

impl Session {
    fn is_over(&self, idle: Duration) -> bool {
        if !self.link.is_open() {
            return true;
        }
        let mut used = self.used.lock();
        if self.desk.has_stream() || self.link.is_awaited_by(self.number) {
            *used = Instant::now();
        }
        used.elapsed() >= idle
    }

    /// Whether its child serves other sessions too.
    pub(super) fn is_shared(&self) -> bool {
        matches!(self.link.audience, Audience::Sessions(_))
    }
}

fn random_id() -> Result<String, getrandom::Error> {
    let mut random = [0_u8; ID_BYTES];
    getrandom::fill(&mut random)?;
    let mut id = String::with_capacity(2 * ID_BYTES);
    for byte in random {
        // Writing to a string cannot fail.
        write!(id, "{byte:02x}").ok();
    }
    Ok(id)
}
