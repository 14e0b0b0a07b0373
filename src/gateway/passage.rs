//! Whether a message passes to one server as it is, and in which session.

use std::sync::Arc;

use filters::mcp::call::Call;
use filters::mcp::method::Method as Mcp;
use filters::mcp::revision::Era;
use filters::refusal::Refusal;
use http::HeaderMap;

use crate::gateway::exchange::Exchange;
use crate::gateway::fields;
use crate::gateway::front;
use crate::gateway::link;
use crate::state::live::Live;
use crate::state::session::{Link, Session as ClientSession};
use crate::state::snapshot::Server;
use crate::upstream::era;
use crate::upstream::era::Standing;
use crate::upstream::session::Session as Upstream;

/// Whether it is not known yet if a server speaks the modern era.
pub(super) fn is_unsettled(server: &Server) -> bool {
    server.remote.eras.serves(Era::Modern) == Standing::Unknown
}

/// Has a server of unknown era asked for it.
pub(super) async fn settle(exchange: &Exchange, headers: &HeaderMap, server: &Server) {
    let caller = fields::caller(headers, exchange);
    era::decide(&server.remote, &caller, Era::Modern).await;
}

/// Refuses what was begun at a server that turned out to be reached otherwise: it did nothing, and is
/// served by what stands in the server's place.
pub(super) fn stay(server: &Server) -> Result<(), Refusal> {
    if server.remote.finder.is_replaced() {
        return Err(Refusal::UpstreamMoved {
            server: server.id.to_string(),
        });
    }
    Ok(())
}

/// How a message passes to its server as it is, in which session; nothing where it cannot.
pub(super) fn find(
    live: &Arc<Live>,
    call: &Call<'_>,
    server: &Server,
    client: Option<&Arc<ClientSession>>,
) -> Option<Option<Arc<Upstream>>> {
    let eras = &server.remote.eras;
    match (call.era, client) {
        // A server that could not be asked gets it all the same: it says best what is wrong.
        (Era::Modern, _) => (eras.serves(Era::Modern) != Standing::No).then_some(None),
        (Era::Legacy, _) if call.method == Mcp::Initialize => None,
        (Era::Legacy, None) => (eras.serves(Era::Legacy) != Standing::No).then_some(None),
        (Era::Legacy, Some(client)) => match link::standing(client, server)? {
            Link::Legacy(upstream) => {
                let target = call.target.as_ref().map(|target| target.name());
                let text = call.message.text.as_bytes();
                front::remember(live, client, call.method, target, text);
                Some(Some(upstream))
            }
            Link::Modern => None,
        },
    }
}
