//! Detectors: what texts should not be told to everybody.
//!
//! Each finds spans of one text by hand-written scans that look at every byte a bounded number of
//! times. They look for shapes with check digits and known prefixes rather than for words, so that an
//! order number is no card and a version no phone.

mod contact;
mod injection;
mod numbers;
mod secret;

use std::ops::Range;

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Detector {
    /// Keys and tokens of well-known services, and private keys.
    Secrets,
    /// Private keys (PEM).
    PrivateKey,
    /// E-mail addresses.
    Email,
    /// Phone numbers.
    Phone,
    /// Payment card numbers, with their check digit (Luhn).
    Card,
    /// Bank accounts, with their check digits (ISO 7064, mod 97).
    Iban,
    /// Social security numbers of the US.
    Ssn,
    /// Texts that tell a model what to do instead.
    PromptInjection,
}

/// Some detectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Detectors(u8);

impl Detector {
    /// All of them. Of two that find the same, the first names it.
    pub const ALL: [Self; 8] = [
        Self::PrivateKey,
        Self::Secrets,
        Self::Email,
        Self::Iban,
        Self::Card,
        Self::Ssn,
        Self::Phone,
        Self::PromptInjection,
    ];

    /// As the configuration spells it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Secrets => "secrets",
            Self::PrivateKey => "private_key",
            Self::Email => "email",
            Self::Phone => "phone",
            Self::Card => "card",
            Self::Iban => "iban",
            Self::Ssn => "ssn",
            Self::PromptInjection => "prompt_injection",
        }
    }

    /// The detector of that spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|detector| detector.label() == text)
    }

    /// Tells `found` of each span, until it has seen enough.
    fn scan(self, text: &str, found: &mut dyn FnMut(Range<usize>) -> Enough) {
        match self {
            Self::Secrets => {
                let mut is_enough = Enough::No;
                secret::private_keys(text, &mut |span| {
                    is_enough = found(span);
                    is_enough
                });
                if is_enough == Enough::No {
                    secret::tokens(text, found);
                }
            }
            Self::PrivateKey => secret::private_keys(text, found),
            Self::Email => contact::emails(text, found),
            Self::Phone => contact::phones(text, found),
            Self::Card => numbers::cards(text, found),
            Self::Iban => numbers::ibans(text, found),
            Self::Ssn => numbers::ssns(text, found),
            Self::PromptInjection => injection::scan(text, found),
        }
    }
}

/// Whether a scan may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Enough {
    Yes,
    No,
}

impl Detectors {
    /// Whether this one is among them.
    #[must_use]
    pub fn has(self, detector: Detector) -> bool {
        self.0 & (1 << detector as u8) != 0
    }
}

impl FromIterator<Detector> for Detectors {
    fn from_iter<I: IntoIterator<Item = Detector>>(detectors: I) -> Self {
        let bits = detectors.into_iter().map(|detector| 1 << detector as u8);
        Self(bits.fold(0, |all, bit: u8| all | bit))
    }
}

/// Whether any of these finds anything.
#[must_use]
pub fn is_found(detectors: Detectors, text: &str) -> bool {
    let wanted = Detector::ALL.into_iter().filter(|one| detectors.has(*one));
    let mut is_found = false;
    for detector in wanted {
        detector.scan(text, &mut |_| {
            is_found = true;
            Enough::Yes
        });
        if is_found {
            return true;
        }
    }
    false
}

/// How often a text is looked at anew.
const ROUNDS_MAX: usize = 8;

/// The text with marks such as `[REDACTED:card]` in the place of what these find; nothing where they
/// find nothing. What stood beside a mark may be read otherwise without what the mark is for, so that
/// the text is looked at again; one that never comes clean is all mark.
#[must_use]
pub fn redact(detectors: Detectors, text: &str) -> Option<String> {
    let mut shown = marked(detectors, text)?;
    for _ in 1..ROUNDS_MAX {
        match marked(detectors, &shown) {
            Some(again) => shown = again,
            None => return Some(shown),
        }
    }
    Some("[REDACTED]".to_owned())
}

fn marked(detectors: Detectors, text: &str) -> Option<String> {
    let mut found: Vec<(Range<usize>, Detector)> = Vec::new();
    for detector in Detector::ALL {
        if detectors.has(detector) {
            detector.scan(text, &mut |span| {
                found.push((span, detector));
                Enough::No
            });
        }
    }
    if found.is_empty() {
        return None;
    }
    // A stable order: of two that begin at one place, the longer goes first, then the first in the list.
    found.sort_by(|(one, _), (other, _)| one.start.cmp(&other.start).then(other.end.cmp(&one.end)));
    let mut out = String::with_capacity(text.len());
    let mut end = 0;
    for (span, detector) in found {
        if span.start >= end {
            out.push_str(text.get(end..span.start).unwrap_or_default());
            out.push_str("[REDACTED:");
            out.push_str(detector.label());
            out.push(']');
        }
        end = end.max(span.end);
    }
    out.push_str(text.get(end..).unwrap_or_default());
    Some(out)
}

/// Whether a text is what stands in the place of something that was found.
fn is_mark(text: &[u8]) -> bool {
    let label = text.strip_prefix(b"[REDACTED:");
    let label = label.and_then(|label| label.strip_suffix(b"]"));
    label.is_some_and(|label| {
        let mut known = Detector::ALL.into_iter().map(Detector::label);
        known.any(|known| known.as_bytes() == label)
    })
}

/// Whether the byte before `at` and the one at `end` belong to no word.
fn stands_alone(bytes: &[u8], span: &Range<usize>) -> bool {
    let is_word = |byte: Option<&u8>| {
        byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte >= 0x80)
    };
    let before = span.start.checked_sub(1).and_then(|at| bytes.get(at));
    !is_word(before) && !is_word(bytes.get(span.end))
}

/// How many bytes from `at` on are as wanted.
fn run(bytes: &[u8], at: usize, is_wanted: impl Fn(u8) -> bool) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    rest.iter()
        .position(|byte| !is_wanted(*byte))
        .unwrap_or(rest.len())
}

#[cfg(test)]
mod tests;
