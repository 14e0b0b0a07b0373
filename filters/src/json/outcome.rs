//! Whether a JSON text that passes by is a JSON-RPC answer, and which kind.
//!
//! **Invariant:** it never holds the text, so an answer of any size can be watched as it streams.

use memchr::{memchr2, memchr3};

/// Tells, byte by byte, which members a JSON object has at its top level.
#[derive(Clone, Debug, Default)]
pub struct TopLevel {
    depth: u32,
    in_string: bool,
    escaped: bool,
    /// At the top level, before a member's colon.
    at_key: bool,
    key: [u8; KEY_BYTES],
    key_len: usize,
    has_method: bool,
    has_result: bool,
    has_error: bool,
}

const KEY_BYTES: usize = 8;

impl TopLevel {
    /// Takes the next bytes of the text.
    pub fn observe(&mut self, mut bytes: &[u8]) {
        // The first of the three members that comes decides: a message has one of them.
        if self.is_settled() {
            return;
        }
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
            if self.is_settled() {
                return;
            }
            bytes = tail;
        }
    }

    fn is_settled(&self) -> bool {
        self.has_method || self.has_result || self.has_error
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
                    Some(b"result") => self.has_result = true,
                    Some(b"error") => self.has_error = true,
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

    /// Whether it is a JSON-RPC response, as far as it was seen.
    #[must_use]
    pub fn is_response(&self) -> bool {
        (self.has_result || self.has_error) && !self.has_method
    }

    /// Whether it is a JSON-RPC error response, as far as it was seen.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.has_error && !self.has_result && !self.has_method
    }
}

fn next_structural(bytes: &[u8]) -> Option<usize> {
    let open = memchr3(b'"', b'{', b'[', bytes);
    let near = open.map_or(bytes, |at| bytes.get(..at).unwrap_or_default());
    memchr2(b'}', b']', near).or(open)
}
