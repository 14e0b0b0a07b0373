//! What happens to a request, in order. A security reviewer reads this file alone.
//!
//! 1. Endpoint, trace, `Host` and `Origin`: from the head.
//! 2. The caller's identity: from the head, before the body.
//! 3. The body, within its bound.
//! 4. The message: JSON-RPC, era, headers against body.
//! 5. The server, and whether the caller may reach it.
//! 6. What guardrails say to it, and what it costs of the caller's limits. What guardrails may have to
//!    say to the answer goes the way that reads it.
//! 7. The way there.

use std::sync::Arc;

use bytes::Bytes;
use filters::acl::Permit;
use filters::cache::status::Status as CacheStatus;
use filters::json::reader::Raw;
use filters::mcp::call::Call;
use filters::mcp::method::Method as Mcp;
use filters::mcp::revision::{Era, Revision};
use filters::refusal::Refusal;
use filters::route::{Endpoint, Scope};
use filters::rpc::parse::{self, Body, Id, Payload};
use filters::trace::Trace;
use http::header::{HOST, ORIGIN};
use http::{HeaderMap, HeaderName, Method};
use pingora::proxy::Session;

use crate::gateway::access::Screen;
use crate::gateway::cached::quick::Quick;
use crate::gateway::cached::write::Write;
use crate::gateway::exchange::Exchange;
use crate::gateway::fields::{self, Client};
use crate::gateway::relay::{self, Carried, Errand, Kind};
use crate::gateway::reply::{Out, Reply};
use crate::gateway::{
    Ended, access, admit, aggregate, batch, bodiless, body, cached, control, events, front, guard,
    limits, link, locked, passage, sessions,
};
use crate::state::ControlPlane;
use crate::state::session::{Link, Session as ClientSession};
use crate::state::snapshot::{Bounds, Profile, Server};
use crate::upstream::era::Standing;
use crate::upstream::relay::Request;
use crate::upstream::remote::Transport;
use crate::upstream::session::Session as Upstream;

// Names that are checked once, not on each request.
static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
static TRACE_ID: HeaderName = HeaderName::from_static("x-conduit-trace-id");
static APPROVAL_ID: HeaderName = HeaderName::from_static("x-conduit-approval-id");

/// How many servers may turn out to be reached otherwise in one request.
const MOVES_MAX: usize = 4;

