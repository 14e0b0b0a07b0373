//! Conduit, a gateway for the Model Context Protocol on Pingora.

pub mod demo;
