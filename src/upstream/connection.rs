//! One HTTP/1.1 connection to a replica.
//!
//! **Invariant:** reading is cancel-safe: whatever was read stays in the connection, so a caller may
//! race a read against its client leaving and go on reading afterwards.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes, BytesMut};
use filters::http1::chunked::Step;
use pingora::protocols::Stream;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};

use crate::upstream::error::Error;
use crate::upstream::head::{self, Framing, Head, Parsed};

/// Longest response head, in bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Room for the first read of an answer: its head, and a small body with it.
const FIRST_READ_BYTES: usize = 4 * 1024;
/// Most bytes of a body in one read.
const BODY_READ_BYTES: usize = 64 * 1024;
/// A body up to this long is sent in one write with its head.
pub const COALESCED_BODY_BYTES: usize = 32 * 1024;
/// Most 1xx heads before the answer's own.
const INFORMATIONAL_MAX: usize = 8;

/// An open connection.
#[derive(Debug)]
pub struct Connection {
    stream: Stream,
    buffer: BytesMut,
    informational: usize,
    has_answered_before: bool,
    received: bool,
}

impl Connection {
    /// Takes a connected stream.
    #[must_use]
    pub fn new(stream: Stream) -> Self {
        Self {
            stream,
            buffer: BytesMut::new(),
            informational: 0,
            has_answered_before: false,
            received: false,
        }
    }

    /// Whether it served a request before this one.
    #[must_use]
    pub fn is_reused(&self) -> bool {
        self.has_answered_before
    }

    /// Whether any byte of the current answer has come.
    #[must_use]
    pub fn has_received(&self) -> bool {
        self.received
    }

    /// Sends a request: its head, which ends in the blank line, and its body.
    ///
    /// # Errors
    /// The stream's error. The upstream cannot have seen the whole request then.
    pub async fn send(&mut self, mut head: Vec<u8>, body: &Bytes) -> io::Result<()> {
        if body.len() <= COALESCED_BODY_BYTES {
            head.extend_from_slice(body);
            self.stream.write_all(&head).await?;
        } else {
            self.stream.write_all(&head).await?;
            self.stream.write_all(body).await?;
        }
        self.stream.flush().await
    }

    /// Reads the answer's head, passing over informational ones.
    ///
    /// # Errors
    /// Where the upstream closes first, or answers what is not HTTP.
    pub async fn read_head(&mut self) -> Result<Head, Error> {
        loop {
            if !self.buffer.is_empty()
                && let Some((parsed, length)) = head::parse(&self.buffer)?
            {
                self.buffer.advance(length);
                match parsed {
                    Parsed::Final(head) => return Ok(head),
                    Parsed::Informational if self.informational == INFORMATIONAL_MAX => {
                        return Err(Error::NotHttp("too many informational answers"));
                    }
                    Parsed::Informational => self.informational += 1,
                }
                continue;
            }
            if self.buffer.len() >= HEAD_BYTES_MAX {
                return Err(Error::NotHttp("response head too large"));
            }
            if self.fill(FIRST_READ_BYTES).await? == 0 {
                return Err(if self.received {
                    Error::Truncated
                } else {
                    Error::ClosedEarly
                });
            }
        }
    }

    /// Reads the next bytes of the body, as many as are there; nothing at its end.
    ///
    /// # Errors
    /// Where the upstream closes before the end, or breaks the framing.
    pub async fn read_body(&mut self, framing: &mut Framing) -> Result<Option<Bytes>, Error> {
        loop {
            match framing {
                Framing::Length(0) => return Ok(None),
                Framing::Length(left) if !self.buffer.is_empty() => {
                    let here = usize::try_from(*left)
                        .unwrap_or(usize::MAX)
                        .min(self.buffer.len());
                    *left = left.saturating_sub(here as u64);
                    return Ok(Some(self.take(here)));
                }
                Framing::Close if !self.buffer.is_empty() => {
                    return Ok(Some(self.take(self.buffer.len())));
                }
                Framing::Chunked(decoder) => {
                    let step = decoder
                        .step(&self.buffer)
                        .map_err(|_| Error::NotHttp("malformed chunked coding"))?;
                    match step {
                        Step::Data(length) => {
                            return Ok(Some(self.take(length)));
                        }
                        Step::Skip(length) => {
                            self.buffer.advance(length);
                            continue;
                        }
                        Step::End(length) => {
                            self.buffer.advance(length);
                            *framing = Framing::Length(0);
                            return Ok(None);
                        }
                        Step::More => {}
                    }
                }
                Framing::Length(_) | Framing::Close => {}
            }
            let wanted = match framing {
                Framing::Length(left) => usize::try_from(*left).unwrap_or(BODY_READ_BYTES),
                Framing::Chunked(_) | Framing::Close => FIRST_READ_BYTES,
            };
            if self
                .fill(wanted.clamp(FIRST_READ_BYTES, BODY_READ_BYTES))
                .await?
                == 0
            {
                return match framing {
                    Framing::Close => Ok(None),
                    Framing::Length(_) | Framing::Chunked(_) => Err(Error::Truncated),
                };
            }
        }
    }

