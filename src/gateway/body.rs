//! Reads a request's body within its bound.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use filters::refusal::Refusal;
use pingora::protocols::http::ServerSession;
use pingora_timeout::fast_timeout::fast_timeout;

use crate::gateway::Ended;
use crate::gateway::patient;
use crate::state::snapshot::Bounds;

/// How much of a refused body is read and thrown away, so that the client reads the refusal rather
/// than a reset connection.
const DRAIN_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How long that may take.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Reads the whole body, of at most `max` bytes. HTTP/2 has no bounds of time of its own in Pingora.
pub(super) async fn read(
    session: &mut ServerSession,
    max: usize,
    bounds: &Bounds,
) -> Result<Bytes, Ended> {
    let announced = content_length(session);
    if announced.is_some_and(|length| length > max as u64) {
        return Err(Refusal::BodyTooLarge { max }.into());
    }
    if expects_continue(session) {
        session
            .write_continue_response()
            .await
            .map_err(|_| Ended::ClientGone)?;
    }
    let Some(first) = next(session, bounds.body_pause).await? else {
        return Ok(Bytes::new());
    };
    if first.len() > max {
        return Err(Refusal::BodyTooLarge { max }.into());
    }
    // Most bodies come in one read and are never copied again.
    if session.is_body_done() || announced == Some(first.len() as u64) {
        return Ok(first);
    }
    let rest = collect(session, announced, max, bounds.body_pause, &first);
    Box::pin(fast_timeout(bounds.body, rest))
        .await
        .unwrap_or_else(|_| Err(Refusal::BodyTimeout.into()))
}

/// Reads what comes after the first part.
async fn collect(
    session: &mut ServerSession,
    announced: Option<u64>,
    max: usize,
    pause: Duration,
    first: &[u8],
) -> Result<Bytes, Ended> {
    // An announced length is a promise, not a reason to set all of it aside at once.
    let room = announced
        .and_then(|length| usize::try_from(length).ok())
        .unwrap_or(0);
    let mut body = BytesMut::with_capacity(room.clamp(first.len(), 1024 * 1024));
    body.extend_from_slice(first);
    while let Some(part) = next(session, pause).await? {
        if body.len() + part.len() > max {
            return Err(Refusal::BodyTooLarge { max }.into());
        }
        body.extend_from_slice(&part);
    }
    Ok(body.freeze())
}

async fn next(session: &mut ServerSession, pause: Duration) -> Result<Option<Bytes>, Ended> {
    match patient::within(pause, session.read_request_body()).await {
        Ok(Ok(part)) => Ok(part),
        Ok(Err(_)) => Err(Ended::ClientGone),
        Err(_) => Err(Refusal::BodyTimeout.into()),
    }
}

/// Throws away what is left of a refused request's body. Where that would take too long, the
/// connection is closed after the answer.
pub(super) async fn drain(session: &mut ServerSession) {
    // A client that waits for "100 Continue" has sent nothing and will not.
    let is_over = session.is_body_done() || expects_continue(session);
    if !is_over && fast_timeout(DRAIN_TIMEOUT, discard(session)).await.is_err() {
        tracing::debug!("A refused body did not end in time");
    }
    if !session.is_body_done() {
        session.set_keepalive(None);
    }
}

async fn discard(session: &mut ServerSession) {
    let mut left = DRAIN_BYTES_MAX;
    while let Ok(Some(part)) = session.read_request_body().await {
        left = left.saturating_sub(part.len());
        if left == 0 {
            return;
        }
    }
}

fn content_length(session: &ServerSession) -> Option<u64> {
    let value = session.get_header(http::header::CONTENT_LENGTH)?;
    value.to_str().ok()?.trim().parse().ok()
}

fn expects_continue(session: &ServerSession) -> bool {
    session
        .get_header(http::header::EXPECT)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}
