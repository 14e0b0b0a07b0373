//! JSON text read member by member, in one pass: nothing is built, and what nobody asks for is only
//! checked.
//!
//! **Invariant:** what is read here is JSON to `serde_json`, too, and the other way round
//! (`fuzz::reader`): two readers of one text never take it differently.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::bounds::DEPTH_MAX;
use crate::json::object;
use crate::json::scan;

/// The text of one JSON value, without white space around it.
#[derive(Clone, Copy, Debug)]
pub struct Raw<'t> {
    text: &'t str,
    /// Whether it is known to be a string without escapes.
    is_plain: bool,
}

/// A text that is no JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// How far a text was read.
pub struct Reader<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
    is_deep: bool,
}

// === impl Raw ===

impl<'t> Raw<'t> {
    /// The text.
    #[must_use]
    pub fn get(self) -> &'t str {
        self.text
    }

    /// The string that it is, unescaped; nothing where it is no string, or one that is not Unicode.
    #[must_use]
    pub fn string(self) -> Option<Cow<'t, str>> {
        let inside = self.text.strip_prefix('"')?.strip_suffix('"')?;
        if self.is_plain || scan::plain(inside.as_bytes()) == inside.len() {
            return Some(Cow::Borrowed(inside));
        }
        object::string(self.text)
    }
}

impl<'t> From<&'t RawValue> for Raw<'t> {
    fn from(value: &'t RawValue) -> Self {
        Self {
            text: value.get(),
            is_plain: false,
        }
    }
}

// === impl Reader ===

impl<'t> Reader<'t> {
    /// Reads `text` from its beginning.
    #[must_use]
    pub fn new(text: &'t str) -> Self {
        Self {
            text,
            at: 0,
            depth: 0,
            is_deep: false,
        }
    }

    /// Whether something was nested deeper than [`DEPTH_MAX`].
    #[must_use]
    pub fn is_deep(&self) -> bool {
        self.is_deep
    }

