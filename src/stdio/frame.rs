//! Cuts a child's output into lines.
//!
//! **Invariant:** a line longer than the bound costs no more memory than the bound: its middle is
//! thrown away as it comes, and the next line is whole again.

use bytes::{Buf, Bytes, BytesMut};
use memchr::memchr;

/// How much of a too long line is kept at either end, to tell which call it answered.
pub(super) const EDGE_BYTES: usize = 4 * 1024;

/// What a child wrote up to a newline.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A line within the bound, without its line end.
    Whole(Bytes),
    /// A line past the bound, in part.
    TooLong {
        /// Its first bytes.
        head: Bytes,
        /// Its last bytes.
        tail: Bytes,
    },
}

/// The lines of a stream of bytes, however it is cut into reads.
#[derive(Debug)]
pub(super) struct Lines {
    /// What was read and not yet taken.
    pub(super) buffer: BytesMut,
    /// How much of `buffer` is known to have no newline.
    scanned: usize,
    line_bytes_max: usize,
    /// The first bytes of a line that is being thrown away.
    head: Option<Bytes>,
}

impl Lines {
    pub(super) fn new(line_bytes_max: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            scanned: 0,
            line_bytes_max: line_bytes_max.max(2 * EDGE_BYTES),
            head: None,
        }
    }

    /// The next complete line, if the buffer holds one.
    pub(super) fn next(&mut self) -> Option<Line> {
        let unseen = self.buffer.get(self.scanned..).unwrap_or_default();
        let Some(found) = memchr(b'\n', unseen) else {
            self.scanned = self.buffer.len();
            self.shed();
            return None;
        };
        let mut line = self.buffer.split_to(self.scanned + found);
        self.buffer.advance(1);
        self.scanned = 0;
        if line.last() == Some(&b'\r') {
            line.truncate(line.len() - 1);
        }
        Some(self.finish(line.freeze()))
    }

    /// What is left when the stream ends without a newline.
    pub(super) fn last(&mut self) -> Option<Line> {
        let line = self.buffer.split().freeze();
        self.scanned = 0;
        (self.head.is_some() || !line.is_empty()).then(|| self.finish(line))
    }

    fn finish(&mut self, line: Bytes) -> Line {
        let head = match self.head.take() {
            Some(head) => head,
            None if line.len() > self.line_bytes_max => first(&line),
            None => return Line::Whole(line),
        };
        Line::TooLong {
            head,
            tail: Bytes::copy_from_slice(
                line.get(line.len().saturating_sub(EDGE_BYTES)..)
                    .unwrap_or_default(),
            ),
        }
    }

    /// Throws away the middle of an unfinished line that is past the bound.
    fn shed(&mut self) {
        if self.head.is_none() {
            if self.buffer.len() <= self.line_bytes_max {
                return;
            }
            self.head = Some(first(&self.buffer));
        }
        let surplus = self.buffer.len().saturating_sub(EDGE_BYTES);
        // In steps, so that a long line is not moved once a read.
        if surplus > self.line_bytes_max / 2 || self.buffer.len() > self.line_bytes_max {
            self.buffer = BytesMut::from(self.buffer.get(surplus..).unwrap_or_default());
        }
        self.scanned = self.buffer.len();
    }
}

fn first(line: &[u8]) -> Bytes {
    Bytes::copy_from_slice(line.get(..EDGE_BYTES).unwrap_or(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 2 * EDGE_BYTES;

    fn feed(lines: &mut Lines, bytes: &[u8]) -> Vec<Line> {
        lines.buffer.extend_from_slice(bytes);
        std::iter::from_fn(|| lines.next()).collect()
    }

    fn whole(text: &str) -> Line {
        Line::Whole(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn lines_do_not_depend_on_how_they_are_cut_into_reads() {
        let text = "{\"ä\":\"日本\"}\n\r\nnoise\n".as_bytes();
        for cut in 0..=text.len() {
            let mut lines = Lines::new(MAX);
            let (before, after) = text.split_at(cut);
            let mut found = feed(&mut lines, before);
            found.extend(feed(&mut lines, after));
            assert_eq!(
                found,
                [whole("{\"ä\":\"日本\"}"), whole(""), whole("noise")],
                "{cut}"
            );
        }
    }

    #[test]
    fn a_line_at_the_bound_is_whole_and_one_past_it_is_not() {
        let mut lines = Lines::new(MAX);
        let mut text = vec![b'x'; MAX];
        text.push(b'\n');
        assert!(matches!(feed(&mut lines, &text)[..], [Line::Whole(_)]));
        text.insert(0, b'a');
        assert!(matches!(
            feed(&mut lines, &text)[..],
            [Line::TooLong { .. }]
        ));
    }

    #[test]
    fn a_too_long_line_keeps_its_edges_costs_no_memory_and_the_next_is_whole() {
        let mut lines = Lines::new(MAX);
        feed(&mut lines, b"first:");
        for _ in 0..1000 {
            assert!(feed(&mut lines, &[b'x'; 1000]).is_empty());
            assert!(lines.buffer.len() <= MAX);
        }
        let found = feed(&mut lines, b":last\nnext\n");
        let [Line::TooLong { head, tail }, next] = &found[..] else {
            panic!("{found:?}");
        };
        assert!(head.starts_with(b"first:xxx"));
        assert!(tail.ends_with(b"xxx:last"));
        assert_eq!(next, &whole("next"));
    }

    #[test]
    fn what_has_no_newline_is_the_last_line() {
        let mut lines = Lines::new(MAX);
        assert!(feed(&mut lines, b"end").is_empty());
        assert_eq!(lines.last(), Some(whole("end")));
        assert_eq!(lines.last(), None);
    }
}
