//! Decodes HTTP/1.1 chunked bodies (RFC 9112 §7.1) as they arrive, without I/O.
//!
//! **Invariant:** each byte is taken from the buffer once and in order; nothing is copied but by the sink.

use anyhow::{Result, bail};
use bytes::{Buf, BytesMut};

/// Bytes of one chunk-size or trailer line, at most.
const LINE_BYTES_MAX: usize = 1024;

/// The decoder's place in the body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Decoder {
    /// Before a chunk-size line.
    #[default]
    Size,
    /// Inside a chunk, with so many bytes to come.
    Data(u64),
    /// Before the line end that closes a chunk.
    DataEnd,
    /// After the last chunk, before the empty line.
    Trailer,
    /// The body is complete.
    Done,
}

impl Decoder {
    /// Takes what it can from `buffer`, gives the content to `sink`, and says whether the body is
    /// complete.
    ///
    /// # Errors
    /// When the bytes are not a chunked body.
    pub(crate) fn feed(
        &mut self,
        buffer: &mut BytesMut,
        mut sink: impl FnMut(&[u8]),
    ) -> Result<bool> {
        loop {
            *self = match *self {
                Self::Size => {
                    let Some(bytes) = take_size(buffer)? else {
                        return Ok(false);
                    };
                    if bytes == 0 {
                        Self::Trailer
                    } else {
                        Self::Data(bytes)
                    }
                }
                Self::Data(left) => {
                    let there = usize::try_from(left)
                        .unwrap_or(usize::MAX)
                        .min(buffer.len());
                    if there == 0 {
                        return Ok(false);
                    }
                    sink(buffer.get(..there).unwrap_or_default());
                    buffer.advance(there);
                    let left = left.saturating_sub(there as u64);
                    if left == 0 {
                        Self::DataEnd
                    } else {
                        Self::Data(left)
                    }
                }
                Self::DataEnd => match take_line(buffer)? {
                    None => return Ok(false),
                    Some(0) => Self::Size,
                    Some(_) => bail!("a chunk is longer than its size line said"),
                },
                Self::Trailer => match take_line(buffer)? {
                    None => return Ok(false),
                    Some(0) => Self::Done,
                    Some(_) => Self::Trailer,
                },
                Self::Done => return Ok(true),
            };
        }
    }
}

/// Takes a chunk-size line, if it is whole.
fn take_size(buffer: &mut BytesMut) -> Result<Option<u64>> {
    match httparse::parse_chunk_size(buffer) {
        Ok(httparse::Status::Complete((line_bytes, size))) => {
            buffer.advance(line_bytes);
            Ok(Some(size))
        }
        Ok(httparse::Status::Partial) if buffer.len() <= LINE_BYTES_MAX => Ok(None),
        Ok(httparse::Status::Partial) => bail!("a chunk-size line is longer than 1 KiB"),
        Err(_) => bail!("not a chunk size"),
    }
}

/// Takes a line, if it is whole, and gives its length without the line end.
fn take_line(buffer: &mut BytesMut) -> Result<Option<usize>> {
    let Some(feed) = memchr::memchr(b'\n', buffer) else {
        if buffer.len() > LINE_BYTES_MAX {
            bail!("a line in a chunked body is longer than 1 KiB");
        }
        return Ok(None);
    };
    let line = buffer.get(..feed).unwrap_or_default();
    let length = line.strip_suffix(b"\r").unwrap_or(line).len();
    buffer.advance(feed + 1);
    Ok(Some(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(pieces: &[&[u8]]) -> Result<(Vec<u8>, bool, usize)> {
        let (mut decoder, mut buffer, mut content) =
            (Decoder::default(), BytesMut::new(), Vec::new());
        let mut done = false;
        for piece in pieces {
            buffer.extend_from_slice(piece);
            done = decoder.feed(&mut buffer, |bytes| content.extend_from_slice(bytes))?;
        }
        Ok((content, done, buffer.len()))
    }

    #[test]
    fn a_body_is_the_same_however_it_is_cut() {
        let body = b"5\r\nhello\r\n10;x=y\r\n0123456789abcdef\r\n0\r\nA: b\r\n\r\n";
        let bytes: Vec<&[u8]> = body.chunks(1).collect();
        let whole = decode(&[body]).unwrap();
        assert_eq!(whole, (b"hello0123456789abcdef".to_vec(), true, 0));
        assert_eq!(decode(&bytes).unwrap(), whole);
    }

    #[test]
    fn bytes_after_the_body_stay_in_the_buffer() {
        let (content, done, left) = decode(&[b"1\r\na\r\n0\r\n\r\nHTTP/1.1"]).unwrap();
        assert_eq!((content.as_slice(), done, left), (&b"a"[..], true, 8));
    }

    #[test]
    fn nonsense_is_an_error() {
        assert!(decode(&[b"zz\r\n"]).is_err());
        assert!(decode(&[b"1\r\nab\r\n"]).is_err());
        let endless = [b'\n'; 1].map(|_| b'a').repeat(LINE_BYTES_MAX + 2);
        assert!(decode(&[b"0\r\n", endless.as_slice()]).is_err());
    }
}
