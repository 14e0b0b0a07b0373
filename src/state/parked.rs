//! Calls of modern clients that a legacy server asked something in the middle of: they wait here,
//! answer stream and all, until the client comes back with what was asked.
//!
//! **Invariant:** a parked call is taken once, by the principal that made it, for the same request;
//! one that nobody takes is let go in time, and its server is told.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use filters::cache::invalidate::Reach;
use filters::identity;
use parking_lot::Mutex;
use tokio::sync::broadcast;

use crate::upstream::error::Error;
use crate::upstream::group::Lease;
use crate::upstream::remote::Remote;
use crate::upstream::session::resume;
use crate::upstream::talk::Talk;

/// The bounds of all parked calls.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most calls.
    pub max: usize,
    /// Most calls of one principal.
    pub max_per_client: usize,
    /// How long one waits.
    pub ttl: Duration,
}

/// What a server asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Its key among the input requests.
    pub key: String,
    /// The id of the server's request, JSON text.
    pub id: String,
    /// Its method.
    pub method: String,
    /// Its params, JSON text.
    pub params: String,
}

/// A call in a session that the gateway holds for it.
pub struct Call {
    /// The session it runs in.
    pub lease: Lease,
    /// Its answer, so far.
    pub talk: Talk,
    /// How often the answer's stream was resumed.
    pub n_resumes: u32,
    /// Its id in that session, JSON text.
    pub id: String,
    /// What the session's own stream has brought since before the call was sent.
    pub notices: broadcast::Receiver<Arc<str>>,
}

impl Call {
    /// What the server says next, as far as it can belong to the call: a server may ask on its
    /// session's own stream, and means the call that has the session to itself. Cancel-safe.
    ///
    /// # Errors
    /// As [`Talk::next`].
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let is_own = self.lease.is_own();
        tokio::select! {
            biased;
            message = resume::next(&self.lease.session, &mut self.talk, &mut self.n_resumes) => message,
            Ok(notice) = self.notices.recv(), if is_own => {
                Ok(Some(Bytes::copy_from_slice(notice.as_bytes())))
            }
        }
    }
}

/// A call that waits.
pub struct Parked {
    /// Whose it is.
    pub principal: Arc<str>,
    /// A digest of its method and params.
    pub request: [u8; 32],
    /// The call itself.
    pub call: Call,
    /// What is asked.
    pub questions: Vec<Question>,
    /// What it may make stale.
    pub reach: Option<Reach>,
    /// Until when it waits.
    pub until: Instant,
}

/// The calls that wait.
pub struct Parking {
    /// Their bounds.
    pub limits: Limits,
    places: Mutex<Places>,
}

#[derive(Default)]
struct Places {
    calls: HashMap<[u8; 16], Parked>,
    by_payer: HashMap<Arc<str>, usize>,
}

impl Places {
    fn remove(&mut self, key: &[u8; 16]) -> Option<Parked> {
        let parked = self.calls.remove(key)?;
        let payer = identity::payer(&parked.principal);
        if let Some(own) = self.by_payer.get_mut(&payer) {
            *own -= 1;
            if *own == 0 {
                self.by_payer.remove(&payer);
            }
        }
        Some(parked)
    }
}

impl Parking {
    /// Nothing waits yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            places: Mutex::default(),
        }
    }

    /// Parks a call under a random key.
    ///
    /// # Errors
    /// The call itself, where there is no place for it.
    pub fn park(&self, key: [u8; 16], parked: Parked) -> Result<(), Box<Parked>> {
        let mut places = self.places.lock();
        let payer = identity::payer(&parked.principal);
        let own = places.by_payer.get(&payer).copied().unwrap_or_default();
        let is_full = places.calls.len() >= self.limits.max || own >= self.limits.max_per_client;
        if is_full || places.calls.contains_key(&key) {
            return Err(Box::new(parked));
        }
        *places.by_payer.entry(payer).or_insert(0) += 1;
        places.calls.insert(key, parked);
        Ok(())
    }

    /// Takes a call, if it is this principal's and for this request. A foreign hand leaves it where
    /// it is.
    #[must_use]
    pub fn take(&self, key: &[u8; 16], principal: &str, request: &[u8; 32]) -> Option<Parked> {
        let mut places = self.places.lock();
        let parked = places.calls.get(key)?;
        let is_own = *parked.principal == *principal && parked.request == *request;
        let is_due = Instant::now() < parked.until;
        (is_own && is_due).then(|| places.remove(key)).flatten()
    }

    /// Takes out the calls whose time is over.
    #[must_use]
    pub fn expired(&self) -> Vec<Parked> {
        let now = Instant::now();
        let mut places = self.places.lock();
        let due = places.calls.iter().filter(|(_, one)| one.until <= now);
        let due: Vec<[u8; 16]> = due.map(|(key, _)| *key).collect();
        due.iter().filter_map(|key| places.remove(key)).collect()
    }

    /// Takes out all calls: the gateway ends.
    #[must_use]
    pub fn empty(&self) -> Vec<Parked> {
        let mut places = self.places.lock();
        places.by_payer.clear();
        places.calls.drain().map(|(_, parked)| parked).collect()
    }

    /// Whether a call waits in a session with one of these servers.
    #[must_use]
    pub fn is_any_at(&self, remotes: &[Arc<Remote>]) -> bool {
        let places = self.places.lock();
        let is_there = |parked: &Parked| {
            let own = &parked.call.lease.session.remote;
            remotes.iter().any(|remote| Arc::ptr_eq(remote, own))
        };
        places.calls.values().any(is_there)
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.lock().calls.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
