//! An HTTP/1.1 client that costs as little as possible: one socket, one buffer, no pool.
//!
//! **Invariant:** a response is read to its end before the next request is sent, and bytes past that end
//! are an error.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::chunked::Decoder;

const READ_BYTES: usize = 64 * 1024;
const HEAD_BYTES_MAX: usize = 64 * 1024;
const HEADERS_MAX: usize = 64;

/// A kept-alive connection.
pub(crate) struct Client {
    stream: TcpStream,
    buffer: BytesMut,
}

/// The head of a response.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) media: Media,
    /// The value of `Mcp-Session-Id`.
    pub(crate) session: Option<String>,
    /// Whether it says that the gateway's cache had it.
    pub(crate) is_hit: bool,
    framing: Framing,
}

/// The content types that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Media {
    Json,
    Events,
    Other,
}

#[derive(Clone, Copy, Debug)]
enum Framing {
    Length(u64),
    Chunked,
}

/// A body as it was received: all of its length, and the first part of its bytes.
#[derive(Debug, Default)]
pub(crate) struct Body {
    /// Bytes received.
    pub(crate) bytes: u64,
    /// The first of them, at most [`Body::kept_max`].
    pub(crate) kept: Vec<u8>,
    /// How many bytes to keep.
    pub(crate) kept_max: usize,
}

impl Body {
    /// A body that keeps its first `kept_max` bytes.
    pub(crate) fn keeping(kept_max: usize) -> Self {
        Self {
            kept_max,
            ..Self::default()
        }
    }

    fn clear(&mut self) {
        self.bytes = 0;
        self.kept.clear();
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        let room = self.kept_max.saturating_sub(self.kept.len());
        self.kept
            .extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }
}

impl Client {
    /// Connects to `port` of the loopback.
    ///
    /// # Errors
    /// When nothing accepts there.
    pub(crate) async fn connect(port: u16) -> Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .await
            .with_context(|| format!("cannot connect to port {port}"))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: BytesMut::with_capacity(READ_BYTES),
        })
    }

    /// The status of `GET path` on a connection of its own.
    ///
    /// # Errors
    /// When there is no whole answer.
    pub(crate) async fn get_status(port: u16, path: &str) -> Result<u16> {
        Ok(Self::get(port, path).await?.0)
    }

    /// The status and body of `GET path` on a connection of its own.
    ///
    /// # Errors
    /// When there is no whole answer.
    pub(crate) async fn get(port: u16, path: &str) -> Result<(u16, Body)> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n");
        let mut client = Self::connect(port).await?;
        let mut body = Body::keeping(HEAD_BYTES_MAX);
        let head = client.exchange(request.as_bytes(), &mut body).await?;
        Ok((head.status, body))
    }

    /// Sends a request and reads its response to the end.
    ///
    /// # Errors
    /// When the connection breaks or the answer is not HTTP/1.1 with a framed body.
    pub(crate) async fn exchange(&mut self, request: &[u8], body: &mut Body) -> Result<Head> {
        self.send(request).await?;
        let head = self.receive_head().await?;
        body.clear();
        match head.framing {
            Framing::Length(bytes) => self.receive_length(bytes, body).await?,
            Framing::Chunked => self.receive_chunks(body).await?,
        }
        ensure!(
            self.buffer.is_empty(),
            "{} bytes follow the response",
            self.buffer.len()
        );
        Ok(head)
    }

    /// Sends a request.
    ///
    /// # Errors
    /// When the connection breaks.
    pub(crate) async fn send(&mut self, request: &[u8]) -> Result<()> {
        self.stream.write_all(request).await.context("cannot send")
    }

    /// Reads the head of a response.
    ///
    /// # Errors
    /// When the connection breaks or the answer is not HTTP/1.1.
    pub(crate) async fn receive_head(&mut self) -> Result<Head> {
        loop {
            if let Some((head, bytes)) = parse_head(&self.buffer)? {
                self.buffer.advance(bytes);
                return Ok(head);
            }
            ensure!(
                self.buffer.len() <= HEAD_BYTES_MAX,
                "the response head is over 64 KiB"
            );
            self.fill().await?;
        }
    }

    /// Reads an endless chunked body until `text` has been in it.
    ///
    /// # Errors
    /// When the body ends or the connection breaks before that.
    pub(crate) async fn receive_until(&mut self, text: &[u8]) -> Result<()> {
        let mut decoder = Decoder::default();
        let mut body = Body::keeping(HEAD_BYTES_MAX);
        loop {
            let ended = decoder.feed(&mut self.buffer, |bytes| body.push(bytes))?;
            if memchr::memmem::find(&body.kept, text).is_some() {
                return Ok(());
            }
            ensure!(!ended, "the stream ended after {} bytes", body.bytes);
            self.fill().await?;
        }
    }

    async fn receive_length(&mut self, bytes: u64, body: &mut Body) -> Result<()> {
        let mut left = bytes;
        loop {
            let there = usize::try_from(left)
                .unwrap_or(usize::MAX)
                .min(self.buffer.len());
            body.push(self.buffer.get(..there).unwrap_or_default());
            self.buffer.advance(there);
            left -= there as u64;
            if left == 0 {
                return Ok(());
            }
            self.fill().await?;
        }
    }

    async fn receive_chunks(&mut self, body: &mut Body) -> Result<()> {
        let mut decoder = Decoder::default();
        while !decoder.feed(&mut self.buffer, |bytes| body.push(bytes))? {
            self.fill().await?;
        }
        Ok(())
    }

    async fn fill(&mut self) -> Result<()> {
        self.buffer.reserve(READ_BYTES);
        let read = self
            .stream
            .read_buf(&mut self.buffer)
            .await
            .context("cannot receive")?;
        ensure!(
            read > 0,
            "the connection was closed before the response was complete"
        );
        Ok(())
    }
}

/// The head at the start of `buffer` and its length, if it is whole.
fn parse_head(buffer: &[u8]) -> Result<Option<(Head, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(bytes) =
        parsed.parse(buffer).context("the answer is not HTTP/1.1")?
    else {
        return Ok(None);
    };
    let status = parsed.code.context("the answer has no status")?;
    let mut length = None;
    let mut chunked = false;
    let mut media = Media::Other;
    let mut session = None;
    let mut is_hit = false;
    for header in parsed.headers {
        if header.name.eq_ignore_ascii_case("content-length") {
            length = Some(std::str::from_utf8(header.value)?.trim().parse()?);
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            chunked = true;
        } else if header.name.eq_ignore_ascii_case("content-type") {
            media = media_of(header.value);
        } else if header.name.eq_ignore_ascii_case("mcp-session-id") {
            session = Some(String::from_utf8_lossy(header.value).into_owned());
        } else if header.name.eq_ignore_ascii_case("x-conduit-cache-status") {
            is_hit = header.value == b"HIT";
        }
    }
    let framing = match (chunked, length) {
        (true, _) => Framing::Chunked,
        (false, Some(bytes)) => Framing::Length(bytes),
        (false, None) if status == 204 => Framing::Length(0),
        (false, None) => bail!("the answer ({status}) has neither a length nor chunks"),
    };
    Ok(Some((
        Head {
            status,
            media,
            session,
            is_hit,
            framing,
        },
        bytes,
    )))
}

fn media_of(value: &[u8]) -> Media {
    if value.starts_with(b"application/json") {
        Media::Json
    } else if value.starts_with(b"text/event-stream") {
        Media::Events
    } else {
        Media::Other
    }
}
