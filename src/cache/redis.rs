//! The second tier: results that instances share through Redis, and how they agree on what is invalid.
//!
//! | key, after the prefix | value | until |
//! |---|---|---|
//! | `e:<key>` | an entry: see `value` | its lifetime is over |
//! | `v:<server>` | a server's versions: see [`versions`] | three days after the last store |
//! | `l:<key>` | who fetches it | the lease is over |
//!
//! Invalidations are told on the channel `inv`, and acknowledged on `ack:<instance>`.
//!
//! What looks something up learns its versions with it, and a result that is fetched then is stored
//! only if they are still the same. An invalidation makes new ones. So what was read before a write
//! is never found after it, whichever instance read it and however late it stores it.
//!
//! A run of Redis has an id. Versions of another run are not believed: a Redis that was restarted from a
//! file, or a replica that took over, may not know of the last invalidations.
//!
//! Results are not sealed: whoever can read this Redis can read them, whoever they were for.
//!
//! It takes Redis 6.2 or later, one primary and not a cluster: a script reads keys of several slots. A
//! time is what Redis says is left of it, and what it loses or drops for want of room is only missed.
//!
//! **Invariant:** nothing on a request's path waits longer than the time-out; after the first time-out or
//! error nobody asks until Redis was found to answer again.
//! **Invariant:** Redis is not used while it was not told of an invalidation of this instance.
//! **Invariant:** age is never told by comparing the clocks of two machines.

mod circuit;
mod connection;
pub mod counts;
mod ear;
mod flush;
mod keeper;
pub mod look_up;
mod queue;
mod script;
mod value;
pub mod versions;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use filters::cache::invalidate::Reach;
use redis::Client;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::cache::entry::Entry;
use crate::cache::memory::Memory;
use crate::cache::redis::circuit::{Circuit, Debt};
use crate::cache::redis::connection::Connection;
use crate::cache::redis::counts::{Counts, Stats, count};
use crate::cache::redis::ear::Ear;
use crate::cache::redis::queue::{Put, Queue, Store};
use crate::cache::redis::script::Names;
use crate::cache::redis::versions::Versions;
use crate::cache::redis::writer::Room;
use crate::kv;

/// How long one look-up may take, unless a [`Spec`] says otherwise.
pub const TIMEOUT: Duration = Duration::from_millis(50);

/// How long an invalidation waits until all instances have heard it.
pub const COHERENCE_BUDGET: Duration = Duration::from_millis(100);

/// How long memory may keep what it is given while invalidations of other instances are not heard.
pub const BLIND_MAX: Duration = Duration::from_secs(10);

/// How long versions are kept after the last store: longer than any entry.
pub(crate) const VERSIONS_KEPT: Duration = Duration::from_secs(3 * 24 * 60 * 60);

/// Where Redis is and how it is used.
#[derive(Clone, Copy)]
pub struct Spec<'a> {
    /// Its URL.
    pub url: &'a str,
    /// What keys and channels begin with.
    pub key_prefix: &'a str,
    /// How much longer than in memory results stay fresh here, where the operator set their time.
    pub multiplier: f64,
    /// The longest result that is stored, in bytes.
    pub entry_bytes_max: usize,
    /// How long one look-up may take.
    pub timeout: Duration,
    /// How long one instance fetches while others wait for it; `None`: they do not wait.
    pub lease: Option<Duration>,
}

/// Why Redis did not do what it was asked to. The text is for the operator.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// What goes wrong with Redis whatever it is used for.
    #[error(transparent)]
    Kv(#[from] kv::Error),
    /// Who invalidated something did not wait until Redis was told.
    #[error("an invalidation was abandoned")]
    Abandoned,
    /// The subscription broke, or more came than could be heard.
    #[error("the subscription was lost")]
    Unheard,
    /// The system gives no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Randomness(getrandom::Error),
}

/// The second tier.
pub struct Redis {
    client: Client,
    listener: Client,
    names: Names,
    multiplier: f64,
    entry_bytes_max: usize,
    timeout: Duration,
    lease: Option<Duration>,
    circuit: Circuit,
    queue: Arc<Queue>,
    ear: Ear,
    room: Room,
    n_tokens: AtomicU64,
    counts: Counts,
}

/// What became of an invalidation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalidated {
    /// No instance that can be heard of gives what was invalidated any more.
    Everywhere,
    /// Redis gives it no more; so many instances did not say in time that they do not.
    Unacknowledged(usize),
    /// Redis could not be told. It will be before this instance uses it again.
    Later,
}

