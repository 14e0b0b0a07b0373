//! Clients of the HTTP+SSE transport (2024-11-05): one stream that takes everything the gateway says,
//! and POSTs that are only accepted.
//!
//! **Invariant:** the stream is the session: it ends with it.

use std::sync::Arc;

use bytes::Bytes;
use filters::mcp::call::Call;
use filters::mcp::header::Headers;
use filters::mcp::revision::{Era, Revision};
use filters::refusal::Refusal;
use filters::route::{EVERYTHING, Scope};
use filters::rpc::parse::{self, Id, Payload};
use http::HeaderMap;
use pingora::proxy::Session;

use crate::gateway::exchange::Exchange;
use crate::gateway::hear::Stage;
use crate::gateway::reply::{Out, Reply};
use crate::gateway::{Ended, body, fields, front, hear, pipeline, sessions};
use crate::state::session::{Opening, Session as ClientSession};

/// Where the messages of a session are posted.
fn endpoint(scope: Scope<'_>, id: &str) -> String {
    match scope {
        Scope::Server(server) => format!("/mcp/{server}/message?sessionId={id}"),
        Scope::Profile(EVERYTHING) => format!("/message?sessionId={id}"),
        Scope::Profile(profile) => format!("/mcp/profile/{profile}/message?sessionId={id}"),
    }
}

/// Opens a session and streams what is said in it, until either side ends it.
pub(super) async fn stream(
    session: &mut Session,
    exchange: &mut Exchange,
    scope: Scope<'_>,
) -> Result<(), Ended> {
    body::drain(session.as_downstream_mut()).await;
    exchange.outcome.era = Some(Era::Legacy);
    let stage = match scope {
        Scope::Server(id) => Stage::One(pipeline::find(exchange, id)?),
        Scope::Profile(id) => Stage::Several(pipeline::profile(exchange, id)?),
    };
    let headers = &session.req_header().headers;
    let opening = Opening {
        principal: Arc::clone(&exchange.subject),
        scope: sessions::name(scope),
        revision: Revision::V2024_11_05,
        capabilities: "{}".to_owned(),
        client_info: None,
        authorization: fields::caller(headers, exchange).authorization,
    };
    let live = Arc::clone(&exchange.live);
    let client = live
        .sessions
        .open(opening)
        .map_err(|_| Refusal::SessionsFull)?;
    let mut reply = Reply::new(Out::Http(session), exchange);
    let where_to = endpoint(scope, &client.id);
    let opened = reply
        .raw(format!("event: endpoint\ndata: {where_to}\n\n"))
        .await;
    let ended = match opened {
        Ok(()) => hear::stream(&mut reply, &client, stage).await,
        Err(ended) => Err(ended),
    };
    live.sessions.end_by_id(&client.id);
    ended
}

/// Accepts a message; what is said to it goes onto the session's stream.
pub(super) async fn post(
    session: &mut Session,
    exchange: &mut Exchange,
    scope: Scope<'_>,
) -> Result<(), Ended> {
    let max = exchange.snapshot.body_bytes_max;
    let bounds = &exchange.snapshot.bounds;
    let text = body::read(session.as_downstream_mut(), max, bounds).await?;
    exchange.outcome.request_bytes = text.len();
    exchange.outcome.era = Some(Era::Legacy);
    let query = session.req_header().uri.query().unwrap_or_default();
    let named = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("sessionId="))
        .ok_or(Refusal::SessionMissing)?
        .to_owned();
    let client = sessions::find_local(exchange, &named, scope)?;
    // What is wrong with the message itself is said at once.
    let Payload::One(message) = parse::payload(&text).map_err(Refusal::from)? else {
        return Err(Refusal::ClientBatch.into());
    };
    let echo = message.request_id().map(|id| id.as_json().to_owned());
    let wants_answer = echo.is_some();
    let call = Call::classify(message, &Headers::default())
        .map_err(|refusal| Ended::from(refusal).with_id(echo))?;
    if call.era == Era::Modern {
        let why = "the HTTP+SSE transport carries no messages of 2026-07-28";
        return Err(Refusal::ClientShape(why).into());
    }
    if !wants_answer {
        // Order counts here: what follows it may build on it.
        let headers = session.req_header().headers.clone();
        let _used = client.hold();
        let mut reply = Reply::new(Out::Http(session), exchange);
        return front::at(
            &mut reply,
            &headers,
            scope,
            Some(&client),
            &call,
            text.clone(),
        )
        .await;
    }
    pipeline::note(exchange, &call);
    let live = Arc::clone(&exchange.live);
    let Ok(place) = Arc::clone(&live.abandoned).try_acquire_owned() else {
        return Err(Refusal::SessionsFull.into());
    };
    let detached = Detached {
        exchange: exchange.detach(),
        headers: session.req_header().headers.clone(),
        scope: sessions::name(scope),
        client,
        text,
    };
    let expected = detached.client.outlet.expect();
    live.detached.clone().spawn(async move {
        detached.serve().await;
        drop((place, expected));
    });
    Reply::new(Out::Http(session), exchange).accept().await
}

/// A message whose POST is over.
struct Detached {
    exchange: Exchange,
    headers: HeaderMap,
    scope: String,
    client: Arc<ClientSession>,
    text: Bytes,
}

impl Detached {
    async fn serve(mut self) {
        let exchange = &mut self.exchange;
        let Ok(Payload::One(message)) = parse::payload(&self.text) else {
            return;
        };
        let echo = message.request_id().map(|id| id.as_json().to_owned());
        let Ok(call) = Call::classify(message, &Headers::default()) else {
            return;
        };
        let _used = self.client.hold();
        let scope = sessions::scope(&self.scope);
        let mut reply = Reply::new(Out::Outlet(Arc::clone(&self.client)), exchange);
        let client = Some(&self.client);
        let served = front::at(
            &mut reply,
            &self.headers,
            scope,
            client,
            &call,
            self.text.clone(),
        );
        if let Err(Ended::Refused { refusal, id, error }) =
            served.await.map_err(|ended| ended.with_id(echo))
        {
            exchange.forgo(&refusal);
            exchange.outcome.error = error;
            exchange.outcome.reason = Some(refusal.label());
            let id = id.as_deref().and_then(Id::from_json);
            self.client
                .outlet
                .answer(refusal.to_json_in(Some(Era::Legacy), id));
        }
        exchange.finish(0);
    }
}
