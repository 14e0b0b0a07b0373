//! Answers that the gateway itself writes.

use bytes::Bytes;
use filters::refusal::{Refusal, Statuses};
use filters::rpc::parse::Id;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, TRANSFER_ENCODING, VARY,
    WWW_AUTHENTICATE,
};
use http::response::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use pingora::{ErrorType, OrErr};

use crate::gateway::admit;
use crate::gateway::body;
use crate::gateway::cors;
use crate::gateway::exchange::Exchange;
use crate::gateway::fields;
use crate::telemetry::outcome::Status;

// Names that are checked once, not on each answer.
static TRACE_ID: HeaderName = HeaderName::from_static("x-conduit-trace-id");
static SERVER_ID: HeaderName = HeaderName::from_static("x-conduit-server-id");
static CONDUIT_CACHE_STATUS: HeaderName = HeaderName::from_static("x-conduit-cache-status");
/// `Cache-Status` (RFC 9211)
static CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
// draft-ietf-httpapi-ratelimit-headers-06, the last one with a header for each value.
static RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
static RATE_LIMIT_REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
static RATE_LIMIT_RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// Headers that there is room for from the start: a hit's, and those that Pingora adds.
const HEADERS_USUAL: usize = 12;

/// Refuses a request: status, JSON-RPC error, the caller's id.
pub(super) async fn refuse(
    session: &mut Session,
    exchange: &mut Exchange,
    refusal: &Refusal,
    id: Option<&str>,
) -> pingora::Result<()> {
    exchange.forgo(refusal);
    exchange.outcome.status = Status::Error;
    exchange.outcome.reason = Some(refusal.label());
    // No cache has a say in a refusal.
    exchange.outcome.cache_status = None;
    body::drain(session.as_downstream_mut()).await;
    let text = refusal.to_json_in(exchange.outcome.era, id.and_then(Id::from_json));
    let status = status_of(refusal, id, exchange.snapshot.statuses);
    if status != 200
        && let Some(challenge) = admit::challenge(session, &exchange.snapshot, refusal)
    {
        exchange.challenge = Some(challenge);
    }
    let mut head = Head::new(status)?;
    if let Some(seconds) = refusal.retry_after_seconds() {
        head.insert(&RETRY_AFTER, seconds.into());
    }
    if let Refusal::RateLimited {
        limit, retry_after, ..
    } = refusal
    {
        head.insert(&RATE_LIMIT, (*limit).into());
        head.insert(&RATE_LIMIT_REMAINING, HeaderValue::from_static("0"));
        head.insert(&RATE_LIMIT_RESET, (*retry_after).into());
    }
    if let Refusal::HttpMethod { allow } = refusal {
        head.insert(&ALLOW, HeaderValue::from_static(allow));
    }
    let text = text.into();
    let header = head.json(exchange, &text)?;
    send(session, header, text).await
}

/// The status that a refusal goes out with.
fn status_of(refusal: &Refusal, id: Option<&str>, statuses: Statuses) -> u16 {
    match statuses {
        // What wants no answer gets none: only the status says that it was not accepted.
        Statuses::Own if id.is_none() && refusal.status() == 200 => 400,
        Statuses::Own | Statuses::Always200 => refusal.status_in(statuses),
    }
}

/// The head of an event stream.
pub(super) fn stream_header(
    session: &Session,
    exchange: &Exchange,
) -> pingora::Result<ResponseHeader> {
    let mut header = ResponseHeader::build_no_case(200, Some(8))?;
    header.insert_header(CONTENT_TYPE, "text/event-stream")?;
    header.insert_header(CACHE_CONTROL, "no-cache")?;
    header.insert_header("x-accel-buffering", "no")?;
    stamp(&mut header, exchange)?;
    if session.req_header().version == http::Version::HTTP_11 {
        header.insert_header(TRANSFER_ENCODING, "chunked")?;
    }
    Ok(header)
}