    /// The first byte of what comes next; nothing at the end.
    pub fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = *self.text.as_bytes().get(self.at)?;
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    /// Reads a value of any kind.
    ///
    /// # Errors
    /// [`Malformed`] where there is none.
    pub fn value(&mut self) -> Result<Raw<'t>, Malformed> {
        match self.peek() {
            Some(b'"') => self.string(),
            _ => self.spanned(Self::skip),
        }
    }

    /// Reads a string.
    fn string(&mut self) -> Result<Raw<'t>, Malformed> {
        let mut is_plain = false;
        let read = self.spanned(|reader| {
            is_plain = reader.skip_string()?;
            Ok(())
        })?;
        Ok(Raw { is_plain, ..read })
    }

    /// The text of the value that `read` reads.
    ///
    /// # Errors
    /// What `read` finds.
    pub fn spanned(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<(), Malformed>,
    ) -> Result<Raw<'t>, Malformed> {
        self.peek();
        let start = self.at;
        read(self)?;
        let text = self.text.get(start..self.at).ok_or(Malformed)?;
        let is_plain = false;
        Ok(Raw { text, is_plain })
    }

    /// Reads an object. `member` is told each name, and reads the value.
    ///
    /// # Errors
    /// [`Malformed`] where it is none, or `member` finds so.
    pub fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, Raw<'t>) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        self.expect(b'{')?;
        self.depth += 1;
        self.is_deep |= self.depth > DEPTH_MAX;
        if self.peek() == Some(b'}') {
            self.at += 1;
        } else {
            loop {
                let name = self.string()?;
                self.expect(b':')?;
                member(self, name)?;
                if self.is_last(b'}')? {
                    break;
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// Makes sure that nothing but white space follows.
    ///
    /// # Errors
    /// [`Malformed`] where something does.
    pub fn end(&mut self) -> Result<(), Malformed> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(Malformed),
        }
    }

    fn skip(&mut self) -> Result<(), Malformed> {
        match self.peek().ok_or(Malformed)? {
            b'"' => self.skip_string().map(|_| ()),
            b'{' | b'[' if self.depth >= DEPTH_MAX => self.skip_deep(),
            b'{' => self.object(|reader, _| reader.skip()),
            b'[' => self.skip_array(),
            b't' => self.literal("true"),
            b'f' => self.literal("false"),
            b'n' => self.literal("null"),
            b'-' => {
                self.at += 1;
                self.skip_number()
            }
            _ => self.skip_number(),
        }
    }

    /// What is nested deeper than the stack may be is left to `serde_json`, which needs none for it.
    fn skip_deep(&mut self) -> Result<(), Malformed> {
        self.is_deep = true;
        let rest = self.text.get(self.at..).unwrap_or_default();
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<&RawValue>();
        match values.next() {
            Some(Ok(_)) => {
                self.at += values.byte_offset();
                Ok(())
            }
            Some(Err(_)) | None => Err(Malformed),
        }
    }

    fn skip_array(&mut self) -> Result<(), Malformed> {
        self.at += 1;
        self.depth += 1;
        if self.peek() == Some(b']') {
            self.at += 1;
        } else {
            loop {
                self.skip()?;
                if self.is_last(b']')? {
                    break;
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// Whether it has no escapes.
    fn skip_string(&mut self) -> Result<bool, Malformed> {
        let text = self.text.as_bytes();
        if text.get(self.at) != Some(&b'"') {
            return Err(Malformed);
        }
        self.at += 1;
        let mut is_plain = true;
        loop {
            self.at += scan::plain(text.get(self.at..).unwrap_or_default());
            match text.get(self.at..).unwrap_or_default() {
                [b'"', ..] => {
                    self.at += 1;
                    return Ok(is_plain);
                }
                [
                    b'\\',
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't',
                    ..,
                ] => self.at += 2,
                [b'\\', b'u', a, b, c, d, ..]
                    if [a, b, c, d].iter().all(|digit| digit.is_ascii_hexdigit()) =>
                {
                    self.at += 6;
                }
                _ => return Err(Malformed),
            }
            is_plain = false;
        }
    }

    /// A number but for its sign.
    fn skip_number(&mut self) -> Result<(), Malformed> {
        // A zero stands alone: what follows it then is no part of a number.
        if self.next_is(b'0') {
            self.at += 1;
        } else {
            self.skip_digits()?;
        }
        if self.next_is(b'.') {
            self.at += 1;
            self.skip_digits()?;
        }
        if self.next_is(b'e') || self.next_is(b'E') {
            self.at += 1;
            if self.next_is(b'+') || self.next_is(b'-') {
                self.at += 1;
            }
            self.skip_digits()?;
        }
        Ok(())
    }

    fn skip_digits(&mut self) -> Result<(), Malformed> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += digits;
        if digits == 0 { Err(Malformed) } else { Ok(()) }
    }

    fn literal(&mut self, word: &str) -> Result<(), Malformed> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word) {
            return Err(Malformed);
        }
        self.at += word.len();
        Ok(())
    }

    fn next_is(&self, byte: u8) -> bool {
        self.text.as_bytes().get(self.at) == Some(&byte)
    }

    fn expect(&mut self, byte: u8) -> Result<(), Malformed> {
        if self.peek() != Some(byte) {
            return Err(Malformed);
        }
        self.at += 1;
        Ok(())
    }

    /// Whether a list of values ends here, with `close`, and does not go on.
    fn is_last(&mut self, close: u8) -> Result<bool, Malformed> {
        let next = self.peek();
        self.at += 1;
        match next {
            Some(b',') => Ok(false),
            Some(byte) if byte == close => Ok(true),
            Some(_) | None => Err(Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Raw<'_>, Malformed> {
        let mut reader = Reader::new(text);
        let value = reader.value()?;
        reader.end()?;
        Ok(value)
    }

    #[test]
    fn what_serde_json_takes_is_taken_and_nothing_else() {
        for text in [
            "",
            " ",
            "1",
            "-1",
            "-",
            "01",
            "-0",
            "0.",
            "0.5",
            ".5",
            "1e",
            "1e+",
            "1E-7",
            "+1",
            "1.e1",
            "1 2",
            "true",
            "tru",
            "truee",
            "nul",
            "\"",
            "\"a",
            r#""\""#,
            r#""\u12""#,
            r#""\u12G4""#,
            r#""\ud800""#,
            r#""\x""#,
            "\"\t\"",
            "\"\u{7f}é\"",
            "[",
            "[]",
            "[1,]",
            "[,1]",
            "[1 2]",
            "[1]]",
            "{",
            "{}",
            "{,}",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1,}"#,
            r#"{"a":1 "b":2}"#,
            r#"{a:1}"#,
            r#"{1:1}"#,
            r#"{"a":{"b":[null,{"c":-0.1e5}]},"a":""}"#,
            " [ { } , [ ] ] ",
            "\u{feff}1",
            "\u{a0}1",
            "NaN",
            "[1}",
            r#"{"a":1]"#,
        ] {
            let theirs: Option<&RawValue> = serde_json::from_str(text).ok();
            let ours = read(text).ok();
            assert_eq!(ours.map(Raw::get), theirs.map(RawValue::get), "{text}");
        }
    }

    #[test]
    fn what_is_too_deep_is_read_and_told() {
        for (depth, is_deep) in [(DEPTH_MAX, false), (DEPTH_MAX + 1, true), (100_000, true)] {
            for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
                let text = format!("{}1{}", open.repeat(depth), close.repeat(depth));
                let mut reader = Reader::new(&text);
                assert_eq!(reader.value().map(Raw::get), Ok(&*text));
                assert_eq!(reader.is_deep(), is_deep, "{depth}");
                let cut = text.get(..text.len() - 1).unwrap();
                assert!(read(cut).is_err());
            }
        }
    }

    #[test]
    fn a_string_is_unescaped_where_it_is_unicode() {
        let string = |text| {
            let is_plain = false;
            Raw { text, is_plain }.string()
        };
        assert!(matches!(string(r#""é""#), Some(Cow::Borrowed("é"))));
        assert_eq!(string(r#""\u0061\"""#).as_deref(), Some("a\""));
        assert_eq!(string(r#""\ud800""#), None);
        assert_eq!(string("1"), None);
        assert_eq!(string("\""), None);
    }
}
