//! The bounds that are part of the design rather than of the configuration.
//!
//! **Invariant:** everything a stranger can make grow has its bound here or in the configuration.

/// Deepest nesting of arrays and objects in a message, counted from its outermost bracket.
pub const DEPTH_MAX: usize = 128;

/// Most entries of a JSON-RPC batch, as mcp-conduit has it.
pub const BATCH_MAX: usize = 100;

/// Longest session id taken from a client or an upstream, in bytes.
pub const SESSION_ID_BYTES_MAX: usize = 1024;

/// Longest value of a mirrored `Mcp-*` header that is decoded, in bytes.
pub const MIRRORED_HEADER_BYTES_MAX: usize = 8 * 1024;

/// Longest JSON-RPC id that is echoed, in bytes of its JSON text. Longer ones are refused.
pub const ID_BYTES_MAX: usize = 4 * 1024;

/// Most arguments that one tool may have mirrored into headers (`x-mcp-header`).
pub const MIRRORED_PARAMS_MAX: usize = 64;
