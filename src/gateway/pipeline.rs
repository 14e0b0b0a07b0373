//! What happens to a request, in order. A security reviewer begins here: what is decided at once stands in
//! this file, and each step that takes more in one of its own.
//!
//! 1. Endpoint, trace, `Host` and `Origin`: from the head (`head`). What a browser asks before it lets a page
//!    call is answered here (`cors`).
//! 2. The caller's identity: from the head, before the body.
//! 3. The body, within its bound.
//! 4. The message: JSON-RPC, era, headers against body.
//! 5. The server, and whether the caller may reach it.
//! 6. What guardrails say to it, and what it costs of the caller's limits. What guardrails may have to
//!    say to the answer goes the way that reads it.
//! 7. The way there (`way`); who has to be asked first is in `onward`, batches are in `several`.

mod head;
mod onward;
mod several;
mod way;

use std::sync::Arc;

use bytes::Bytes;
use filters::acl::Permit;
use filters::cache::status::Status as CacheStatus;
use filters::mcp::call::Call;
use filters::mcp::method::Method as Mcp;
use filters::mcp::revision::Era;
use filters::refusal::Refusal;
use filters::route::{Endpoint, Scope};
use filters::rpc::parse::{self, Id, Payload};
use http::Method;
use pingora::proxy::Session;

use crate::gateway::cached::quick::Quick;
use crate::gateway::exchange::Exchange;
use crate::gateway::fields::Client;
use crate::gateway::{
    Ended, access, admit, bodiless, body, cached, control, cors, events, guard, limits, locked,
    sessions,
};
use crate::state::ControlPlane;
use crate::state::session::Session as ClientSession;
use crate::state::snapshot::{Profile, Server};

/// Serves one request to its end.
pub(super) async fn serve(
    session: &mut Session,
    exchange: &mut Exchange,
    plane: &ControlPlane,
) -> Result<(), Ended> {
    head::begin(session, exchange)?;
    let path = session.req_header().uri.path().to_owned();
    let verb = session.req_header().method.clone();
    let endpoint = Endpoint::resolve(&path);
    if endpoint == Endpoint::Admin {
        // No page of another origin reads what the control plane says.
        exchange.origin = None;
    }
    if let Some(methods) = cors::asked(exchange, session.req_header(), endpoint) {
        return Box::pin(cors::answer(session, exchange, methods)).await;
    }
    if !exchange.snapshot.auth.is_open() {
        Box::pin(admit::identify(session, exchange, endpoint)).await?;
    }
    // Other ways than a hit's are boxed: a stream that idles for hours holds its own future, not one
    // with room for all.
    match (endpoint, &verb) {
        (Endpoint::Admin, _) => Box::pin(control::call(session, exchange, plane)).await,
        (Endpoint::Metadata(rest), _) => Box::pin(admit::describe(session, exchange, rest)).await,
        (Endpoint::Unknown, _) => Err(Refusal::PathUnknown.into()),
        (Endpoint::Server(id), &Method::POST) => post(session, exchange, Scope::Server(id)).await,
        (Endpoint::Profile(id), &Method::POST) => post(session, exchange, Scope::Profile(id)).await,
        (Endpoint::Server(id), _) => {
            Box::pin(bodiless::serve(session, exchange, Scope::Server(id), &verb)).await
        }
        (Endpoint::Profile(id), _) => {
            Box::pin(bodiless::serve(
                session,
                exchange,
                Scope::Profile(id),
                &verb,
            ))
            .await
        }
        (Endpoint::Events(scope), &Method::GET) => {
            Box::pin(events::stream(session, exchange, scope)).await
        }
        (Endpoint::Messages(scope), &Method::POST) => {
            Box::pin(events::post(session, exchange, scope)).await
        }
        (Endpoint::Events(_), _) => Err(Refusal::HttpMethod { allow: "GET" }.into()),
        (Endpoint::Messages(_), _) => Err(Refusal::HttpMethod { allow: "POST" }.into()),
    }
}

