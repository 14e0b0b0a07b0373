//! What of a server's own words a caller is shown: lists without what it may not use, and no news of
//! resources that it may not read.
//!
//! **Invariant:** what cannot be read in one way only is not shown: a member that stands twice or has
//! another's name but for case, a name that is no Unicode, what is no object where one belongs
//! (`fuzz::screen`).

use crate::acl::view::{Item, View};
use crate::json::object::{self, Object};
use crate::mcp::list::Kind;
use crate::rpc::parse::{self, Answer, Body};

/// What a server says where news of a resource is told.
const UPDATED: &str = "notifications/resources/updated";

/// What becomes of a server's message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// It is shown as it is.
    AsIs,
    /// This is shown in its place.
    Changed(String),
    /// It is not shown: the caller may not know of it.
    Hidden,
    /// It is not shown: it cannot be read in one way only.
    Unclear,
}

/// What news of resources a message tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// None.
    Nothing,
    /// News of the resource with this URI.
    Of(String),
    /// Nobody can tell: it is no message that all readers take for the same.
    Unclear,
}

/// A result with lists of these kinds, without the items that are not permitted.
///
/// What is left is for this caller: it is said to be private, whatever the server says.
#[must_use]
pub fn result(view: &View<'_>, kinds: &[Kind], result: &str) -> Shown {
    let Some(mut object) = Object::read(result) else {
        return Shown::Unclear;
    };
    let (mut is_list, mut is_changed) = (false, false);
    for kind in kinds {
        is_changed |= list(view, *kind, &mut object);
        is_list |= object.get(kind.member()).is_some();
    }
    let scope = "cacheScope";
    let is_public = object.text(scope).as_deref() == Some("public");
    if is_list && (is_public || !object.is_clear(scope)) {
        object.retain(|name| name == scope || !object::is_alike(name, scope));
        object.set_text(scope, "private");
        is_changed = true;
    }
    match is_changed {
        true => Shown::Changed(object.write()),
        false => Shown::AsIs,
    }
}

/// Takes out of a list what is not permitted; whether there was any such thing.
fn list(view: &View<'_>, kind: Kind, object: &mut Object<'_>) -> bool {
    let member = kind.member();
    let is_clear = object.is_clear(member);
    if !is_clear {
        object.retain(|name| name == member || !object::is_alike(name, member));
    }
    let Some(text) = object.get(member) else {
        return !is_clear;
    };
    let items = object::elements(text);
    let is_list = items.is_some();
    // What is no list shows nothing.
    let items = items.unwrap_or_default();
    let shown = items.iter().filter(|item| shows(view, kind, item));
    let kept: Vec<&str> = shown.copied().collect();
    if is_list && is_clear && kept.len() == items.len() {
        return false;
    }
    let kept = object::array(kept);
    object.set(member, kept);
    true
}

fn shows(view: &View<'_>, kind: Kind, item: &str) -> bool {
    Object::read(item).is_some_and(|item| {
        let key = item.text(kind.key());
        item.is_clear(kind.key()) && key.is_some_and(|key| view.permits(Item::of(kind, &key)))
    })
}

/// A server's answer to a list request.
#[must_use]
pub fn answer(view: &View<'_>, kind: Kind, message: &str) -> Shown {
    one(view, &[kind], message)
}

/// The news of a resource that a message tells.
#[must_use]
pub fn news(message: &str) -> News {
    let Ok(message) = parse::message(message) else {
        return News::Unclear;
    };
    let (Some(UPDATED), Some(params)) = (message.method(), message.params()) else {
        return News::Nothing;
    };
    let uri = params.uri.filter(|_| !params.has_lookalike);
    match uri.and_then(parse::string) {
        Some(uri) => News::Of(uri.into_owned()),
        None => News::Unclear,
    }
}

/// A message on a stream that brings whatever a server has to say, answers to lists included; an event
/// may also be empty, or a batch.
#[must_use]
pub fn message(view: &View<'_>, text: &str) -> Shown {
    if text.trim().is_empty() {
        return Shown::AsIs;
    }
    let Some(messages) = object::elements(text) else {
        return one(view, &Kind::ALL, text);
    };
    let mut all = Shown::AsIs;
    for text in messages {
        match one(view, &Kind::ALL, text) {
            Shown::AsIs => {}
            Shown::Unclear => return Shown::Unclear,
            Shown::Changed(_) | Shown::Hidden => all = Shown::Hidden,
        }
    }
    all
}

fn one(view: &View<'_>, kinds: &[Kind], text: &str) -> Shown {
    match news(text) {
        News::Unclear => return Shown::Unclear,
        News::Of(uri) if !view.permits(Item::Resource(&uri)) => return Shown::Hidden,
        News::Nothing | News::Of(_) => {}
    }
    let Ok(message) = parse::message(text) else {
        return Shown::Unclear;
    };
    let Body::Response {
        answer: Answer::Result(given),
        ..
    } = message.body
    else {
        return Shown::AsIs;
    };
    match (result(view, kinds, given.get()), Object::read(text)) {
        (Shown::Changed(result), Some(mut message)) => {
            message.set("result", result);
            Shown::Changed(message.write())
        }
        (Shown::Changed(_), None) => Shown::Unclear,
        (shown @ (Shown::AsIs | Shown::Hidden | Shown::Unclear), _) => shown,
    }
}
