//! The chunked transfer coding (RFC 9112, 7.1), decoded in place.
//!
//! **Invariant:** the decoder holds no body bytes. It is shown what has arrived and says how much
//! of it is body, how much is framing to throw away, and when the body is over.

/// What to do with the front of the received bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// That many bytes are body.
    Data(usize),
    /// That many bytes are framing: throw them away and ask again.
    Skip(usize),
    /// Nothing can be told yet: read more.
    More,
    /// The body and its trailers are over, after throwing away that many bytes.
    End(usize),
}

/// The coding is broken: the connection cannot be used any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// A decoder's state between reads.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    state: State,
    line_bytes: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Size,
    Data(u64),
    DataEnd,
    Trailers,
    End,
}

/// Longest chunk-size line (with extensions) and longest trailer section, in bytes.
const LINE_BYTES_MAX: usize = 4096;

impl Decoder {
    /// Judges the front of `bytes`, which are what has arrived and was not yet taken.
    ///
    /// # Errors
    /// [`Malformed`] where the coding is broken or a line is longer than its bound.
    pub fn step(&mut self, bytes: &[u8]) -> Result<Step, Malformed> {
        match self.state {
            State::Size => self.size(bytes),
            State::Data(left) => {
                let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                if here == 0 {
                    return Ok(Step::More);
                }
                let left = left.saturating_sub(here as u64);
                self.state = if left == 0 {
                    State::DataEnd
                } else {
                    State::Data(left)
                };
                Ok(Step::Data(here))
            }
            State::DataEnd => match bytes {
                [b'\r', b'\n', ..] => {
                    self.state = State::Size;
                    Ok(Step::Skip(2))
                }
                [] | [b'\r'] => Ok(Step::More),
                _ => Err(Malformed),
            },
            State::Trailers => self.trailers(bytes),
            State::End => Ok(Step::End(0)),
        }
    }

    fn size(&mut self, bytes: &[u8]) -> Result<Step, Malformed> {
        let Some(line) = line(bytes)? else {
            return Ok(Step::More);
        };
        let digits = line
            .split(|&byte| matches!(byte, b';' | b' ' | b'\t'))
            .next();
        let text = std::str::from_utf8(digits.unwrap_or_default()).map_err(|_| Malformed)?;
        if text.is_empty() || text.len() > 16 || !text.bytes().all(|byte| byte.is_ascii_hexdigit())
        {
            return Err(Malformed);
        }
        let size = u64::from_str_radix(text, 16).map_err(|_| Malformed)?;
        self.state = if size == 0 {
            State::Trailers
        } else {
            State::Data(size)
        };
        Ok(Step::Skip(line.len() + 2))
    }

    fn trailers(&mut self, bytes: &[u8]) -> Result<Step, Malformed> {
        let Some(line) = line(bytes)? else {
            return Ok(Step::More);
        };
        if line.is_empty() {
            self.state = State::End;
            return Ok(Step::End(2));
        }
        self.line_bytes += line.len();
        if self.line_bytes > LINE_BYTES_MAX {
            Err(Malformed)
        } else {
            Ok(Step::Skip(line.len() + 2))
        }
    }
}

/// The line at the front, without its CRLF; nothing while it is incomplete.
fn line(bytes: &[u8]) -> Result<Option<&[u8]>, Malformed> {
    match memchr::memchr(b'\n', bytes) {
        None if bytes.len() > LINE_BYTES_MAX => Err(Malformed),
        None => Ok(None),
        Some(at) if at > LINE_BYTES_MAX => Err(Malformed),
        Some(at) => match bytes.get(..at) {
            Some([line @ .., b'\r']) => Ok(Some(line)),
            Some(_) | None => Err(Malformed),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes `wire` arriving in reads of `read` bytes; gives the body and what was left over.
    fn decode(wire: &[u8], read: usize) -> Result<(Vec<u8>, usize), Malformed> {
        let (mut decoder, mut body) = (Decoder::default(), Vec::new());
        let (mut taken, mut arrived) = (0, 0);
        loop {
            match decoder.step(&wire[taken..arrived])? {
                Step::Data(n) => {
                    body.extend_from_slice(&wire[taken..taken + n]);
                    taken += n;
                }
                Step::Skip(n) => taken += n,
                Step::End(n) => return Ok((body, wire.len() - taken - n)),
                Step::More if arrived == wire.len() => return Ok((body, usize::MAX)),
                Step::More => arrived = wire.len().min(arrived + read),
            }
        }
    }

    #[test]
    fn a_body_is_the_same_however_it_arrives() {
        let wire = b"5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nA: b\r\n\r\nHTTP";
        for read in 1..=wire.len() {
            assert_eq!(
                decode(wire, read),
                Ok((b"hello world".to_vec(), 4)),
                "{read}"
            );
        }
    }

    #[test]
    fn broken_framing_is_refused() {
        for wire in [
            "x\r\n",
            "\r\n",
            "-1\r\n",
            "+5\r\nhello\r\n",
            "5\nhello",
            "3\r\nhello\r\n",
            "11111111111111111\r\n",
            " 5\r\nhello\r\n",
        ] {
            assert_eq!(decode(wire.as_bytes(), 64), Err(Malformed), "{wire:?}");
        }
    }

    #[test]
    fn an_unfinished_body_never_ends() {
        assert_eq!(decode(b"5\r\nhel", 64), Ok((b"hel".to_vec(), usize::MAX)));
        assert_eq!(decode(b"0\r\n", 64), Ok((Vec::new(), usize::MAX)));
    }

    #[test]
    fn a_size_line_is_bounded() {
        let at = format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(LINE_BYTES_MAX - 3));
        assert!(decode(at.as_bytes(), 64).is_ok());
        let past = format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(LINE_BYTES_MAX - 2));
        assert_eq!(decode(past.as_bytes(), 64), Err(Malformed));
    }
}
