//! What becomes of texts, and of names.

use std::borrow::Cow;

use crate::guard::condition::is_number;
use crate::guard::detect;
use crate::guard::edit::{BYTES_MAX, Edit};
use crate::guard::pattern::{Meter, Unreplaced};
use crate::guard::reader::unescaped;
use crate::guard::walk::Opaque;
use crate::json::object::quoted;

impl Edit {
    /// Whether it is made in texts, wherever they stand.
    pub(super) fn is_of_texts(&self) -> bool {
        match self {
            Self::RedactFound(_) | Self::Truncate(_) | Self::Replace(..) => true,
            Self::Set(_) | Self::Delete | Self::Redact => false,
        }
    }

    /// Whether it is made in names of members, too, where it is made in everything: what is not to be
    /// told is not told there either, while other changes are of values.
    pub(super) fn is_of_names(&self) -> bool {
        match self {
            Self::RedactFound(_) => true,
            Self::Replace(..) | Self::Truncate(_) | Self::Set(_) | Self::Delete | Self::Redact => {
                false
            }
        }
    }

    /// What becomes of a text, or of a number that says as much; nothing where it stays.
    pub(super) fn text(&self, raw: &str, meter: &mut Meter) -> Result<Option<String>, Opaque> {
        let is_text = raw.starts_with('"');
        let text = match is_text {
            true => unescaped(raw).ok_or(Opaque::Text)?,
            false => Cow::Borrowed(raw),
        };
        let changed = match self {
            Self::RedactFound(detectors) if is_text || is_number(raw) => {
                detect::redact(*detectors, &text)
            }
            Self::Truncate(max) if is_text => cut(&text, *max).map(str::to_owned),
            Self::Replace(pattern, with) if is_text => pattern
                .replaced(&text, with, BYTES_MAX, meter)
                .map_err(|error| match error {
                    Unreplaced::Overwork => Opaque::Work,
                    Unreplaced::Length => Opaque::Length,
                })?,
            Self::RedactFound(_)
            | Self::Truncate(_)
            | Self::Replace(..)
            | Self::Set(_)
            | Self::Delete
            | Self::Redact => None,
        };
        Ok(changed.map(|text| quoted(&text)))
    }
}

/// The first characters of a text; nothing where it has no more.
fn cut(text: &str, chars_max: usize) -> Option<&str> {
    let (at, _) = text.char_indices().nth(chars_max)?;
    text.get(..at)
}
