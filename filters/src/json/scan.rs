//! Structural scans over JSON text.

use memchr::memchr2;

/// Whether no bracket of `text` is nested deeper than `max`.
///
/// The text need not be valid JSON: brackets inside strings do not count, and unbalanced ones are
/// left for the parser to report. One pass, no allocation, no recursion.
#[must_use]
pub fn nests_within(text: &[u8], max: usize) -> bool {
    let mut depth = 0_usize;
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = match byte {
            b'"' => after_string(tail),
            b'{' | b'[' => {
                depth += 1;
                if depth > max {
                    return false;
                }
                tail
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                tail
            }
            _ => tail,
        };
    }
    true
}

/// What follows the string that `text` is inside of, past its closing quote.
fn after_string(mut text: &[u8]) -> &[u8] {
    while let Some(at) = memchr2(b'"', b'\\', text) {
        let found = text.get(at..).unwrap_or_default();
        match found {
            [b'"', tail @ ..] | [b'\\', _, tail @ ..] => {
                if found.first() == Some(&b'"') {
                    return tail;
                }
                text = tail;
            }
            _ => return &[],
        }
    }
    &[]
}

/// How many bytes a string goes on for before one that ends it, escapes or may not stand in it.
///
/// Eight bytes at a time: most strings of a message are as short as its members' names, for which a
/// vector is not worth its set-up.
#[must_use]
#[inline]
pub fn plain(text: &[u8]) -> usize {
    let (words, rest) = text.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let found = special(u64::from_le_bytes(*word));
        if found != 0 {
            return index * 8 + (found.trailing_zeros() / 8) as usize;
        }
    }
    let is_special = |byte: &u8| matches!(byte, 0..=0x1f | b'"' | b'\\');
    let before = rest.iter().position(is_special).unwrap_or(rest.len());
    text.len() - rest.len() + before
}

/// A bit in the lowest byte of `word` that is a quote, a backslash or a control character, and in none
/// below it. A subtraction borrows from higher bytes only, so that what stands above may be wrong.
#[inline]
fn special(word: u64) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHS: u64 = ONES << 7;
    const QUOTES: u64 = ONES * b'"' as u64;
    const BACKSLASHES: u64 = ONES * b'\\' as u64;
    const CONTROLS_END: u64 = ONES * 0x20;
    let below = |word: u64, bound: u64| word.wrapping_sub(bound) & !word;
    let found =
        below(word, CONTROLS_END) | below(word ^ QUOTES, ONES) | below(word ^ BACKSLASHES, ONES);
    found & HIGHS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_that_is_not_plain_is_found_wherever_it_stands() {
        for byte in 0..=u8::MAX {
            let is_special = byte < 0x20 || byte == b'"' || byte == b'\\';
            for around in [b'a', b'!', 0xc3, 0x7f, b'#', b']'] {
                for at in 0..20 {
                    let mut text = [around; 20];
                    text[at] = byte;
                    let expected = if is_special { at } else { 20 };
                    assert_eq!(plain(&text), expected, "{byte} at {at} in {around}");
                    text[19] = b'"';
                    assert_eq!(plain(&text), expected.min(19));
                }
            }
        }
        assert_eq!(plain(b""), 0);
    }

    #[test]
    fn nesting_is_allowed_up_to_the_bound_and_not_past_it() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        assert!(nests_within(nested(128).as_bytes(), 128));
        assert!(!nests_within(nested(129).as_bytes(), 128));
    }

    #[test]
    fn brackets_in_strings_do_not_nest() {
        assert!(nests_within(br#"{"a":"[[[[\"[[[\\"}"#, 1));
        assert!(!nests_within(br#"{"a":"\\",["b"]}"#, 1));
    }

    #[test]
    fn siblings_do_not_nest() {
        assert!(nests_within(br"[[],[],[]]", 2));
    }
}
