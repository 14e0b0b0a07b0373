//! The head of an upstream's answer: parsed once, straight into what the client will get.

use std::mem::MaybeUninit;
use std::time::Duration;

use bytes::Bytes;
use filters::http1::chunked;
use filters::mask::Mask;
use http::{HeaderName, HeaderValue};
use pingora::http::ResponseHeader;

use crate::upstream::error::Error;

/// Most header fields of an answer.
const FIELDS_MAX: usize = 128;

/// A parsed head.
#[derive(Debug)]
pub struct Head {
    /// Status and end-to-end fields, ready for the client; without `Content-Length`.
    pub header: Box<ResponseHeader>,
    /// What the body is.
    pub content: Content,
    /// Where the body ends.
    pub framing: Framing,
    /// The body's length, where the upstream said it.
    pub content_length: Option<u64>,
    /// How long the connection may be kept after this answer; `None` to close it.
    pub keep_alive: Option<Duration>,
}

impl Head {
    /// Covers what its fields repeat of what is secret.
    pub fn cover(&mut self, mask: &Mask) {
        let fields = self.header.headers.iter();
        let told = fields.filter(|(_, value)| mask.is_in(value.as_bytes()));
        let mut names: Vec<HeaderName> = told.map(|(name, _)| name.clone()).collect();
        names.dedup();
        for name in names {
            let values = self.header.headers.get_all(&name).iter();
            let covered: Vec<HeaderValue> = values
                .filter_map(|value| HeaderValue::from_bytes(&mask.cover(value.as_bytes())).ok())
                .collect();
            self.header.remove_header(&name);
            for value in covered {
                // A head that had these lines has room for them.
                self.header.append_header(name.clone(), value).ok();
            }
        }
    }
}

/// What an answer's body is, by its media type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// `application/json`
    Json,
    /// `text/event-stream`
    EventStream,
    /// Anything else, or nothing.
    Other,
}

/// Where an answer's body ends (RFC 9112, 6.3).
#[derive(Debug)]
pub enum Framing {
    /// After that many more bytes.
    Length(u64),
    /// Where the chunked coding says.
    Chunked(chunked::Decoder),
    /// Where the upstream closes.
    Close,
}

/// How long an idle connection is kept when the upstream does not say.
const KEEP_ALIVE_DEFAULT: Duration = Duration::from_secs(60);
/// How much earlier than the upstream we stop using a connection that it is about to close.
const KEEP_ALIVE_MARGIN: Duration = Duration::from_secs(1);

/// Parses the head at the front of `buffer`; nothing while it is incomplete. Gives the head and its
/// length in bytes. An informational head (1xx) has `None` for its content.
///
/// # Errors
/// [`Error::NotHttp`] where it is no HTTP/1 response head.
pub fn parse(buffer: &[u8]) -> Result<Option<(Parsed, usize)>, Error> {
    let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX];
    let mut response = httparse::Response::new(&mut []);
    let parser = httparse::ParserConfig::default();
    let length = match parser.parse_response_with_uninit_headers(&mut response, buffer, &mut fields)
    {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(Error::NotHttp("malformed response head")),
    };
    let status = response.code.unwrap_or_default();
    if status == 101 {
        return Err(Error::NotHttp("switched protocols unasked"));
    }
    if (100..200).contains(&status) {
        return Ok(Some((Parsed::Informational, length)));
    }
    let mut builder = Builder::new(status, response.version == Some(1))?;
    // One copy of the head; every field's value is a slice of it.
    let text = Bytes::copy_from_slice(buffer.get(..length).unwrap_or_default());
    for field in response.headers.iter() {
        builder.field(field, buffer, &text)?;
    }
    builder
        .finish()
        .map(|head| Some((Parsed::Final(head), length)))
}

/// A parsed head: one to pass on, or one to pass over.
#[derive(Debug)]
pub enum Parsed {
    /// 1xx: another head follows.
    Informational,
    /// The answer's head.
    Final(Head),
}

