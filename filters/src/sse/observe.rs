//! Watches an event stream pass by.
//!
//! **Invariant:** it never holds the stream's bytes. A relay hands on each read at once and asks
//! here only what a relay must know: whether it is between two events (so that a comment may be put
//! in), whether the stream can be resumed, and whether its last event was the answer.

use memchr::{memchr2, memchr3};

/// What the stream has shown so far.
#[derive(Clone, Debug, Default)]
pub struct Observer {
    line: Line,
    /// Bytes of the current line that its name is told from, at most [`NAME_BYTES`].
    name: [u8; NAME_BYTES],
    name_len: usize,
    /// The previous byte was a carriage return: a line feed after it ends no second line.
    after_cr: bool,
    /// The current event has a line already.
    inside_event: bool,
    has_ids: bool,
    data: TopLevel,
    is_answer: bool,
    answered: bool,
}

const NAME_BYTES: usize = 5;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Line {
    /// Reading the field's name.
    #[default]
    Name,
    /// Inside a `data` value.
    Data,
    /// Inside a value that does not matter here.
    Skip,
}

impl Observer {
    /// Takes the next bytes of the stream.
    pub fn observe(&mut self, mut bytes: &[u8]) {
        while let Some((&byte, tail)) = bytes.split_first() {
            if self.after_cr && byte == b'\n' {
                self.after_cr = false;
                bytes = tail;
                continue;
            }
            self.after_cr = false;
            bytes = match self.line {
                Line::Name => {
                    self.take_name(byte);
                    tail
                }
                Line::Data => {
                    let end = memchr2(b'\n', b'\r', bytes).unwrap_or(bytes.len());
                    let (value, rest) = bytes.split_at(end);
                    self.data.observe(value);
                    self.end_line_at(rest)
                }
                Line::Skip => {
                    let end = memchr2(b'\n', b'\r', bytes).unwrap_or(bytes.len());
                    self.end_line_at(bytes.split_at(end).1)
                }
            };
        }
    }

    /// Whether the last byte ended an event, or none has come: a comment may be written here.
    #[must_use]
    pub fn is_between_events(&self) -> bool {
        !self.inside_event && self.line == Line::Name && self.name_len == 0
    }

    /// Whether an event carried an `id`, so that the client can resume the stream.
    #[must_use]
    pub fn is_resumable(&self) -> bool {
        self.has_ids
    }

    /// Whether a complete event was a JSON-RPC response.
    #[must_use]
    pub fn has_answer(&self) -> bool {
        self.answered
    }

    fn end_line_at<'b>(&mut self, rest: &'b [u8]) -> &'b [u8] {
        let Some((&byte, tail)) = rest.split_first() else {
            return rest;
        };
        self.end_line(byte);
        tail
    }

    fn take_name(&mut self, byte: u8) {
        match byte {
            b'\n' | b'\r' => self.end_line(byte),
            b':' => {
                self.inside_event = true;
                self.line = match self.field() {
                    b"data" => Line::Data,
                    b"id" => {
                        self.has_ids = true;
                        Line::Skip
                    }
                    _ => Line::Skip,
                };
            }
            _ => {
                if let Some(slot) = self.name.get_mut(self.name_len) {
                    *slot = byte;
                    self.name_len += 1;
                }
            }
        }
    }

    fn field(&self) -> &[u8] {
        self.name.get(..self.name_len).unwrap_or_default()
    }

    fn end_line(&mut self, byte: u8) {
        self.after_cr = byte == b'\r';
        let is_blank = self.line == Line::Name && self.name_len == 0;
        if is_blank {
            self.is_answer = self.data.is_response();
            self.answered |= self.is_answer;
            self.data = TopLevel::default();
            self.inside_event = false;
        } else {
            self.inside_event = true;
        }
        self.line = Line::Name;
        self.name_len = 0;
    }
}

/// Tells, byte by byte, which members a JSON object has at its top level.
#[derive(Clone, Debug, Default)]
struct TopLevel {
    depth: u32,
    in_string: bool,
    escaped: bool,
    /// At the top level, before a member's colon.
    at_key: bool,
    key: [u8; KEY_BYTES],
    key_len: usize,
    has_method: bool,
    has_outcome: bool,
}

const KEY_BYTES: usize = 8;

impl TopLevel {
    fn observe(&mut self, mut bytes: &[u8]) {
        // A value's text, the bulk of most events, is skipped a vector at a time.
        while !bytes.is_empty() {
            let skip = match (self.in_string, self.at_key) {
                (true, false) if !self.escaped => memchr2(b'"', b'\\', bytes),
                (false, false) if self.depth > 1 => next_structural(bytes),
                _ => Some(0),
            };
            let Some(skip) = skip else { return };
            let Some((&byte, tail)) = bytes.get(skip..).and_then(<[u8]>::split_first) else {
                return;
            };
            self.take(byte);
            bytes = tail;
        }
    }

    fn take(&mut self, byte: u8) {
        if self.in_string {
            self.take_in_string(byte);
            return;
        }
        match byte {
            b'"' => {
                self.in_string = true;
                self.key_len = 0;
            }
            b'{' | b'[' => {
                self.depth = self.depth.saturating_add(1);
                self.at_key = self.depth == 1 && byte == b'{';
            }
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                self.at_key = false;
            }
            b',' => self.at_key = self.depth == 1,
            b':' if self.at_key => {
                self.at_key = false;
                match self.key.get(..self.key_len) {
                    Some(b"method") => self.has_method = true,
                    Some(b"result" | b"error") => self.has_outcome = true,
                    Some(_) | None => {}
                }
            }
            _ => {}
        }
    }

    fn take_in_string(&mut self, byte: u8) {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' => self.escaped = true,
            b'"' => self.in_string = false,
            _ => {}
        }
        if self.in_string && self.at_key {
            // A key longer than any that matters is remembered as none.
            match self.key.get_mut(self.key_len) {
                Some(slot) => {
                    *slot = byte;
                    self.key_len += 1;
                }
                None => self.key = [0; KEY_BYTES],
            }
        }
    }

    fn is_response(&self) -> bool {
        self.has_outcome && !self.has_method
    }
}

fn next_structural(bytes: &[u8]) -> Option<usize> {
    let open = memchr3(b'"', b'{', b'[', bytes);
    let near = open.map_or(bytes, |at| bytes.get(..at).unwrap_or_default());
    memchr2(b'}', b']', near).or(open)
}

#[cfg(test)]
mod tests;
