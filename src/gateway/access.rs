//! Where the access rules meet the data plane: what a message may do, which servers its caller may
//! know of, and what of their answers it is shown.
//!
//! **Invariant:** whatever is denied, or would be, is counted here, and nowhere else.

use std::sync::Arc;

use bytes::Bytes;
use filters::acl::denial::{Act, Denial};
use filters::acl::need::Need;
use filters::acl::screen::{self, Shown};
use filters::acl::view::{Item, View};
use filters::acl::{self, Permit};
use filters::identity::Principal;
use filters::mcp::call::Call;
use filters::mcp::list::Kind;
use filters::mcp::method::Method;
use filters::refusal::Refusal;
use filters::route::EVERYTHING;
use filters::route::merge::Entry;
use filters::route::names::Strategy;
use filters::route::uri;
use filters::sse::blocks;
use filters::sse::decode::Decoder;
use filters::sse::write;
use memchr::memmem;

use crate::gateway::exchange::Exchange;
use crate::gateway::locked::{self, Eye};
use crate::gateway::pipeline::tool_of;
use crate::gateway::{Ended, admit};
use crate::state::snapshot::{Acl, Profile, Server};
use crate::telemetry::metrics::denials::Target;

/// Longest event of a screened stream that is read to see what it says, in bytes.
pub(super) const EVENT_BYTES_MAX: usize = 16 * 1024 * 1024;

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
    let permit = grant(exchange, server, need)?;
    // After the rules: a server that they hide has no scopes to ask for.
    let tool = call.and_then(|call| Some(inner.unwrap_or(tool_of(call)?)));
    admit::check(exchange, &server.id, tool)?;
    Ok(permit)
}

/// Decides whether the caller may do at `server` what `need` says.
///
/// # Errors
/// The refusal of what is denied.
pub(super) fn grant<'n>(
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
                    target.name = %denial.name,
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
        if view.permits(Item::of(kind, &entry.inner)) {
            shown.push(entry);
        }
    }
    Some(shown)
}

/// What a caller is shown of what servers say, where that may not be all.
#[derive(Clone)]
pub(super) struct Screen {
    acl: Arc<Acl>,
    principal: Arc<Principal>,
    place: Place,
    /// What looks at the server's tools.
    eye: Option<Eye>,
}

/// Whose words are screened.
#[derive(Clone)]
enum Place {
    /// One server's; with the list that it was asked for.
    One(Arc<str>, Option<Kind>),
    /// Those of several, in the caller's spelling.
    Several(Arc<Profile>),
}

impl Screen {
    /// The screen for what one server says to a message; nothing where all of it may be shown.
    pub(super) fn one(exchange: &Exchange, server: &Server, method: Method) -> Option<Self> {
        let list = Kind::of(method).filter(|_| hides_some(exchange, server, method));
        let place = Place::One(Arc::clone(&server.id), list);
        let eye = list.filter(|list| *list == Kind::Tools);
        let eye = eye.and_then(|_| Eye::of(exchange, server));
        Self::at(exchange, place, eye, |view| {
            list.is_none() && view.is_all_of(Kind::Resources)
        })
    }

    /// The screen for a stream that brings whatever one server has to say.
    pub(super) fn stream(exchange: &Exchange, server: &Server) -> Option<Self> {
        let place = Place::One(Arc::clone(&server.id), None);
        let eye = Eye::of(exchange, server);
        Self::at(exchange, place, eye, |view| view.is_all())
    }

    /// The screen for what several servers say.
    pub(super) fn several(exchange: &Exchange, profile: &Arc<Profile>) -> Option<Self> {
        let place = Place::Several(Arc::clone(profile));
        Self::at(exchange, place, None, |view| {
            view.is_all_of(Kind::Resources)
        })
    }