struct Builder {
    header: ResponseHeader,
    status: u16,
    content: Content,
    lengths: Option<u64>,
    chunked: bool,
    coded: bool,
    persistent: bool,
    keep_alive: Duration,
    nominated: Vec<String>,
}

impl Builder {
    fn new(status: u16, is_http_11: bool) -> Result<Self, Error> {
        let header = ResponseHeader::build_no_case(status, Some(12))
            .map_err(|_| Error::NotHttp("status code out of range"))?;
        Ok(Self {
            header,
            status,
            content: Content::Other,
            lengths: None,
            chunked: false,
            coded: false,
            persistent: is_http_11,
            keep_alive: KEEP_ALIVE_DEFAULT,
            nominated: Vec::new(),
        })
    }

    fn field(
        &mut self,
        field: &httparse::Header<'_>,
        buffer: &[u8],
        text: &Bytes,
    ) -> Result<(), Error> {
        let is = |name: &str| field.name.eq_ignore_ascii_case(name);
        match field.name.len() {
            10 if is("connection") => self.connection(field.value),
            10 if is("keep-alive") => self.keep_alive(field.value),
            10 if is("set-cookie") => {}
            14 if is("content-length") => return self.content_length(field.value),
            17 if is("transfer-encoding") => {
                self.coded = true;
                self.chunked = last_token_is(field.value, "chunked");
            }
            4 if is("date") => {}
            2 if is("te") => {}
            7 if is("trailer") || is("upgrade") => {}
            18 if is("proxy-authenticate") => {}
            // What pages may read is the gateway's to say.
            20.. if starts_with(field.name, "access-control-") => {}
            16 if is("proxy-connection") => {}
            _ => {
                if is("content-type") {
                    self.content = Content::of(field.value);
                }
                let start =
                    (field.value.as_ptr() as usize).saturating_sub(buffer.as_ptr() as usize);
                let value = text.slice(start..start + field.value.len());
                let value = HeaderValue::from_maybe_shared(value)
                    .map_err(|_| Error::NotHttp("invalid header value"))?;
                let name = HeaderName::from_bytes(field.name.as_bytes())
                    .map_err(|_| Error::NotHttp("invalid header name"))?;
                self.header
                    .append_header(name, value)
                    .map_err(|_| Error::NotHttp("too many header fields"))?;
            }
        }
        Ok(())
    }

    fn connection(&mut self, value: &[u8]) {
        for token in tokens(value) {
            match token.as_str() {
                "close" => self.persistent = false,
                "keep-alive" => self.persistent = true,
                _ => self.nominated.push(token),
            }
        }
    }

    fn keep_alive(&mut self, value: &[u8]) {
        for token in tokens(value) {
            let seconds = token
                .strip_prefix("timeout=")
                .and_then(|text| text.parse().ok());
            if let Some(seconds) = seconds {
                let told = Duration::from_secs(seconds).saturating_sub(KEEP_ALIVE_MARGIN);
                self.keep_alive = told.min(KEEP_ALIVE_DEFAULT);
            }
        }
    }

    fn content_length(&mut self, value: &[u8]) -> Result<(), Error> {
        let length = std::str::from_utf8(value)
            .ok()
            .map(str::trim)
            .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|text| text.parse::<u64>().ok())
            .ok_or(Error::NotHttp("invalid Content-Length"))?;
        match self.lengths.replace(length) {
            Some(other) if other != length => Err(Error::NotHttp("two Content-Lengths")),
            Some(_) | None => Ok(()),
        }
    }

    fn finish(mut self) -> Result<Head, Error> {
        for name in &self.nominated {
            self.header.remove_header(name.as_str());
        }
        let has_no_body = matches!(self.status, 204 | 304);
        let framing = if has_no_body {
            Framing::Length(0)
        } else if self.chunked {
            // RFC 9112, 6.3: chunked wins over Content-Length, and the connection is not to be
            // trusted further if both stand.
            self.persistent &= self.lengths.is_none();
            Framing::Chunked(chunked::Decoder::default())
        } else if self.coded {
            return Err(Error::NotHttp("unknown transfer coding"));
        } else {
            self.lengths.map_or(Framing::Close, Framing::Length)
        };
        let content_length = match framing {
            Framing::Length(length) => Some(length),
            Framing::Chunked(_) | Framing::Close => None,
        };
        let keep_alive =
            (self.persistent && !matches!(framing, Framing::Close) && !self.keep_alive.is_zero())
                .then_some(self.keep_alive);
        Ok(Head {
            header: Box::new(self.header),
            content: self.content,
            framing,
            content_length,
            keep_alive,
        })
    }
}

