//! Web pages of other origins: what a browser asks before it lets one call, and what it lets one read
//! (Fetch, "HTTP CORS protocol"; 2026-07-28, "Security").
//!
//! **Invariant:** only an origin that `head` found allowed is told anything, and no page is ever allowed a
//! browser's own credentials (cookies, client certificates): it has to bring one itself.
//! **Invariant:** nothing of the control plane is for pages of other origins.

use filters::route::Endpoint;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::proxy::Session;

use crate::gateway::exchange::Exchange;
use crate::gateway::{Ended, answer, body};
use crate::telemetry::outcome::Status;

/// What a page may read besides what every page may: all that the gateway says in headers.
const EXPOSED: &str = "Mcp-Session-Id, MCP-Protocol-Version, WWW-Authenticate, Retry-After, \
    RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Cache-Status, X-Conduit-Cache-Status, \
    X-Conduit-Server-Id, X-Conduit-Trace-Id";
/// What of a request's headers is read, besides `mcp-*` and `x-conduit-*`.
const READ: [&str; 9] = [
    "accept",
    "authorization",
    "baggage",
    "cache-control",
    "content-type",
    "last-event-id",
    "traceparent",
    "tracestate",
    "x-api-key",
];
/// What shows the control plane that no page of another origin sent a request.
const ADMIN: &str = "x-conduit-admin";
/// Most names of headers that one answer allows.
const NAMES_MAX: usize = 32;
/// Longest of them, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// How long a browser may believe an answer, in seconds.
const MAX_AGE_SECONDS: u32 = 600;

/// The methods that a page of another origin may use at an endpoint, if a request asks for them.
pub(super) fn asked(
    exchange: &Exchange,
    header: &RequestHeader,
    endpoint: Endpoint<'_>,
) -> Option<&'static str> {
    let is_asking = exchange.origin.is_some()
        && header.method == Method::OPTIONS
        && header.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    if !is_asking {
        return None;
    }
    match endpoint {
        Endpoint::Server(_) | Endpoint::Profile(_) => Some("GET, POST, DELETE"),
        Endpoint::Events(_) | Endpoint::Metadata(_) => Some("GET"),
        Endpoint::Messages(_) => Some("POST"),
        Endpoint::Admin | Endpoint::Unknown => None,
    }
}

/// Tells a browser what a page may send. Nobody has to prove anything for it: browsers send no credential
/// along, and it says nothing of who may call.
pub(super) async fn answer(
    session: &mut Session,
    exchange: &mut Exchange,
    methods: &'static str,
) -> Result<(), Ended> {
    exchange.is_counted = false;
    exchange.outcome.status = Status::Success;
    body::drain(session.as_downstream_mut()).await;
    let tenant = exchange.snapshot.auth.tenant_header.as_ref();
    let names = accepted(&session.req_header().headers, tenant);
    let header = head(exchange, methods, names).map_err(|_| Ended::ClientGone)?;
    answer::write(session, header, bytes::Bytes::new())
        .await
        .map_err(|_| Ended::ClientGone)
}

fn head(
    exchange: &Exchange,
    methods: &'static str,
    names: Option<HeaderValue>,
) -> pingora::Result<ResponseHeader> {
    let mut header = ResponseHeader::build_no_case(204, Some(12))?;
    answer::stamp(&mut header, exchange)?;
    header.remove_header(&ACCESS_CONTROL_EXPOSE_HEADERS);
    header.append_header(VARY, "Access-Control-Request-Method")?;
    header.append_header(VARY, "Access-Control-Request-Headers")?;
    header.insert_header(ACCESS_CONTROL_ALLOW_METHODS, methods)?;
    if let Some(names) = names {
        header.insert_header(ACCESS_CONTROL_ALLOW_HEADERS, names)?;
    }
    header.insert_header(ACCESS_CONTROL_MAX_AGE, MAX_AGE_SECONDS)?;
    Ok(header)
}

/// The headers that a page wants to send, as far as anybody reads them.
fn accepted(headers: &HeaderMap, tenant: Option<&HeaderName>) -> Option<HeaderValue> {
    let asked = headers.get_all(ACCESS_CONTROL_REQUEST_HEADERS).iter();
    let names = asked.filter_map(|value| value.to_str().ok());
    let names = names.flat_map(|value| value.split(',')).map(str::trim);
    let names = names.filter(|name| name.len() <= NAME_BYTES_MAX);
    let names = names.filter_map(|name| name.parse::<HeaderName>().ok());
    let read: Vec<HeaderName> = names
        .filter(|name| is_read(name.as_str()) || Some(name) == tenant)
        .take(NAMES_MAX)
        .collect();
    let read: Vec<&str> = read.iter().map(HeaderName::as_str).collect();
    (!read.is_empty())
        .then(|| HeaderValue::try_from(read.join(", ")).ok())
        .flatten()
}

fn is_read(name: &str) -> bool {
    let is_ours = name.starts_with("mcp-") || name.starts_with("x-conduit-");
    (is_ours && name != ADMIN) || READ.contains(&name)
}

/// What lets a page of an allowed origin read an answer.
pub(super) fn exposing(origin: &HeaderValue) -> [(HeaderName, HeaderValue); 3] {
    [
        (ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone()),
        (
            ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static(EXPOSED),
        ),
        (VARY, HeaderValue::from_static("Origin")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(asked: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        let asked = HeaderValue::try_from(asked).unwrap();
        headers.insert(ACCESS_CONTROL_REQUEST_HEADERS, asked);
        let tenant = HeaderName::from_static("x-tenant");
        let allowed = accepted(&headers, Some(&tenant))?;
        Some(allowed.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_page_may_send_what_is_read_and_nothing_else() {
        assert_eq!(
            allowed("Content-Type,authorization, mcp-param-x ,x-tenant,X-Conduit-Group,x-evil")
                .as_deref(),
            Some("content-type, authorization, mcp-param-x, x-tenant, x-conduit-group")
        );
        for asked in ["", ",", "cookie", "x-conduit-admin", "x-admin-key", "a b"] {
            assert_eq!(allowed(asked), None, "{asked}");
        }
    }

    #[test]
    fn an_answer_allows_a_bounded_number_of_bounded_names() {
        let names = |n: usize| vec!["mcp-x"; n].join(",");
        let count = |text: &str| allowed(text).unwrap().split(',').count();
        assert_eq!(count(&names(NAMES_MAX)), NAMES_MAX);
        assert_eq!(count(&names(NAMES_MAX + 1)), NAMES_MAX);
        let name = |bytes: usize| format!("mcp-{}", "x".repeat(bytes - 4));
        assert!(allowed(&name(NAME_BYTES_MAX)).is_some());
        assert!(allowed(&name(NAME_BYTES_MAX + 1)).is_none());
    }
}
