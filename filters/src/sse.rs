//! Server-sent events (HTML Living Standard, 9.2) as MCP uses them.

pub mod blocks;
pub mod decode;
pub mod endpoint;
pub mod observe;
pub mod write;
