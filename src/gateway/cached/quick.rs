//! The short way of a hit: from the message as it was read to the answer, with nothing owned between.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use filters::cache::freshness::Freshness;
use filters::mcp::call::Call;
use filters::mcp::method::Method as Mcp;
use filters::mcp::revision::Era;
use http::header::AUTHORIZATION;
use pingora::proxy::Session;

use crate::cache::Found;
use crate::gateway::answer::Head;
use crate::gateway::cached::ear;
use crate::gateway::cached::give::{self, Given};
use crate::gateway::cached::role::{self, Asked, Role};
use crate::gateway::cached::write::Write;
use crate::gateway::exchange::Exchange;
use crate::gateway::guard::Seen;
use crate::gateway::{Ended, answer, cached, fields};
use crate::state::session::Session as Client;
use crate::state::snapshot::Server;
use crate::telemetry::outcome::Status;

/// What becomes of a message.
pub(in crate::gateway) enum Quick {
    /// This is its answer.
    Hit(Bytes),
    /// Guardrails change it, or look at its answer.
    Watched(Box<Seen>),
    /// It takes time to find out what it costs, and was not charged; this is what guardrails said.
    Unpaid(Option<Box<Seen>>),
    /// It is to be fetched, or its server must be asked first what it is: the long way.
    Long,
    /// It makes something stale: it is to be sent like any other, and settled then.
    Told(Write),
    /// It is to be sent to its server like any other.
    Onward,
}

/// Looks a message up in the first tier.
pub(in crate::gateway) fn look(
    said: &fields::Client<'_>,
    exchange: &mut Exchange,
    server: &Server,
    client: Option<&Arc<Client>>,
    call: &Call<'_>,
) -> Quick {
    if !role::concerns(call.method) {
        return Quick::Onward;
    }
    if let Some(is_skipped) = role::is_apart(&exchange.live, server, call.method) {
        if is_skipped {
            exchange.live.cache.count(Found::Skip);
        }
        return Quick::Onward;
    }
    let capabilities = match (call.era, client) {
        (Era::Modern, _) => call.capabilities.unwrap_or("{}"),
        (Era::Legacy, Some(client)) => &client.opening.capabilities,
        (Era::Legacy, None) => "{}",
    };
    let tenancy = exchange.tenancy();
    let group = said.group();
    let now = Instant::now();
    let asked = Asked {
        method: call.method,
        target: call.target.as_ref().map(|target| target.name()),
        params: call.message.params_text,
        agreed: match client {
            Some(client) => Some(client.opening.revision),
            None => cached::agreed(None, said.mcp.protocol_version),
        },
        // Of calls nobody asks: what is promised of them is the operator's word.
        is_promised: call.method != Mcp::ToolsCall && role::is_promised(server, call.era, client),
        capabilities,
        group: group.as_deref(),
        credential: server
            .forwards_authorization
            .then(|| said.text(&AUTHORIZATION))
            .flatten(),
        principal: &exchange.subject,
        tenant: tenancy.shared(),
        isolated: tenancy.isolated(),
        now,
    };
    let live = Arc::clone(&exchange.live);
    let mut role = role::at_once(&live, server, &asked);
    if matches!(role, Some(Role::Read(_))) && !is_plain(said, server, &asked, call.era) {
        // Its server says what is wrong, or what the headers mean.
        role = role.map(Role::without_reading);
    }
    let told = |reach| Quick::Told(Write::new(&live, server, reach));
    match (role, call.id()) {
        (Some(Role::None), _) => Quick::Onward,
        (Some(Role::Skip), _) => {
            live.cache.count(Found::Skip);
            Quick::Onward
        }
        (Some(Role::Guess(reach) | Role::Write(reach)), _) => {
            live.cache.count(Found::Skip);
            told(reach)
        }
        (Some(Role::Read(read)), Some(id)) => match live.cache.find(read.keys(), now) {
            Some((entry, Freshness::Fresh { .. })) => {
                give::note(exchange, &entry, Given::Hit, now);
                ear::attend(server, call.method);
                let text = give::text(id, &entry, call.era, server, None, now);
                live.cache.memory.weigh(&entry);
                Quick::Hit(text.into())
            }
            Some(_) | None => Quick::Long,
        },
        (None, Some(_)) => Quick::Long,
        // It wants no answer: it goes as it is.
        (Some(Role::Read(read)), None) => read.effects.map_or(Quick::Onward, told),
        (None, None) => Quick::Onward,
    }
}

/// Whether a message's headers say nothing but what the rest of it says.
fn is_plain(said: &fields::Client<'_>, server: &Server, asked: &Asked<'_>, era: Era) -> bool {
    let is_mirrored =
        era == Era::Legacy || role::is_mirrored(server, asked, |name| said.text(name));
    is_mirrored && role::is_explained(server, asked, &said.mirrored(era))
}

/// Answers with what was found.
pub(in crate::gateway) async fn give(
    session: &mut Session,
    exchange: &mut Exchange,
    text: Bytes,
) -> Result<(), Ended> {
    exchange.outcome.status = Status::Success;
    let header = Head::new(200)
        .and_then(|head| head.json(exchange, &text))
        .map_err(|_| Ended::ClientGone)?;
    let sent = answer::send(session, header, text).await;
    sent.map_err(|_| Ended::ClientGone)
}
