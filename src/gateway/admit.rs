//! Step 2: who is calling. Before the body is read, for every way in.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use filters::identity::denial::BearerError;
use filters::identity::resource;
use filters::refusal::{Refusal, Statuses};
use filters::route::{Endpoint, Scope};
use filters::rpc::parse::{self, Payload};
use http::{HeaderValue, Method};
use pingora::proxy::Session;

use crate::auth::Attempt;
use crate::auth::certificate::Peer;
use crate::gateway::exchange::Exchange;
use crate::gateway::{Ended, answer, body};
use crate::state::snapshot::Snapshot;
use crate::telemetry::outcome::Status;

/// Finds out who is calling, and whether their credential is for this endpoint.
pub(super) async fn identify(
    session: &mut Session,
    exchange: &mut Exchange,
    endpoint: Endpoint<'_>,
) -> Result<(), Ended> {
    let Some(path) = resource::path(endpoint) else {
        return Ok(());
    };
    let auth = Arc::clone(&exchange.snapshot.auth);
    let source = source(session);
    let attempt = Attempt {
        peer: certificate(session),
        headers: &session.req_header().headers,
        source,
        path: &path,
        now: now(),
    };
    let identified = auth.identify(&attempt, &exchange.live.throttle).await;
    let admitted = identified.and_then(|identity| {
        exchange.identify(identity);
        let scopes = &auth.scopes;
        scopes.check(&exchange.principal, known(exchange, endpoint), None)
    });
    let Err(refusal) = admitted else {
        return Ok(());
    };
    exchange.live.metrics.count_auth_failure(refusal.label());
    let id = match exchange.snapshot.statuses {
        Statuses::Own => None,
        // Where it looks like an answer, it must look like the answer to this.
        Statuses::Always200 => asked(session, exchange).await,
    };
    Err(Ended::Refused {
        refusal,
        id,
        error: source.map(|source| format!("source {source}")),
    })
}

/// Whether the caller's credential is for a call, wherever it is decided what the call is.
pub(super) fn check(exchange: &Exchange, server: &str, tool: Option<&str>) -> Result<(), Refusal> {
    let scopes = &exchange.snapshot.auth.scopes;
    let checked = scopes.check(&exchange.principal, Some(server), tool);
    if let Err(refusal) = &checked {
        exchange.live.metrics.count_auth_failure(refusal.label());
    }
    checked
}

/// What a client that is refused is told to bring (RFC 6750 §3); nothing for other refusals.
pub(super) fn challenge(
    session: &Session,
    snapshot: &Snapshot,
    refusal: &Refusal,
) -> Option<HeaderValue> {
    let auth = &snapshot.auth;
    let endpoint = Endpoint::resolve(session.req_header().uri.path());
    let (error, scopes) = if let Refusal::Unauthenticated(denial) = refusal {
        // What a server needs tells that there is one: nobody in particular may be told of it.
        let server = server(endpoint).filter(|_| !snapshot.acl.rules.is_enforced());
        let scopes = auth.scopes.required(server, None);
        (denial.bearer_error(), scopes)
    } else if let Refusal::ScopeInsufficient { required } = refusal {
        (Some(BearerError::InsufficientScope), required.clone())
    } else {
        return None;
    };
    let path = resource::path(endpoint)?;
    let resource = auth.resource.as_ref().map(|resource| (resource, &*path));
    HeaderValue::try_from(resource::challenge(resource, error, &scopes)).ok()
}

/// Answers what the gateway is as an OAuth resource server (RFC 9728), at the endpoint that `rest` is.
/// Nobody has to be known for it, and it tells nobody which servers there are.
pub(super) async fn describe(
    session: &mut Session,
    exchange: &mut Exchange,
    rest: &str,
) -> Result<(), Ended> {
    exchange.is_counted = false;
    let auth = Arc::clone(&exchange.snapshot.auth);
    let resource = auth.resource.as_ref().ok_or(Refusal::PathUnknown)?;
    if session.req_header().method != Method::GET {
        return Err(Refusal::HttpMethod { allow: "GET" }.into());
    }
    let endpoint = Endpoint::resolve(resource.described(rest));
    let path = resource::path(endpoint).ok_or(Refusal::PathUnknown)?;
    body::drain(session.as_downstream_mut()).await;
    exchange.outcome.status = Status::Success;
    let text = resource.document(&path);
    answer::json(session, exchange, 200, text.into())
        .await
        .map_err(|_| Ended::ClientGone)
}

/// The id of the request that a body is.
async fn asked(session: &mut Session, exchange: &Exchange) -> Option<String> {
    if session.req_header().method != Method::POST {
        return None;
    }
    let (max, bounds) = (exchange.snapshot.body_bytes_max, &exchange.snapshot.bounds);
    let body = body::read(session.as_downstream_mut(), max, bounds)
        .await
        .ok()?;
    match parse::payload(&body).ok()? {
        Payload::One(message) => message.request_id().map(|id| id.as_json().to_owned()),
        Payload::Batch(_) => None,
    }
}

fn server(endpoint: Endpoint<'_>) -> Option<&str> {
    match endpoint {
        Endpoint::Server(id)
        | Endpoint::Events(Scope::Server(id))
        | Endpoint::Messages(Scope::Server(id)) => Some(id),
        Endpoint::Profile(_)
        | Endpoint::Events(Scope::Profile(_))
        | Endpoint::Messages(Scope::Profile(_))
        | Endpoint::Admin
        | Endpoint::Metadata(_)
        | Endpoint::Unknown => None,
    }
}

/// The server that an endpoint is, if the caller may know of it: to others it needs what one needs that
/// there is not.
fn known<'e>(exchange: &Exchange, endpoint: Endpoint<'e>) -> Option<&'e str> {
    let rules = &exchange.snapshot.acl.rules;
    server(endpoint).filter(|id| rules.sees(&exchange.principal, id))
}

/// Whose certificate the connection was opened with.
pub(super) fn certificate(session: &Session) -> Option<&Peer> {
    let digest = session.digest()?;
    digest.ssl_digest.as_ref()?.extension.get::<Peer>()
}

/// Where a request comes from. What headers say of it is the client's own word.
pub(super) fn source(session: &Session) -> Option<IpAddr> {
    let address = session.as_downstream().client_addr()?;
    address.as_inet().map(std::net::SocketAddr::ip)
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}
