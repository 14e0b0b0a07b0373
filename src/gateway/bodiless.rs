//! GET (the legacy stream) and DELETE (the end of a legacy session).

use std::sync::Arc;

use bytes::Bytes;
use filters::mcp::method::Method as Mcp;
use filters::mcp::revision::{Era, Revision};
use filters::refusal::Refusal;
use filters::route::Scope;
use http::header::ACCEPT;
use http::{HeaderMap, Method};
use pingora::http::ResponseHeader;
use pingora::proxy::Session;

use crate::gateway::exchange::Exchange;
use crate::gateway::fields::{self, Client};
use crate::gateway::guard::{self, Hearing, Watch};
use crate::gateway::hear::Stage;
use crate::gateway::limits::Want;
use crate::gateway::link::{self, Way};
use crate::gateway::pass::end;
use crate::gateway::relay::{self, Carried, Errand, Kind};
use crate::gateway::reply::{Out, Reply};
use crate::gateway::screen::Screen;
use crate::gateway::{Ended, access, answer, body, hear, limits, pipeline, sessions};
use crate::state::session::{Link, Session as ClientSession};
use crate::state::snapshot::Server;
use crate::telemetry::outcome::Status;
use crate::upstream::relay::Request;

/// Serves a GET or a DELETE.
pub(super) async fn serve(
    session: &mut Session,
    exchange: &mut Exchange,
    scope: Scope<'_>,
    verb: &Method,
) -> Result<(), Ended> {
    let verb = match *verb {
        Method::GET => "GET",
        Method::DELETE => "DELETE",
        _ => {
            return Err(Refusal::HttpMethod {
                allow: "GET, POST, DELETE",
            }
            .into());
        }
    };
    // A body has no meaning here (RFC 9110, 9.3.1 and 9.3.5); it is not the next request either.
    body::drain(session.as_downstream_mut()).await;
    let (client, version) = {
        let read = Client::read(&session.req_header().headers)?;
        let version = read.mcp.protocol_version.map(str::to_owned);
        let client = match read.session {
            Some(named) => Some(sessions::find(exchange, named, scope).await?),
            None => None,
        };
        (client, version)
    };
    if let Some(named) = version.filter(|named| Revision::parse(named).is_none()) {
        return Err(Refusal::VersionUnsupported { requested: named }.into());
    }
    exchange.outcome.era = Some(Era::Legacy);
    let server = match scope {
        Scope::Server(id) => Some(pipeline::find(exchange, id)?),
        Scope::Profile(id) => {
            pipeline::profile(exchange, id)?;
            None
        }
    };
    match (client, verb) {
        (Some(client), "DELETE") => Box::pin(end(session, exchange, &client)).await,
        (Some(client), _) => hear(session, exchange, scope, &client, server).await,
        // A server without sessions may have a stream all the same.
        (None, verb) => match server {
            Some(server) => {
                let errand = errand(session, exchange, &server, verb, None)?;
                // Without a session nothing else bounds how often its server is asked.
                let want = Want {
                    server: Some(&server.id),
                    tool: None,
                };
                Box::pin(limits::charge_for(session, exchange, want)).await?;
                Box::pin(relay::carry(session, exchange, &server, errand)).await?;
                Ok(())
            }
            None => Err(Refusal::SessionMissing.into()),
        },
    }
}

/// Ends a session, and those behind it.
async fn end(
    session: &mut Session,
    exchange: &mut Exchange,
    client: &Arc<ClientSession>,
) -> Result<(), Ended> {
    sessions::end(&exchange.live, client).await;
    exchange.outcome.status = Status::Success;
    let mut header = ResponseHeader::build_no_case(204, Some(4)).map_err(|_| Ended::ClientGone)?;
    answer::stamp(&mut header, exchange).map_err(|_| Ended::ClientGone)?;
    answer::write(session, header, Bytes::new())
        .await
        .map_err(|_| Ended::ClientGone)
}

/// Opens a session's stream: the server's own where there is but one, else one of the gateway's.
async fn hear(
    session: &mut Session,
    exchange: &mut Exchange,
    scope: Scope<'_>,
    client: &Arc<ClientSession>,
    server: Option<Arc<Server>>,
) -> Result<(), Ended> {
    let Some(server) = server else {
        let Scope::Profile(id) = scope else {
            return Err(Refusal::Internal.into());
        };
        let profile = pipeline::profile(exchange, id)?;
        for server in &profile.servers {
            hear::attend(server, client);
        }
        let mut reply = Reply::new(Out::Http(session), exchange);
        return Box::pin(hear::stream(&mut reply, client, Stage::Several(profile))).await;
    };
    let _used = client.hold();
    let way = Way {
        server: Arc::clone(&server),
        naming: None,
    };
    for _ in 0..2 {
        let caller = fields::caller(&session.req_header().headers, exchange);
        let live = Arc::clone(&exchange.live);
        // Boxed: it is over before the stream begins, which lives for hours.
        let link = match Box::pin(link::find(&live, client, &way, &caller)).await {
            Ok(link) => link,
            Err(unlinked) => {
                let mut reply = Reply::new(Out::Http(session), exchange);
                return Box::pin(end::unlinked(&mut reply, &way, None, unlinked)).await;
            }
        };
        match link {
            Link::Legacy(upstream) => {
                let errand = errand(session, exchange, &server, "GET", upstream.id.clone())?;
                match relay::carry(session, exchange, &server, errand).await? {
                    Carried::Home => return Ok(()),
                    // It is opened anew.
                    Carried::SessionLost | Carried::WrongEra => upstream.lose(),
                }
            }
            Link::Modern => {
                hear::attend(&server, client);
                let mut reply = Reply::new(Out::Http(session), exchange);
                return Box::pin(hear::stream(&mut reply, client, Stage::One(server))).await;
            }
        }
    }
    Err(Refusal::SessionUnknown.into())
}

fn errand(
    session: &Session,
    exchange: &Exchange,
    server: &Arc<Server>,
    verb: &'static str,
    upstream: Option<String>,
) -> Result<Errand, Ended> {
    let headers = &session.req_header().headers;
    let permit = access::permit(exchange, server, None, None)?;
    let is_heard = verb == "GET" && guard::hears(&exchange.snapshot, &server.id);
    let hearing = is_heard.then(|| hearing(headers, exchange, server, upstream.as_deref()));
    let request = Request {
        verb,
        target: None,
        fields: fields::write(
            headers,
            exchange,
            server,
            Era::Legacy,
            upstream.as_deref(),
            false,
        ),
        body: Bytes::new(),
        is_repeatable: true,
        session: upstream,
    };
    Ok(Errand {
        request,
        kind: if verb == "GET" {
            Kind::Listen
        } else {
            Kind::Farewell
        },
        era: Era::Legacy,
        id: None,
        permit,
        write: None,
        screen: Screen::stream(exchange, server),
        hearing,
    })
}

/// What looks at what a server says on its stream.
fn hearing(
    headers: &HeaderMap,
    exchange: &Exchange,
    server: &Arc<Server>,
    upstream: Option<&str>,
) -> Hearing {
    // What a refused question is answered with is no GET.
    let mut headers = headers.clone();
    headers.remove(ACCEPT);
    headers.remove("last-event-id");
    Hearing {
        shared: Arc::clone(&exchange.shared),
        watch: Watch::of(exchange, server, Mcp::Other, None),
        fields: fields::write(&headers, exchange, server, Era::Legacy, upstream, true),
        session: upstream.map(str::to_owned),
    }
}