/// A POST: one message or a batch of them.
///
/// A hit is decided on in here, without a wait or a box; what writes it and every other way is boxed,
/// so that none pays for another's room.
async fn post(
    session: &mut Session,
    exchange: &mut Exchange,
    scope: Scope<'_>,
) -> Result<(), Ended> {
    let max = exchange.snapshot.body_bytes_max;
    let bounds = &exchange.snapshot.bounds;
    let body = body::read(session.as_downstream_mut(), max, bounds).await?;
    exchange.outcome.request_bytes = body.len();
    match take(session, exchange, scope, &body)? {
        Taken::Hit(text) => Box::pin(cached::quick::give(session, exchange, text)).await,
        Taken::Onward(stage, echo) => {
            Box::pin(onward::onward(session, exchange, scope, stage, &body, echo)).await
        }
        Taken::Batch(entries) => {
            Box::pin(several::serve(session, exchange, scope, entries.as_slice())).await
        }
    }
}

/// What became of a body at once.
enum Taken<'a> {
    /// This is its answer.
    Hit(Bytes),
    /// Its way goes on; with the id to echo.
    Onward(Stage<'a>, Option<&'a str>),
    /// It is several messages.
    Batch(Vec<&'a serde_json::value::RawValue>),
}

/// Steps 4 to 6, as far as nobody has to be asked. What is read of the message lives in here: whoever
/// waits has no room for it.
fn take<'a>(
    session: &Session,
    exchange: &mut Exchange,
    scope: Scope<'_>,
    body: &'a Bytes,
) -> Result<Taken<'a>, Ended> {
    let message = match parse::payload(body).map_err(Refusal::from)? {
        Payload::One(message) => message,
        Payload::Batch(entries) => return Ok(Taken::Batch(entries)),
    };
    let echo = message.request_id().map(Id::as_json);
    match open(session, exchange, scope, message) {
        Ok(Opened::Hit(text)) => Ok(Taken::Hit(text)),
        Ok(Opened::Onward(stage)) => Ok(Taken::Onward(stage, echo)),
        Err(ended) => Err(ended.with_id(echo.map(str::to_owned))),
    }
}

/// A message at an endpoint.
enum Opened<'a> {
    /// This is its answer.
    Hit(Bytes),
    /// Its way goes on.
    Onward(Stage<'a>),
}

/// How far a message came.
enum Stage<'a> {
    /// To one server.
    Server(Box<Arrived<'a>>),
    /// To several.
    Profile(Box<parse::Message<'a>>),
}

/// A message at its server.
struct Arrived<'a> {
    call: Call<'a>,
    server: Arc<Server>,
    seat: Seat,
    /// That its caller may.
    permit: Permit,
    /// What becomes of it; nothing where its session is yet to be found, or its tool to be looked at.
    quick: Option<Quick>,
}

/// The session that a message names.
enum Seat {
    /// None.
    None,
    /// This one.
    Taken(Arc<ClientSession>),
    /// One that other instances have to be asked about.
    Unsure,
}

/// Steps 4 to 6, as far as nobody has to be asked.
fn open<'a>(
    session: &Session,
    exchange: &mut Exchange,
    scope: Scope<'_>,
    message: parse::Message<'a>,
) -> Result<Opened<'a>, Ended> {
    let Scope::Server(id) = scope else {
        return Ok(Opened::Onward(Stage::Profile(Box::new(message))));
    };
    let headers = &session.req_header().headers;
    let said = Client::read(headers)?;
    let call = Call::classify(message, &said.mcp)?;
    note(exchange, &call);
    let (server, permit) = enter(exchange, id, &call)?;
    let seat = match said.session.filter(|_| is_in_session(&call)) {
        Some(named) => sessions::seat(exchange, named, scope)?.map_or(Seat::Unsure, Seat::Taken),
        None => Seat::None,
    };
    let client = match &seat {
        Seat::None => None,
        Seat::Taken(client) => Some(client),
        Seat::Unsure => {
            let arrived = Arrived {
                call,
                server,
                seat,
                permit,
                quick: None,
            };
            return Ok(Opened::Onward(Stage::Server(Box::new(arrived))));
        }
    };
    let mut quick = match locked::is_asked(exchange, &server, &call) {
        true => None,
        false => Some(decide(&said, exchange, &server, client, &call)?),
    };
    if let Some(Quick::Hit(text)) = &mut quick {
        return Ok(Opened::Hit(std::mem::take(text)));
    }
    Ok(Opened::Onward(Stage::Server(Box::new(Arrived {
        call,
        server,
        seat,
        permit,
        quick,
    }))))
}

