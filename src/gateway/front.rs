//! Messages that do not simply pass: taken apart, and served by whatever they need.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use filters::acl::Permit;
use filters::json::object::Object;
use filters::mcp::call::Call;
use filters::mcp::method::Method;
use filters::mcp::revision::Era;
use filters::rate::fare;
use filters::refusal::Refusal;
use filters::route::Scope;
use filters::rpc::parse;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use serde_json::value::RawValue;

use crate::gateway::cached::write::Write;
use crate::gateway::cached::{self, Served};
use crate::gateway::dispatch::Dispatch;
use crate::gateway::exchange::Exchange;
use crate::gateway::fields::{self, Client};
use crate::gateway::inbound::{self, Inbound};
use crate::gateway::limits::Want;
use crate::gateway::link::{self, Way};
use crate::gateway::reply::{Out, Reply};
use crate::gateway::screen::Screen;
use crate::gateway::{
    Ended, access, aggregate, answer, deliver, guard, handshake, limits, listen, locked, passage,
    pipeline, sessions,
};
use crate::state::live::Live;
use crate::state::session::{Link, Session as ClientSession};
use crate::state::snapshot::Server;
use crate::telemetry::outcome::Status;
use crate::upstream::era;

/// Takes a message apart.
pub(super) fn inbound(
    headers: &HeaderMap,
    exchange: &Exchange,
    call: &Call<'_>,
    text: Bytes,
) -> Inbound {
    let mirrored = fields::mirrored(headers, call.era);
    let caller = fields::caller(headers, exchange);
    let subject = Arc::clone(&exchange.subject);
    let mut inbound = Inbound::of(call, text, caller, mirrored, subject);
    inbound.tenancy = exchange.tenancy();
    inbound.group = fields::group(headers).map(Cow::into_owned);
    if call.era == Era::Legacy {
        inbound.bare = fields::bare(headers);
    }
    inbound
}

/// Notes what a session's servers must be told again if its session with them is opened anew. `text`
/// is the whole message.
pub(super) fn remember(
    live: &Arc<Live>,
    client: &Arc<ClientSession>,
    method: Method,
    target: Option<&str>,
    text: &[u8],
) {
    match (method, target) {
        (Method::ResourcesSubscribe, Some(uri)) => {
            client.subscribe(uri);
        }
        (Method::ResourcesUnsubscribe, Some(uri)) => client.unsubscribe(uri),
        (Method::LoggingSetLevel, _) => {
            let message = std::str::from_utf8(text).ok().and_then(Object::read);
            let params = message
                .as_ref()
                .and_then(|message| message.get("params"))
                .and_then(Object::read);
            let level = params.as_ref().and_then(|params| params.text("level"));
            client.set_log_level(level.map(Cow::into_owned));
        }
        _ => return,
    }
    sessions::save_later(live, client);
}

/// One message to one server that does not simply pass; permitted already, where there is a permit.
pub(super) async fn single(
    session: &mut Session,
    exchange: &mut Exchange,
    server: &Arc<Server>,
    client: Option<Arc<ClientSession>>,
    (inbound, permit): (Inbound, Option<Permit>),
    call: &Call<'_>,
) -> Result<(), Ended> {
    let _used = client.as_ref().map(|client| client.hold());
    let mut reply = Reply::new(Out::Http(session), exchange);
    serve(&mut reply, server, client.as_ref(), &inbound, call, permit).await
}

/// Has the cache answer a message that could also pass to its server as it is. Where it cannot: what
/// the message makes stale, and its permit; nothing where the client has its answer.
pub(super) async fn read(
    session: &mut Session,
    exchange: &mut Exchange,
    server: &Arc<Server>,
    client: Option<&Arc<ClientSession>>,
    (inbound, permit): (&Inbound, Permit),
    call: &Call<'_>,
) -> Result<Option<(Option<Write>, Permit)>, Ended> {
    let _used = client.map(|client| client.hold());
    let way = Way {
        server: Arc::clone(server),
        naming: None,
    };
    let dispatch = Dispatch {
        way: &way,
        client,
        inbound,
        inner: None,
        permit,
    };
    let _active = exchange.live.metrics.track(&server.id);
    let screen = Screen::one(exchange, server, call.method, inbound.id());
    let mut reply = Reply::new(Out::Http(session), exchange);
    reply.screen = screen;
    if Box::pin(cached::serve(&mut reply, &dispatch)).await? == Served::Home {
        return Ok(None);
    }
    if reply.is_untold() {
        return Ok(Some((reply.write.take(), dispatch.permit)));
    }
    // What was begun must be ended in the same way.
    Box::pin(dispatch.go_on(&mut reply)).await?;
    Ok(None)
}

