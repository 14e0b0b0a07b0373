//! What servers say of their own changes: what is stored of it goes at once.

use bytes::Bytes;
use filters::cache::admit::Class;
use filters::mcp::method::Method;
use filters::sse::decode::Decoder;

use crate::state::snapshot::Server;
use crate::upstream::changes;

/// Longest event that is looked into, in bytes: one that tells of a change is short.
const EVENT_BYTES_MAX: usize = 64 * 1024;

/// Looks into whole events that pass from a server to a client.
pub(in crate::gateway) fn overhear(server: &Server, events: &Bytes) {
    if !changes::may_tell(events) {
        return;
    }
    let mut decoder = Decoder::new(EVENT_BYTES_MAX);
    decoder.feed(events);
    while let Some(Ok(event)) = decoder.next_event() {
        server.remote.hear(&event);
    }
}

/// Has the server's changes heard, where it tells of them, as long as something of it is stored that
/// they would make stale.
pub(in crate::gateway) fn attend(server: &Server, method: Method) {
    let is_told_of = Class::of(method) == Some(Class::Catalog);
    // Without a credential of anybody's, a server that wants one tells nothing.
    if is_told_of && !server.forwards_authorization {
        server.catalogs.plain().attend();
    }
}
