//! What every request to the control plane passes: the key, the CSRF header, security headers.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use subtle::ConstantTimeEq;

use crate::admin::Access;

/// Refuses a request without the admin key, where one is configured: `Authorization: Bearer` or,
/// when that is absent, `X-Admin-Key`.
pub(super) async fn key(State(access): State<Access>, request: Request, next: Next) -> Response {
    let is_allowed = match &access.key {
        None => true,
        Some(expected) => presented(request.headers()).is_some_and(|key| same(key, expected)),
    };
    if is_allowed {
        return next.run(request).await;
    }
    (
        StatusCode::UNAUTHORIZED,
        axum::Json(json!({ "error": "Unauthorized" })),
    )
        .into_response()
}

fn presented(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    bearer.or_else(|| {
        headers
            .get("x-admin-key")
            .and_then(|value| value.to_str().ok())
    })
}

/// Compares in a time that depends on the lengths only.
fn same(presented: &str, expected: &str) -> bool {
    presented.as_bytes().ct_eq(expected.as_bytes()).into()
}

/// Refuses a change without `X-Conduit-Admin: 1`, which no web page can send across origins.
pub(super) async fn csrf(request: Request, next: Next) -> Response {
    let is_change = matches!(
        *request.method(),
        Method::POST | Method::PUT | Method::DELETE
    );
    let said = request
        .headers()
        .get("x-conduit-admin")
        .map(HeaderValue::as_bytes);
    let why = match said {
        _ if !is_change => None,
        Some(value) if value == b"1" || value.eq_ignore_ascii_case(b"true") => None,
        Some(_) => Some("Invalid X-Conduit-Admin header value (expected \"1\" or \"true\")"),
        None => Some("Missing X-Conduit-Admin header (CSRF protection)"),
    };
    match why {
        None => next.run(request).await,
        Some(why) => (StatusCode::FORBIDDEN, axum::Json(json!({ "error": why }))).into_response(),
    }
}

/// Puts the security headers on an answer.
pub(super) async fn secure(mut response: Response) -> Response {
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
    ] {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_key_is_the_key() {
        assert!(same("secret", "secret"));
        for near in ["", "secre", "secret ", "secreT", "Xecret"] {
            assert!(!same(near, "secret"), "{near}");
        }
    }
}
