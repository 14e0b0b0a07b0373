//! What resources of many servers are called on one endpoint: `<tag>+<uri>`.
//!
//! The tag is the server's id, spelled so that it can begin a URI's scheme and survives a client
//! that lower-cases schemes. URI templates are named the same way: their expressions stay as they
//! are, and an expanded template is the outer name of the expanded URI.
//!
//! **Invariant:** [`split`] undoes [`outer`], and takes no tag that [`tag`] does not make.

use std::borrow::Cow;

/// What a tag begins with that is the hex of an id, not the id.
const HEX_PREFIX: &str = "x-";

/// The digits of a hex tag.
const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The tag of a server: its id where that may begin a lower-case scheme, else `x-` and the id's hex.
#[must_use]
pub fn tag(server: &str) -> Cow<'_, str> {
    if is_plain(server) {
        return Cow::Borrowed(server);
    }
    let mut tag = String::with_capacity(HEX_PREFIX.len() + 2 * server.len());
    tag.push_str(HEX_PREFIX);
    let nibbles = server.bytes().flat_map(|byte| [byte >> 4, byte & 15]);
    let digits = nibbles.filter_map(|nibble| DIGITS.get(usize::from(nibble)));
    tag.extend(digits.copied().map(char::from));
    Cow::Owned(tag)
}

/// The outer name of a server's URI or URI template.
#[must_use]
pub fn outer(server: &str, uri: &str) -> String {
    [&tag(server), "+", uri].concat()
}

/// The server's id and its own URI, of an outer one. The tag's case does not count.
///
/// Whether there is such a server is for the caller to know: `git+https://…` reads as a URI of a
/// server `git`.
#[must_use]
pub fn split(outer: &str) -> Option<(Cow<'_, str>, &str)> {
    let (spelled, inner) = outer.split_once('+')?;
    let lower = if spelled.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(spelled.to_ascii_lowercase())
    } else {
        Cow::Borrowed(spelled)
    };
    if is_plain(&lower) {
        return Some((lower, inner));
    }
    let id = from_hex(lower.strip_prefix(HEX_PREFIX)?)?;
    // An id that needs no hex has one spelling, not two.
    (!id.is_empty() && !is_plain(&id)).then_some((Cow::Owned(id), inner))
}

/// Whether an id is its own tag.
fn is_plain(id: &str) -> bool {
    id.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
        && !id.starts_with(HEX_PREFIX)
        && id
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn from_hex(text: &str) -> Option<String> {
    let value = |digit: &u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs
        .iter()
        .map(|[high, low]| Some(value(high)? << 4 | value(low)?));
    let bytes: Vec<u8> = bytes.collect::<Option<_>>()?;
    rest.is_empty().then_some(())?;
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests;
