//! Writes server-sent events.

/// A comment event: keeps an idle stream alive, and clients ignore it.
pub const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";

/// One `message` event around a JSON text. Line breaks, which in JSON stand between tokens only,
/// become spaces: they would end the event.
#[must_use]
pub fn message(json: &str) -> String {
    if memchr::memchr2(b'\n', b'\r', json.as_bytes()).is_some() {
        let json = json.replace(['\n', '\r'], " ");
        return format!("event: message\ndata: {json}\n\n");
    }
    format!("event: message\ndata: {json}\n\n")
}
