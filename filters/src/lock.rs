//! The tool lock: which definitions of a server's tools an operator approved, and what becomes of
//! others.
//!
//! A definition is everything that a server says of a tool: every member counts, also those that
//! nobody knows yet, because nobody knows either which of them a model is shown.
//!
//! **Invariant:** what cannot be read in one way only is never approved.

pub mod book;
pub mod compare;
pub mod definition;
pub mod diff;
pub mod refused;
pub mod screen;
pub mod visible;

/// What is done with definitions that nobody approved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Nothing: nobody looks.
    #[default]
    Off,
    /// They pass, and are told of.
    Warn,
    /// They are not listed, and calls to their tools are refused.
    Block,
}

/// What the lock says of a tool as its server defines it now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is what was approved.
    Approved,
    /// It is another than was approved under its name.
    Changed,
    /// Nothing was approved under its name.
    Added,
    /// Its definition says something twice, or is too large or none at all: readers differ on it.
    Unclear,
}

impl Verdict {
    /// All that is not approved.
    pub const REFUSED: [Self; 3] = [Self::Changed, Self::Added, Self::Unclear];

    /// The word for it in logs, metrics and the admin API.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Changed => "changed",
            Self::Added => "added",
            Self::Unclear => "unclear",
        }
    }
}
