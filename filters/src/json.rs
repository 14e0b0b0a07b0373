//! JSON as text: what can be told without building a tree.

pub mod outcome;
pub mod scan;