// === impl Redis ===

impl Redis {
    /// A second tier. Nothing is connected until [`Redis::run`], and Redis need not be there.
    ///
    /// # Errors
    /// If the URL cannot be used.
    pub fn new(spec: &Spec<'_>) -> Result<Arc<Self>, Error> {
        let client = kv::client(spec.url)?;
        Ok(Arc::new(Self {
            listener: ear::listener(&client)?,
            client,
            names: Names::new(spec.key_prefix),
            multiplier: spec.multiplier,
            entry_bytes_max: spec.entry_bytes_max,
            timeout: spec.timeout,
            lease: spec.lease,
            circuit: Circuit::default(),
            queue: Arc::default(),
            ear: Ear::new(unique()?),
            room: Room::default(),
            n_tokens: AtomicU64::new(0),
            counts: Counts::default(),
        }))
    }

    /// Connects, writes, and hears what other instances invalidate, until `stop`. Without this Redis is
    /// not used.
    pub async fn run(self: Arc<Self>, memory: Arc<Memory>, stop: CancellationToken) {
        let work = async { tokio::join!(self.keep(), self.write(), self.listen(&memory)) };
        if stop.run_until_cancelled(Box::pin(work)).await.is_none() {
            self.circuit.end();
            self.ear.deafen(&memory);
        }
    }

    /// Has an entry stored, later, unless something that concerns it is invalidated until then.
    pub fn store(&self, entry: Arc<Entry>, versions: &Versions) {
        let Some(stamp) = versions.stamp(&entry.key) else {
            return;
        };
        if entry.text.len() > self.entry_bytes_max {
            return;
        }
        let stamp = stamp.into();
        match self.queue.put(Store {
            entry,
            stamp,
            clock: versions.clock(),
        }) {
            Put::Waits => {}
            Put::Replaced => count(&self.counts.writes_coalesced),
            Put::Dropped => count(&self.counts.writes_dropped),
        }
    }

    /// Makes everything invalid that `reach` covers of a server, here and in the memory of all
    /// instances, within [`COHERENCE_BUDGET`]. The caller's own memory has to be told after this as well:
    /// what it was promoted meanwhile may be old, and this instance may hear nothing. Where the caller is
    /// dropped before Redis was told, it is told later.
    pub async fn invalidate(&self, server: &Arc<str>, reach: &Reach) -> Invalidated {
        let deadline = Instant::now() + COHERENCE_BUDGET;
        let wait = self.ear.wait();
        let mut debt = Debt::new(&self.circuit, server, reach);
        let told = match self.circuit.connection() {
            Ok(connection) => {
                let budget = self.timeout;
                self.bump(&connection, server, reach, &wait.id, budget)
                    .await
            }
            Err(error) => Err(error),
        };
        match told {
            Ok(n_told) => {
                debt.pay();
                match wait.heard(n_told, deadline).await {
                    0 => Invalidated::Everywhere,
                    n_missing => Invalidated::Unacknowledged(n_missing),
                }
            }
            Err(error) => {
                self.count_failure(&error);
                debt.fail(error);
                Invalidated::Later
            }
        }
    }

    /// Whether invalidations of other instances are not heard.
    #[must_use]
    pub fn is_blind(&self) -> bool {
        self.ear.is_deaf()
    }

    /// How long memory may keep what it is given now, whatever its lifetime.
    #[must_use]
    pub fn lifetime_cap(&self) -> Option<Duration> {
        self.is_blind().then_some(BLIND_MAX)
    }

    /// What was done.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.counts.read(self.circuit.is_closed())
    }

    /// A text that no instance has used before.
    fn token(&self) -> String {
        let n = self.n_tokens.fetch_add(1, Ordering::Relaxed);
        format!("{}-{n:x}", self.ear.instance)
    }

    /// Notes that a question failed: nobody asks another on this connection.
    fn failed(&self, connection: &Arc<Connection>, error: &Error) {
        self.count_failure(error);
        self.circuit.open(connection, error);
    }

    fn count_failure(&self, error: &Error) {
        if !matches!(error, Error::Kv(kv::Error::Unused)) {
            count(&self.counts.errors);
        }
    }
}

/// A name that no other instance has.
fn unique() -> Result<String, Error> {
    let mut bytes = [0_u8; 12];
    getrandom::fill(&mut bytes).map_err(Error::Randomness)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
