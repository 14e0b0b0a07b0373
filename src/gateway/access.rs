//! Where the access rules meet the data plane: what a message may do, which servers its caller may
//! know of, and which of their items. What servers say besides, `gateway::screen` looks at.
//!
//! **Invariant:** whatever is denied, or would be, is counted here, and nowhere else.

use std::sync::Arc;

use filters::acl::denial::{Act, Denial};
use filters::acl::need::Need;
use filters::acl::view::{Item, View};
use filters::acl::{self, Permit};
use filters::json::redact;
use filters::mcp::call::Call;
use filters::mcp::list::Kind;
use filters::mcp::method::Method;
use filters::refusal::Refusal;
use filters::route::EVERYTHING;
use filters::route::merge::Entry;

use crate::gateway::exchange::Exchange;
use crate::gateway::locked;
use crate::gateway::pipeline::tool_of;
use crate::gateway::{Ended, admit};
use crate::state::snapshot::{Profile, Server};
use crate::telemetry::metrics::denials::Target;

/// Decides whether the caller may send `call` to `server`, where its target is called `inner` if that
/// is not what the caller calls it. Without a call, whether it may address the server at all.
///
/// # Errors
/// The refusal of what is denied.
pub(super) fn permit(
    exchange: &Exchange,
    server: &Server,
    call: Option<&Call<'_>>,
    inner: Option<&str>,
) -> Result<Permit, Ended> {
    let need = || match (call, inner) {
        (Some(call), Some(inner)) => Need::at(call, inner),
        (Some(call), None) => Need::of(call),
        (None, _) => Need::Server,
    };
    let tool = call.and_then(|call| Some(inner.unwrap_or(tool_of(call)?)));
    admit(exchange, server, tool, need)
}

/// Decides whether the caller may do at `server` what `need` says, and carries the scopes for it, and
/// for `tool` where that is what it calls.
///
/// # Errors
/// The refusal of what is denied.
pub(super) fn admit<'n>(
    exchange: &Exchange,
    server: &Server,
    tool: Option<&str>,
    need: impl FnOnce() -> Need<'n>,
) -> Result<Permit, Ended> {
    let permit = grant(exchange, server, need)?;
    // After the rules: a server that they hide has no scopes to ask for.
    admit::check(exchange, &server.id, tool)?;
    Ok(permit)
}

/// Decides whether the rules let the caller do at `server` what `need` says.
fn grant<'n>(
    exchange: &Exchange,
    server: &Server,
    need: impl FnOnce() -> Need<'n>,
) -> Result<Permit, Ended> {
    let rules = &exchange.snapshot.acl.rules;
    match acl::permit(rules, &exchange.principal, &server.id, need) {
        Ok(permit) => {
            if let Some(denial) = permit.shadowed() {
                tracing::info!(
                    client.id = %denial.client,
                    server.id = %denial.server,
                    target.name = %redact::text(&denial.name),
                    rule = %denial.rule(),
                    "Access would be denied"
                );
                let label = label(server, denial);
                let denials = &exchange.live.metrics.denials;
                denials.count_shadowed(&denial.client, &server.id, label);
            }
            Ok(permit)
        }
        Err(refusal) => Err(refused(exchange, server, refusal)),
    }
}

/// What a caller is told of what it may not do, counted.
fn refused(exchange: &Exchange, server: &Server, refusal: Refusal) -> Ended {
    let denials = &exchange.live.metrics.denials;
    let client = &exchange.principal.client;
    let error = if let Refusal::AccessDenied(denial) = &refusal {
        denials.count(client, &server.id, label(server, denial));
        Some(denial.rule())
    } else if let Refusal::ServerUnknown { .. } = &refusal {
        denials.count(client, &server.id, Target::Other);
        Some("acl shows this client nothing of the server".to_owned())
    } else {
        None
    };
    Ended::Refused {
        refusal,
        id: None,
        error,
    }
}

/// The tool that a denial is counted for: one that its server has, as nobody can invent those.
fn label<'d>(server: &Server, denial: &'d Denial) -> Target<'d> {
    if denial.act != Act::Call {
        return Target::Other;
    }
    let known = server.catalogs.plain().known(Kind::Tools);
    match known.is_some_and(|listing| listing.find(&denial.name).is_some()) {
        true => Target::Tool(&denial.name),
        false => Target::UnknownTool,
    }
}

/// Makes sure that the caller may know of a server.
///
/// # Errors
/// What is said of a server that there is not.
pub(super) fn look(exchange: &Exchange, server: &Server) -> Result<(), Ended> {
    if sees(exchange, server) {
        return Ok(());
    }
    let server_id = server.id.to_string();
    let refusal = Refusal::ServerUnknown { server: server_id };
    Err(refused(exchange, server, refusal))
}

/// Whether the caller may know of a server.
pub(super) fn sees(exchange: &Exchange, server: &Server) -> bool {
    let rules = &exchange.snapshot.acl.rules;
    rules.sees(&exchange.principal, &server.id)
}

/// A profile as the caller may know of it: nothing where that is none of its servers, unless it is
/// the one of everything, which says nothing by being there.
pub(super) fn part(exchange: &Exchange, profile: &Arc<Profile>) -> Option<Arc<Profile>> {
    if !exchange.snapshot.acl.rules.is_enforced() {
        return Some(Arc::clone(profile));
    }
    let part = profile.part(|server| sees(exchange, server));
    let is_shown = !part.servers.is_empty() || profile.servers.is_empty();
    (is_shown || profile.id == EVERYTHING).then_some(part)
}

/// Whether a list that a server gives may have to be given without some of its items.
pub(super) fn hides_some(exchange: &Exchange, server: &Server, method: Method) -> bool {
    if method == Method::ToolsList && locked::is_on(exchange, server) {
        return true;
    }
    let acl = &exchange.snapshot.acl;
    let Some(kind) = Kind::of(method).filter(|_| acl.rules.is_enforced()) else {
        return false;
    };
    let view = acl.rules.view(&exchange.principal, &server.id);
    !view.is_all_of(kind)
}

/// The items of a merged list that the caller may use; nothing where those are all.
pub(super) fn shown<'m>(
    exchange: &Exchange,
    kind: Kind,
    entries: &'m [Entry],
) -> Option<Vec<&'m Entry>> {
    let acl = &exchange.snapshot.acl;
    if !acl.rules.is_enforced() {
        return None;
    }
    let mut views: Option<(&Arc<str>, View<'_>)> = None;
    let mut shown = Vec::with_capacity(entries.len());
    for entry in entries {
        // Those of one server stand together.
        let (_, view) = match views {
            Some(found) if Arc::ptr_eq(found.0, &entry.server) => found,
            Some(_) | None => {
                let view = acl.rules.view(&exchange.principal, &entry.server);
                *views.insert((&entry.server, view))
            }
        };
        // Of an item that has two names, the other one may be another's.
        let permits = || view.permits(Item::of(kind, &entry.inner));
        if view.is_all_of(kind) || (entry.is_clear && permits()) {
            shown.push(entry);
        }
    }
    Some(shown)
}
