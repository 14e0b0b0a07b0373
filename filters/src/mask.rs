//! Secrets in what others say: found, also where they are encoded or divided, and covered.
//!
//! **Invariant:** what is covered keeps its length, so that whatever tells of it (a `Content-Length`, a
//! chunk) stays true, and JSON stays JSON.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use memchr::memmem::Finder;
use memchr::{memchr_iter, memrchr_iter};

/// Shortest text that is taken for a secret, in bytes: a shorter one would cover half of what is said.
pub const SECRET_BYTES_MIN: usize = 8;

/// Texts that must not be shown, with the forms in which they may stand somewhere.
pub struct Mask {
    forms: Vec<Form>,
}

struct Form {
    finder: Finder<'static>,
    /// What stands in its place, once for each byte.
    cover: u8,
}

impl Mask {
    /// A mask over these secrets; nothing where none is long enough to be one.
    #[must_use]
    pub fn of<'s>(secrets: impl IntoIterator<Item = &'s str>) -> Option<Self> {
        let mut forms: Vec<Form> = Vec::new();
        for secret in secrets {
            if secret.len() < SECRET_BYTES_MIN {
                continue;
            }
            let is_number = secret.bytes().all(|byte| byte.is_ascii_digit());
            // In the place of a number there must be a number.
            let cover = if is_number { b'1' } else { b'*' };
            for text in spellings(secret) {
                if forms.iter().all(|form| form.finder.needle() != text) {
                    let finder = Finder::new(&text).into_owned();
                    forms.push(Form { finder, cover });
                }
            }
        }
        (!forms.is_empty()).then_some(Self { forms })
    }

    /// Whether a secret stands in `text`.
    #[must_use]
    pub fn is_in(&self, text: &[u8]) -> bool {
        let mut forms = self.forms.iter();
        forms.any(|form| form.finder.find(text).is_some())
    }

    /// The text with every secret covered.
    #[must_use]
    pub fn cover<'t>(&self, text: &'t [u8]) -> Cow<'t, [u8]> {
        let mut covered = Cow::Borrowed(text);
        for Form { finder, cover } in &self.forms {
            let length = finder.needle().len();
            let mut from = 0;
            while let Some(rest) = covered.get(from..)
                && let Some(at) = finder.find(rest)
            {
                let end = from + at + length;
                if let Some(found) = covered.to_mut().get_mut(from + at..end) {
                    found.fill(*cover);
                }
                from = end;
            }
        }
        covered
    }

    /// How many of the last bytes of `text` may be the beginning of a secret.
    #[must_use]
    pub fn tail(&self, text: &[u8]) -> usize {
        let Some(last) = text.last() else { return 0 };
        let longest = |form: &Form| {
            let needle = form.finder.needle();
            let before_last = needle.len().saturating_sub(1).min(text.len());
            let head = needle.get(..before_last).unwrap_or_default();
            let mut ends = memrchr_iter(*last, head).map(|at| at + 1);
            ends.find(|&end| needle.get(..end).is_some_and(|head| text.ends_with(head)))
        };
        self.forms.iter().filter_map(longest).max().unwrap_or(0)
    }
}

impl fmt::Debug for Mask {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Mask(…)")
    }
}

/// Covers a text that comes in parts. What may be the beginning of a secret is held back until more
/// comes: never a line break, so that no event waits for the next one.
#[derive(Debug, Default)]
pub struct Veil {
    held: Vec<u8>,
}

impl Veil {
    /// Takes the next part, and gives what can be shown. After the last part, nothing is held back.
    pub fn pass<'p>(&mut self, mask: &Mask, part: &'p [u8], is_last: bool) -> Cow<'p, [u8]> {
        let mut text = if self.held.is_empty() {
            mask.cover(part)
        } else {
            self.held.extend_from_slice(part);
            let joined = std::mem::take(&mut self.held);
            Cow::Owned(mask.cover(&joined).into_owned())
        };
        let tail = if is_last { 0 } else { mask.tail(&text) };
        let shown = text.len().saturating_sub(tail);
        match &mut text {
            Cow::Borrowed(part) => {
                let (head, rest) = part.split_at(shown);
                self.held.extend_from_slice(rest);
                Cow::Borrowed(head)
            }
            Cow::Owned(part) => {
                self.held = part.split_off(shown);
                text
            }
        }
    }

    /// Whether something is held back.
    #[must_use]
    pub fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }
}

