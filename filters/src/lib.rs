//! Every decision Conduit takes.

pub mod problem;
