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

mod bad_input;
mod bodies;
mod config;
mod conformance;
mod demo;
mod disconnect;
mod faults;
mod forwarding;
mod operations;
mod replicas;
mod sdk;
mod sdk_rust;
mod stdio;
mod support;
