//! Text of a stranger's as an operator is shown it, in a terminal or a log.
//!
//! **Invariant:** everything in it can be seen: what moves a cursor, turns the direction of a line or
//! takes no room stands there as an escape. Instructions for a model hide in such characters.

/// Text that may go to a terminal; line breaks stay.
#[must_use]
pub fn text(text: &str) -> String {
    escaped(text, |letter| letter == '\n')
}

/// Text that may go to a terminal, on one line.
#[must_use]
pub fn line(text: &str) -> String {
    escaped(text, |_| false)
}

/// Whether [`line()`] leaves a text as it is.
#[must_use]
pub fn is_line(text: &str) -> bool {
    !text.contains(is_hidden)
}

fn escaped(text: &str, stays: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_hidden(letter) && !stays(letter) {
            out.extend(letter.escape_unicode());
        } else {
            out.push(letter);
        }
    }
    out
}

/// Whether a character shows nothing of itself.
fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || (letter.is_whitespace() && letter != ' ')
        || matches!(u32::from(letter),
            // Soft hyphen, joiners, marks of direction, invisible operators and fillers.
            0xAD | 0x34F | 0x61C | 0x115F..=0x1160 | 0x17B4..=0x17B5 | 0x180B..=0x180F
            | 0x200B..=0x200F | 0x202A..=0x202E | 0x2060..=0x206F | 0x2800 | 0x3164
            | 0xFE00..=0xFE0F | 0xFEFF | 0xFFA0 | 0xFFF0..=0xFFFB
            // Musical marks, tags, selectors of variants, private use.
            | 0x1D173..=0x1D17A | 0xE0000..=0xE0FFF | 0xE000..=0xF8FF | 0xF0000..=0x10FFFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_escaped_and_the_rest_stays() {
        assert_eq!(line("häuser 家 ok"), "häuser 家 ok");
        assert_eq!(line("a\u{1b}[2J\n"), r"a\u{1b}[2J\u{a}");
        assert_eq!(text("a\nb\u{202e}c"), "a\nb\\u{202e}c");
        assert_eq!(line("\u{e0041}\u{200b}"), r"\u{e0041}\u{200b}");
    }
}
