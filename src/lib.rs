//! Conduit, a gateway for the Model Context Protocol on Pingora.

pub mod cli;
pub mod config;
