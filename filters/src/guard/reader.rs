//! Reads JSON text from front to back, by slices of it.
//!
//! **Invariant:** no recursion that a text decides: what is skipped is skipped by counting brackets, and
//! a walk that goes deeper than [`DEPTH_MAX`](crate::bounds::DEPTH_MAX) ends.

use std::borrow::Cow;

use memchr::memchr2;

use crate::json::object;

/// A place in JSON text.
#[derive(Clone, Debug)]
pub(super) struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    /// The beginning of a text.
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    /// How far it is, in bytes.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The text between two places.
    pub(super) fn slice(&self, from: usize, to: usize) -> &'t str {
        self.text.get(from..to).unwrap_or_default()
    }

    /// The next byte that is no white space; where it stands is where the reader is then.
    pub(super) fn peek(&mut self) -> Option<u8> {
        let rest = self.text.as_bytes().get(self.at..)?;
        let skipped = rest
            .iter()
            .position(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))?;
        self.at += skipped;
        rest.get(skipped).copied()
    }

    /// Goes past `byte`, if it comes next.
    pub(super) fn eat(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    /// Goes past a string: its text with the quotes.
    pub(super) fn string(&mut self) -> Option<&'t str> {
        if self.peek()? != b'"' {
            return None;
        }
        let (start, mut at) = (self.at, self.at + 1);
        loop {
            let rest = self.text.as_bytes().get(at..)?;
            let found = memchr2(b'"', b'\\', rest)?;
            at += found;
            if rest.get(found) == Some(&b'"') {
                self.at = at + 1;
                return self.text.get(start..self.at);
            }
            at += 2;
        }
    }

    /// Goes past a number or a word.
    fn word(&mut self) -> Option<()> {
        let rest = self.text.as_bytes().get(self.at..)?;
        let is_end = |byte: &u8| matches!(byte, b',' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r');
        let length = rest.iter().position(is_end).unwrap_or(rest.len());
        self.at += length;
        (length > 0).then_some(())
    }

    /// Goes past a value: its text.
    pub(super) fn value(&mut self) -> Option<&'t str> {
        let first = self.peek()?;
        let start = self.at;
        match first {
            b'"' => return self.string(),
            b'{' | b'[' => self.brackets()?,
            _ => self.word()?,
        }
        self.text.get(start..self.at)
    }

    /// Goes past an object or array, whatever is in it.
    fn brackets(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.text.as_bytes().get(self.at)? {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Some(());
            }
        }
    }
}

/// The text that a string's JSON text is; nothing where it is no string, or has half a surrogate pair.
pub(super) fn unescaped(raw: &str) -> Option<Cow<'_, str>> {
    let inside = raw.strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr(b'\\', inside.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inside));
    }
    object::string(raw).map(|text| Cow::Owned(text.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_told_apart_whatever_is_in_them() {
        let mut reader = Reader::new(" {\"a]\\\"\":[1,\"}\"]} \"x\\\\\" 12e3,null");
        assert_eq!(reader.value(), Some("{\"a]\\\"\":[1,\"}\"]}"));
        assert_eq!(reader.value(), Some("\"x\\\\\""));
        assert_eq!(reader.value(), Some("12e3"));
        assert!(reader.eat(b','));
        assert_eq!(reader.value(), Some("null"));
        assert_eq!(reader.value(), None);
    }

    #[test]
    fn what_breaks_off_is_no_value() {
        for text in ["", "\"", "\"\\", "\"\\\"", "{", "[1", "{\"a\":\"", ",", "]"] {
            assert_eq!(Reader::new(text).value(), None, "{text}");
        }
    }

    #[test]
    fn half_a_surrogate_pair_is_no_text() {
        assert_eq!(unescaped(r#""\ud800""#), None);
        assert_eq!(unescaped(r#""\u0061b""#).as_deref(), Some("ab"));
        assert_eq!(unescaped("1"), None);
    }
}
