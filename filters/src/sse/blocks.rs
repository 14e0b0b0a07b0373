//! Where events begin and end in the bytes of a stream, for who passes some of them on as they are.

use memchr::memmem;

/// One event, with the blank line that ends it, or the beginning of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block<'a> {
    /// Its bytes.
    pub bytes: &'a [u8],
    /// Whether its end is there.
    pub is_whole: bool,
}

/// The events in `bytes`, in order; together they are all of it.
pub fn of(bytes: &[u8]) -> impl Iterator<Item = Block<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut end = 0;
        for line in lines(rest) {
            end += line.len();
            if line.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
                let (bytes, after) = rest.split_at(end);
                rest = after;
                return Some(Block {
                    bytes,
                    is_whole: true,
                });
            }
        }
        Some(Block {
            bytes: std::mem::take(&mut rest),
            is_whole: false,
        })
    })
}

/// The lines of an event that neither name it nor are its data, with their ends. Without those that
/// some readers take for several.
pub fn fields(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    lines(block).filter(|line| {
        let is_blank = line.iter().all(|byte| matches!(byte, b'\r' | b'\n'));
        let is_other = !line.starts_with(b"data") && !line.starts_with(b"event");
        !is_blank && is_other && is_plain(line)
    })
}

/// Whether all readers find the same lines: some end one wherever Unicode has a separator (Python's
/// `splitlines`), and some skip a byte order mark.
#[must_use]
pub fn is_plain(bytes: &[u8]) -> bool {
    let is_control = |byte: &u8| matches!(byte, 0x0b | 0x0c | 0x1c..=0x1e);
    !bytes.starts_with(b"\xef\xbb\xbf") && !bytes.iter().any(is_control) && !has_separator(bytes)
}

/// Whether there is a separator that JSON may have in its strings, and that some readers end lines at.
#[must_use]
pub fn has_separator(bytes: &[u8]) -> bool {
    let separators = [&b"\xc2\x85"[..], b"\xe2\x80\xa8", b"\xe2\x80\xa9"];
    let mut separators = separators.into_iter();
    separators.any(|one| memmem::find(bytes, one).is_some())
}

/// Lines with their ends: CR, LF or both.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let ending = memchr::memchr2(b'\n', b'\r', rest);
        let end = match ending {
            None if rest.is_empty() => return None,
            None => rest.len(),
            Some(at) if rest.get(at..at + 2) == Some(b"\r\n") => at + 2,
            Some(at) => at + 1,
        };
        let (line, after) = rest.split_at_checked(end)?;
        rest = after;
        Some(line)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, bool)]) {
        let found: Vec<_> = of(text.as_bytes())
            .map(|block| (std::str::from_utf8(block.bytes).unwrap(), block.is_whole))
            .collect();
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn events_end_with_any_blank_line() {
        check("", &[]);
        check("data: 1\n\n", &[("data: 1\n\n", true)]);
        check(
            "data: 1\r\n\r\nid: 2\r\rdata: 3\n",
            &[
                ("data: 1\r\n\r\n", true),
                ("id: 2\r\r", true),
                ("data: 3\n", false),
            ],
        );
        check(
            "\n\ndata: x",
            &[("\n", true), ("\n", true), ("data: x", false)],
        );
    }

    #[test]
    fn lines_that_some_readers_find_are_not_plain() {
        for plain in [
            "",
            "data: {\"a\":\"é\t\"}\r\n\r\n",
            ": \u{2027}\u{202a}\u{7f}\n",
        ] {
            assert!(is_plain(plain.as_bytes()), "{plain:?}");
        }
        for line_break in "\u{b}\u{c}\u{1c}\u{1d}\u{1e}\u{85}\u{2028}\u{2029}".chars() {
            let comment = format!(": c{line_break}data: x\n");
            assert!(!is_plain(comment.as_bytes()), "{comment:?}");
            let text = format!("id: 1\n{comment}retry: 1\n\n");
            let kept: Vec<_> = fields(text.as_bytes()).collect();
            assert_eq!(kept, [&b"id: 1\n"[..], b"retry: 1\n"]);
        }
        assert!(!is_plain("\u{feff}data: x\n\n".as_bytes()));
    }

    #[test]
    fn what_is_neither_name_nor_data_is_kept() {
        let kept: Vec<_> =
            fields(b"event: message\nid: 7\r\nretry: 5\ndata: {}\n: c\n\n").collect();
        assert_eq!(kept, [&b"id: 7\r\n"[..], b"retry: 5\n", b": c\n"]);
    }
}
