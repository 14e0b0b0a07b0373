//! Conduit, a gateway for the Model Context Protocol on Pingora.
//!
//! See ARCHITECTURE.md for the layers; `filters` holds every decision, this crate everything that
//! touches sockets, clocks and processes.

pub mod admin;
pub mod app;
pub mod auth;
pub mod cache;
pub mod cli;
pub mod config;
pub mod demo;
pub mod gateway;
pub mod kv;
pub mod limit;
pub mod lock;
pub mod policy;
pub mod state;
pub mod stdio;
pub mod telemetry;
pub mod upstream;