    fn at(
        exchange: &Exchange,
        place: Place,
        eye: Option<Eye>,
        is_open: impl Fn(&View<'_>) -> bool,
    ) -> Option<Self> {
        let acl = &exchange.snapshot.acl;
        if !acl.rules.is_enforced() && eye.is_none() {
            return None;
        }
        let is_open = |server: &str| is_open(&acl.rules.view(&exchange.principal, server));
        let is_needless = match &place {
            Place::One(server, _) => is_open(server),
            Place::Several(profile) => profile.servers.iter().all(|server| is_open(&server.id)),
        };
        (eye.is_some() || !is_needless).then(|| Self {
            acl: Arc::clone(acl),
            principal: Arc::clone(&exchange.principal),
            place,
            eye,
        })
    }

    fn view<'a>(&'a self, server: &'a str) -> View<'a> {
        self.acl.rules.view(&self.principal, server)
    }

    /// A server's answer as the caller may see it; nothing where that is all of it.
    pub(super) fn answer(&self, text: &str) -> Option<String> {
        match &self.place {
            Place::One(server, Some(kind)) => {
                let locked = self.eye.as_ref().and_then(|eye| eye.answer(text));
                let view = self.view(server);
                let current = locked.as_deref().unwrap_or(text);
                let shown = (!view.is_all_of(*kind)).then(|| screen::answer(&view, *kind, current));
                shown.flatten().or(locked)
            }
            Place::One(_, None) | Place::Several(_) => None,
        }
    }

    /// Whether a message tells of what the caller may not know of.
    pub(super) fn hides(&self, text: &str) -> bool {
        // Its name may be written with escapes.
        let may_tell = |part: &[u8]| memmem::find(text.as_bytes(), part).is_some();
        if !may_tell(b"updated") && !may_tell(br"\u") {
            return false;
        }
        let Some(uri) = screen::news(text) else {
            return false;
        };
        match &self.place {
            Place::One(server, _) => !self.view(server).permits(Item::Resource(&uri)),
            Place::Several(profile) => !self.permits_outer(profile, &uri),
        }
    }

    /// Whether a resource of one of several servers is permitted, by the name that callers know it by.
    /// Where names do not tell the server, it may be any's.
    fn permits_outer(&self, profile: &Profile, outer: &str) -> bool {
        let permits = |server: &str, uri| self.view(server).permits(Item::Resource(uri));
        match profile.naming.strategy() {
            Strategy::Prefix => uri::split(outer).is_some_and(|(server, inner)| {
                let server = profile.server(&server);
                server.is_some_and(|server| permits(&server.id, inner))
            }),
            Strategy::None => {
                let mut servers = profile.servers.iter();
                servers.any(|server| permits(&server.id, outer))
            }
        }
    }

    /// Events of a server's stream as the caller may see them. The first of them may have begun
    /// before: what is no whole event passes as it is.
    pub(super) fn events(&self, bytes: Bytes, begins_inside: bool) -> Bytes {
        let Place::One(server, _) = &self.place else {
            return bytes;
        };
        let view = self.view(server);
        let mut kept = Vec::with_capacity(bytes.len());
        for (index, block) in blocks::of(&bytes).enumerate() {
            let is_part = (index == 0 && begins_inside) || !block.is_whole;
            match self.shown_event(&view, block.bytes).filter(|_| !is_part) {
                None | Some(Shown::AsIs) => kept.extend_from_slice(block.bytes),
                Some(Shown::Changed(text)) => {
                    blocks::fields(block.bytes).for_each(|line| kept.extend_from_slice(line));
                    kept.extend_from_slice(write::message(&text).as_bytes());
                }
                Some(Shown::Hidden) => {}
            }
        }
        kept.into()
    }

    /// What becomes of an event; nothing where it is none.
    fn shown_event(&self, view: &View<'_>, block: &[u8]) -> Option<Shown> {
        let mut decoder = Decoder::new(EVENT_BYTES_MAX);
        decoder.feed(block);
        let data = decoder.next_event()?.ok()?;
        let locked = match &self.eye {
            Some(eye) if !data.is_empty() => eye.message(&data),
            Some(_) | None => Shown::AsIs,
        };
        let current = match &locked {
            Shown::AsIs => &*data,
            Shown::Changed(text) => text,
            Shown::Hidden => return Some(Shown::Hidden),
        };
        if view.is_all() {
            return Some(locked);
        }
        match screen::message(view, current) {
            Shown::AsIs => Some(locked),
            screened @ (Shown::Changed(_) | Shown::Hidden) => Some(screened),
        }
    }
}
