//! The shared cache: results of servers, given again to callers that ask for the same.

pub mod entry;
pub mod flight;
pub mod memory;
pub mod redis;
