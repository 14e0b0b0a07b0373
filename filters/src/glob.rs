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
    /// Absent where the pattern has no wildcard: most are plain names.
    pattern: Option<WildMatch>,
}

impl Glob {
    /// Compiles a pattern; every text is one. Nothing escapes a wildcard.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self {
            text: text.into(),
            pattern: text.contains(['*', '?']).then(|| WildMatch::new(text)),
        }
    }

    /// Whether all of `text` is what the pattern says.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        match &self.pattern {
            Some(pattern) => pattern.matches(text),
            None => *self.text == *text,
        }
    }

    /// Whether it has no wildcard, so that it matches one text only.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        self.pattern.is_none()
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
