//! Step 1: what the head alone decides.

use filters::refusal::Refusal;
use filters::trace::Trace;
use http::header::{HOST, ORIGIN};
use http::{HeaderMap, HeaderName, Method};
use pingora::proxy::Session;

use crate::gateway::exchange::Exchange;
use crate::gateway::{Ended, relay};
use crate::state::snapshot::Snapshot;

// Names that are checked once, not on each request.
static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
static TRACE_ID: HeaderName = HeaderName::from_static("x-conduit-trace-id");
static APPROVAL_ID: HeaderName = HeaderName::from_static("x-conduit-approval-id");
/// As clients are told of it.
const APPROVAL_ID_SHOWN: &str = "X-Conduit-Approval-Id";

/// Takes note of the trace and the approval, and judges `Host`, `Origin` and the head's length.
pub(super) fn begin(session: &mut Session, exchange: &mut Exchange) -> Result<(), Ended> {
    let downstream = session.as_downstream_mut();
    downstream.set_pipelining_enabled(true);
    downstream.set_write_timeout(Some(relay::WRITE_TIMEOUT));
    if exchange.live.is_draining() {
        downstream.set_keepalive(None);
    }
    let header = session.req_header();
    let text = |name: &HeaderName| {
        let value = header.headers.get(name);
        value.and_then(|value| value.to_str().ok())
    };
    exchange.outcome.verb = verb_label(&header.method);
    let mut random = [0; 24];
    fastrand::fill(&mut random);
    exchange.trace = Trace::resume(text(&TRACEPARENT), text(&TRACE_ID), random);
    if exchange.snapshot.approvals.is_enabled {
        exchange.approval = text(&APPROVAL_ID).map(str::to_owned);
    }
    let host = text(&HOST).or_else(|| header.uri.authority().map(http::uri::Authority::as_str));
    let rules = &exchange.snapshot.origin;
    match header.headers.get(ORIGIN) {
        None => rules.check(host, None)?,
        Some(origin) => {
            // A value that is no text is an Origin all the same, and none that is allowed.
            let all = header.headers.get_all(ORIGIN).iter();
            rules.check(host, all.map(|value| value.to_str().unwrap_or_default()))?;
            exchange.origin = Some(origin.clone());
        }
    }
    measure(&header.headers, &exchange.snapshot)?;
    Ok(())
}

/// Whether a head is no longer than is allowed, and says but once who calls and what was approved. What
/// is much longer, Pingora did not read.
fn measure(headers: &HeaderMap, snapshot: &Snapshot) -> Result<(), Refusal> {
    let bounds = &snapshot.bounds;
    let (lines_max, bytes_max) = (bounds.headers_max, bounds.header_bytes_max);
    let (mut n_bytes, mut previous, mut repeated) = (0_usize, None, None);
    // The values of a name come one after another.
    for (name, value) in headers {
        n_bytes = n_bytes
            .saturating_add(name.as_str().len())
            .saturating_add(value.len());
        if previous.replace(name) == Some(name) {
            repeated = repeated.or_else(|| single(name));
        }
    }
    if headers.len() > lines_max || n_bytes > bytes_max {
        return Err(Refusal::HeadTooLarge {
            lines_max,
            bytes_max,
        });
    }
    // Who reads credentials refuses two of them as such.
    let is_read = |header| header != APPROVAL_ID_SHOWN && snapshot.auth.reads_credentials();
    match repeated.filter(|header| !is_read(*header)) {
        Some(header) => Err(Refusal::HeaderRepeated { header }),
        None => Ok(()),
    }
}

/// A header of which there may be one only, as it is shown; nothing for others, and for what is refused
/// where it is read.
fn single(name: &HeaderName) -> Option<&'static str> {
    match name.as_str() {
        "authorization" => Some("Authorization"),
        "x-api-key" => Some("X-API-Key"),
        "x-conduit-approval-id" => Some(APPROVAL_ID_SHOWN),
        _ => None,
    }
}

fn verb_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        Method::PUT => "PUT",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