/// The forms in which others may say a secret: as it is, escaped for JSON or a URL, and within what is
/// encoded as base64.
fn spellings(secret: &str) -> Vec<Vec<u8>> {
    let mut all = vec![secret.as_bytes().to_vec(), quoted(secret).into_bytes()];
    if memchr_iter(b'/', secret.as_bytes()).next().is_some() {
        all.push(quoted(secret).replace('/', "\\/").into_bytes());
    }
    all.push(percent_encoded(secret).into_bytes());
    all.push(percent_encoded(secret).to_lowercase().into_bytes());
    for alphabet in [&STANDARD, &URL_SAFE] {
        let engine = GeneralPurpose::new(alphabet, NO_PAD);
        all.extend((0..3).map(|before| within_base64(&engine, secret, before)));
    }
    all.retain(|text| text.len() >= SECRET_BYTES_MIN);
    all
}

fn quoted(secret: &str) -> String {
    let text = crate::json::object::quoted(secret);
    let inside = text.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
    inside.unwrap_or_default().to_owned()
}

/// A text as it stands in a query (RFC 3986, 2.1).
#[must_use]
pub fn percent_encoded(text: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let digit = |at: u8| char::from(*HEX.get(usize::from(at)).unwrap_or(&b'0'));
            out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    out
}

/// What of a secret's base64 does not depend on what stands around it, where `before` bytes of the same
/// group of three stand before it.
fn within_base64(engine: &GeneralPurpose, secret: &str, before: usize) -> Vec<u8> {
    let mut text = vec![0; before];
    text.extend_from_slice(secret.as_bytes());
    let encoded = engine.encode(&text).into_bytes();
    // A letter is six bits: the first ones hold what stands before, the last one what comes after.
    let first = (before * 8).div_ceil(6);
    let last = if text.len().is_multiple_of(3) {
        encoded.len()
    } else {
        encoded.len().saturating_sub(1)
    };
    encoded.get(first..last).unwrap_or_default().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "s3cr+t/0f \"all\"";

    fn mask() -> Mask {
        Mask::of([SECRET]).unwrap()
    }

    fn passed(parts: &[&[u8]]) -> Vec<u8> {
        let (mask, mut veil) = (mask(), Veil::default());
        let mut all = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            all.extend_from_slice(&veil.pass(&mask, part, index + 1 == parts.len()));
        }
        all
    }

    #[test]
    fn a_secret_is_covered_in_every_spelling_and_the_length_stays() {
        let json = serde_json::to_string(&format!("Bearer {SECRET}!")).unwrap();
        let mut texts = vec![
            format!("<{SECRET}>"),
            json.clone(),
            json.replace('/', "\\/"),
            format!("?t={}&x", percent_encoded(SECRET)),
            format!("?t={}&x", percent_encoded(SECRET).to_lowercase()),
        ];
        for around in ["", "a", "ab", "abc", "user:"] {
            let text = format!("{around}{SECRET}{around}");
            for alphabet in [&STANDARD, &URL_SAFE] {
                texts.push(GeneralPurpose::new(alphabet, NO_PAD).encode(&text));
            }
        }
        for text in texts {
            let covered = mask().cover(text.as_bytes()).into_owned();
            let covered = String::from_utf8(covered).unwrap();
            assert_eq!(covered.len(), text.len(), "{text}");
            assert!(covered.contains("********"), "{text} {covered}");
            assert!(!mask().is_in(covered.as_bytes()), "{text} {covered}");
        }
    }

    #[test]
    fn what_is_no_secret_is_given_as_it_is() {
        let text = b"nothing of the kind: s3cr+t/0f".as_slice();
        assert!(matches!(mask().cover(text), Cow::Borrowed(same) if same == text));
        assert!(matches!(
            Veil::default().pass(&mask(), b"ok", true),
            Cow::Borrowed(b"ok")
        ));
    }

    #[test]
    fn a_short_text_is_no_secret() {
        assert!(Mask::of(["1234567"]).is_none());
        assert!(Mask::of(["12345678"]).is_some());
    }

    #[test]
    fn a_number_is_covered_by_a_number() {
        let mask = Mask::of(["1234567890"]).unwrap();
        assert_eq!(
            &*mask.cover(br#"{"id":1234567890}"#),
            br#"{"id":1111111111}"#
        );
    }

    #[test]
    fn a_secret_is_covered_wherever_it_is_divided() {
        let text = format!("data: {SECRET} and {SECRET}\n\n");
        let whole = passed(&[text.as_bytes()]);
        assert!(!mask().is_in(&whole));
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let bytes = text.as_bytes();
                let parts = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                assert_eq!(passed(&parts), whole, "{first} {second}");
            }
        }
    }

    #[test]
    fn an_event_that_is_whole_is_not_held_back() {
        let mut veil = Veil::default();
        let event = b"data: {}\n\n";
        assert_eq!(veil.pass(&mask(), event, false), event.as_slice());
        assert!(!veil.is_holding());
        assert_eq!(
            veil.pass(&mask(), b"data: s3c", false),
            b"data: ".as_slice()
        );
        assert!(veil.is_holding());
    }

    #[test]
    fn debug_shows_no_secret() {
        assert_eq!(format!("{:?}", mask()), "Mask(…)");
    }
}
