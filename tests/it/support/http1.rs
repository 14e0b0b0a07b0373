//! Just enough HTTP/1.1 to see what is on the wire: message heads, and bodies piece by piece.
//!
//! A real client library would repair, retry and pool, which is what these tests must not have done for them.

use std::io;

use tokio::{io::AsyncReadExt, net::TcpStream};

/// Names in lower case, in the order on the wire.
#[derive(Clone, Debug, Default)]
pub(crate) struct Headers(pub(crate) Vec<(String, String)>);

impl Headers {
    /// The first value of `name` (lower case).
    /// All values of a header.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let found = self.0.iter().filter(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).collect()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    fn parse(parsed: &[httparse::Header<'_>]) -> Self {
        let owned = |header: &httparse::Header<'_>| {
            let value = String::from_utf8_lossy(header.value).into_owned();
            (header.name.to_ascii_lowercase(), value)
        };
        Self(parsed.iter().map(owned).collect())
    }
}

/// How much body is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(usize),
    Chunked,
    UntilClose,
    Ended,
}

impl Framing {
    /// The framing that the headers declare; `undeclared` when they say nothing.
    pub(crate) fn of(headers: &Headers, undeclared: Self) -> Self {
        if let Some(coding) = headers.get("transfer-encoding") {
            assert_eq!(coding, "chunked", "unknown transfer coding");
            assert_eq!(headers.get("content-length"), None, "two framings");
            return Self::Chunked;
        }
        match headers.get("content-length") {
            Some("0") => Self::Ended,
            Some(length) => Self::Length(length.parse().unwrap()),
            None => undeclared,
        }
    }
}

/// One side's reader of a connection.
pub(crate) struct Reader {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
}

impl Reader {
    pub(crate) fn new(stream: TcpStream) -> Self {
        let buffer = Vec::new();
        Self { stream, buffer }
    }

    /// The status and headers of a response.
    pub(crate) async fn response_head(&mut self) -> io::Result<(u16, Headers)> {
        let bytes = self.head().await?.ok_or_else(cut)?;
        let mut slots = [httparse::EMPTY_HEADER; 64];
        let mut parsed = httparse::Response::new(&mut slots);
        parsed.parse(&bytes).map_err(io::Error::other)?;
        let status = parsed.code.unwrap();
        Ok((status, Headers::parse(parsed.headers)))
    }

    /// Method, target and headers of a request; `None` when the peer closed between requests.
    pub(crate) async fn request_head(&mut self) -> io::Result<Option<(String, String, Headers)>> {
        let Some(bytes) = self.head().await? else {
            return Ok(None);
        };
        let mut slots = [httparse::EMPTY_HEADER; 64];
        let mut parsed = httparse::Request::new(&mut slots);
        parsed.parse(&bytes).map_err(io::Error::other)?;
        let method = parsed.method.unwrap().to_owned();
        let target = parsed.path.unwrap().to_owned();
        Ok(Some((method, target, Headers::parse(parsed.headers))))
    }

    /// The next piece of a body, or `None` at its end. A body that stops early is an error.
    pub(crate) async fn piece(&mut self, framing: &mut Framing) -> io::Result<Option<Vec<u8>>> {
        match *framing {
            Framing::Ended => Ok(None),
            Framing::Length(left) => {
                let piece = self.some(left).await?.ok_or_else(cut)?;
                let left = left - piece.len();
                *framing = if left == 0 {
                    Framing::Ended
                } else {
                    Framing::Length(left)
                };
                Ok(Some(piece))
            }
            Framing::Chunked => self.chunk(framing).await,
            Framing::UntilClose => {
                let piece = self.some(usize::MAX).await?;
                if piece.is_none() {
                    *framing = Framing::Ended;
                }
                Ok(piece)
            }
        }
    }

    /// Waits until the peer has closed or broken the connection; what it still sends is thrown away.
    pub(crate) async fn closed(&mut self) {
        loop {
            self.buffer.clear();
            match self.fill().await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
    }

    async fn chunk(&mut self, framing: &mut Framing) -> io::Result<Option<Vec<u8>>> {
        let line = self.through(b"\r\n").await?.ok_or_else(cut)?;
        let digits = String::from_utf8_lossy(&line);
        let digits = digits.trim_end().split(';').next().unwrap();
        let size = usize::from_str_radix(digits, 16).map_err(io::Error::other)?;
        if size == 0 {
            while self.through(b"\r\n").await?.ok_or_else(cut)? != b"\r\n" {}
            *framing = Framing::Ended;
            return Ok(None);
        }
        let mut chunk = self.exactly(size + 2).await?;
        chunk.truncate(size);
        Ok(Some(chunk))
    }

    async fn head(&mut self) -> io::Result<Option<Vec<u8>>> {
        self.through(b"\r\n\r\n").await
    }

    /// Everything up to and with `end`; `None` if the peer closed before the first byte.
    async fn through(&mut self, end: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let mut searched = 0;
        loop {
            let from = searched;
            if let Some(at) = memchr::memmem::find(&self.buffer[from..], end) {
                return Ok(Some(self.take(from + at + end.len())));
            }
            searched = self.buffer.len().saturating_sub(end.len() - 1);
            if self.fill().await? == 0 {
                return if self.buffer.is_empty() {
                    Ok(None)
                } else {
                    Err(cut())
                };
            }
        }
    }

    async fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() < length {
            if self.fill().await? == 0 {
                return Err(cut());
            }
        }
        Ok(self.take(length))
    }

    /// What there is, at least one byte and at most `most`; `None` if the peer closed.
    async fn some(&mut self, most: usize) -> io::Result<Option<Vec<u8>>> {
        if self.buffer.is_empty() && self.fill().await? == 0 {
            return Ok(None);
        }
        let length = self.buffer.len().min(most);
        Ok(Some(self.take(length)))
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        self.buffer.drain(..length).collect()
    }

    async fn fill(&mut self) -> io::Result<usize> {
        self.buffer.reserve(64 * 1024);
        self.stream.read_buf(&mut self.buffer).await
    }
}

fn cut() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}
