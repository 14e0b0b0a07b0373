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

#[cfg(test)]
mod tests {
    use super::*;

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