/// Answers with a JSON body.
pub(super) async fn json(
    session: &mut Session,
    exchange: &Exchange,
    status: u16,
    text: Bytes,
) -> pingora::Result<()> {
    let header = Head::new(status)?.json(exchange, &text)?;
    send(session, header, text).await
}

/// The head of an answer that the gateway writes itself. Pingora's own type reads and copies a name
/// whenever a header is inserted; there are too many on each hit for that.
pub(super) struct Head(Parts);

impl Head {
    /// A head without headers.
    pub(super) fn new(status: u16) -> pingora::Result<Self> {
        let (mut parts, ()) = http::Response::new(()).into_parts();
        parts.status = StatusCode::from_u16(status)
            .or_err(ErrorType::InvalidHTTPHeader, "status of an answer")?;
        parts.headers = HeaderMap::with_capacity(HEADERS_USUAL);
        Ok(Self(parts))
    }

    fn insert(&mut self, name: &HeaderName, value: HeaderValue) {
        self.0.headers.insert(name, value);
    }

    /// The head of an answer with a JSON body.
    pub(super) fn json(
        mut self,
        exchange: &Exchange,
        text: &Bytes,
    ) -> pingora::Result<Box<ResponseHeader>> {
        self.insert(&CONTENT_TYPE, HeaderValue::from_static("application/json"));
        stamps(exchange, |name, value| {
            self.insert(name, value);
            Ok(())
        })?;
        self.insert(&CONTENT_LENGTH, text.len().into());
        Ok(Box::new(ResponseHeader::from(self.0)))
    }
}

/// Writes a whole answer.
pub(super) async fn write(
    session: &mut Session,
    mut header: ResponseHeader,
    text: Bytes,
) -> pingora::Result<()> {
    // A 204 has no body, and must not tell of one's length (RFC 9110, 8.6).
    if header.status != StatusCode::NO_CONTENT {
        header.insert_header(CONTENT_LENGTH, text.len())?;
    }
    send(session, Box::new(header), text).await
}

/// Writes an answer whose head is complete.
pub(super) async fn send(
    session: &mut Session,
    header: Box<ResponseHeader>,
    text: Bytes,
) -> pingora::Result<()> {
    let downstream = session.as_downstream_mut();
    downstream.write_response_header(header).await?;
    downstream.write_response_body(text, true).await
}

/// Puts the gateway's own headers on an answer.
pub(super) fn stamp(header: &mut ResponseHeader, exchange: &Exchange) -> pingora::Result<()> {
    stamps(exchange, |name, value| {
        if *name == VARY {
            // The server's answer may depend on something, too.
            return header.append_header(name, value).map(|_| ());
        }
        header.insert_header(name, value)
    })
}

/// The gateway's own headers on an answer.
fn stamps(
    exchange: &Exchange,
    mut put: impl FnMut(&HeaderName, HeaderValue) -> pingora::Result<()>,
) -> pingora::Result<()> {
    let value = |text: &str| {
        HeaderValue::from_str(text).or_err(ErrorType::InvalidHTTPHeader, "header of an answer")
    };
    put(&TRACE_ID, value(&exchange.trace.id)?)?;
    if let Some(server) = &exchange.outcome.server {
        put(&SERVER_ID, value(server)?)?;
    }
    if let Some(session) = &exchange.opened {
        put(&fields::SESSION_ID, value(session)?)?;
    }
    if let Some(challenge) = &exchange.challenge {
        put(&WWW_AUTHENTICATE, challenge.clone())?;
    }
    if let Some(status) = exchange.outcome.cache_status {
        put(
            &CONDUIT_CACHE_STATUS,
            HeaderValue::from_static(status.label()),
        )?;
    }
    if let Some(status) = &exchange.cache_status {
        put(&CACHE_STATUS, status.clone())?;
    }
    if let Some(origin) = &exchange.origin {
        for (name, value) in cors::exposing(origin) {
            put(&name, value)?;
        }
    }
    Ok(())
}