    /// The first `length` bytes of the buffer. All of it goes as it is, without a second owner.
    fn take(&mut self, length: usize) -> Bytes {
        if length == self.buffer.len() {
            return std::mem::take(&mut self.buffer).freeze();
        }
        self.buffer.split_to(length).freeze()
    }

    /// Reads what has come, at most `room` bytes.
    async fn fill(&mut self, room: usize) -> Result<usize, Error> {
        let read = if room > FIRST_READ_BYTES {
            self.buffer.reserve(room);
            self.stream.read_buf(&mut self.buffer).await
        } else {
            poll_fn(|context| self.poll_first(context)).await
        };
        let read = read.map_err(|error| {
            let is_reset = error.kind() == io::ErrorKind::ConnectionReset;
            if is_reset && !self.received {
                Error::ClosedEarly
            } else {
                Error::Io(error)
            }
        })?;
        self.received |= read > 0;
        Ok(read)
    }

    /// Reads by way of the stack: a stream that is silent for hours holds no buffer meanwhile.
    fn poll_first(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut room = [MaybeUninit::uninit(); FIRST_READ_BYTES];
        let mut read = ReadBuf::uninit(&mut room);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut read))?;
        self.buffer.extend_from_slice(read.filled());
        Poll::Ready(Ok(read.filled().len()))
    }

    /// Readies the connection for its next request; false where bytes that nobody asked for wait.
    #[must_use]
    pub fn rest(&mut self) -> bool {
        let is_clean = self.buffer.is_empty();
        self.buffer = BytesMut::new();
        self.informational = 0;
        self.has_answered_before = true;
        self.received = false;
        is_clean
    }

    /// Whether the idle connection is still open and silent. Asks the runtime, not the kernel: an
    /// end of stream has woken it already.
    #[must_use]
    pub fn is_quiet(&mut self) -> bool {
        let mut byte = [0_u8; 1];
        let mut probe = ReadBuf::new(&mut byte);
        let mut context = Context::from_waker(Waker::noop());
        matches!(
            Pin::new(&mut self.stream).poll_read(&mut context, &mut probe),
            Poll::Pending
        )
    }
}

/// An idle connection and until when it may be used.
#[derive(Debug)]
pub struct Idle {
    /// The connection.
    pub connection: Connection,
    /// When it was put aside.
    pub since: Instant,
    /// How long it may be kept.
    pub keep: Duration,
}

impl Idle {
    /// Whether it may still be used at `now`.
    #[must_use]
    pub fn is_fresh(&self, now: Instant) -> bool {
        now.duration_since(self.since) < self.keep
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::io::{AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn a_connection_that_waits_holds_no_buffer() {
        let (near, mut far) = duplex(1024);
        let mut connection = Connection::new(Box::new(near));
        assert!(connection.read_head().now_or_never().is_none());
        assert_eq!(connection.buffer.capacity(), 0);
        far.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let mut head = connection.read_head().await.unwrap();
        assert!(
            connection
                .read_body(&mut head.framing)
                .now_or_never()
                .is_none()
        );
        assert!(connection.buffer.capacity() < FIRST_READ_BYTES);
    }

    #[tokio::test]
    async fn what_comes_in_pieces_of_any_length_is_read_whole() {
        for length in [
            1,
            FIRST_READ_BYTES,
            FIRST_READ_BYTES + 1,
            BODY_READ_BYTES + 1,
        ] {
            let (near, mut far) = duplex(2 * BODY_READ_BYTES);
            let mut connection = Connection::new(Box::new(near));
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
            far.write_all(head.as_bytes()).await.unwrap();
            far.write_all(&vec![b'x'; length]).await.unwrap();
            let mut head = connection.read_head().await.unwrap();
            let mut read = 0;
            while let Some(bytes) = connection.read_body(&mut head.framing).await.unwrap() {
                read += bytes.len();
            }
            assert_eq!(read, length);
        }
    }
}
