//! `sessions`.

use std::time::Duration;

use crate::config::model::Secret;

/// Sessions of clients, and calls that wait for a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sessions {
    /// Where sessions live.
    pub store: Store,
    /// What seals are made with, at least [`SECRET_BYTES_MIN`]; `None` means a random key.
    pub secret: Option<Secret>,
    /// How many sessions are kept.
    pub max_sessions: usize,
    /// How many of one client's.
    pub max_per_client: usize,
    /// How long one may be unused.
    pub idle: Duration,
    /// Bounds of the calls that wait for a client's answer.
    pub parked: Parked,
}

/// The shortest secret that is taken, in bytes.
pub const SECRET_BYTES_MIN: usize = 32;

/// Where sessions live.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Store {
    /// In this process.
    #[default]
    Memory,
    /// In Redis.
    Redis(Redis),
}

/// Sessions in Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redis {
    /// Where it is.
    pub url: Secret,
    /// What keys begin with.
    pub key_prefix: String,
}

/// Bounds of the calls that wait for a client's answer to a server's question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parked {
    /// How long one waits.
    pub ttl: Duration,
    /// How many wait at once.
    pub max_calls: usize,
    /// How many of one client's.
    pub max_per_client: usize,
}
