//! How people are reached: e-mail addresses and phone numbers.

use std::ops::Range;

use memchr::memchr;

use crate::guard::detect::{Enough, run};

/// Longest local part of an address, in bytes (RFC 5321).
const LOCAL_BYTES_MAX: usize = 64;
/// Longest domain, in bytes.
const DOMAIN_BYTES_MAX: usize = 253;
/// Digits of an international number, at least and at most (E.164).
const PHONE_DIGITS: (usize, usize) = (8, 15);

/// E-mail addresses whose domain has a name below a top-level domain of letters.
pub(super) fn emails(text: &str, found: &mut dyn FnMut(Range<usize>) -> Enough) {
    let bytes = text.as_bytes();
    let mut from = 0;
    while let Some(at) = memchr(b'@', bytes.get(from..).unwrap_or_default()) {
        let at = from + at;
        let before = bytes.get(from.max(at.saturating_sub(LOCAL_BYTES_MAX))..at);
        let before = before.unwrap_or_default();
        let is_local =
            |byte: &u8| byte.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(byte);
        let length = before.iter().rev().position(|byte| !is_local(byte));
        let length = length.unwrap_or(before.len());
        let rest = bytes.get(at + 1..).unwrap_or_default();
        let rest = rest.get(..DOMAIN_BYTES_MAX).unwrap_or(rest);
        let domain = run(rest, 0, |byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.')
        });
        let domain = trimmed(rest.get(..domain).unwrap_or_default());
        from = at + 1;
        if length > 0 && is_domain(domain) && found(at - length..from + domain.len()) == Enough::Yes
        {
            return;
        }
    }
}

/// A domain without the full stop of its sentence.
fn trimmed(domain: &[u8]) -> &[u8] {
    let kept = domain.iter().rposition(|byte| !matches!(byte, b'.' | b'-'));
    domain
        .get(..kept.map_or(0, |last| last + 1))
        .unwrap_or_default()
}

fn is_domain(domain: &[u8]) -> bool {
    let mut labels = domain.rsplit(|byte| *byte == b'.');
    let is_top = |label: &[u8]| label.len() >= 2 && label.iter().all(u8::is_ascii_alphabetic);
    labels.next().is_some_and(is_top)
        && labels.clone().next().is_some()
        && labels.all(|label| !label.is_empty())
}

/// Numbers with their country (`+44 20 7946 0958`), and those of North America with an area
/// (`(212) 555-0123`, `212-555-0123`).
pub(super) fn phones(text: &str, found: &mut dyn FnMut(Range<usize>) -> Enough) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(start) = next(bytes, at) {
        at = start + 1;
        let before = start.checked_sub(1).and_then(|at| bytes.get(at));
        if before
            .is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'+'))
        {
            at = start + run(bytes, start, |byte| byte.is_ascii_digit()).max(1);
            continue;
        }
        let end = match bytes.get(start) {
            Some(b'+') => international(bytes, start),
            _ => american(bytes, start),
        };
        if let Some(end) = end {
            at = end;
            if found(start..end) == Enough::Yes {
                return;
            }
        }
    }
}

/// The next place where a number may begin.
fn next(bytes: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    let is_begin = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'+' | b'(');
    Some(from + rest.iter().position(is_begin)?)
}

fn international(bytes: &[u8], start: usize) -> Option<usize> {
    if !matches!(bytes.get(start + 1), Some(b'1'..=b'9')) {
        return None;
    }
    let (mut n_digits, mut end) = (0, start);
    let mut n_between = 0;
    let rest = bytes.get(start + 1..).unwrap_or_default();
    for (index, byte) in rest.iter().enumerate() {
        match byte {
            b'0'..=b'9' => {
                (n_digits, n_between) = (n_digits + 1, 0);
                end = start + 2 + index;
            }
            // At most ` (` or `) ` stand between two digits.
            b' ' | b'-' | b'.' | b'(' | b')' if n_between < 2 => n_between += 1,
            _ => break,
        }
        if n_digits > PHONE_DIGITS.1 {
            return None;
        }
    }
    let is_word = bytes.get(end).is_some_and(u8::is_ascii_alphabetic);
    (n_digits >= PHONE_DIGITS.0 && !is_word).then_some(end)
}

fn american(bytes: &[u8], start: usize) -> Option<usize> {
    let is_bracketed = bytes.get(start) == Some(&b'(');
    let mut at = start + usize::from(is_bracketed);
    at = group(bytes, at, 3, true)?;
    let between = match (is_bracketed, bytes.get(at), bytes.get(at + 1)) {
        (true, Some(b')'), Some(b' ')) => 2,
        (true, Some(b')'), _) => 1,
        (false, Some(b'-' | b'.' | b' '), _) => 1,
        _ => return None,
    };
    let separator = *bytes.get(at)?;
    at = group(bytes, at + between, 3, true)?;
    let joint = *bytes.get(at)?;
    let is_joined = matches!(joint, b'-' | b'.' | b' ') && (is_bracketed || joint == separator);
    let end = group(bytes, at + 1, 4, false)?;
    let is_end = !matches!(bytes.get(end), Some(b'-' | b'.') if bytes.get(end + 1).is_some_and(u8::is_ascii_digit))
        && !bytes.get(end).is_some_and(u8::is_ascii_alphanumeric);
    (is_joined && is_end).then_some(end)
}

/// Goes past so many digits; the first of an area or an exchange is 2 to 9.
fn group(bytes: &[u8], at: usize, length: usize, is_code: bool) -> Option<usize> {
    let digits = bytes.get(at..at + length)?;
    let is_group = digits.iter().all(u8::is_ascii_digit)
        && (!is_code || matches!(digits.first(), Some(b'2'..=b'9')));
    is_group.then_some(at + length)
}
