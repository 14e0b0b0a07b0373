//! The integration tests: the built gateway over loopback, with real SDKs, real servers, and a fake server
//! that misbehaves on purpose.
//!
//! **Invariant:** nothing here reaches past loopback, uses a fixed port, or sleeps to wait for something.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    clippy::large_futures,
    reason = "tests fail loudly"
)]

mod acl;
mod admin;
mod aggregate;
mod auth;
mod bad_input;
mod bodies;
mod cache;
mod cache_redis;
mod config;
mod conformance;
mod cors;
mod demo;
mod disconnect;
mod eras;
mod faults;
mod forwarding;
mod guard;
mod http_sse;
mod instances;
mod isolation;
mod limits;
mod lock;
mod matrix;
mod no_mcp;
mod operations;
mod policy;
mod recovery;
mod redirects;
mod refusals;
mod reload;
mod replicas;
mod sdk;
mod sdk_rust;
mod secrets;
mod session_store;
mod sessions;
mod stdio;
mod support;
mod tasks;
mod tls;
mod upstream_auth;
