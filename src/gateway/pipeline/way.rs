//! Step 7: the way to one server, for a message that may go and was paid for.

use std::sync::Arc;

use bytes::Bytes;
use filters::acl::Permit;
use filters::json::reader::Raw;
use filters::mcp::call::Call;
use filters::mcp::method::Method as Mcp;
use filters::mcp::revision::Era;
use filters::refusal::Refusal;
use filters::rpc::parse::{self, Body, Payload};
use http::HeaderMap;
use pingora::proxy::Session;

use crate::gateway::cached::quick::Quick;
use crate::gateway::cached::write::Write;
use crate::gateway::exchange::Exchange;
use crate::gateway::fields::{self, Client};
use crate::gateway::pipeline::find_answer;
use crate::gateway::relay::{self, Carried, Errand, Kind};
use crate::gateway::screen::Screen;
use crate::gateway::{Ended, access, cached, front, guard, limits, passage};
use crate::state::session::Session as ClientSession;
use crate::state::snapshot::Server;
use crate::upstream::relay::Request;
use crate::upstream::remote::Transport;
use crate::upstream::session::Session as Upstream;

/// One message to one server, passed on as it is where the server speaks its era.
pub(super) async fn one(
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
        if passage::is_unsettled(server) {
            Box::pin(passage::settle(exchange, headers, server)).await;
        }
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
    errand.screen = Screen::one(exchange, server, call.method, errand.id.as_deref());
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
    let said = Client::read(&session.req_header().headers)?;
    Ok(find_answer(&said, exchange, server, client, (seen, call)))
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
