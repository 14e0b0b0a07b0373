//! Where events begin and end in the bytes of a stream, for who passes some of them on as they are.

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

/// The lines of an event that neither name it nor are its data, with their ends.
pub fn fields(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    lines(block).filter(|line| {
        let is_blank = line.iter().all(|byte| matches!(byte, b'\r' | b'\n'));
        !is_blank && !line.starts_with(b"data") && !line.starts_with(b"event")
    })
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
    fn what_is_neither_name_nor_data_is_kept() {
        let kept: Vec<_> =
            fields(b"event: message\nid: 7\r\nretry: 5\ndata: {}\n: c\n\n").collect();
        assert_eq!(kept, [&b"id: 7\r\n"[..], b"retry: 5\n", b": c\n"]);
    }
}
