//! Numbers with check digits: cards, bank accounts; and those with a shape of their own.

use std::ops::Range;

use crate::guard::detect::{Enough, run, stands_alone};

/// Digits of a card number, at least and at most (ISO/IEC 7812).
const CARD_DIGITS: (usize, usize) = (13, 19);

/// Countries of the IBAN registry and how long their accounts are, with country and check digits.
const IBAN_LENGTHS: [(&[u8; 2], usize); 48] = [
    (b"AD", 24),
    (b"AE", 23),
    (b"AL", 28),
    (b"AT", 20),
    (b"AZ", 28),
    (b"BA", 20),
    (b"BE", 16),
    (b"BG", 22),
    (b"BH", 22),
    (b"BR", 29),
    (b"CH", 21),
    (b"CR", 22),
    (b"CY", 28),
    (b"CZ", 24),
    (b"DE", 22),
    (b"DK", 18),
    (b"DO", 28),
    (b"EE", 20),
    (b"EG", 29),
    (b"ES", 24),
    (b"FI", 18),
    (b"FR", 27),
    (b"GB", 22),
    (b"GE", 22),
    (b"GR", 27),
    (b"HR", 21),
    (b"HU", 28),
    (b"IE", 22),
    (b"IL", 23),
    (b"IS", 26),
    (b"IT", 27),
    (b"KW", 30),
    (b"KZ", 20),
    (b"LI", 21),
    (b"LT", 20),
    (b"LU", 20),
    (b"LV", 21),
    (b"MC", 27),
    (b"MT", 31),
    (b"NL", 18),
    (b"NO", 15),
    (b"PL", 28),
    (b"PT", 25),
    (b"RO", 24),
    (b"SA", 24),
    (b"SE", 24),
    (b"SI", 19),
    (b"TR", 26),
];

/// Card numbers, with spaces or hyphens between groups of digits or without.
pub(super) fn cards(text: &str, found: &mut dyn FnMut(Range<usize>) -> Enough) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(start) = next_digit(bytes, at) {
        let is_inside = start.checked_sub(1).and_then(|at| bytes.get(at));
        at = start + run(bytes, start, |byte| byte.is_ascii_digit());
        // A letter, a point or another digit before it makes it something else.
        if is_inside.is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_'))
        {
            continue;
        }
        if let Some(end) = card(bytes, start) {
            at = end;
            if found(start..end) == Enough::Yes {
                return;
            }
        }
    }
}

/// Where the card number that begins at `start` ends.
fn card(bytes: &[u8], start: usize) -> Option<usize> {
    let mut digits = [0_u8; CARD_DIGITS.1];
    let mut length = 0;
    let mut at = start;
    let mut longest = None;
    loop {
        let group = run(bytes, at, |byte| byte.is_ascii_digit());
        let group_digits = bytes.get(at..at + group)?;
        let Some(place) = digits.get_mut(length..length + group) else {
            return longest;
        };
        place.copy_from_slice(group_digits);
        length += group;
        at += group;
        let seen = digits.get(..length)?;
        let is_end = !bytes.get(at).is_some_and(u8::is_ascii_alphanumeric);
        if length >= CARD_DIGITS.0 && is_end && is_card(seen) {
            longest = Some(at);
        }
        let is_joined = matches!(bytes.get(at), Some(b' ' | b'-'))
            && bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
        if !is_joined {
            return longest;
        }
        at += 1;
    }
}

fn is_card(digits: &[u8]) -> bool {
    let is_issued = matches!(digits.first(), Some(b'2'..=b'6'));
    let is_varied = digits.windows(2).any(|pair| pair.first() != pair.last());
    is_issued && is_varied && luhn(digits) == 0
}

/// What is left of the sum of digits, every second doubled, modulo ten.
fn luhn(digits: &[u8]) -> u32 {
    let sum = digits.iter().rev().enumerate().map(|(index, digit)| {
        let digit = u32::from(digit - b'0');
        match (index % 2, digit * 2) {
            (0, _) => digit,
            (_, doubled) if doubled > 9 => doubled - 9,
            (_, doubled) => doubled,
        }
    });
    sum.sum::<u32>() % 10
}

fn next_digit(bytes: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    Some(from + rest.iter().position(u8::is_ascii_digit)?)
}

/// Bank accounts, with spaces between groups or without.
pub(super) fn ibans(text: &str, found: &mut dyn FnMut(Range<usize>) -> Enough) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(digit) = next_digit(bytes, at) {
        at = digit + 1;
        // The country stands before the first of two check digits.
        let Some(start) = digit.checked_sub(2) else {
            continue;
        };
        if let Some(end) = iban(bytes, start)
            && stands_alone(bytes, &(start..end))
        {
            at = end;
            if found(start..end) == Enough::Yes {
                return;
            }
        }
    }
}

/// Where the account that begins at `start` ends.
fn iban(bytes: &[u8], start: usize) -> Option<usize> {
    let country = [
        bytes.get(start)?.to_ascii_uppercase(),
        bytes.get(start + 1)?.to_ascii_uppercase(),
    ];
    let (_, length) = IBAN_LENGTHS.iter().find(|(known, _)| **known == country)?;
    let mut account = Vec::with_capacity(*length);
    let mut at = start;
    while account.len() < *length {
        match bytes.get(at)? {
            b' ' if account.len() % 4 == 0 && !account.is_empty() => {}
            byte if byte.is_ascii_alphanumeric() => account.push(byte.to_ascii_uppercase()),
            _ => return None,
        }
        at += 1;
    }
    let (head, tail) = account.split_at_checked(4)?;
    let is_numbered = head.iter().skip(2).all(u8::is_ascii_digit);
    let rest = tail
        .iter()
        .chain(head)
        .fold(0_u32, |rest, byte| match byte {
            b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
            _ => (rest * 100 + u32::from(byte - b'A') + 10) % 97,
        });
    (is_numbered && rest == 1).then_some(at)
}

/// `123-45-6789`, as they are issued; without the hyphens any number would be one.
pub(super) fn ssns(text: &str, found: &mut dyn FnMut(Range<usize>) -> Enough) {
    const SHAPE: usize = 11;
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(start) = next_digit(bytes, at) {
        at = start + 1;
        let span = start..start + SHAPE;
        let Some([a, b, c, first, d, e, second, f, g, h, i]) = bytes.get(span.clone()) else {
            return;
        };
        let is_number = [a, b, c, d, e, f, g, h, i]
            .iter()
            .all(|byte| byte.is_ascii_digit());
        let is_joined = first == second && matches!(first, b'-' | b' ');
        let is_issued = !matches!(
            [*a, *b, *c],
            [b'0', b'0', b'0'] | [b'6', b'6', b'6'] | [b'9', ..]
        ) && [*d, *e] != *b"00"
            && [*f, *g, *h, *i] != *b"0000";
        let is_apart = !matches!(
            start.checked_sub(1).and_then(|at| bytes.get(at)),
            Some(b'-' | b'.')
        ) && !matches!(bytes.get(span.end), Some(b'-'));
        if is_number && is_joined && is_issued && is_apart && stands_alone(bytes, &span) {
            at = span.end;
            if found(span) == Enough::Yes {
                return;
            }
        }
    }
}