/// Serves one request to its end.
pub(super) async fn serve(
    session: &mut Session,
    exchange: &mut Exchange,
    plane: &ControlPlane,
) -> Result<(), Ended> {
    begin(session, exchange)?;
    let path = session.req_header().uri.path().to_owned();
    let verb = session.req_header().method.clone();
    let endpoint = Endpoint::resolve(&path);
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

/// Step 1: what the head alone decides.
fn begin(session: &mut Session, exchange: &mut Exchange) -> Result<(), Ended> {
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
    // A value that is no text is an Origin all the same, and none that is allowed.
    let origin = header.headers.get(ORIGIN);
    let origin = origin.map(|value| value.to_str().unwrap_or_default());
    exchange.snapshot.origin.check(host, origin)?;
    measure(&header.headers, &exchange.snapshot.bounds)?;
    Ok(())
}

/// Whether a head is no longer than is allowed. What is much longer, Pingora did not read.
fn measure(headers: &HeaderMap, bounds: &Bounds) -> Result<(), Refusal> {
    let (lines_max, bytes_max) = (bounds.headers_max, bounds.header_bytes_max);
    let lengths = headers.iter();
    let n_bytes: usize = lengths
        .map(|(name, value)| name.as_str().len().saturating_add(value.len()))
        .sum();
    if headers.len() > lines_max || n_bytes > bytes_max {
        return Err(Refusal::HeadTooLarge {
            lines_max,
            bytes_max,
        });
    }
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
    let message = match parse::payload(&body).map_err(Refusal::from)? {
        Payload::One(message) => message,
        Payload::Batch(entries) => {
            return Box::pin(several(session, exchange, scope, &entries)).await;
        }
    };
    let echo = message.request_id().map(Id::as_json);
    match open(session, exchange, scope, message) {
        Ok(Opened::Hit(text)) => Box::pin(cached::quick::give(session, exchange, text)).await,
        Ok(Opened::Onward(stage)) => {
            Box::pin(onward(session, exchange, scope, stage, &body, echo)).await
        }
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
    let client = Client::read(headers)?;
    let call = Call::classify(message, &client.mcp)?;
    note(exchange, &call);
    let (server, permit) = enter(exchange, id, &call)?;
    let seat = match client.session.filter(|_| is_in_session(&call)) {
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
        false => Some(decide(headers, exchange, &server, client, &call)?),
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
    headers: &HeaderMap,
    exchange: &mut Exchange,
    server: &Arc<Server>,
    client: Option<&Arc<ClientSession>>,
    call: &Call<'_>,
) -> Result<Quick, Refusal> {
    let seen = guard::look(exchange, server, call)?.map(Box::new);
    if !limits::charge_at_once(exchange, &server.id, call)? {
        return Ok(Quick::Unpaid(seen));
    }
    Ok(find_answer(headers, exchange, server, client, (seen, call)))
}

/// What becomes of a message once its caller's turn has come.
async fn pay(
    session: &mut Session,
    exchange: &mut Exchange,
    server: &Arc<Server>,
    client: Option<&Arc<ClientSession>>,
    seen: Option<Box<guard::Seen>>,
    call: &Call<'_>,
) -> Result<Quick, Ended> {
    limits::charge(session, exchange, &server.id, call).await?;
    let headers = &session.req_header().headers;
    Ok(find_answer(headers, exchange, server, client, (seen, call)))
}

/// What becomes of a message that was paid for.
fn find_answer(
    headers: &HeaderMap,
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
    cached::quick::look(headers, exchange, server, client, call)
}

/// Step 7, and once more from step 4 where its server turned out to be reached otherwise.
async fn onward(
    session: &mut Session,
    exchange: &mut Exchange,
    scope: Scope<'_>,
    stage: Stage<'_>,
    body: &Bytes,
    echo: Option<&str>,
) -> Result<(), Ended> {
    let mut served = go_on(session, exchange, scope, stage, body).await;
    for _ in 0..MOVES_MAX {
        if !is_moved(&served) || session.response_written().is_some() {
            break;
        }
        let Ok(Payload::One(message)) = parse::payload(body) else {
            break;
        };
        exchange.repin();
        served = match open(session, exchange, scope, message) {
            Ok(Opened::Hit(text)) => cached::quick::give(session, exchange, text).await,
            Ok(Opened::Onward(stage)) => {
                Box::pin(go_on(session, exchange, scope, stage, body)).await
            }
            Err(ended) => Err(ended),
        };
    }
    served.map_err(|ended| ended.with_id(echo.map(str::to_owned)))
}

async fn go_on(
    session: &mut Session,
    exchange: &mut Exchange,
    scope: Scope<'_>,
    stage: Stage<'_>,
    body: &Bytes,
) -> Result<(), Ended> {
    match (stage, scope) {
        (Stage::Server(arrived), _) => {
            let Arrived {
                call,
                server,
                seat,
                permit,
                quick,
            } = *arrived;
            let client = match seat {
                Seat::None => None,
                Seat::Taken(client) => Some(client),
                Seat::Unsure => Some(confirm(session, exchange, scope).await?),
            };
            let quick = match quick {
                Some(quick) => quick,
                None => {
                    let headers = &session.req_header().headers;
                    let at = (&server, client.as_ref());
                    Box::pin(unlock(headers, exchange, at, &call, body)).await?
                }
            };
            let decided = (permit, quick);
            one(session, exchange, &call, &server, client, decided, body).await
        }
        (Stage::Profile(message), Scope::Profile(id) | Scope::Server(id)) => {
            Box::pin(aggregated(session, exchange, id, *message, body)).await
        }
    }
}

/// The session that a request's head names, once other instances were asked.
async fn confirm(
    session: &Session,
    exchange: &Exchange,
    scope: Scope<'_>,
) -> Result<Arc<ClientSession>, Refusal> {
    let named = Client::read(&session.req_header().headers)?.session;
    sessions::find(exchange, named.unwrap_or_default(), scope).await
}

/// Whether a message did nothing, because its server turned out to be reached otherwise.
fn is_moved(served: &Result<(), Ended>) -> bool {
    matches!(
        served,
        Err(Ended::Refused {
            refusal: Refusal::UpstreamMoved { .. },
            ..
        })
    )
}

/// One message to one server, passed on as it is where the server speaks its era.
async fn one(
    session: &mut Session,
    exchange: &mut Exchange,
    call: &Call<'_>,
    server: &Arc<Server>,
    client: Option<Arc<ClientSession>>,
    (mut permit, mut quick): (Permit, Quick),
    body: &Bytes,
) -> Result<(), Ended> {
    if let Quick::Unpaid(seen) = quick {
        quick = pay(session, exchange, server, client.as_ref(), seen, call).await?;
    }
    let headers = &session.req_header().headers;
    let mut told = None;
    let (mut is_read, mut is_long) = (false, false);
    match quick {
        Quick::Hit(text) => return cached::quick::give(session, exchange, text).await,
        Quick::Watched(seen) => {
            let seen = (*seen, permit);
            let watched = watched(session, exchange, server, client, seen, call);
            return Box::pin(watched).await;
        }
        Quick::Long => {
            is_read = true;
            // A list that is shown in part is not passed on as it comes.
            is_long = access::hides_some(exchange, server, call.method);
        }
        Quick::Told(write) => told = Some(write),
        Quick::Onward => is_long = is_cancelled_wait(call, client.as_ref()),
        Quick::Unpaid(_) => return Err(Refusal::Internal.into()),
    }
    if call.method == Mcp::Tasks {
        told = Write::of_task(&exchange.live, server, call);
    }
    if call.era == Era::Modern {
        Box::pin(passage::settle(exchange, headers, server)).await;
        passage::stay(server)?;
    }
    let passage = passage::find(&exchange.live, call, server, client.as_ref());
    let Some(upstream) = passage.filter(|_| !is_long) else {
        let inbound = front::inbound(headers, exchange, call, body.clone()).inspected();
        let inbound = (inbound, Some(permit));
        let single = front::single(session, exchange, server, client, inbound, call);
        return Box::pin(single).await;
    };
    if is_read {
        let inbound = front::inbound(headers, exchange, call, body.clone()).inspected();
        let inbound = (&inbound, permit);
        let read = front::read(session, exchange, server, client.as_ref(), inbound, call);
        match Box::pin(read).await? {
            Some(unread) => (told, permit) = unread,
            None => return Ok(()),
        }
    }
    let headers = &session.req_header().headers;
    if call.era == Era::Modern && call.method == Mcp::ToolsCall {
        compare(headers, server, call).await?;
    }
    let request = request(headers, exchange, server, call, upstream.as_deref(), body);
    let mut errand = errand(call, request, permit, told);
    errand.screen = Screen::one(exchange, server, call.method);
    let _used = client.as_ref().map(|client| client.hold());
    match (
        relay::carry(session, exchange, server, errand).await?,
        upstream,
    ) {
        (Carried::Home, _) => return Ok(()),
        // Only this one: another request may have had a new one opened meanwhile.
        (Carried::SessionLost, Some(upstream)) => upstream.lose(),
        (Carried::SessionLost, None) | (Carried::WrongEra, _) => server.remote.eras.doubt(),
    }
    Box::pin(again(session, exchange, server, client, body)).await
}

/// Step 5, as far as the tool lock is concerned, and step 6.
async fn unlock(
    headers: &HeaderMap,
    exchange: &mut Exchange,
    (server, client): (&Arc<Server>, Option<&Arc<ClientSession>>),
    call: &Call<'_>,
    body: &Bytes,
) -> Result<Quick, Ended> {
    if locked::is_asked(exchange, server, call) {
        let inbound = front::inbound(headers, exchange, call, body.clone());
        locked::admit(exchange, server, client, &inbound, tool_of(call)).await?;
    }
    Ok(decide(headers, exchange, server, client, call)?)
}

/// A message that guardrails change, or whose answer they look at: it goes the way that reads both.
async fn watched(
    session: &mut Session,
    exchange: &mut Exchange,
    server: &Arc<Server>,
    client: Option<Arc<ClientSession>>,
    (seen, permit): (guard::Seen, Permit),
    call: &Call<'_>,
) -> Result<(), Ended> {
    let text = Bytes::copy_from_slice(call.message.text.as_bytes());
    let inbound = front::inbound(&session.req_header().headers, exchange, call, text);
    let inbound = seen.apply(inbound, server, client.as_ref()).await;
    let inbound = (inbound, Some(permit));
    front::single(session, exchange, server, client, inbound, call).await
}

/// A message as it goes to its server.
fn request(
    headers: &HeaderMap,
    exchange: &Exchange,
    server: &Server,
    call: &Call<'_>,
    upstream: Option<&Upstream>,
    body: &Bytes,
) -> Request {
    let named = upstream.and_then(|upstream| upstream.id.clone());
    Request {
        verb: "POST",
        target: None,
        fields: fields::write(headers, exchange, server, call.era, named.as_deref(), true),
        body: body.clone(),
        is_repeatable: call.method.is_safe_to_repeat(),
        session: named,
    }
}

/// Whether a message takes back a call that its server knows nothing of: it waits for what is fetched
/// for several.
fn is_cancelled_wait(call: &Call<'_>, client: Option<&Arc<ClientSession>>) -> bool {
    let (Mcp::Cancelled, Some(client)) = (call.method, client) else {
        return false;
    };
    let named = call.message.params().and_then(|params| params.request_id);
    let running = named.and_then(|id| client.running(id.get()));
    running.is_some_and(|running| running.is_wait)
}

fn errand(call: &Call<'_>, request: Request, permit: Permit, write: Option<Write>) -> Errand {
    Errand {
        request,
        kind: match (&call.message.body, call.method) {
            (_, Mcp::SubscriptionsListen) => Kind::Listen,
            (_, Mcp::Initialize) => Kind::Handshake,
            (Body::Request { .. }, _) => Kind::Call,
            (Body::Notification { .. } | Body::Response { .. }, _) => Kind::Delivery,
        },
        era: call.era,
        id: call.id().map(|id| id.as_json().to_owned()),
        permit,
        write,
        screen: None,
        hearing: None,
    }
}

/// The headers of a call against its arguments, where its server cannot do it.
async fn compare(headers: &HeaderMap, server: &Server, call: &Call<'_>) -> Result<(), Refusal> {
    if server.remote.transport != Transport::Pipe {
        return Ok(());
    }
    let arguments = call.message.params().and_then(|params| params.arguments);
    let tool = call.target.as_ref().map(|target| target.name());
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let compared = fields::compare(
        server,
        tool.unwrap_or_default(),
        arguments.map(Raw::get),
        header,
    );
    Box::pin(compared).await
}

/// A message that its server refused for the session or the era: it goes the long way.
async fn again(
    session: &mut Session,
    exchange: &mut Exchange,
    server: &Arc<Server>,
    client: Option<Arc<ClientSession>>,
    body: &Bytes,
) -> Result<(), Ended> {
    let Payload::One(message) = parse::payload(body).map_err(Refusal::from)? else {
        return Err(Refusal::Internal.into());
    };
    let headers = &session.req_header().headers;
    let call = Call::classify(message, &Client::read(headers)?.mcp)?;
    let mut inbound = front::inbound(headers, exchange, &call, body.clone()).inspected();
    inbound.is_repeat = true;
    let inbound = (inbound, None);
    front::single(session, exchange, server, client, inbound, &call).await
}

/// Whether a message may belong to a session: `initialize` begins one, modern ones have none (E72).
fn is_in_session(call: &Call<'_>) -> bool {
    call.era == Era::Legacy && call.method != Mcp::Initialize
}

/// One message to several servers.
async fn aggregated(
    session: &mut Session,
    exchange: &mut Exchange,
    id: &str,
    message: parse::Message<'_>,
    body: &Bytes,
) -> Result<(), Ended> {
    let headers = &session.req_header().headers;
    let client = Client::read(headers)?;
    let call = Call::classify(message, &client.mcp)?;
    note(exchange, &call);
    let profile = profile(exchange, id)?;
    let client = match client.session.filter(|_| is_in_session(&call)) {
        Some(named) => Some(sessions::find(exchange, named, Scope::Profile(id)).await?),
        None if is_in_session(&call) => return Err(Refusal::SessionMissing.into()),
        None => None,
    };
    let inbound = front::inbound(headers, exchange, &call, body.clone());
    let _used = client.as_ref().map(|client| client.hold());
    let scope = sessions::name(Scope::Profile(id));
    let mut reply = Reply::new(Out::Http(session), exchange);
    aggregate::serve(
        &mut reply,
        &profile,
        client.as_ref(),
        &inbound,
        &call,
        &scope,
    )
    .await
}

/// A batch, for clients of 2025-03-26 and before.
async fn several(
    session: &mut Session,
    exchange: &mut Exchange,
    scope: Scope<'_>,
    entries: &[&serde_json::value::RawValue],
) -> Result<(), Ended> {
    let client = Client::read(&session.req_header().headers)?;
    let version = client.mcp.protocol_version;
    if !version
        .map_or(Some(Revision::ASSUMED), Revision::parse)
        .is_some_and(Revision::has_batches)
    {
        return Err(Refusal::ClientBatch.into());
    }
    let named = client.session;
    let named = named.map(str::to_owned);
    let client = match &named {
        Some(named) => Some(sessions::find(exchange, named, scope).await?),
        None => None,
    };
    let _used = client.as_ref().map(|client| client.hold());
    match scope {
        Scope::Server(id) => {
            let server = find(exchange, id)?;
            let link = client
                .as_ref()
                .map(|client| link::standing(client, &server));
            match link {
                None if server.remote.eras.serves(Era::Legacy) != Standing::No => {
                    let way = batch::Way {
                        server: &server,
                        client: None,
                        upstream: None,
                    };
                    batch::serve(session, exchange, &way, entries).await
                }
                Some(Some(Link::Legacy(upstream))) => {
                    let way = batch::Way {
                        server: &server,
                        client: client.as_ref(),
                        upstream: upstream.id.as_deref(),
                    };
                    batch::serve(session, exchange, &way, entries).await
                }
                None | Some(None | Some(Link::Modern)) => {
                    front::batch(session, exchange, scope, client, entries).await
                }
            }
        }
        Scope::Profile(_) => front::batch(session, exchange, scope, client, entries).await,
    }
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
