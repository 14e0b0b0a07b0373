//! What of a batch the cache answers: each entry as if it had come alone.

use std::sync::Arc;

use bytes::Bytes;
use filters::acl::Permit;
use filters::mcp::call::Call;
use filters::mcp::method::Method;
use filters::refusal::Refusal;
use filters::rpc::parse::Body;
use http::HeaderMap;

use crate::gateway::batch::{Way, entry};
use crate::gateway::cached::write::Write;
use crate::gateway::cached::{self, Served, role};
use crate::gateway::dispatch::Dispatch;
use crate::gateway::exchange::Exchange;
use crate::gateway::guard::Watch;
use crate::gateway::inbound::Inbound;
use crate::gateway::reply::{Out, Reply};
use crate::gateway::screen::Screen;
use crate::gateway::{Ended, front, link};
use crate::state::session::Session as ClientSession;
use crate::state::snapshot::Server;

/// A request in which the cache may have a say.
pub(super) struct Reading {
    exchange: Exchange,
    client: Option<Arc<ClientSession>>,
    inbound: Inbound,
    watch: Option<Watch>,
    screen: Option<Screen>,
}

/// What the cache has to say.
pub(super) enum Said {
    /// What there is to tell was told.
    Told,
    /// The request is to be sent to its server; it makes this stale.
    Onward(Permit, Option<Write>),
    /// Why it cannot be answered.
    Refused(Refusal),
}

impl Reading {
    /// What the cache is asked for an entry; nothing where it has no say.
    pub(super) fn of(
        headers: &HeaderMap,
        exchange: &Exchange,
        way: &Way<'_>,
        call: &Call<'_>,
        text: &Bytes,
        watch: Option<&Watch>,
    ) -> Option<Self> {
        let is_request = matches!(call.message.body, Body::Request { .. });
        let is_asked = role::concerns(call.method) || call.method == Method::Tasks;
        (is_request && is_asked).then(|| {
            let inbound = front::inbound(headers, exchange, call, text.clone()).inspected();
            Self {
                exchange: exchange.branch(),
                client: way.client.map(Arc::clone),
                watch: watch.cloned(),
                screen: Screen::one(exchange, way.server, call.method, inbound.id()),
                inbound,
            }
        })
    }

    /// Asks the cache, and tells the client what it says.
    pub(super) async fn ask(
        mut self,
        server: &Arc<Server>,
        permit: Permit,
        voice: entry::Voice,
    ) -> Said {
        let way = link::Way {
            server: Arc::clone(server),
            naming: None,
        };
        let dispatch = Dispatch {
            way: &way,
            client: self.client.as_ref(),
            inbound: &self.inbound,
            inner: None,
            permit,
        };
        let mut reply = Reply::new(Out::Entry(voice), &mut self.exchange);
        reply.watch = self.watch.map(Box::new);
        reply.screen = self.screen;
        match cached::serve(&mut reply, &dispatch).await {
            Ok(Served::Home) => Said::Told,
            Ok(Served::Onward) => Said::Onward(dispatch.permit, reply.write.take()),
            Err(Ended::Refused { refusal, .. }) => Said::Refused(refusal),
            Err(Ended::ClientGone | Ended::Broken { .. }) => Said::Refused(Refusal::Internal),
        }
    }
}
