//! From step 4 on where somebody has to be asked: other instances, the tool lock, several servers. And once
//! more, where a server turned out to be reached otherwise.

use std::sync::Arc;

use bytes::Bytes;
use filters::mcp::call::Call;
use filters::refusal::Refusal;
use filters::route::Scope;
use filters::rpc::parse::{self, Payload};
use http::HeaderMap;
use pingora::proxy::Session;

use crate::gateway::cached::quick::Quick;
use crate::gateway::exchange::Exchange;
use crate::gateway::fields::Client;
use crate::gateway::pipeline::{
    Arrived, Opened, Seat, Stage, decide, is_in_session, note, open, profile, tool_of, way,
};
use crate::gateway::reply::{Out, Reply};
use crate::gateway::{Ended, aggregate, cached, front, locked, sessions};
use crate::state::session::Session as ClientSession;
use crate::state::snapshot::Server;

/// How many servers may turn out to be reached otherwise in one request.
const MOVES_MAX: usize = 4;

/// Step 7, and once more from step 4 where its server turned out to be reached otherwise.
pub(super) async fn onward(
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
            way::one(session, exchange, &call, &server, client, decided, body).await
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
    Ok(decide(
        &Client::read(headers)?,
        exchange,
        server,
        client,
        call,
    )?)
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