/// Serves one message at one server; permitted already, where there is a permit.
pub(super) async fn serve(
    reply: &mut Reply<'_>,
    server: &Arc<Server>,
    client: Option<&Arc<ClientSession>>,
    inbound: &Inbound,
    call: &Call<'_>,
    permit: Option<Permit>,
) -> Result<(), Ended> {
    let way = Way {
        server: Arc::clone(server),
        naming: None,
    };
    let exchange = &reply.exchange;
    let permit = match permit {
        Some(permit) => permit,
        None => {
            let permit = access::permit(exchange, server, Some(call), None)?;
            if locked::is_asked(exchange, server, call) {
                let tool = pipeline::tool_of(call);
                let admitted = locked::admit(exchange, server, client, inbound, tool);
                Box::pin(admitted).await?;
            }
            permit
        }
    };
    let inbound = &*guard::enter(reply, &way, client, inbound, None).await?;
    let want = Want {
        server: Some(&server.id),
        tool: fare::tool(call),
    };
    if let Some(refusal) = limits::charge_in(reply, call, want).await? {
        return reply.refuse(refusal, inbound.id(), None).await;
    }
    reply.screen = Screen::one(reply.exchange, server, call.method, inbound.id());
    let _active = reply.exchange.live.metrics.track(&server.id);
    match (&inbound.kind, inbound.method) {
        (inbound::Kind::Response(id, answer), _) => {
            let is_ours = client
                .zip(id.as_deref())
                .is_some_and(|(client, id)| client.reply(id, answer.clone()));
            if is_ours {
                return reply.accept().await;
            }
            tell(reply, server, client, inbound).await
        }
        (inbound::Kind::Notification, Method::Cancelled) => {
            deliver::notification(reply, client, inbound).await
        }
        (inbound::Kind::Notification, _) => tell(reply, server, client, inbound).await,
        (_, Method::Initialize) => {
            let scope = sessions::name(Scope::Server(&server.id));
            handshake::single(reply, &way, inbound, &scope).await
        }
        (_, Method::SubscriptionsListen)
            if reply.watch.is_some()
                || era::decide(&server.remote, &inbound.caller, Era::Modern).await
                    == Era::Legacy
                    && passage::stay(server).is_ok() =>
        {
            listen::single(reply, &way, inbound).await
        }
        _ => {
            let dispatch = Dispatch {
                way: &way,
                client,
                inbound,
                inner: None,
                permit,
            };
            dispatch.run(reply).await
        }
    }
}

/// Gives a message that wants no answer to the session with its server, if there is one.
async fn tell(
    reply: &mut Reply<'_>,
    server: &Arc<Server>,
    client: Option<&Arc<ClientSession>>,
    inbound: &Inbound,
) -> Result<(), Ended> {
    let link = client.and_then(|client| link::standing(client, server));
    if let Some(Link::Legacy(upstream)) = link {
        let text = String::from_utf8_lossy(&inbound.text).into_owned();
        if let Err(error) = upstream.tell(text).await {
            let refusal = error.to_refusal(&server.id);
            return reply.refuse(refusal, None, Some(error.to_string())).await;
        }
    }
    reply.accept().await
}

/// Serves a batch one entry after the other.
pub(super) async fn batch(
    session: &mut Session,
    exchange: &mut Exchange,
    scope: Scope<'_>,
    client: Option<Arc<ClientSession>>,
    entries: &[&RawValue],
) -> Result<(), Ended> {
    let headers = session.req_header().headers.clone();
    let mut answers: Vec<String> = Vec::new();
    for entry in entries {
        let message = parse::message(entry.get()).ok();
        let wants_none = matches!(&message, Some(message) if message.request_id().is_none());
        let echo = message.and_then(|message| Some(message.request_id()?.as_json().to_owned()));
        let mut reply = Reply::new(Out::Batch(Vec::new()), exchange);
        let served = one_of(&mut reply, &headers, scope, client.as_ref(), entry).await;
        if let Out::Batch(given) = reply.out {
            answers.extend(given);
        }
        match served.map_err(|ended| ended.with_id(echo)) {
            Ok(()) => {}
            Err(Ended::Refused { refusal, id, .. }) => {
                exchange.note_refused(refusal.label());
                if wants_none && !refusal.is_for_want_of_an_id() {
                    continue;
                }
                answers.push(refusal.to_json_in(
                    Some(Era::Legacy),
                    id.as_deref().and_then(parse::Id::from_json),
                ));
            }
            Err(other @ (Ended::ClientGone | Ended::Broken { .. })) => return Err(other),
        }
    }
    exchange.outcome.status = Status::Success;
    let status = if answers.is_empty() { 202 } else { 200 };
    let mut header =
        ResponseHeader::build_no_case(status, Some(8)).map_err(|_| Ended::ClientGone)?;
    let mut text = Bytes::new();
    if !answers.is_empty() {
        header
            .insert_header(CONTENT_TYPE, "application/json")
            .map_err(|_| Ended::ClientGone)?;
        text = filters::json::object::array(answers).into();
    }
    answer::stamp(&mut header, exchange).map_err(|_| Ended::ClientGone)?;
    answer::write(session, header, text)
        .await
        .map_err(|_| Ended::ClientGone)
}

async fn one_of(
    reply: &mut Reply<'_>,
    headers: &HeaderMap,
    scope: Scope<'_>,
    client: Option<&Arc<ClientSession>>,
    entry: &RawValue,
) -> Result<(), Ended> {
    reply.exchange.turn();
    let message = parse::message(entry.get()).map_err(Refusal::from)?;
    let call = Call::classify(message, &Client::read(headers)?.mcp)?;
    if call.era == Era::Modern || call.method == Method::Initialize {
        let why = "a batch holds neither `initialize` nor messages of 2026-07-28";
        return Err(Refusal::ClientShape(why).into());
    }
    let text = Bytes::copy_from_slice(entry.get().as_bytes());
    at(reply, headers, scope, client, &call, text).await
}

/// Serves one message at an endpoint.
pub(super) async fn at(
    reply: &mut Reply<'_>,
    headers: &HeaderMap,
    scope: Scope<'_>,
    client: Option<&Arc<ClientSession>>,
    call: &Call<'_>,
    text: Bytes,
) -> Result<(), Ended> {
    pipeline::note(reply.exchange, call);
    let inbound = inbound(headers, reply.exchange, call, text);
    match scope {
        Scope::Server(id) => {
            let server = pipeline::find(reply.exchange, id)?;
            serve(reply, &server, client, &inbound, call, None).await
        }
        Scope::Profile(id) => {
            let profile = pipeline::profile(reply.exchange, id)?;
            let name = sessions::name(scope);
            aggregate::serve(reply, &profile, client, &inbound, call, &name).await
        }
    }
}
