//! Step 1: what the head alone decides.

use filters::refusal::Refusal;
use filters::trace::Trace;
use http::header::ORIGIN;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use pingora::proxy::Session;

use crate::gateway::exchange::Exchange;
use crate::gateway::{Ended, relay};
use crate::state::snapshot::Snapshot;

// A name that is checked once, not on each request.
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
    let head = Head::read(&header.headers);
    exchange.outcome.verb = verb_label(&header.method);
    let mut random = [0; 24];
    fastrand::fill(&mut random);
    exchange.trace = Trace::resume(head.traceparent, head.trace_id, random);
    if exchange.snapshot.approvals.is_enabled {
        let named = header.headers.get(&APPROVAL_ID);
        exchange.approval = named.and_then(text).map(str::to_owned);
    }
    let authority = || header.uri.authority().map(http::uri::Authority::as_str);
    let host = head.host.or_else(authority);
    let rules = &exchange.snapshot.origin;
    match head.origin {
        None => rules.check(host, None)?,
        Some(origin) => {
            // A value that is no text is an Origin all the same, and none that is allowed.
            let all = header.headers.get_all(ORIGIN).iter();
            rules.check(host, all.map(|value| value.to_str().unwrap_or_default()))?;
            exchange.origin = Some(origin.clone());
        }
    }
    head.measure(&exchange.snapshot)?;
    Ok(())
}

/// What is read of a head in one walk: look-ups would hash as many names.
#[derive(Default)]
struct Head<'h> {
    host: Option<&'h str>,
    origin: Option<&'h HeaderValue>,
    traceparent: Option<&'h str>,
    trace_id: Option<&'h str>,
    n_lines: usize,
    n_bytes: usize,
    /// What stands there more than once, and must not.
    repeated: Option<&'static str>,
}

impl<'h> Head<'h> {
    fn read(headers: &'h HeaderMap) -> Self {
        let mut head = Self {
            n_lines: headers.len(),
            ..Self::default()
        };
        let mut previous = None;
        // The values of a name come one after another; of several the first counts.
        for (name, value) in headers {
            let spelled = name.as_str();
            head.n_bytes = head
                .n_bytes
                .saturating_add(spelled.len())
                .saturating_add(value.len());
            if previous.replace(name) == Some(name) {
                head.repeated = head.repeated.or_else(|| single(spelled));
                continue;
            }
            match spelled {
                "host" => head.host = text(value),
                "origin" => head.origin = Some(value),
                "traceparent" => head.traceparent = text(value),
                "x-conduit-trace-id" => head.trace_id = text(value),
                _ => {}
            }
        }
        head
    }

    /// Whether it is no longer than is allowed, and says but once who calls and what was approved. What
    /// is much longer, Pingora did not read.
    fn measure(&self, snapshot: &Snapshot) -> Result<(), Refusal> {
        let bounds = &snapshot.bounds;
        let (lines_max, bytes_max) = (bounds.headers_max, bounds.header_bytes_max);
        if self.n_lines > lines_max || self.n_bytes > bytes_max {
            return Err(Refusal::HeadTooLarge {
                lines_max,
                bytes_max,
            });
        }
        // Who reads credentials refuses two of them as such.
        let is_read = |header| header != APPROVAL_ID_SHOWN && snapshot.auth.reads_credentials();
        match self.repeated.filter(|header| !is_read(*header)) {
            Some(header) => Err(Refusal::HeaderRepeated { header }),
            None => Ok(()),
        }
    }
}

/// A value that is text.
fn text(value: &HeaderValue) -> Option<&str> {
    value.to_str().ok()
}

/// A header of which there may be one only, as it is shown; nothing for others, and for what is refused
/// where it is read.
fn single(name: &str) -> Option<&'static str> {
    match name {
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
