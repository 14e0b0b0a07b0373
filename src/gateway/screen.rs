//! What a caller is shown of what servers say, where that may not be all: answers to list requests,
//! what is said before an answer, and whatever a stream brings.
//!
//! **Invariant:** where something may have to be hidden, only what can be read in one way is shown. A
//! caller from whom nothing is hidden has no screen, and pays nothing.

use std::sync::Arc;

use bytes::Bytes;
use filters::acl::screen::{self, News, Shown};
use filters::acl::view::{Item, View};
use filters::identity::Principal;
use filters::json::outcome::TopLevel;
use filters::mcp::list::Kind;
use filters::mcp::method::Method;
use filters::refusal::Refusal;
use filters::route::names::Strategy;
use filters::route::uri;
use filters::rpc::parse::{self, Body, Id};
use filters::sse::blocks::{self, Block};
use filters::sse::decode::Decoder;
use filters::sse::write;

use crate::gateway::access;
use crate::gateway::exchange::Exchange;
use crate::gateway::locked::Eye;
use crate::state::live::Live;
use crate::state::snapshot::{Acl, Profile, Server};

/// Longest event of a screened stream, in bytes: it is only passed on as a whole.
pub(super) const EVENT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What a caller is shown of what servers say, where that may not be all.
#[derive(Clone)]
pub(super) struct Screen {
    /// The access rules; nothing where they hide nothing.
    acl: Option<Arc<Acl>>,
    principal: Arc<Principal>,
    place: Place,
    /// What looks at the server's tools.
    eye: Option<Eye>,
    live: Arc<Live>,
    /// The id of the request that is answered, JSON text.
    id: Option<Box<str>>,
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
    /// The screen for what one server says to a message, which has this id; nothing where all of it
    /// may be shown.
    pub(super) fn one(
        exchange: &Exchange,
        server: &Server,
        method: Method,
        id: Option<&str>,
    ) -> Option<Self> {
        let hides_some = |_: &Kind| access::hides_some(exchange, server, method);
        let list = Kind::of(method).filter(hides_some);
        let place = Place::One(Arc::clone(&server.id), list);
        let eye = list.filter(|list| *list == Kind::Tools);
        let eye = eye.and_then(|_| Eye::of(exchange, server));
        let screen = Self::at(exchange, place, eye, |view| match list {
            Some(list) => view.is_all_of(list) && view.is_all_of(Kind::Resources),
            None => view.is_all_of(Kind::Resources),
        });
        screen.map(|screen| Self {
            id: id.map(Into::into),
            ..screen
        })
    }

    /// The screen for a stream that brings whatever one server has to say.
    pub(super) fn stream(exchange: &Exchange, server: &Server) -> Option<Self> {
        let place = Place::One(Arc::clone(&server.id), None);
        let eye = Eye::of(exchange, server);
        Self::at(exchange, place, eye, |view| view.is_all())
    }

    /// The screen for what several servers say.
    pub(super) fn several(
        exchange: &Exchange,
        profile: &Arc<Profile>,
        id: Option<&str>,
    ) -> Option<Self> {
        let place = Place::Several(Arc::clone(profile));
        let screen = Self::at(exchange, place, None, |view| {
            view.is_all_of(Kind::Resources)
        });
        screen.map(|screen| Self {
            id: id.map(Into::into),
            ..screen
        })
    }

