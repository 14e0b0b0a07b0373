//! Watches an event stream pass by.
//!
//! **Invariant:** it never holds the stream's bytes. A relay hands on each read at once and asks
//! here only what a relay must know: whether it is between two events (so that a comment may be put
//! in), whether the stream can be resumed, and whether its last event was the answer.

use memchr::memchr2;

use crate::json::outcome::TopLevel;

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
    answer: Option<Answer>,
}

/// Which kind of JSON-RPC response an answer was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It has a `result`.
    Result,
    /// It has an `error`.
    Error,
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
    /// Takes the next bytes of the stream. Gives how many of them, from the front, complete the
    /// events they belong to.
    pub fn observe(&mut self, all: &[u8]) -> usize {
        let mut bytes = all;
        let mut complete = 0;
        while let Some((&byte, tail)) = bytes.split_first() {
            bytes = if self.after_cr && byte == b'\n' {
                self.after_cr = false;
                tail
            } else {
                self.after_cr = false;
                self.take(byte, bytes, tail)
            };
            if self.is_between_events() {
                complete = all.len() - bytes.len();
            }
        }
        complete
    }

    /// Takes one byte, or as many as make no difference; gives what is left.
    fn take<'b>(&mut self, byte: u8, bytes: &'b [u8], tail: &'b [u8]) -> &'b [u8] {
        match self.line {
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

    /// The last complete event that was a JSON-RPC response.
    #[must_use]
    pub fn answer(&self) -> Option<Answer> {
        self.answer
    }

    /// As [`Self::answer`], once.
    pub fn take_answer(&mut self) -> Option<Answer> {
        self.answer.take()
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
            if self.data.is_response() {
                self.answer = Some(if self.data.is_error() {
                    Answer::Error
                } else {
                    Answer::Result
                });
            }
            self.data = TopLevel::default();
            self.inside_event = false;
        } else {
            self.inside_event = true;
        }
        self.line = Line::Name;
        self.name_len = 0;
    }
}

#[cfg(test)]
mod tests;
