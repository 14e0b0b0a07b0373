//! MCP servers as the gateway reaches them: clusters of replicas, balanced by Pingora, reached over
//! Pingora's transport connector by a client of our own.
//!
//! **Invariant:** a request is sent at most once unless it is known to be safe to repeat.

pub mod address;
pub mod affinity;
pub mod cluster;
pub mod connection;
pub mod error;
pub mod head;
pub mod health;
pub mod keeper;
pub mod pool;
pub mod relay;
pub mod replica;
