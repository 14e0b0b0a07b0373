//! What happens to a request, in order. A security reviewer reads this file alone.
//!
//! 1. Endpoint, trace, `Host` and `Origin`: from the head.
//! 2. The caller's identity: from the head, before the body.
//! 3. The body, within its bound.
//! 4. The message: JSON-RPC, era, headers against body.
//! 5. The server, and whether the caller may reach it.
//! 6. The way there.

use std::sync::Arc;

use bytes::Bytes;
use filters::acl;
use filters::mcp::call::Call;
use filters::mcp::method::Method as Mcp;
use filters::mcp::revision::{Era, Revision};
use filters::refusal::Refusal;
use filters::route::Endpoint;
use filters::rpc::parse::{self, Body, Payload};
use filters::trace::Trace;
use http::Method;
use pingora::http::ResponseHeader;
use pingora::proxy::Session;

use crate::gateway::exchange::Exchange;
use crate::gateway::fields::{self, Client};
use crate::gateway::relay::{self, Errand, Kind};
use crate::gateway::{Ended, answer, batch, body};
use crate::state::ControlPlane;
use crate::state::snapshot::Server;
use crate::telemetry::outcome::{CacheStatus, Status};
use crate::upstream::relay::Request;

/// Largest body of a request to the control plane, in bytes.
const CONTROL_BODY_BYTES_MAX: usize = 1024 * 1024;

/// Serves one request to its end.
pub(super) async fn serve(
    session: &mut Session,
    exchange: &mut Exchange,
    control: &ControlPlane,
) -> Result<(), Ended> {
    begin(session, exchange)?;
    let path = session.req_header().uri.path().to_owned();
    let verb = session.req_header().method.clone();
    match (Endpoint::resolve(&path), &verb) {
        (Endpoint::Admin, _) => Box::pin(call_control(session, exchange, control)).await,
        (Endpoint::Unknown, _) => Err(Refusal::PathUnknown.into()),
        (Endpoint::Server(id), &Method::POST) => post(session, exchange, id).await,
        (Endpoint::Server(id), &Method::GET) => {
            Box::pin(bodiless(session, exchange, id, "GET")).await
        }
        (Endpoint::Server(id), &Method::DELETE) => {
            Box::pin(bodiless(session, exchange, id, "DELETE")).await
        }
        (Endpoint::Server(_), _) => Err(Refusal::HttpMethod {
            allow: "GET, POST, DELETE",
        }
        .into()),
    }
}

/// Step 1: what the head alone decides.
fn begin(session: &mut Session, exchange: &mut Exchange) -> Result<(), Ended> {
    let downstream = session.as_downstream_mut();
    downstream.set_pipelining_enabled(true);
    downstream.set_write_timeout(Some(relay::WRITE_TIMEOUT));
    if exchange.live.draining.is_cancelled() {
        downstream.set_keepalive(None);
    }
    let header = session.req_header();
    let text = |name: &str| {
        header
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    exchange.outcome.verb = verb_label(&header.method);
    let mut random = [0; 24];
    fastrand::fill(&mut random);
    exchange.trace = Trace::resume(text("traceparent"), text("x-conduit-trace-id"), random);
    exchange.outcome.trace_id.clone_from(&exchange.trace.id);
    let host = text("host").or_else(|| header.uri.authority().map(http::uri::Authority::as_str));
    // A value that is no text is an Origin all the same, and none that is allowed.
    let origin = header
        .headers
        .get("origin")
        .map(|value| value.to_str().unwrap_or_default());
    exchange.snapshot.origin.check(host, origin)?;
    Ok(())
}

fn verb_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        Method::PUT => "PUT",
        _ => "other",
    }
}

async fn call_control(
    session: &mut Session,
    exchange: &mut Exchange,
    control: &ControlPlane,
) -> Result<(), Ended> {
    exchange.is_counted = false;
    let body = body::read(session.as_downstream_mut(), CONTROL_BODY_BYTES_MAX).await?;
    let request = fields::to_http(session.req_header(), body);
    let (parts, body) = control(request).await.into_parts();
    exchange.outcome.status = Status::Success;
    let header = ResponseHeader::from(parts);
    answer::write(session, header, body)
        .await
        .map_err(|_| Ended::ClientGone)
}

