//! The Model Context Protocol as an intermediary sees it: methods, revisions, headers, and which era
//! a message belongs to.

pub mod call;
pub mod capability;
pub mod envelope;
pub mod era;
pub mod header;
pub mod input;
pub mod list;
pub mod method;
pub mod mirror;
pub mod revision;
pub mod rewrite;
pub mod translate;
