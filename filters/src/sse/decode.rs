//! Reads events out of a stream, where they must be understood one by one.
//!
//! **Invariant:** bounded: an event longer than the bound ends the stream's use.

use std::collections::VecDeque;

/// A decoder's state between reads.
#[derive(Clone, Debug)]
pub struct Decoder {
    line: Vec<u8>,
    name: String,
    data: String,
    id: Option<String>,
    retry_ms: Option<u64>,
    has_data: bool,
    after_cr: bool,
    bytes_max: usize,
    ready: VecDeque<Result<Event, TooLong>>,
    is_over: bool,
}

/// An event that has data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// What its `event` field says; empty where it has none.
    pub name: String,
    /// Its data.
    pub data: String,
}

/// An event was longer than the bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

impl Event {
    /// Whether it is of the kind that an event without a name is of.
    #[must_use]
    pub fn is_message(&self) -> bool {
        matches!(self.name.as_str(), "" | "message")
    }
}

impl Decoder {
    /// A decoder of events whose data is at most `bytes_max` long.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self {
            line: Vec::new(),
            name: String::new(),
            data: String::new(),
            id: None,
            retry_ms: None,
            has_data: false,
            after_cr: false,
            bytes_max,
            ready: VecDeque::new(),
            is_over: false,
        }
    }

    /// A decoder of a stream that goes on after the event `id`.
    #[must_use]
    pub fn resumed(bytes_max: usize, id: String) -> Self {
        Self {
            id: Some(id),
            ..Self::new(bytes_max)
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

    /// The id of the last event that had one: where the stream can be resumed.
    #[must_use]
    pub fn last_id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// How long to wait before the stream is resumed, where the server said so.
    #[must_use]
    pub fn retry_ms(&self) -> Option<u64> {
        self.retry_ms
    }

    /// The data of the next complete event that has any.
    pub fn next_event(&mut self) -> Option<Result<String, TooLong>> {
        let next = self.next_named()?;
        Some(next.map(|event| event.data))
    }

    /// The next complete event that has data, and its name.
    pub fn next_named(&mut self) -> Option<Result<Event, TooLong>> {
        self.ready.pop_front()
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            let event = Event {
                name: std::mem::take(&mut self.name),
                data: std::mem::take(&mut self.data),
            };
            if std::mem::take(&mut self.has_data) {
                self.ready.push_back(Ok(event));
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
        if name == b"id" && !value.contains(&0) {
            self.id = std::str::from_utf8(value).ok().map(str::to_owned);
        }
        if name == b"retry" {
            let millis = std::str::from_utf8(value).ok();
            let millis = millis.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
            let millis = millis.and_then(|text| text.parse().ok());
            self.retry_ms = millis.or(self.retry_ms);
        }
        if name == b"data" {
            if self.has_data {
                self.data.push('\n');
            }
            self.has_data = true;
            self.data.push_str(&String::from_utf8_lossy(value));
        } else if name == b"event" {
            self.name = String::from_utf8_lossy(value).into_owned();
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
    fn the_last_id_is_where_a_stream_goes_on() {
        let mut decoder = Decoder::new(32);
        decoder.feed(b"id: a\ndata:\n\ndata: 1\n\n");
        assert_eq!(decoder.last_id(), Some("a"));
        decoder.feed(b"id: b\n\n");
        assert_eq!(decoder.last_id(), Some("b"));
    }

    #[test]
    fn the_last_sensible_retry_holds() {
        let mut decoder = Decoder::new(32);
        assert_eq!(decoder.retry_ms(), None);
        decoder.feed(b"retry: 500\n");
        for nonsense in ["retry: soon\n", "retry: -1\n", "retry:\n", "retry: 1e3\n"] {
            decoder.feed(nonsense.as_bytes());
            assert_eq!(decoder.retry_ms(), Some(500));
        }
    }

    #[test]
    fn a_name_is_of_its_own_event_only() {
        let stream =
            "event: endpoint\ndata: /m\n\ndata: 1\n\nevent: lost\n\nevent:message\ndata: 2\n\n";
        let mut decoder = Decoder::new(32);
        decoder.feed(stream.as_bytes());
        let named = std::iter::from_fn(|| decoder.next_named()).map(Result::unwrap);
        let named: Vec<_> = named
            .map(|event| (event.is_message(), event.name, event.data))
            .collect();
        assert_eq!(
            named,
            [
                (false, "endpoint".to_owned(), "/m".to_owned()),
                (true, String::new(), "1".to_owned()),
                (true, "message".to_owned(), "2".to_owned()),
            ]
        );
    }

    #[test]
    fn an_event_past_the_bound_ends_the_stream() {
        let fits = format!("data: {}\n\n", "x".repeat(32));
        assert_eq!(events(&fits, 7), [Ok("x".repeat(32))]);
        let long = format!("data: {}\n\ndata: 1\n\n", "x".repeat(200));
        assert_eq!(events(&long, 7), [Err(TooLong)]);
    }
}
