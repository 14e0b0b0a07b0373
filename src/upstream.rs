//! MCP servers as the gateway reaches them: clusters of replicas, balanced by Pingora, reached over
//! Pingora's transport connector by a client of our own.
//!
//! **Invariant:** a request is sent at most once unless it is known to be safe to repeat.

pub mod address;
pub mod affinity;
pub mod catalog;
pub mod changes;
pub mod cluster;
pub mod connection;
pub mod credential;
pub mod era;
pub mod error;
pub mod fields;
pub mod found;
pub mod group;
pub mod head;
pub mod health;
pub mod http_sse;
pub mod keeper;
pub mod learned;
pub mod pool;
pub mod relay;
pub mod remote;
pub mod replica;
pub mod session;
pub mod talk;
pub mod watch;

/// Who the gateway says it is to servers, as an `Implementation`.
pub const CLIENT_INFO: &str = concat!(
    r#"{"name":"conduit","version":""#,
    env!("CARGO_PKG_VERSION"),
    r#""}"#
);
