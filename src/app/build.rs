//! Builds the running parts from the configuration: what lasts, each server's own, and the snapshot
//! that requests are served from.

mod approvals;
pub(super) mod gatehouse;
pub(super) mod parts;
pub(super) mod snapshot;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use anyhow::Context;
use parking_lot::Mutex;
use pingora::connectors::TransportConnector;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::app::cached;
use crate::app::limited;
use crate::config::Config;
use crate::config::model::Secret;
use crate::config::model::session::Store as StoreConfig;
use crate::lock::Lock;
use crate::state::live::{self, Live};
use crate::state::parked;
use crate::state::sessions;
use crate::state::store::{self, Store};
use crate::stdio::runtime::Runtime;
use crate::upstream::found::Found;

/// What all servers' parts are built with.
pub(super) struct Workshop {
    pub(super) live: Arc<Live>,
    /// Ends whatever runs for servers.
    pub(super) stop: CancellationToken,
    /// Reading the system's root certificates is slow: one connector serves all.
    pub(super) transport: Arc<TransportConnector>,
    /// Where it is told how servers are really reached.
    found: mpsc::Sender<Found>,
    /// Numbers parts.
    serial: AtomicU64,
    /// The private directory of the supervisors' sockets, once there is one.
    runtime: Mutex<Option<Runtime>>,
}

impl Workshop {
    /// A workshop in which nothing was built yet. What is found out about servers goes to `found`.
    pub(super) fn new(live: Arc<Live>, found: mpsc::Sender<Found>) -> Self {
        Self {
            live,
            stop: CancellationToken::new(),
            transport: Arc::new(TransportConnector::new(None)),
            found,
            serial: AtomicU64::new(0),
            runtime: Mutex::default(),
        }
    }

    /// The path of the supervisors' sockets.
    #[cfg(test)]
    pub(super) fn directory(&self) -> Option<PathBuf> {
        let runtime = self.runtime.lock();
        Some(runtime.as_ref()?.directory().to_owned())
    }

    /// The private directory of the supervisors' sockets.
    ///
    /// # Errors
    /// Where there is none and none can be made.
    fn runtime(&self) -> anyhow::Result<Runtime> {
        let mut runtime = self.runtime.lock();
        if let Some(runtime) = &*runtime {
            return Ok(runtime.clone());
        }
        // Not the path we were started by: a new version may stand there by now.
        let opened = Runtime::open(PathBuf::from("/proc/self/exe"))?;
        Ok(runtime.insert(opened).clone())
    }
}

/// What the lasting parts are made from.
///
/// # Errors
/// Where the store of sessions, or the file of what was approved, cannot be used.
pub(super) fn live(config: &Config) -> anyhow::Result<live::Spec> {
    let sessions = &config.sessions;
    let secret = sessions.secret.as_ref().map(Secret::expose);
    let store = match &sessions.store {
        StoreConfig::Memory => Store::in_memory(secret),
        StoreConfig::Redis(redis) => Store::in_redis(&store::redis::Spec {
            url: redis.url.expose(),
            key_prefix: &redis.key_prefix,
            secret,
            budget: store::redis::BUDGET,
        }),
    };
    let store = store.context("sessions")?;
    Ok(live::Spec {
        sessions: sessions::Limits {
            max: sessions.max_sessions,
            max_per_client: sessions.max_per_client,
            idle: sessions.idle,
        },
        parking: parked::Limits {
            max: sessions.parked.max_calls,
            max_per_client: sessions.parked.max_per_client,
            ttl: sessions.parked.ttl,
        },
        store,
        cache: cached::cache(&config.cache)?,
        limiter: limited::limiter(&config.rate_limits)?,
        lock: Lock::open(&config.tool_lock.file).context("tool_lock_file")?,
    })
}
