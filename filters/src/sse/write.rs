//! Writes server-sent events.

/// A comment event: keeps an idle stream alive, and clients ignore it.
pub const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";

/// One `message` event around a JSON text without line breaks.
#[must_use]
pub fn message(json: &str) -> String {
    format!("event: message\ndata: {json}\n\n")
}
