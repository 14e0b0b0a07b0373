//! What ends answers before their time, and what keeps an old answer from being stored after it.
//!
//! **Invariant:** a doubt invalidates. What was forgotten covered everything, what is too long to be
//! told covers the whole server, and so must the caller take what it cannot read.

use std::collections::VecDeque;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::cache::admit::Class;
use crate::cache::key::Key;
use crate::glob::Glob;
use crate::mcp::method::Method;

/// Most invalidations of a server that are remembered.
pub const NOTES_MAX: usize = 256;

/// Longest text that one invalidation is told in, in bytes.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;

/// Which answers of one server an invalidation covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// All of them.
    Server,
    /// Those to one method.
    #[serde(serialize_with = "write_method", deserialize_with = "read_method")]
    Method(Method),
    /// Calls of the tools whose names match.
    Tools(Vec<Glob>),
    /// Calls of one tool, whose name is taken as it is.
    Tool(String),
    /// The resources whose URIs match.
    Resources(Vec<Glob>),
    /// One resource, whose URI is taken as it is.
    Resource(String),
    /// One answer.
    Key(Key),
    /// What any of these covers.
    Union(Vec<Self>),
}

// === impl Reach ===

impl Reach {
    /// What any of `parts` covers; nothing where there are none.
    #[must_use]
    pub fn union(parts: impl IntoIterator<Item = Self>) -> Option<Self> {
        let mut parts: Vec<_> = parts.into_iter().collect();
        match parts.len() {
            0 | 1 => parts.pop(),
            _ => Some(Self::Union(parts)),
        }
    }

    /// Whether it covers the answer under `key` to `method` with this target, as the server spells
    /// it.
    #[must_use]
    pub fn covers(&self, method: Method, target: Option<&str>, key: &Key) -> bool {
        let any = |globs: &[Glob], name: &str| globs.iter().any(|glob| glob.matches(name));
        let is_call = method == Method::ToolsCall;
        let is_read = method == Method::ResourcesRead;
        match self {
            Self::Server => true,
            Self::Method(own) => *own == method,
            Self::Tools(globs) => is_call && target.is_some_and(|name| any(globs, name)),
            Self::Tool(own) => is_call && target == Some(own),
            Self::Resources(globs) => is_read && target.is_some_and(|uri| any(globs, uri)),
            Self::Resource(own) => is_read && target == Some(own),
            Self::Key(own) => own == key,
            Self::Union(parts) => parts.iter().any(|part| part.covers(method, target, key)),
        }
    }

    /// As JSON text, for other instances. One that would be longer than [`TEXT_BYTES_MAX`] is told as
    /// the whole server.
    #[must_use]
    pub fn write(&self) -> String {
        let text = serde_json::to_string(self).ok();
        text.filter(|text| text.len() <= TEXT_BYTES_MAX)
            .unwrap_or_else(|| WHOLE_SERVER.to_owned())
    }

    /// Reads what [`Self::write`] wrote. What it did not write is nothing here, and must be taken as
    /// [`Self::Server`] by who was sent it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > TEXT_BYTES_MAX {
            return None;
        }
        serde_json::from_str(text).ok()
    }
}

/// [`Reach::Server`] as text.
const WHOLE_SERVER: &str = r#""server""#;

fn write_method<S: Serializer>(method: &Method, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(method.label())
}

/// Reads a method whose answers are kept: only their labels are names, too.
fn read_method<'de, D: Deserializer<'de>>(from: D) -> Result<Method, D::Error> {
    let method = Method::parse(&String::deserialize(from)?);
    match Class::of(method) {
        Some(_) => Ok(method),
        None => Err(Error::custom("a method whose answers are not kept")),
    }
}

/// The latest invalidations of one server, in order.
///
/// Who fetches an answer takes a [`stamp`](Self::stamp) before it asks, and stores the answer only if
/// the ledger still [`allows`](Self::allows) it: what was invalidated in between may be old. A write
/// must be noted once its answer is there, or once it is known that none will come, because until
/// then others may read what it is about to change.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// How many there were, ever.
    noted: u64,
    /// The last of them, oldest first, each with its number: what was noted again counts as of then.
    notes: VecDeque<(u64, Reach)>,
    /// The number of the latest that was forgotten.
    forgotten: u64,
}

// === impl Ledger ===

impl Ledger {
    /// This moment.
    #[must_use]
    pub fn stamp(&self) -> u64 {
        self.noted
    }

    /// Remembers an invalidation; the moment after it. One that stands there already moves to the
    /// end: whoever tells the same a thousand times takes the place of no other.
    pub fn note(&mut self, reach: Reach) -> u64 {
        self.noted = self.noted.saturating_add(1);
        if let Some(earlier) = self.notes.iter().rposition(|(_, note)| *note == reach) {
            self.notes.remove(earlier);
        } else if self.notes.len() >= NOTES_MAX
            && let Some((number, _)) = self.notes.pop_front()
        {
            self.forgotten = number;
        }
        self.notes.push_back((self.noted, reach));
        self.noted
    }

    /// Whether an answer that was asked for at `stamp` may be stored now: nothing that was noted
    /// since covers it.
    #[must_use]
    pub fn allows(&self, stamp: u64, method: Method, target: Option<&str>, key: &Key) -> bool {
        // A stamp that is not of this ledger allows nothing, nor does one from before what is known.
        if !(self.forgotten..=self.noted).contains(&stamp) {
            return false;
        }
        let since = self.notes.iter().rev();
        let mut since = since.take_while(|(number, _)| *number > stamp);
        !since.any(|(_, note)| note.covers(method, target, key))
    }
}

#[cfg(test)]
mod tests;
