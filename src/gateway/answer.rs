//! Answers that the gateway itself writes.

use bytes::Bytes;
use filters::refusal::{Refusal, Statuses};
use filters::rpc::parse::Id;
use http::StatusCode;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, TRANSFER_ENCODING,
    WWW_AUTHENTICATE,
};
use http::{HeaderName, HeaderValue};
use pingora::http::ResponseHeader;
use pingora::proxy::Session;

use crate::gateway::admit;
use crate::gateway::body;
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

/// Refuses a request: status, JSON-RPC error, the caller's id.
pub(super) async fn refuse(
    session: &mut Session,
    exchange: &mut Exchange,
    refusal: &Refusal,
    id: Option<&str>,
) -> pingora::Result<()> {
    exchange.outcome.status = Status::Error;
    exchange.outcome.reason = Some(refusal.label());
    // No cache has a say in a refusal.
    exchange.outcome.cache_status = None;
    body::drain(session.as_downstream_mut()).await;
    let text = refusal.to_json_in(exchange.outcome.era, id.and_then(Id::from_json));
    let status = status_of(refusal, id, exchange.snapshot.statuses);
    if status != 200
        && let Some(challenge) = admit::challenge(session, &exchange.snapshot.auth, refusal)
    {
        exchange.challenge = Some(challenge);
    }
    let mut header = ResponseHeader::build_no_case(status, Some(8))?;
    if let Some(seconds) = refusal.retry_after_seconds() {
        header.insert_header(RETRY_AFTER, seconds)?;
    }
    if let Refusal::RateLimited {
        limit, retry_after, ..
    } = refusal
    {
        header.insert_header(&RATE_LIMIT, *limit)?;
        header.insert_header(&RATE_LIMIT_REMAINING, 0_u32)?;
        header.insert_header(&RATE_LIMIT_RESET, *retry_after)?;
    }
    if let Refusal::HttpMethod { allow } = refusal {
        header.insert_header(ALLOW, *allow)?;
    }
    json(session, exchange, header, text.into()).await
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
    header: ResponseHeader,
    text: Bytes,
) -> pingora::Result<()> {
    let header = json_head(exchange, header, &text)?;
    send(session, header, text).await
}

/// The head of an answer with a JSON body.
pub(super) fn json_head(
    exchange: &Exchange,
    header: ResponseHeader,
    text: &Bytes,
) -> pingora::Result<Box<ResponseHeader>> {
    let mut header = Box::new(header);
    header.insert_header(CONTENT_TYPE, HeaderValue::from_static("application/json"))?;
    stamp(&mut header, exchange)?;
    header.insert_header(CONTENT_LENGTH, text.len())?;
    Ok(header)
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
    header.insert_header(&TRACE_ID, exchange.trace.id.as_str())?;
    if let Some(server) = &exchange.outcome.server {
        header.insert_header(&SERVER_ID, &**server)?;
    }
    if let Some(session) = &exchange.opened {
        header.insert_header(&fields::SESSION_ID, &**session)?;
    }
    if let Some(challenge) = &exchange.challenge {
        header.insert_header(WWW_AUTHENTICATE, challenge)?;
    }
    if let Some(status) = exchange.outcome.cache_status {
        let label = HeaderValue::from_static(status.label());
        header.insert_header(&CONDUIT_CACHE_STATUS, label)?;
    }
    if let Some(status) = &exchange.cache_status {
        header.insert_header(&CACHE_STATUS, status)?;
    }
    Ok(())
}
