//! Names with wildcards, as operators write them: `*` is any run of characters, also none, and `?`
//! is any one.
//!
//! **Invariant:** matching never backtracks further than to the last `*`: its time is at most the
//! pattern's length times the text's, whatever a stranger sends.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use wildmatch::WildMatch;

/// A pattern that a whole text matches or does not. Case counts.
#[derive(Clone)]
pub struct Glob {
    text: Box<str>,
    shape: Shape,
}

/// What a pattern is made of.
#[derive(Clone)]
enum Shape {
    /// No wildcard: most are plain names.
    Literal,
    /// One `*`, with so many bytes before it.
    Split(usize),
    /// Any other.
    Pattern(WildMatch),
}

impl Glob {
    /// Compiles a pattern; every text is one. Nothing escapes a wildcard.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let wildcards = text.match_indices(['*', '?']);
        let shape = match wildcards.collect::<Vec<_>>().as_slice() {
            [] => Shape::Literal,
            [(at, "*")] => Shape::Split(*at),
            _ => Shape::Pattern(WildMatch::new(text)),
        };
        Self {
            text: text.into(),
            shape,
        }
    }

    /// Whether all of `text` is what the pattern says.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        match &self.shape {
            Shape::Literal => *self.text == *text,
            Shape::Split(at) => {
                // Bytes will do: no character's end is the end of another.
                let (pattern, text) = (self.text.as_bytes(), text.as_bytes());
                let (head, tail) = pattern.split_at_checked(*at).unwrap_or_default();
                let rest = text.strip_prefix(head);
                let tail = tail.get(1..).unwrap_or_default();
                rest.is_some_and(|rest| rest.ends_with(tail))
            }
            Shape::Pattern(pattern) => pattern.matches(text),
        }
    }

    /// Whether it has no wildcard, so that it matches one text only.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        matches!(self.shape, Shape::Literal)
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl PartialEq for Glob {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Glob {}

impl fmt::Debug for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Glob({:?})", self.text)
    }
}

impl Serialize for Glob {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Glob {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(|text| Self::new(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_whole_texts_only() {
        for (pattern, text, is_match) in [
            ("", "", true),
            ("", "a", false),
            ("a", "", false),
            ("a", "ab", false),
            ("a", "A", false),
            ("*", "", true),
            ("*", "a/b.c", true),
            ("**", "ab", true),
            ("?", "", false),
            ("?", "é", true),
            ("?", "ab", false),
            ("get_*", "get_", true),
            ("get_*", "get_issue", true),
            ("get_*", "forget_issue", false),
            ("*_issue", "get_issue", true),
            ("*_issue", "get_issues", false),
            ("*a*b", "xaxaxb", true),
            ("*a*b", "xaxaxbx", false),
            ("a?c*", "abcd", true),
            ("a*b", "ab", true),
            ("a*b", "aXb", true),
            ("aa*aa", "aaa", false),
            ("aa*aa", "aaaa", true),
            ("é*é", "é", false),
            ("é*é", "éé", true),
            ("*\u{a9}", "é", false),
            ("file:///*/[a].md", "file:///x/y/[a].md", true),
            ("[ab]", "a", false),
            ("a.c", "abc", false),
            ("\\*", "\\anything", true),
        ] {
            assert_eq!(
                Glob::new(pattern).matches(text),
                is_match,
                "{pattern} {text}"
            );
        }
    }

    #[test]
    fn a_hostile_text_costs_no_more_than_pattern_times_text() {
        let glob = Glob::new(&"*a".repeat(64));
        assert!(!glob.matches(&format!("{}b", "a".repeat(64 * 1024))));
    }

    #[test]
    fn only_a_pattern_without_wildcards_is_literal() {
        assert!(Glob::new("a.b-c").is_literal());
        assert!(!Glob::new("a*").is_literal() && !Glob::new("a?").is_literal());
        assert_eq!(Glob::new("a*?").as_str(), "a*?");
    }
}
