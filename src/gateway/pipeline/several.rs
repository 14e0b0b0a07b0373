//! A batch, for clients of 2025-03-26 and before.

use filters::mcp::revision::{Era, Revision};
use filters::refusal::Refusal;
use filters::route::Scope;
use pingora::proxy::Session;

use crate::gateway::exchange::Exchange;
use crate::gateway::fields::Client;
use crate::gateway::pipeline::find;
use crate::gateway::{Ended, batch, front, link, sessions};
use crate::state::session::Link;
use crate::upstream::era::Standing;

/// Serves a batch: as it is where its server speaks it, else entry by entry.
pub(super) async fn serve(
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