/// A POST: one message or a batch of them.
async fn post(session: &mut Session, exchange: &mut Exchange, id: &str) -> Result<(), Ended> {
    let max = exchange.snapshot.body_bytes_max;
    let body = body::read(session.as_downstream_mut(), max).await?;
    exchange.outcome.request_bytes = body.len();
    match parse::payload(&body).map_err(Refusal::from)? {
        Payload::Batch(entries) => {
            let server = find(exchange, id)?;
            let client = Client::read(&session.req_header().headers)?;
            let named = client.mcp.protocol_version;
            if !named
                .map_or(Some(Revision::ASSUMED), Revision::parse)
                .is_some_and(Revision::has_batches)
            {
                return Err(Refusal::ClientBatch.into());
            }
            Box::pin(batch::serve(session, exchange, &server, &entries)).await
        }
        Payload::One(message) => {
            let echo = message.request_id().map(|id| id.as_json().to_owned());
            one(session, exchange, id, message, body.clone())
                .await
                .map_err(|ended| match ended {
                    Ended::Refused {
                        refusal,
                        id: None,
                        error,
                    } => Ended::Refused {
                        refusal,
                        id: echo,
                        error,
                    },
                    kept @ (Ended::Refused { .. } | Ended::ClientGone | Ended::Broken { .. }) => {
                        kept
                    }
                })
        }
    }
}

async fn one(
    session: &mut Session,
    exchange: &mut Exchange,
    id: &str,
    message: parse::Message<'_>,
    body: Bytes,
) -> Result<(), Ended> {
    let (errand, server) = {
        let headers = &session.req_header().headers;
        let client = Client::read(headers)?;
        let call = Call::classify(message, &client.mcp)?;
        note(exchange, &call);
        let server = find(exchange, id)?;
        let permit = acl::permit(&exchange.snapshot.acl, &exchange.principal, id, Some(&call))?;
        let request = Request {
            verb: "POST",
            fields: fields::write(headers, exchange, &server, call.era, true),
            body,
            is_repeatable: call.method.is_safe_to_repeat(),
            session: legacy_session(call.era, &client),
        };
        let kind = match (&call.message.body, call.method) {
            (_, Mcp::SubscriptionsListen) => Kind::Listen,
            (_, Mcp::Initialize) => Kind::Handshake,
            (Body::Request { .. }, _) => Kind::Call,
            (Body::Notification { .. } | Body::Response { .. }, _) => Kind::Delivery,
        };
        let id = call.id().map(|id| id.as_json().to_owned());
        (
            Errand {
                request,
                kind,
                era: call.era,
                id,
                permit,
            },
            server,
        )
    };
    relay::carry(session, exchange, &server, errand).await
}

/// GET (the legacy stream) and DELETE (the end of a legacy session).
async fn bodiless(
    session: &mut Session,
    exchange: &mut Exchange,
    id: &str,
    verb: &'static str,
) -> Result<(), Ended> {
    // A body has no meaning here (RFC 9110, 9.3.1 and 9.3.5); it is not the next request either.
    body::drain(session.as_downstream_mut()).await;
    let (errand, server) = {
        let headers = &session.req_header().headers;
        let client = Client::read(headers)?;
        if let Some(named) = client.mcp.protocol_version
            && Revision::parse(named).is_none()
        {
            return Err(Refusal::VersionUnsupported {
                requested: named.to_owned(),
            }
            .into());
        }
        exchange.outcome.era = Some(Era::Legacy);
        let server = find(exchange, id)?;
        let permit = acl::permit(&exchange.snapshot.acl, &exchange.principal, id, None)?;
        let request = Request {
            verb,
            fields: fields::write(headers, exchange, &server, Era::Legacy, false),
            body: Bytes::new(),
            is_repeatable: true,
            session: legacy_session(Era::Legacy, &client),
        };
        let kind = if verb == "GET" {
            Kind::Listen
        } else {
            Kind::Farewell
        };
        (
            Errand {
                request,
                kind,
                era: Era::Legacy,
                id: None,
                permit,
            },
            server,
        )
    };
    relay::carry(session, exchange, &server, errand).await
}

/// Step 5: the server that the path names.
fn find(exchange: &mut Exchange, id: &str) -> Result<Arc<Server>, Refusal> {
    let server = exchange.snapshot.servers.get(id).map(Arc::clone);
    let server = server.ok_or_else(|| Refusal::ServerUnknown {
        server: id.to_owned(),
    })?;
    exchange.outcome.server = Some(Arc::clone(&server.id));
    Ok(server)
}

fn legacy_session(era: Era, client: &Client<'_>) -> Option<String> {
    client
        .session
        .filter(|_| era == Era::Legacy)
        .map(str::to_owned)
}

/// Notes what is told of a call, whatever becomes of it.
fn note(exchange: &mut Exchange, call: &Call<'_>) {
    exchange.outcome.era = Some(call.era);
    exchange.outcome.method = call.message.method().map(|_| call.method);
    exchange.outcome.target = call.target.as_ref().map(|target| target.name().to_owned());
    exchange.outcome.cache_status = Some(if call.method == Mcp::ToolsCall {
        CacheStatus::Skip
    } else {
        CacheStatus::Bypass
    });
    exchange.outcome.client = Arc::clone(&exchange.principal.client);
}
