//! What every request to the control plane passes: `Host` and `Origin`, the key, the CSRF header,
//! security headers.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use filters::origin;
use serde_json::json;

use crate::admin::key::{Denial, Gate};
use crate::state::snapshot::ControlOrigins;
use crate::state::{Peer, Shared};

/// What asks for the key, and what counts who did not have it.
#[derive(Clone)]
pub(super) struct Guard {
    pub(super) gate: Arc<Gate>,
    pub(super) shared: Arc<Shared>,
    /// Whether metrics are everybody's where there is no key.
    pub(super) shows_metrics: bool,
}

impl Guard {
    /// Whether a request carries the key, or needs none. A wrong one counts as such, so that nobody can
    /// try keys here.
    pub(super) fn admits(&self, request: &Request) -> bool {
        self.gate
            .judge(request.headers(), peer(request), now())
            .is_ok()
    }
}

/// A listener of the control plane's own, whose requests no pipeline has looked at.
#[derive(Clone)]
pub(super) struct Listener {
    pub(super) shared: Arc<Shared>,
    pub(super) rules: fn(&ControlOrigins) -> &origin::Rules,
}

/// Refuses a request under a name, or by a web page, that its listener does not take.
pub(super) async fn origin(
    State(listener): State<Listener>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let host = headers.get(header::HOST).map(text);
    // A value that is no text is an Origin all the same, and none that is allowed.
    let origins = headers.get_all(header::ORIGIN).iter();
    let origins = origins.map(|value| value.to_str().unwrap_or_default());
    let snapshot = listener.shared.snapshot.load_full();
    let rules = (listener.rules)(&snapshot.control_origins);
    match rules.check(host.as_deref(), origins) {
        Ok(()) => next.run(request).await,
        Err(refusal) => {
            let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::FORBIDDEN);
            refuse(status, &refusal.message())
        }
    }
}

/// Refuses a request without the admin key, where one is configured.
pub(super) async fn key(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let peer = peer(&request);
    let denial = match guard.gate.judge(request.headers(), peer, now()) {
        Ok(()) => return next.run(request).await,
        Err(denial) => denial,
    };
    let reason = denial.label();
    guard.shared.live.metrics.count_auth_failure(reason);
    match denial {
        Denial::Missing => tracing::info!(reason, ?peer, "Admin request refused"),
        Denial::Wrong => tracing::warn!(reason, ?peer, "Admin request refused"),
        // What led to it was told.
        Denial::Throttled { .. } => tracing::debug!(reason, ?peer, "Admin request refused"),
    }
    unproven(denial)
}

fn unproven(denial: Denial) -> Response {
    let (status, error, name, value) = match denial {
        Denial::Missing | Denial::Wrong => (
            StatusCode::UNAUTHORIZED,
            "Unauthorized",
            header::WWW_AUTHENTICATE,
            HeaderValue::from_static("Bearer realm=\"conduit-admin\""),
        ),
        Denial::Throttled { seconds } => (
            StatusCode::TOO_MANY_REQUESTS,
            "Too many wrong admin keys",
            header::RETRY_AFTER,
            seconds.into(),
        ),
    };
    let mut response = refuse(status, error);
    response.headers_mut().insert(name, value);
    response
}

/// Refuses metrics to whoever is neither on this machine nor has the key.
pub(super) async fn metrics(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let is_allowed = !guard.gate.is_open() || guard.shows_metrics || peer(&request).is_local();
    if is_allowed {
        return next.run(request).await;
    }
    let error = "Metrics are for this machine only: set admin.key, or \
                 metrics.allow_unauthenticated: true";
    refuse(StatusCode::FORBIDDEN, error)
}

/// Refuses a change without `X-Conduit-Admin: 1`, which no web page can send across origins.
pub(super) async fn csrf(request: Request, next: Next) -> Response {
    match forged(request.method(), request.headers()) {
        None => next.run(request).await,
        Some(why) => refuse(StatusCode::FORBIDDEN, why),
    }
}

/// Why a request may be a web page's. Any method but those that only read is a change.
fn forged(method: &Method, headers: &HeaderMap) -> Option<&'static str> {
    if method.is_safe() {
        return None;
    }
    match headers.get("x-conduit-admin").map(HeaderValue::as_bytes) {
        Some(value) if value == b"1" || value.eq_ignore_ascii_case(b"true") => None,
        Some(_) => Some("Invalid X-Conduit-Admin header value (expected \"1\" or \"true\")"),
        None => Some("Missing X-Conduit-Admin header (CSRF protection)"),
    }
}

/// In seconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

fn peer(request: &Request) -> Peer {
    let peer = request.extensions().get::<Peer>().copied();
    peer.unwrap_or(Peer::Unknown)
}

fn refuse(status: StatusCode, error: &str) -> Response {
    (status, axum::Json(json!({ "error": error }))).into_response()
}

/// Puts the security headers on an answer.
pub(super) async fn secure(mut response: Response) -> Response {
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_may_change_something_needs_the_header() {
        let mut headers = HeaderMap::new();
        for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
            assert_eq!(forged(&method, &headers), None, "{method}");
        }
        let changes = [Method::POST, Method::PUT, Method::DELETE, Method::PATCH];
        for method in &changes {
            assert!(forged(method, &headers).is_some(), "{method}");
        }
        for (value, is_taken) in [("1", true), ("TRUE", true), ("0", false), ("", false)] {
            headers.insert("x-conduit-admin", HeaderValue::from_static(value));
            for method in &changes {
                assert_eq!(forged(method, &headers).is_none(), is_taken, "{value}");
            }
        }
    }
}
