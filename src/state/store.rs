//! What gateways keep together: sessions that any of them can serve, and marks of what was used up.
//!
//! A gateway that is alone keeps its sessions itself, and only marks here. Several share a Redis.
//! It is asked when a session begins, is first used on an instance, changes or ends; never for
//! each call.
//!
//! **Invariant:** no operation takes longer than its budget ([`redis::BUDGET`]); what cannot be done in
//! it is an error.
//! **Invariant:** nothing that Redis holds lets its reader use a session: keys are digests of ids, and
//! records are sealed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use filters::seal;
use serde::{Deserialize, Serialize};

use crate::state::store::memory::Marks;
use crate::state::store::redis::Redis;

pub mod link;
pub mod memory;
pub mod redis;

/// The largest record that is kept, in bytes.
pub const RECORD_BYTES_MAX: usize = 256 * 1024;

/// A session of a client, as much of it as another gateway needs to go on with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Whose session it is.
    pub principal: String,
    /// What it reaches: `server:<id>` or `profile:<id>`.
    pub scope: String,
    /// The revision the client speaks.
    pub revision: String,
    /// What the client can do, as the JSON it sent.
    pub client_capabilities: String,
    /// What the client is, as the JSON it sent.
    #[serde(default)]
    pub client_info: Option<String>,
    /// The level the client set for log messages.
    #[serde(default)]
    pub log_level: Option<String>,
    /// The URIs of the resources the client subscribed to.
    #[serde(default)]
    pub subscriptions: Vec<String>,
    /// The sessions with upstreams behind it, by server id.
    #[serde(default)]
    pub upstreams: BTreeMap<String, Upstream>,
}

/// A session with an upstream. `Debug` does not show its id.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upstream {
    /// The upstream's id for it, if it gave one.
    #[serde(default)]
    pub session: Option<String>,
    /// The revision the upstream speaks in it.
    pub revision: String,
    /// Which replica made it, by its place among the server's replicas.
    #[serde(default)]
    pub replica: Option<usize>,
}

/// Why a store did not do what it was asked to. The text is for the operator.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The URL of Redis cannot be used. It is not shown: it may hold a password.
    #[error("the Redis URL cannot be used")]
    ConfigUrl(#[source] Arc<::redis::RedisError>),
    /// No connection to Redis could be made.
    #[error("Redis cannot be reached")]
    Connect(#[source] Arc<::redis::RedisError>),
    /// Redis refused a command, or the connection broke.
    #[error("Redis failed")]
    Command(#[source] Arc<::redis::RedisError>),
    /// Redis did not answer in time.
    #[error("Redis did not answer in time")]
    TimedOut,
    /// Redis holds no secret although it was just given one.
    #[error("Redis does not tell the secret that gateways share")]
    NoSharedSecret,
    /// The record cannot be written as JSON.
    #[error("the session cannot be written")]
    Form(#[source] Arc<serde_json::Error>),
    /// The record is larger than [`RECORD_BYTES_MAX`].
    #[error("the session is too large to be kept: {0} bytes")]
    ClientTooLarge(usize),
    /// As many marks as memory holds are still needed.
    #[error("too many single-use marks are in use")]
    Full,
    /// The system gives no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Randomness(getrandom::Error),
}

/// Where sessions and marks are kept.
pub struct Store(Backend);

enum Backend {
    Memory { key: seal::Key, marks: Marks },
    Redis(Box<Redis>),
}

// === impl Store ===

impl Store {
    /// A store of one gateway. Without a `secret`, what it seals cannot be opened after its end.
    ///
    /// # Errors
    /// If there is no secret and no randomness either.
    pub fn in_memory(secret: Option<&str>) -> Result<Self, Error> {
        let key = match secret {
            Some(secret) => seal::Key::derive(secret.as_bytes()),
            None => seal::Key::derive(&random::<32>()?),
        };
        let marks = Marks::default();
        Ok(Self(Backend::Memory { key, marks }))
    }

    /// A store that several gateways share. Nothing is connected yet, and Redis need not be there.
    ///
    /// # Errors
    /// If the URL cannot be used.
    pub fn in_redis(spec: &redis::Spec<'_>) -> Result<Self, Error> {
        Ok(Self(Backend::Redis(Box::new(Redis::new(spec)?))))
    }

    /// Whether other gateways see what is saved here. If not, records are not kept at all.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        match &self.0 {
            Backend::Memory { .. } => false,
            Backend::Redis(_) => true,
        }
    }

    /// The key for everything that clients carry. It is the same for all gateways that share the
    /// store; a gateway without a secret may have to ask Redis for it, the first time.
    ///
    /// # Errors
    /// If Redis had to be asked and did not tell.
    pub async fn key(&self) -> Result<seal::Key, Error> {
        match &self.0 {
            Backend::Memory { key, .. } => Ok(key.clone()),
            Backend::Redis(redis) => redis.key().await,
        }
    }

    /// The record of a session; `None` if there is none, or none that can be trusted. In memory
    /// there never is one.
    ///
    /// # Errors
    /// If Redis did not tell.
    pub async fn load(&self, id: &str) -> Result<Option<Record>, Error> {
        match &self.0 {
            Backend::Memory { .. } => Ok(None),
            Backend::Redis(redis) => redis.load(id).await,
        }
    }

    /// Keeps the record of a session until it was not touched for `idle`.
    ///
    /// # Errors
    /// If it is too large or Redis did not take it.
    pub async fn save(&self, id: &str, record: &Record, idle: Duration) -> Result<(), Error> {
        match &self.0 {
            Backend::Memory { .. } => Ok(()),
            Backend::Redis(redis) => redis.save(id, record, idle).await,
        }
    }

    /// Keeps a session for another `idle`. `false` if it is gone: it ended on another gateway. In
    /// memory no session ends elsewhere.
    ///
    /// # Errors
    /// If Redis did not tell.
    pub async fn touch(&self, id: &str, idle: Duration) -> Result<bool, Error> {
        match &self.0 {
            Backend::Memory { .. } => Ok(true),
            Backend::Redis(redis) => redis.touch(id, idle).await,
        }
    }

    /// Forgets a session. `true` if there was a record of it.
    ///
    /// # Errors
    /// If Redis did not do it.
    pub async fn delete(&self, id: &str) -> Result<bool, Error> {
        match &self.0 {
            Backend::Memory { .. } => Ok(false),
            Backend::Redis(redis) => redis.delete(id).await,
        }
    }

    /// Takes a mark: `true` the first time only, on whichever gateway, for as long as `ttl`.
    ///
    /// # Errors
    /// If it is not certain that this is the first time.
    pub async fn claim(&self, mark: &str, ttl: Duration) -> Result<bool, Error> {
        match &self.0 {
            Backend::Memory { marks, .. } => marks.claim(mark, ttl, Instant::now()),
            Backend::Redis(redis) => redis.claim(mark, ttl).await,
        }
    }
}

// === impl Upstream ===

impl fmt::Debug for Upstream {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Upstream")
            .field("has_session", &self.session.is_some())
            .field("revision", &self.revision)
            .field("replica", &self.replica)
            .finish()
    }
}

fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0_u8; N];
    getrandom::fill(&mut bytes).map_err(Error::Randomness)?;
    Ok(bytes)
}
