//! Strings in one spelling, and the order of names.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::json::object;
use crate::json::scan;

/// Appends the string that `rest` begins with, quotes included, with no more escapes than it needs.
/// What follows it; nothing where it is no string, or one that is not Unicode.
pub(super) fn write<'t>(rest: &'t str, out: &mut Vec<u8>) -> Option<&'t str> {
    let text = rest;
    let mut rest = rest.strip_prefix('"')?;
    let end = scan::plain(rest.as_bytes()) + 1;
    if rest.as_bytes().get(end - 1) == Some(&b'"') {
        // Most have no escapes, and are copied whole.
        let (whole, tail) = text.split_at_checked(end + 1)?;
        out.extend_from_slice(whole.as_bytes());
        return Some(tail);
    }
    out.push(b'"');
    loop {
        let (plain, tail) = rest.split_at_checked(scan::plain(rest.as_bytes()))?;
        out.extend_from_slice(plain.as_bytes());
        if let Some(tail) = tail.strip_prefix('"') {
            out.push(b'"');
            return Some(tail);
        }
        let (character, tail) = unescape(tail.strip_prefix('\\')?)?;
        push(character, out);
        rest = tail;
    }
}

/// Appends `value` as a string's inside: what [`write()`] makes of it, without the quotes.
pub(super) fn escape(value: &str, out: &mut Vec<u8>) {
    value.chars().for_each(|character| push(character, out));
}

fn push(character: char, out: &mut Vec<u8>) {
    let short = match character {
        '"' => b'"',
        '\\' => b'\\',
        '\u{8}' => b'b',
        '\t' => b't',
        '\n' => b'n',
        '\u{c}' => b'f',
        '\r' => b'r',
        control if u32::from(control) < 0x20 => {
            let text = format!("\\u{:04x}", u32::from(control));
            out.extend_from_slice(text.as_bytes());
            return;
        }
        other => {
            out.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes());
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// The character that an escape stands for, and what follows it. `rest` begins past the backslash.
fn unescape(rest: &str) -> Option<(char, &str)> {
    let mut characters = rest.chars();
    let character = match characters.next()? {
        '"' => '"',
        '\\' => '\\',
        '/' => '/',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => return unescape_unit(characters.as_str()),
        _ => return None,
    };
    Some((character, characters.as_str()))
}

/// The character of one or two `\u` escapes; the first begins past its `u`.
fn unescape_unit(rest: &str) -> Option<(char, &str)> {
    let (first, rest) = unit(rest)?;
    if let Some(character) = char::from_u32(u32::from(first)) {
        return Some((character, rest));
    }
    let (second, rest) = unit(rest.strip_prefix("\\u")?)?;
    let character = char::decode_utf16([first, second]).next()?.ok()?;
    Some((character, rest))
}

fn unit(rest: &str) -> Option<(u16, &str)> {
    let (digits, rest) = rest.split_at_checked(4)?;
    // A sign would pass for a digit otherwise.
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let unit = u16::from_str_radix(digits, 16).ok()?;
    is_hex.then_some((unit, rest))
}

/// The order of two names in canonical spelling: by UTF-16 units, as RFC 8785 has it.
pub(super) fn order(a: &[u8], b: &[u8]) -> Ordering {
    if a.contains(&b'\\') || b.contains(&b'\\') {
        let (a, b) = (plain(a), plain(b));
        return a.encode_utf16().cmp(b.encode_utf16());
    }
    // UTF-8 sorts as UTF-16 does, but for what is above U+FFFF (F0..): that goes before U+E000 to
    // U+FFFF (EE, EF). Both are first bytes only.
    let rank = |byte: &u8| match byte {
        0xEE | 0xEF => u16::from(*byte) + 0x100,
        _ => u16::from(*byte),
    };
    a.iter().map(rank).cmp(b.iter().map(rank))
}

/// A name without its escapes.
fn plain(name: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(name);
    let value = object::string(&format!("\"{text}\"")).map(Cow::into_owned);
    value.map_or(text, Cow::Owned)
}
