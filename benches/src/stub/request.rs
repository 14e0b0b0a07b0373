//! Reads the requests of one connection to the stub.
//!
//! **Invariant:** a request is bounded by [`REQUEST_BYTES_MAX`]; one that is not HTTP/1.1, or larger,
//! ends the connection.

use std::io;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use crate::chunked::Decoder;

/// Bytes of a request, head and body, at most.
const REQUEST_BYTES_MAX: usize = 1024 * 1024;
const HEADERS_MAX: usize = 64;

/// The methods that the stub tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Post,
    Delete,
    Other,
}

/// One request.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Bytes,
}

struct Head {
    method: Method,
    path: String,
    framing: Framing,
    bytes: usize,
}

#[derive(Clone, Copy)]
enum Framing {
    Length(usize),
    Chunked,
}

/// The next request, or `None` when the client has left.
pub(crate) async fn read(
    stream: &mut TcpStream,
    buffer: &mut BytesMut,
) -> io::Result<Option<Request>> {
    let head = loop {
        if let Some(head) = parse_head(buffer)? {
            break head;
        }
        if fill(stream, buffer).await? == 0 {
            return Ok(None);
        }
    };
    buffer.advance(head.bytes);
    let body = match head.framing {
        Framing::Length(bytes) => read_length(stream, buffer, bytes).await?,
        Framing::Chunked => read_chunks(stream, buffer).await?,
    };
    Ok(Some(Request {
        method: head.method,
        path: head.path,
        body,
    }))
}

async fn read_length(
    stream: &mut TcpStream,
    buffer: &mut BytesMut,
    bytes: usize,
) -> io::Result<Bytes> {
    if bytes > REQUEST_BYTES_MAX {
        return Err(invalid("request too large"));
    }
    while buffer.len() < bytes {
        if fill(stream, buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(buffer.split_to(bytes).freeze())
}

async fn read_chunks(stream: &mut TcpStream, buffer: &mut BytesMut) -> io::Result<Bytes> {
    let mut decoder = Decoder::default();
    let mut body = BytesMut::new();
    while !decoder
        .feed(buffer, |bytes| body.extend_from_slice(bytes))
        .map_err(invalid)?
    {
        if body.len() > REQUEST_BYTES_MAX {
            return Err(invalid("request too large"));
        }
        if fill(stream, buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(body.freeze())
}

async fn fill(stream: &mut TcpStream, buffer: &mut BytesMut) -> io::Result<usize> {
    if buffer.len() > REQUEST_BYTES_MAX {
        return Err(invalid("request too large"));
    }
    buffer.reserve(8 * 1024);
    stream.read_buf(buffer).await
}

fn parse_head(buffer: &[u8]) -> io::Result<Option<Head>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(bytes) = parsed.parse(buffer).map_err(invalid)? else {
        return Ok(None);
    };
    let method = match parsed.method {
        Some("GET") => Method::Get,
        Some("POST") => Method::Post,
        Some("DELETE") => Method::Delete,
        _ => Method::Other,
    };
    let path = parsed.path.unwrap_or_default().to_owned();
    let mut framing = Framing::Length(0);
    for header in parsed.headers {
        if header.name.eq_ignore_ascii_case("content-length") {
            let digits = std::str::from_utf8(header.value).map_err(invalid)?;
            framing = Framing::Length(digits.trim().parse().map_err(invalid)?);
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            framing = Framing::Chunked;
        }
    }
    Ok(Some(Head {
        method,
        path,
        framing,
        bytes,
    }))
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
