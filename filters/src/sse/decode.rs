//! Reads events out of a stream, where they must be understood one by one.
//!
//! **Invariant:** bounded: an event longer than the bound ends the stream's use.

use std::collections::VecDeque;

/// A decoder's state between reads.
#[derive(Clone, Debug)]
pub struct Decoder {
    line: Vec<u8>,
    data: String,
    has_data: bool,
    after_cr: bool,
    bytes_max: usize,
    ready: VecDeque<Result<String, TooLong>>,
    is_over: bool,
}

/// An event was longer than the bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

impl Decoder {
    /// A decoder of events whose data is at most `bytes_max` long.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self {
            line: Vec::new(),
            data: String::new(),
            has_data: false,
            after_cr: false,
            bytes_max,
            ready: VecDeque::new(),
            is_over: false,
        }
    }

    /// Takes the next bytes of the stream.
    pub fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.is_over {
            if std::mem::take(&mut self.after_cr)
                && let [b'\n', rest @ ..] = bytes
            {
                bytes = rest;
                continue;
            }
            let end = memchr::memchr2(b'\n', b'\r', bytes).unwrap_or(bytes.len());
            let (part, rest) = bytes.split_at(end);
            if self.line.len() + part.len() + self.data.len() > self.bytes_max.saturating_add(64) {
                self.is_over = true;
                self.ready.push_back(Err(TooLong));
                return;
            }
            self.line.extend_from_slice(part);
            bytes = match rest {
                [ending, rest @ ..] => {
                    self.after_cr = *ending == b'\r';
                    self.end_line();
                    rest
                }
                [] => rest,
            };
        }
    }

    /// The data of the next complete event that has any.
    pub fn next_event(&mut self) -> Option<Result<String, TooLong>> {
        self.ready.pop_front()
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            let data = std::mem::take(&mut self.data);
            if std::mem::take(&mut self.has_data) {
                self.ready.push_back(Ok(data));
            }
            return;
        }
        let (name, value) = match memchr::memchr(b':', &line) {
            Some(at) => {
                let (name, rest) = line.split_at(at);
                let value = rest.get(1..).unwrap_or_default();
                (name, value.strip_prefix(b" ").unwrap_or(value))
            }
            None => (line.as_slice(), &[][..]),
        };
        if name == b"data" {
            if self.has_data {
                self.data.push('\n');
            }
            self.has_data = true;
            self.data.push_str(&String::from_utf8_lossy(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(stream: &str, read: usize) -> Vec<Result<String, TooLong>> {
        let mut decoder = Decoder::new(32);
        stream
            .as_bytes()
            .chunks(read)
            .for_each(|bytes| decoder.feed(bytes));
        std::iter::from_fn(|| decoder.next_event()).collect()
    }

    #[test]
    fn events_are_the_same_however_they_arrive() {
        let stream = ": hi\n\nevent: message\r\ndata: {\"a\":\ndata:1}\r\n\r\nid: 1\ndata\n\ndata: \u{e9}\r\rdata: cut";
        let expected = vec![
            Ok("{\"a\":\n1}".to_owned()),
            Ok(String::new()),
            Ok("\u{e9}".to_owned()),
        ];
        for read in 1..=stream.len() {
            assert_eq!(events(stream, read), expected, "{read}");
        }
    }

    #[test]
    fn an_event_past_the_bound_ends_the_stream() {
        let fits = format!("data: {}\n\n", "x".repeat(32));
        assert_eq!(events(&fits, 7), [Ok("x".repeat(32))]);
        let long = format!("data: {}\n\ndata: 1\n\n", "x".repeat(200));
        assert_eq!(events(&long, 7), [Err(TooLong)]);
    }
}
