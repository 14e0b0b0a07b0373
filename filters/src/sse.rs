//! Server-sent events (HTML Living Standard, 9.2) as MCP uses them.

pub mod decode;
pub mod observe;
pub mod write;
