//! Where a client stands in a merged list.
//!
//! A cursor names the last item that was given rather than a number, so that a list that changed in
//! between goes on at the right place.
//!
//! **Invariant:** a cursor opens only for the scope it was sealed for, and as nothing else.

use std::borrow::Borrow;

use crate::route::merge::Entry;
use crate::seal;

/// A place in a merged list: after one item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The server of the last item that was given.
    pub server: String,
    /// What that server calls it.
    pub inner: String,
    /// How many entries the list had up to that one and including it.
    pub given: usize,
    /// How many entries followed it.
    pub left: usize,
}

/// The cursor as an opaque text. `scope` is what it is good for: the list, the caller. `nonce` must
/// be random, and new each time.
#[must_use]
pub fn seal(
    key: &seal::Key,
    nonce: [u8; seal::NONCE_BYTES],
    scope: &[u8],
    cursor: &Cursor,
) -> String {
    let plain = (&cursor.server, &cursor.inner, cursor.given, cursor.left);
    // Strings and numbers always have a JSON text.
    let plain = serde_json::to_vec(&plain).unwrap_or_default();
    key.seal(nonce, &context(scope), &plain)
}

/// The cursor that `text` is; nothing where it is none of ours or was made for another scope.
#[must_use]
pub fn open(key: &seal::Key, scope: &[u8], text: &str) -> Option<Cursor> {
    let plain = key.open(&context(scope), text)?;
    let (server, inner, given, left) = serde_json::from_slice(&plain).ok()?;
    Some(Cursor {
        server,
        inner,
        given,
        left,
    })
}

/// The next entries, at most `size` and at least one where any are left, and the cursor for those
/// that follow; no cursor where none do.
///
/// If the item that the cursor names is gone, the place is counted, from the front and from the
/// back, and the earlier of the two is taken: as long as items only went away, none that still
/// exists is left out, and some may come twice only if others went with the named one.
#[must_use]
pub fn page<'m, E: Borrow<Entry>>(
    entries: &'m [E],
    after: Option<&Cursor>,
    size: usize,
) -> (&'m [E], Option<Cursor>) {
    let start = after.map_or(0, |cursor| resume(entries, cursor));
    let rest = entries.get(start..).unwrap_or_default();
    let (page, left) = rest.split_at_checked(size.max(1)).unwrap_or((rest, &[]));
    let next = page.last().filter(|_| !left.is_empty());
    let next = next.map(Borrow::borrow).map(|last| Cursor {
        server: last.server.to_string(),
        inner: last.inner.clone(),
        given: start + page.len(),
        left: left.len(),
    });
    (page, next)
}

/// The index of the first entry that was not given yet.
fn resume<E: Borrow<Entry>>(entries: &[E], cursor: &Cursor) -> usize {
    let is_last = |entry: &E| {
        let entry = entry.borrow();
        entry.inner == cursor.inner && *entry.server == *cursor.server
    };
    match entries.iter().position(is_last) {
        Some(at) => at + 1,
        None => {
            let from_front = cursor.given.saturating_sub(1);
            from_front.min(entries.len().saturating_sub(cursor.left))
        }
    }
}

fn context(scope: &[u8]) -> Vec<u8> {
    seal::context(&[b"conduit list cursor v1", scope])
}

#[cfg(test)]
mod tests;