    fn at(
        exchange: &Exchange,
        place: Place,
        eye: Option<Eye>,
        is_open: impl Fn(&View<'_>) -> bool,
    ) -> Option<Self> {
        let acl = &exchange.snapshot.acl;
        let is_open = |server: &str| is_open(&acl.rules.view(&exchange.principal, server));
        // Rules that are only rehearsed hide nothing.
        let hides = acl.rules.is_enforced()
            && match &place {
                Place::One(server, _) => !is_open(server),
                Place::Several(profile) => profile.servers.iter().any(|one| !is_open(&one.id)),
            };
        (hides || eye.is_some()).then(|| Self {
            acl: hides.then(|| Arc::clone(acl)),
            principal: Arc::clone(&exchange.principal),
            place,
            eye,
            live: Arc::clone(&exchange.live),
            id: None,
        })
    }

    fn view<'a>(&'a self, server: &'a str) -> Option<View<'a>> {
        let acl = self.acl.as_ref()?;
        Some(acl.rules.view(&self.principal, server))
    }

    fn permits(&self, server: &str, uri: &str) -> bool {
        let view = self.view(server);
        view.is_none_or(|view| view.permits(Item::Resource(uri)))
    }

    /// Whether it hides anything, and does not only watch.
    fn is_binding(&self) -> bool {
        self.acl.is_some() || self.eye.as_ref().is_some_and(Eye::hides)
    }

    /// A server's answer as the caller may see it.
    pub(super) fn answer(&self, text: &[u8]) -> Shown {
        if !self.is_binding() {
            if let (Some(eye), Ok(text)) = (&self.eye, std::str::from_utf8(text)) {
                eye.answer(text);
            }
            return Shown::AsIs;
        }
        let Some(text) = response(text) else {
            return Shown::Unclear;
        };
        match &self.place {
            Place::One(server, Some(kind)) => {
                let locked = match &self.eye {
                    Some(eye) => eye.answer(text),
                    None => Shown::AsIs,
                };
                self.permitted(locked, server, text, |view, text| {
                    screen::answer(view, *kind, text)
                })
            }
            Place::One(_, None) | Place::Several(_) => Shown::AsIs,
        }
    }

    /// What the access rules leave of what the tool lock leaves.
    fn permitted(
        &self,
        locked: Shown,
        server: &str,
        text: &str,
        screened: impl FnOnce(&View<'_>, &str) -> Shown,
    ) -> Shown {
        let current = match &locked {
            Shown::AsIs => text,
            Shown::Changed(text) => text,
            Shown::Hidden | Shown::Unclear => return locked,
        };
        match self.view(server).map(|view| screened(&view, current)) {
            None | Some(Shown::AsIs) => locked,
            Some(shown @ (Shown::Changed(_) | Shown::Hidden | Shown::Unclear)) => shown,
        }
    }

    /// What a caller is told in the place of an answer that cannot be shown.
    pub(super) fn refusal(&self) -> Refusal {
        let server = match &self.place {
            Place::One(server, _) => &**server,
            Place::Several(profile) => &*profile.id,
        };
        Refusal::UpstreamBroken {
            server: server.to_owned(),
            what: "gave an answer that cannot be read in one way only, and some of it might be none \
                   of yours",
        }
    }

    /// The same, as a message; counted.
    pub(super) fn refused(&self) -> String {
        self.count();
        let id = self.id.as_deref().and_then(Id::from_json);
        self.refusal().to_json(id)
    }

    /// Counts what is not shown because it cannot be read in one way only.
    fn count(&self) {
        let server = match &self.place {
            Place::One(server, _) => &**server,
            Place::Several(_) => "",
        };
        self.live.metrics.denials.count_unclear(server);
    }

    /// Whether a message tells of what the caller may not know of, or nobody can tell.
    pub(super) fn hides(&self, text: &str) -> bool {
        if !self.is_binding() {
            return false;
        }
        match screen::news(text) {
            News::Nothing => false,
            News::Of(uri) => match &self.place {
                Place::One(server, _) => !self.permits(server, &uri),
                Place::Several(profile) => !self.permits_outer(profile, &uri),
            },
            News::Unclear => {
                self.count();
                true
            }
        }
    }

    /// Whether a resource of one of several servers is permitted, by the name that callers know it by.
    /// Where names do not tell the server, it may be any's.
    fn permits_outer(&self, profile: &Profile, outer: &str) -> bool {
        match profile.naming.strategy() {
            Strategy::Prefix => uri::split(outer).is_some_and(|(server, inner)| {
                let server = profile.server(&server);
                server.is_some_and(|server| self.permits(&server.id, inner))
            }),
            Strategy::None => {
                let mut servers = profile.servers.iter();
                servers.any(|server| self.permits(&server.id, outer))
            }
        }
    }

    /// Events of a server's stream as the caller may see them. An answer that is owed and cannot be
    /// shown becomes an error.
    pub(super) fn events(&self, bytes: Bytes) -> Bytes {
        let Place::One(server, _) = &self.place else {
            return bytes;
        };
        let mut kept = Vec::with_capacity(bytes.len());
        for block in blocks::of(&bytes) {
            match self.event(server, block) {
                Shown::AsIs => kept.extend_from_slice(block.bytes),
                Shown::Changed(text) => {
                    blocks::fields(block.bytes).for_each(|line| kept.extend_from_slice(line));
                    kept.extend_from_slice(write::message(&text).as_bytes());
                }
                Shown::Hidden | Shown::Unclear if self.is_owed(block) => {
                    kept.extend_from_slice(write::message(&self.refused()).as_bytes());
                }
                Shown::Unclear => self.count(),
                Shown::Hidden => {}
            }
        }
        kept.into()
    }

    /// What becomes of an event, or of what stands in the place of one.
    fn event(&self, server: &str, block: Block<'_>) -> Shown {
        let is_binding = self.is_binding();
        let data = data(block);
        if is_binding && (!block.is_whole || std::str::from_utf8(block.bytes).is_err()) {
            return Shown::Unclear;
        }
        let is_plain = !is_binding || blocks::is_plain(block.bytes);
        let Some(data) = data.filter(|data| !data.is_empty()) else {
            return if is_plain {
                Shown::AsIs
            } else {
                Shown::Unclear
            };
        };
        let locked = match &self.eye {
            Some(eye) => eye.message(&data),
            None => Shown::AsIs,
        };
        match self.permitted(locked, server, &data, screen::message) {
            // Its lines are written anew, so that all readers find the same ones.
            Shown::AsIs if !is_plain && parse::message(&data).is_ok() => Shown::Changed(data),
            Shown::AsIs if !is_plain => Shown::Unclear,
            shown @ (Shown::AsIs | Shown::Changed(_) | Shown::Hidden | Shown::Unclear) => shown,
        }
    }

    /// Whether an event is an answer that somebody waits for.
    fn is_owed(&self, block: Block<'_>) -> bool {
        let mut seen = TopLevel::default();
        seen.observe(data(block).unwrap_or_default().as_bytes());
        self.id.is_some() && seen.is_response()
    }
}

/// The data of an event; nothing where it has none.
fn data(block: Block<'_>) -> Option<String> {
    let mut decoder = Decoder::new(block.bytes.len());
    decoder.feed(block.bytes);
    decoder.next_event()?.ok()
}

/// The text of an answer that all readers take for one.
fn response(text: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(text).ok()?;
    let message = parse::message(text).ok()?;
    matches!(message.body, Body::Response { .. }).then_some(text)
}
