//! JSON-RPC 2.0 as MCP uses it: one message, read once, ids kept byte for byte.

pub mod parse;
pub mod write;
