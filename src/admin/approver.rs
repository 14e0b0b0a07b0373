//! Who decides on what guardrails hold: by a credential of the approver's own, beside the admin key.
//!
//! **Invariant:** where callers have to authenticate, so does whoever decides; the admin key says that
//! somebody operates the gateway, and not who.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use filters::identity::Identity;
use filters::refusal::Refusal;

use crate::admin::approvals::Problem;
use crate::admin::guard::Guard;
use crate::admin::key;
use crate::auth::Attempt;
use crate::auth::certificate;
use crate::state::Peer;
use crate::state::snapshot::Snapshot;

/// The header that carries the approver's credential.
static APPROVER: HeaderName = HeaderName::from_static("x-conduit-approver");
static API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const SCHEME: &[u8] = b"bearer ";
/// The endpoint that a token of an approver must be for.
const PATH: &str = "/mcp";

/// What whoever proves nothing is told.
pub(super) const UNPROVEN: &str = "whoever decides has to prove who they are: send their own API key or token as \
     X-Conduit-Approver: Bearer <credential>, beside the admin key";
/// What everybody is told where nothing can be proved.
const UNPROVABLE: &str = "governance.approvals.required_roles asks for a role, and no approver can prove one \
     while auth is off: configure auth, or remove required_roles";

/// Why it is not known who decides.
pub(super) struct Unproven {
    problem: Problem,
    error: String,
    retry_after_seconds: Option<u32>,
}

impl IntoResponse for Unproven {
    fn into_response(self) -> Response {
        let mut response = self.problem.respond(&self.error);
        let headers = response.headers_mut();
        if matches!(self.problem, Problem::Unproven) {
            let challenge = HeaderValue::from_static("Bearer realm=\"conduit-approver\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// Who decides, as far as that has to be proved; nothing where it need not be.
///
/// # Errors
/// Where it has to be, and is not.
pub(super) async fn identify(
    guard: &Guard,
    snapshot: &Snapshot,
    request: &Parts,
) -> Result<Option<Identity>, Unproven> {
    if snapshot.auth.methods.is_none() {
        if snapshot.approvals.approvers.needs_proof {
            return Err(Unproven {
                problem: Problem::Unprovable,
                error: UNPROVABLE.to_owned(),
                retry_after_seconds: None,
            });
        }
        return Ok(None);
    }
    let headers = presented(&request.headers, guard.gate.is_open());
    let peer = request.extensions.get::<Peer>().copied();
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let attempt = Attempt {
        headers: &headers,
        source: Some(key::source(peer.unwrap_or(Peer::Unknown))),
        peer: request.extensions.get::<certificate::Peer>(),
        path: PATH,
        now: since.unwrap_or_default().as_secs(),
    };
    let live = &guard.shared.live;
    let identified = snapshot.auth.identify(&attempt, &live.throttle).await;
    identified.map(Some).map_err(|refusal| {
        let reason = refusal.label();
        live.metrics.count_auth_failure(reason);
        tracing::warn!(reason, ?peer, "Approver is not believed");
        unproven(&refusal)
    })
}

/// The approver's credential, as callers present theirs. `Authorization` is the admin key's, where there
/// is one.
fn presented(headers: &HeaderMap, is_open: bool) -> HeaderMap {
    let mut presented = HeaderMap::new();
    for value in headers.get_all(&APPROVER) {
        presented.append(header::AUTHORIZATION, bearer(value));
    }
    if presented.is_empty() && is_open {
        for value in headers.get_all(header::AUTHORIZATION) {
            presented.append(header::AUTHORIZATION, value.clone());
        }
    }
    for value in headers.get_all(&API_KEY) {
        presented.append(&API_KEY, value.clone());
    }
    presented
}

/// A credential with its scheme, which may be left out.
fn bearer(value: &HeaderValue) -> HeaderValue {
    let bytes = value.as_bytes().trim_ascii();
    let scheme = bytes.get(..SCHEME.len());
    if scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(SCHEME)) {
        return value.clone();
    }
    let whole = HeaderValue::from_bytes(&[SCHEME, bytes].concat());
    whole.unwrap_or_else(|_| value.clone())
}

fn unproven(refusal: &Refusal) -> Unproven {
    let (problem, error) = match refusal.status() {
        429 => (Problem::Throttled, refusal.message().into_owned()),
        503 => (Problem::Unavailable, refusal.message().into_owned()),
        _ => {
            let error = format!("{UNPROVEN} ({})", refusal.message());
            (Problem::Unproven, error)
        }
    };
    Unproven {
        problem,
        error,
        retry_after_seconds: refusal.retry_after_seconds(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authorization(fields: &[(&'static str, &str)], is_open: bool) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        let presented = presented(&headers, is_open);
        let values = presented.get_all(header::AUTHORIZATION).iter();
        values
            .map(|value| value.to_str().unwrap().to_ascii_lowercase())
            .collect()
    }

    #[test]
    fn the_admin_key_is_no_credential_of_an_approver() {
        let admin = ("authorization", "Bearer admin");
        assert!(authorization(&[admin], false).is_empty());
        assert!(authorization(&[("x-admin-key", "admin")], true).is_empty());
        let both = [admin, ("x-conduit-approver", "Bearer b")];
        assert_eq!(authorization(&both, false), ["bearer b"]);
        assert_eq!(authorization(&both, true), ["bearer b"]);
        assert_eq!(authorization(&[admin], true), ["bearer admin"]);
    }

    #[test]
    fn the_scheme_may_be_left_out_and_a_second_credential_is_seen() {
        for value in ["k1", "Bearer k1", "bearer k1"] {
            let presented = authorization(&[("x-conduit-approver", value)], false);
            assert_eq!(presented, ["bearer k1"], "{value}");
        }
        let two = [("x-conduit-approver", "k1"), ("x-conduit-approver", "k2")];
        assert_eq!(authorization(&two, false).len(), 2);
    }
}
