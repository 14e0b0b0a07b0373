//! The Model Context Protocol as an intermediary sees it: methods, revisions, headers, and which era
//! a message belongs to.

pub mod call;
pub mod envelope;
pub mod header;
pub mod method;
pub mod revision;
