//! JSON as text: what can be told and changed without building a tree.

pub mod canonical;
pub mod object;
pub mod outcome;
pub mod reader;
pub mod redact;
pub mod scan;
