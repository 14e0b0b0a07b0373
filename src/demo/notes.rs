//! The notes: a small store that is gone when the process ends.
//!
//! **Invariant:** at most [`NOTES_MAX`] notes of at most [`TEXT_BYTES_MAX`], under names that fit
//! into a URI as they are.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use thiserror::Error;

/// How many notes there can be.
pub(super) const NOTES_MAX: usize = 100;
/// How long a note can be.
pub(super) const TEXT_BYTES_MAX: usize = 4096;
/// How long a name can be.
pub(super) const NAME_BYTES_MAX: usize = 64;

/// Why a note was not kept. The text is what the user reads.
#[derive(Debug, Error, PartialEq, Eq)]
pub(super) enum Refused {
    #[error("a name is 1 to {NAME_BYTES_MAX} letters, digits, `-` or `_`")]
    Name,
    #[error("a note has at most {TEXT_BYTES_MAX} bytes; this one has {0}")]
    TooLong(usize),
    #[error("there is a note `{0}` already: forget it first, or choose another name")]
    Taken(String),
    #[error("there are {NOTES_MAX} notes already: forget one first")]
    Full,
}

/// All notes by name.
#[derive(Default)]
pub(super) struct Notes(Mutex<BTreeMap<String, String>>);

impl Notes {
    /// Keeps a new note; an existing one is never overwritten.
    pub(super) fn remember(&self, name: &str, text: &str) -> Result<(), Refused> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(fits) {
            return Err(Refused::Name);
        }
        if text.len() > TEXT_BYTES_MAX {
            return Err(Refused::TooLong(text.len()));
        }
        let mut notes = self.0.lock();
        if notes.contains_key(name) {
            return Err(Refused::Taken(name.to_owned()));
        }
        if notes.len() >= NOTES_MAX {
            return Err(Refused::Full);
        }
        notes.insert(name.to_owned(), text.to_owned());
        Ok(())
    }

    /// Drops a note; says whether there was one.
    pub(super) fn forget(&self, name: &str) -> bool {
        self.0.lock().remove(name).is_some()
    }

    /// The text of a note.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.0.lock().get(name).cloned()
    }

    /// The names, in order.
    pub(super) fn names(&self) -> Vec<String> {
        self.0.lock().keys().cloned().collect()
    }

    /// All notes as one Markdown page.
    pub(super) fn page(&self) -> String {
        let notes = self.0.lock();
        if notes.is_empty() {
            return "No notes yet: the tool `remember` makes one.\n".to_owned();
        }
        notes
            .iter()
            .map(|(name, text)| format!("## {name}\n\n{text}\n\n"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{NAME_BYTES_MAX, NOTES_MAX, Notes, Refused, TEXT_BYTES_MAX};

    #[test]
    fn a_note_is_never_overwritten() {
        let notes = Notes::default();
        assert_eq!(notes.remember("milk", "two"), Ok(()));
        assert_eq!(
            notes.remember("milk", "three"),
            Err(Refused::Taken("milk".to_owned()))
        );
        assert_eq!(notes.text("milk").as_deref(), Some("two"));
    }

    #[test]
    fn forgetting_twice_finds_nothing_the_second_time() {
        let notes = Notes::default();
        notes.remember("milk", "two").unwrap();
        assert!(notes.forget("milk"));
        assert!(!notes.forget("milk"));
    }

    #[test]
    fn a_name_must_fit_into_a_uri() {
        let notes = Notes::default();
        for name in ["", "a b", "a/b", "ä", &"x".repeat(NAME_BYTES_MAX + 1)] {
            assert_eq!(notes.remember(name, ""), Err(Refused::Name), "{name}");
        }
        assert_eq!(notes.remember(&"x".repeat(NAME_BYTES_MAX), ""), Ok(()));
    }

    #[test]
    fn a_text_can_be_as_long_as_the_bound_and_no_longer() {
        let notes = Notes::default();
        assert_eq!(notes.remember("a", &"x".repeat(TEXT_BYTES_MAX)), Ok(()));
        let refused = notes.remember("b", &"x".repeat(TEXT_BYTES_MAX + 1));
        assert_eq!(refused, Err(Refused::TooLong(TEXT_BYTES_MAX + 1)));
    }

    #[test]
    fn a_full_store_takes_a_note_only_after_one_is_forgotten() {
        let notes = Notes::default();
        for n in 0..NOTES_MAX {
            notes.remember(&n.to_string(), "").unwrap();
        }
        assert_eq!(notes.remember("more", ""), Err(Refused::Full));
        notes.forget("0");
        assert_eq!(notes.remember("more", ""), Ok(()));
    }
}