impl Content {
    fn of(media_type: &[u8]) -> Self {
        let essence = media_type
            .split(|&byte| byte == b';')
            .next()
            .unwrap_or_default();
        let essence = essence.trim_ascii();
        if essence.eq_ignore_ascii_case(b"application/json") {
            Self::Json
        } else if essence.eq_ignore_ascii_case(b"text/event-stream") {
            Self::EventStream
        } else {
            Self::Other
        }
    }
}

fn starts_with(name: &str, prefix: &str) -> bool {
    let start = name.as_bytes().get(..prefix.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
}

fn tokens(value: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(value)
        .split(',')
        .map(|token| token.trim().to_ascii_lowercase())
        .filter(|token| !token.is_empty())
        .collect()
}

fn last_token_is(value: &[u8], expected: &str) -> bool {
    tokens(value).last().is_some_and(|last| last == expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Result<Head, Error> {
        match parse(text.as_bytes())?.expect("a complete head").0 {
            Parsed::Final(head) => Ok(head),
            Parsed::Informational => panic!("an informational head"),
        }
    }

    #[test]
    fn only_end_to_end_fields_reach_the_client() {
        let head = head(
            "HTTP/1.1 200 OK\r\nContent-Type: Application/JSON; charset=utf-8\r\nX-Own: a\r\nX-Own: b\r\n\
             Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nSet-Cookie: s=1\r\nContent-Length: 2\r\n\
             Keep-Alive: timeout=5\r\nTrailer: x\r\n\r\n",
        )
        .unwrap();
        let names: Vec<_> = head.header.headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["content-type", "x-own"]);
        assert_eq!(head.header.headers.get_all("x-own").iter().count(), 2);
        assert_eq!(head.content, Content::Json);
        assert_eq!(head.content_length, Some(2));
        assert_eq!(head.keep_alive, Some(Duration::from_secs(4)));
    }

    #[test]
    fn the_body_ends_where_the_head_says() {
        let framing = |fields: &str| head(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n"));
        assert!(matches!(
            framing("Content-Length: 5\r\n").unwrap().framing,
            Framing::Length(5)
        ));
        assert!(matches!(framing("").unwrap().framing, Framing::Close));
        let both = framing("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n").unwrap();
        assert!(matches!(both.framing, Framing::Chunked(_)) && both.keep_alive.is_none());
        for bad in [
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            "Content-Length: -5\r\n",
            "Content-Length: 5, 5\r\n",
            "Transfer-Encoding: gzip\r\n",
        ] {
            assert!(framing(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_connection_is_kept_only_where_both_sides_can() {
        let kept = |text: &str| head(text).unwrap().keep_alive.is_some();
        assert!(kept("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
        assert!(!kept(
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        ));
        assert!(!kept("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"));
        assert!(!kept("HTTP/1.1 200 OK\r\n\r\n"));
    }

    #[test]
    fn what_is_not_http_is_refused_and_what_is_unfinished_awaited() {
        assert!(parse(b"garbage\r\n\r\n").is_err());
        assert!(parse(b"HTTP/1.1 101 Switching Protocols\r\n\r\n").is_err());
        assert!(parse(b"HTTP/1.1 200 OK\r\nContent-").unwrap().is_none());
        let interim = parse(b"HTTP/1.1 103 Early Hints\r\n\r\n").unwrap().unwrap();
        assert!(matches!(interim, (Parsed::Informational, 28)));
    }
}
