//! One tool as its server defines it, in one spelling, and the digest of that.

use std::collections::HashMap;
use std::fmt;

use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::json::canonical;
use crate::json::canonical::Treatment;
use crate::json::object::Object;
use crate::mcp::list;
use crate::mcp::list::Kind;

/// What the text of a digest begins with.
const PREFIX: &str = "sha256:";

/// The SHA-256 digest of a text in one spelling.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    pub(super) fn of(parts: &[&[u8]]) -> Self {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update(part);
        }
        Self(hasher.finalize().into())
    }

    /// Reads what [`Digest`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(PREFIX)?.as_bytes();
        let mut bytes = [0; 32];
        if digits.len() != 2 * bytes.len() {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let [high, low] = pair else { return None };
            *byte = nibble(*high)? << 4 | nibble(*low)?;
        }
        Some(Self(bytes))
    }
}

/// The value of a hexadecimal digit; capitals are another spelling, and there is only one.
fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(PREFIX)?;
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// A text that no two readers need to agree on: see [`canonical::Ambiguous`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unclear;

/// A tool as its server defines it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// The tool's name.
    pub name: String,
    /// All of it in canonical JSON.
    pub text: String,
    /// The digest of that.
    pub digest: Digest,
}

impl Definition {
    /// Reads an item of a list of tools.
    ///
    /// # Errors
    /// Where it is no object with a name, has a member twice at any depth, or is past the bounds of
    /// [`canonical`].
    pub fn read(item: &str) -> Result<Self, Unclear> {
        let mut text = Vec::with_capacity(item.len());
        canonical::members(item, &mut text, |_| Ok(Treatment::Keep)).map_err(|_| Unclear)?;
        let text = String::from_utf8(text).map_err(|_| Unclear)?;
        let name = name(&text).ok_or(Unclear)?;
        Ok(Self {
            digest: Digest::of(&[text.as_bytes()]),
            name,
            text,
        })
    }

    /// Whether it is another tool's but for how that is called.
    #[must_use]
    pub fn is_renamed(&self, other: &str) -> bool {
        unnamed(&self.text) == unnamed(other)
    }
}

/// A definition without what its tool is called.
fn unnamed(text: &str) -> Option<String> {
    let mut object = Object::read(text)?;
    object.retain(|member| !matches!(member, "name" | "title"));
    Some(object.write())
}

/// What most readers take for an item's name, also where the item is unclear.
#[must_use]
pub fn name(item: &str) -> Option<String> {
    let name = list::identify(Kind::Tools, item);
    name.map(std::borrow::Cow::into_owned)
}

/// The digests of a list's tools.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fingerprints(HashMap<String, Option<Digest>>);

impl Fingerprints {
    /// Those of a whole list.
    #[must_use]
    pub fn of<'i>(items: impl IntoIterator<Item = &'i str>) -> Self {
        let mut all: HashMap<String, Option<Digest>> = HashMap::new();
        for item in items {
            let Some(name) = name(item) else { continue };
            let digest = Definition::read(item).ok().map(|one| one.digest);
            all.entry(name)
                // Nobody can say which of two is meant.
                .and_modify(|known| *known = known.filter(|known| Some(*known) == digest))
                .or_insert(digest);
        }
        Self(all)
    }

    /// A tool's; [`Unclear`] where its definition is, or it has several. Nothing where there is no
    /// such tool.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Result<Digest, Unclear>> {
        self.0.get(name).map(|digest| digest.ok_or(Unclear))
    }

    /// The tools' names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests;
