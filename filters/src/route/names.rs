//! What tools and prompts of many servers are called on one endpoint.
//!
//! A name has a long spelling, `<server><separator><name>`, and an outer one: the long spelling
//! fitted to what model APIs take. Both lead back to the same server and name.
//!
//! **Invariant:** an outer name depends on the server's id, the inner name and the naming's settings
//! only: other servers may come and go without changing it.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use crate::seal;

/// Shortest limit that names are fitted to: the digest and a readable head need the room.
pub const LIMIT_MIN: usize = 16;

/// Longest limit that names are fitted to: MCP asks for no more than 128 characters.
pub const LIMIT_MAX: usize = 128;

/// Fewest characters of a digest, of 5 bits each: 40 bits.
const DIGEST_CHARS_MIN: usize = 8;

/// Most characters of a digest: 65 bits.
const DIGEST_CHARS_MAX: usize = 13;

/// The digits of a digest: base32, in lower case.
const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// How the names of several servers are kept apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// The server's id stands before the name.
    Prefix,
    /// Names are left as they are; one that two servers have is listed for neither.
    None,
}

/// The compiled settings that names are made and read by.
#[derive(Clone, Debug)]
pub struct Naming {
    strategy: Strategy,
    separator: &'static str,
    limit: Option<usize>,
    servers: Arc<HashSet<String>>,
    id_bytes_max: usize,
}

impl Naming {
    /// Compiles the settings. `servers` are the configured ids: ASCII letters, digits and hyphens.
    #[must_use]
    pub fn new(
        strategy: Strategy,
        separator: &'static str,
        limit: Option<usize>,
        servers: impl IntoIterator<Item = String>,
    ) -> Self {
        let servers: HashSet<String> = servers.into_iter().collect();
        Self {
            strategy,
            separator,
            limit,
            id_bytes_max: servers.iter().map(String::len).max().unwrap_or_default(),
            servers: Arc::new(servers),
        }
    }

    /// Whether names are shortened, so that only the lists tell what a name means.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        self.limit.is_some()
    }

    /// How names are kept apart.
    #[must_use]
    pub fn strategy(&self) -> Strategy {
        self.strategy
    }

    /// The configured spelling of a server's id; nothing where there is no such server.
    #[must_use]
    pub fn server(&self, id: &str) -> Option<&str> {
        self.servers.get(id).map(String::as_str)
    }

    /// The long spelling: `<server><separator><name>`, or the bare name without prefixes.
    #[must_use]
    pub fn long<'n>(&self, server: &str, name: &'n str) -> Cow<'n, str> {
        match self.strategy {
            Strategy::Prefix => Cow::Owned([server, self.separator, name].concat()),
            Strategy::None => Cow::Borrowed(name),
        }
    }

    /// The outer name, which lists show: the long spelling, fitted to the limit.
    #[must_use]
    pub fn outer<'n>(&self, server: &str, name: &'n str) -> Cow<'n, str> {
        let long = self.long(server, name);
        let Some(limit) = self.limit else {
            return long;
        };
        match long {
            Cow::Borrowed(long) => fit(long, limit),
            Cow::Owned(long) => Cow::Owned(fit(&long, limit).into_owned()),
        }
    }

    /// The configured server and the inner name of a long spelling; nothing without prefixes.
    ///
    /// Where one id begins with another and the separator, the longest id counts.
    #[must_use]
    pub fn split<'n>(&self, outer: &'n str) -> Option<(&str, &'n str)> {
        match self.strategy {
            Strategy::Prefix => {}
            Strategy::None => return None,
        }
        let is_id_byte = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
        let run = outer.as_bytes().iter().take(self.id_bytes_max);
        let longest = run.take_while(|byte| is_id_byte(byte)).count();
        (1..=longest).rev().find_map(|at| {
            let (id, rest) = outer.split_at_checked(at)?;
            let inner = rest.strip_prefix(self.separator)?;
            Some((self.server(id)?, inner))
        })
    }
}

/// `name` as at most `limit` characters of `[A-Za-z0-9_-]`.
///
/// A name that is so already stays. Any other becomes a readable head, `_`, and a digest of the
/// whole name, so that two names fit to the same text only if their digests collide. `limit` counts
/// as [`LIMIT_MIN`] where it is less and as [`LIMIT_MAX`] where it is more.
#[must_use]
pub fn fit(name: &str, limit: usize) -> Cow<'_, str> {
    let limit = limit.clamp(LIMIT_MIN, LIMIT_MAX);
    if !name.is_empty() && name.len() <= limit && name.chars().all(is_legal) {
        return Cow::Borrowed(name);
    }
    let n_digits = (limit / 2).clamp(DIGEST_CHARS_MIN, DIGEST_CHARS_MAX);
    let head = name.chars().take(limit - n_digits - 1);
    let mut fitted: String = head.map(|c| if is_legal(c) { c } else { '_' }).collect();
    fitted.push('_');
    push_digest(&mut fitted, name, n_digits);
    Cow::Owned(fitted)
}

fn is_legal(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_' || character == '-'
}

/// Appends the first `n_digits` base32 digits of the name's digest.
fn push_digest(text: &mut String, name: &str, n_digits: usize) {
    let digest = seal::digest(&[b"conduit name v1", name.as_bytes()]);
    let (head, _) = digest.split_first_chunk::<16>().unwrap_or((&[0; 16], &[]));
    let bits = u128::from_be_bytes(*head);
    let digits = (1..=n_digits).map(|nth| {
        let index = (bits >> (u128::BITS as usize - 5 * nth)) & 31;
        DIGITS.get(index as usize).copied().unwrap_or(b'a')
    });
    text.extend(digits.map(char::from));
}

#[cfg(test)]
mod tests;
