//! Keys and tokens by the prefixes that their issuers give them, and private keys by their armour.

use std::ops::Range;

use memchr::memmem;

use crate::guard::detect::{Enough, is_mark, run};

/// What a token may be made of after its prefix.
#[derive(Clone, Copy)]
enum Alphabet {
    /// `A-Z`, `2-7`
    Base32,
    /// `A-Z`, `a-z`, `0-9`
    Alphanumeric,
    /// And `-`, `_`
    Url,
    /// `0-9`, `a-f`
    Hex,
}

impl Alphabet {
    fn has(self, byte: u8) -> bool {
        match self {
            Self::Base32 => byte.is_ascii_uppercase() || matches!(byte, b'2'..=b'7'),
            Self::Alphanumeric => byte.is_ascii_alphanumeric(),
            Self::Url => byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'),
            Self::Hex => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        }
    }
}

/// A prefix, what follows it, and how many bytes of that at least and at most.
type Shape = (&'static str, Alphabet, usize, usize);

/// No bound to a token's length.
const ANY: usize = usize::MAX;

/// Tokens of one part.
const SHAPES: [Shape; 37] = [
    ("AKIA", Alphabet::Base32, 16, 16),
    ("ASIA", Alphabet::Base32, 16, 16),
    ("ABIA", Alphabet::Base32, 16, 16),
    ("ACCA", Alphabet::Base32, 16, 16),
    ("ghp_", Alphabet::Alphanumeric, 36, 255),
    ("gho_", Alphabet::Alphanumeric, 36, 255),
    ("ghu_", Alphabet::Alphanumeric, 36, 255),
    ("ghs_", Alphabet::Url, 36, ANY),
    ("ghr_", Alphabet::Alphanumeric, 36, 255),
    ("github_pat_", Alphabet::Url, 36, 255),
    ("glpat-", Alphabet::Url, 20, ANY),
    ("glptt-", Alphabet::Hex, 40, 40),
    ("xoxb-", Alphabet::Url, 20, ANY),
    ("xoxp-", Alphabet::Url, 20, ANY),
    ("xoxa-", Alphabet::Url, 20, ANY),
    ("xoxr-", Alphabet::Url, 20, ANY),
    ("xoxs-", Alphabet::Url, 20, ANY),
    ("xapp-", Alphabet::Url, 20, ANY),
    ("sk_live_", Alphabet::Alphanumeric, 16, 255),
    ("sk_test_", Alphabet::Alphanumeric, 16, 255),
    ("rk_live_", Alphabet::Alphanumeric, 16, 255),
    ("rk_test_", Alphabet::Alphanumeric, 16, 255),
    ("whsec_", Alphabet::Alphanumeric, 32, 255),
    ("AIza", Alphabet::Url, 35, 35),
    ("GOCSPX-", Alphabet::Url, 28, 28),
    ("ya29.", Alphabet::Url, 30, ANY),
    ("sk-ant-", Alphabet::Url, 32, ANY),
    ("sk-proj-", Alphabet::Url, 32, ANY),
    ("sk-svcacct-", Alphabet::Url, 32, ANY),
    ("sk-", Alphabet::Alphanumeric, 48, 48),
    ("npm_", Alphabet::Alphanumeric, 36, 36),
    ("pypi-", Alphabet::Url, 64, ANY),
    ("hf_", Alphabet::Alphanumeric, 34, 40),
    ("dop_v1_", Alphabet::Hex, 64, 64),
    ("shpat_", Alphabet::Hex, 32, 32),
    ("lin_api_", Alphabet::Alphanumeric, 40, 40),
    ("AGE-SECRET-KEY-1", Alphabet::Alphanumeric, 58, 58),
];

/// Shortest part of a signed token (JWT), in bytes.
const JWT_PART_MIN: usize = 10;
/// Longest name and password of a URL, in bytes.
const CREDENTIALS_BYTES_MAX: usize = 512;
/// Longest label of an armoured key, in bytes.
const LABEL_BYTES_MAX: usize = 64;

/// Tokens and keys of services.
pub(super) fn tokens(text: &str, found: &mut dyn FnMut(Range<usize>) -> Enough) {
    for shape in &SHAPES {
        if shaped(text.as_bytes(), shape, found) == Enough::Yes {
            return;
        }
    }
    for scan in [jwts, sendgrid, slack_hooks, credentials] {
        if scan(text.as_bytes(), found) == Enough::Yes {
            return;
        }
    }
}

fn shaped(
    bytes: &[u8],
    (prefix, alphabet, min, max): &Shape,
    found: &mut dyn FnMut(Range<usize>) -> Enough,
) -> Enough {
    let finder = memmem::Finder::new(prefix.as_bytes());
    let mut from = 0;
    while let Some(at) = finder.find(bytes.get(from..).unwrap_or_default()) {
        let start = from + at;
        let begin = start + prefix.len();
        let length = run(bytes, begin, |byte| alphabet.has(byte));
        from = begin + length;
        let is_short_of = |byte: Option<&u8>| !byte.is_some_and(u8::is_ascii_alphanumeric);
        let is_alone = is_short_of(start.checked_sub(1).and_then(|at| bytes.get(at)))
            && is_short_of(bytes.get(begin + length));
        if is_alone && (*min..=*max).contains(&length) && found(start..from) == Enough::Yes {
            return Enough::Yes;
        }
    }
    Enough::No
}

/// Parts with dots between them after `prefix`, each at least as long as said.
fn dotted(
    bytes: &[u8],
    prefix: &[u8],
    parts: &[usize],
    found: &mut dyn FnMut(Range<usize>) -> Enough,
) -> Enough {
    let mut from = 0;
    while let Some(at) = memmem::find(bytes.get(from..).unwrap_or_default(), prefix) {
        let start = from + at;
        let mut end = start;
        from = start + prefix.len();
        let mut is_whole = true;
        for (index, min) in parts.iter().enumerate() {
            if index > 0 {
                is_whole &= bytes.get(end) == Some(&b'.');
                end += 1;
            }
            let length = run(bytes, end, |byte| Alphabet::Url.has(byte));
            is_whole &= length >= *min;
            if !is_whole {
                break;
            }
            end += length;
        }
        if is_whole {
            from = end;
            if found(start..end) == Enough::Yes {
                return Enough::Yes;
            }
        }
    }
    Enough::No
}

fn jwts(bytes: &[u8], found: &mut dyn FnMut(Range<usize>) -> Enough) -> Enough {
    // `{"` in base64, twice.
    let mut is_enough = Enough::No;
    dotted(bytes, b"eyJ", &[JWT_PART_MIN; 3], &mut |span| {
        let second = memchr::memchr(b'.', bytes.get(span.clone()).unwrap_or_default());
        let payload = second.and_then(|at| bytes.get(span.start + at + 1..));
        if payload.is_some_and(|payload| payload.starts_with(b"eyJ")) {
            is_enough = found(span);
        }
        is_enough
    });
    is_enough
}

fn sendgrid(bytes: &[u8], found: &mut dyn FnMut(Range<usize>) -> Enough) -> Enough {
    dotted(bytes, b"SG.", &[2, 22, 43], found)
}

fn slack_hooks(bytes: &[u8], found: &mut dyn FnMut(Range<usize>) -> Enough) -> Enough {
    let prefix = b"https://hooks.slack.com/services/T";
    let mut from = 0;
    while let Some(at) = memmem::find(bytes.get(from..).unwrap_or_default(), prefix) {
        let start = from + at;
        let begin = start + prefix.len();
        from = begin
            + run(bytes, begin, |byte| {
                byte.is_ascii_alphanumeric() || byte == b'/'
            });
        if from - begin >= 24 && found(start..from) == Enough::Yes {
            return Enough::Yes;
        }
    }
    Enough::No
}

/// `scheme://name:password@`
fn credentials(bytes: &[u8], found: &mut dyn FnMut(Range<usize>) -> Enough) -> Enough {
    let mut from = 0;
    while let Some(at) = memmem::find(bytes.get(from..).unwrap_or_default(), b"://") {
        let begin = from + at + 3;
        from = begin;
        let rest = bytes.get(begin..).unwrap_or_default();
        let rest = rest.get(..CREDENTIALS_BYTES_MAX).unwrap_or(rest);
        let length = run(rest, 0, |byte| {
            byte.is_ascii_graphic() && !matches!(byte, b'/' | b'@' | b'"' | b'?' | b'#')
        });
        let user = rest.get(..length).unwrap_or_default();
        let password = memchr::memchr(b':', user).map(|at| length - at - 1);
        if rest.get(length) == Some(&b'@')
            && !is_mark(user)
            && password.is_some_and(|password| password > 0)
            && found(begin..begin + length) == Enough::Yes
        {
            return Enough::Yes;
        }
    }
    Enough::No
}

/// `-----BEGIN … PRIVATE KEY-----` up to its end, or to the end of the text.
pub(super) fn private_keys(text: &str, found: &mut dyn FnMut(Range<usize>) -> Enough) {
    let bytes = text.as_bytes();
    let mut from = 0;
    while let Some(at) = memmem::find(bytes.get(from..).unwrap_or_default(), b"-----BEGIN ") {
        let start = from + at;
        let label = start + b"-----BEGIN ".len();
        from = label;
        let rest = bytes.get(label..).unwrap_or_default();
        let head = rest.get(..LABEL_BYTES_MAX).unwrap_or(rest);
        let Some(length) = memmem::find(head, b"-----") else {
            continue;
        };
        let name = head.get(..length).unwrap_or_default();
        if memmem::find(name, b"PRIVATE KEY").is_none() {
            continue;
        }
        let footer = memmem::find(rest, b"-----END ");
        let after = footer.and_then(|at| {
            let closing = rest.get(at + b"-----END ".len()..)?;
            let closing =
                memmem::find(closing.get(..LABEL_BYTES_MAX).unwrap_or(closing), b"-----")?;
            Some(label + at + b"-----END ".len() + closing + 5)
        });
        // One that was cut off is as secret; nothing after it can be told apart from it.
        from = after.unwrap_or(bytes.len());
        if found(start..from) == Enough::Yes {
            return;
        }
    }
}