/// Step 6: what guardrails say, what it costs, and whether the answer is there already.
fn decide(
    said: &Client<'_>,
    exchange: &mut Exchange,
    server: &Arc<Server>,
    client: Option<&Arc<ClientSession>>,
    call: &Call<'_>,
) -> Result<Quick, Refusal> {
    let seen = guard::look(exchange, server, call)?.map(Box::new);
    if !limits::charge_at_once(exchange, &server.id, call)? {
        return Ok(Quick::Unpaid(seen));
    }
    Ok(find_answer(said, exchange, server, client, (seen, call)))
}

/// What becomes of a message that was paid for.
fn find_answer(
    said: &Client<'_>,
    exchange: &mut Exchange,
    server: &Arc<Server>,
    client: Option<&Arc<ClientSession>>,
    (seen, call): (Option<Box<guard::Seen>>, &Call<'_>),
) -> Quick {
    if let Some(seen) = seen {
        return Quick::Watched(seen);
    }
    // What may have to be given in part only is so on the long way.
    if access::hides_some(exchange, server, call.method) {
        return Quick::Long;
    }
    cached::quick::look(said, exchange, server, client, call)
}

/// Whether a message may belong to a session: `initialize` begins one, modern ones have none (E72).
fn is_in_session(call: &Call<'_>) -> bool {
    call.era == Era::Legacy && call.method != Mcp::Initialize
}

/// The profile that the path names, as far as the caller may know of it. That of everything is always
/// there.
pub(super) fn profile(exchange: &Exchange, id: &str) -> Result<Arc<Profile>, Refusal> {
    let whole = exchange.snapshot.profiles.get(id);
    let part = whole.and_then(|profile| access::part(exchange, profile));
    part.ok_or_else(|| Refusal::ProfileUnknown {
        profile: id.to_owned(),
    })
}

/// Step 5: the server that the path names, and whether the caller may do there what it asks. A server
/// that it may not know of is none.
fn enter(
    exchange: &mut Exchange,
    id: &str,
    call: &Call<'_>,
) -> Result<(Arc<Server>, Permit), Ended> {
    let server = known(exchange, id)?;
    let entered = access::permit(exchange, &server, Some(call), None);
    if !matches!(&entered, Err(ended) if is_unknown(ended)) {
        exchange.outcome.server = Some(Arc::clone(&server.id));
    }
    Ok((server, entered?))
}

fn is_unknown(ended: &Ended) -> bool {
    matches!(
        ended,
        Ended::Refused {
            refusal: Refusal::ServerUnknown { .. },
            ..
        }
    )
}

fn known(exchange: &Exchange, id: &str) -> Result<Arc<Server>, Refusal> {
    let server = exchange.snapshot.servers.get(id).map(Arc::clone);
    server.ok_or_else(|| Refusal::ServerUnknown {
        server: id.to_owned(),
    })
}

/// The server that the path names. One that the caller may not know of is none.
pub(super) fn find(exchange: &mut Exchange, id: &str) -> Result<Arc<Server>, Ended> {
    let server = known(exchange, id)?;
    access::look(exchange, &server)?;
    exchange.outcome.server = Some(Arc::clone(&server.id));
    Ok(server)
}

/// The tool that a message calls.
pub(super) fn tool_of<'c>(call: &'c Call<'_>) -> Option<&'c str> {
    let target = call
        .target
        .as_ref()
        .filter(|_| call.method == Mcp::ToolsCall);
    target.map(|target| target.name())
}

/// Notes what is told of a call, whatever becomes of it.
pub(super) fn note(exchange: &mut Exchange, call: &Call<'_>) {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The size of the future that a function gives.
    fn size_of_future<A, F: Future>(_: impl FnOnce(A) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn what_a_request_waits_in_has_no_room_for_the_ways_it_does_not_go() {
        type Arguments = (
            &'static mut Session,
            &'static mut Exchange,
            &'static ControlPlane,
        );
        let size = size_of_future(|(session, exchange, control): Arguments| {
            serve(session, exchange, control)
        });
        assert!(size <= 1024, "{size} bytes, for each idle stream");
    }
}
