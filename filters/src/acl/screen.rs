//! What of a server's own words a caller is shown: lists without what it may not use, and no news of
//! resources that it may not read.
//!
//! **Invariant:** what cannot be read in one way only is not shown: a member that stands twice or has
//! another's name but for case, a name that is no Unicode, what is no object where one belongs.

use std::borrow::Cow;

use crate::acl::view::{Item, View};
use crate::json::object::{self, Object};
use crate::mcp::list::Kind;

/// What is shown of an answer that cannot be read.
const NO_ANSWER: &str =
    r#"{"jsonrpc":"2.0","error":{"code":-31502,"message":"the server answered what is not MCP"}}"#;

/// What becomes of a server's message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// It is shown as it is.
    AsIs,
    /// This is shown in its place.
    Changed(String),
    /// It is not shown.
    Hidden,
}

/// A result with lists of these kinds, without the items that are not permitted.
///
/// What is left is for this caller: it is said to be private, whatever the server says.
#[must_use]
pub fn result(view: &View<'_>, kinds: &[Kind], result: &str) -> Shown {
    let Some(mut object) = Object::read(result) else {
        return Shown::Hidden;
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

/// A server's answer to a list request; nothing where all of it may be shown.
#[must_use]
pub fn answer(view: &View<'_>, kind: Kind, message: &str) -> Option<String> {
    match screened(view, &[kind], message) {
        Shown::AsIs => None,
        Shown::Changed(text) => Some(text),
        Shown::Hidden => Some(NO_ANSWER.to_owned()),
    }
}

/// The URI of a resource that a message tells news of; nothing where it tells of none, and an empty
/// one where it does not say of which, or not in one way only.
#[must_use]
pub fn news(message: &str) -> Option<String> {
    let message = Object::read(message)?;
    if !message.is_clear("method") {
        return Some(String::new());
    }
    if message.text("method")? != "notifications/resources/updated" {
        return None;
    }
    let params = message.get("params").and_then(Object::read);
    let params = params.filter(|params| message.is_clear("params") && params.is_clear("uri"));
    let uri = params.and_then(|params| params.text("uri").map(Cow::into_owned));
    Some(uri.unwrap_or_default())
}

/// A message on a stream that brings whatever a server has to say, answers to lists included.
#[must_use]
pub fn message(view: &View<'_>, text: &str) -> Shown {
    screened(view, &Kind::ALL, text)
}

/// One message or a batch; an event may also be empty.
fn screened(view: &View<'_>, kinds: &[Kind], text: &str) -> Shown {
    if text.trim().is_empty() {
        return Shown::AsIs;
    }
    let Some(messages) = object::elements(text) else {
        return one(view, kinds, text);
    };
    let mut messages = messages.into_iter();
    match messages.all(|text| one(view, kinds, text) == Shown::AsIs) {
        true => Shown::AsIs,
        false => Shown::Hidden,
    }
}

fn one(view: &View<'_>, kinds: &[Kind], text: &str) -> Shown {
    let Some(mut message) = Object::read(text).filter(|one| one.is_clear("result")) else {
        return Shown::Hidden;
    };
    if let Some(uri) = news(text)
        && (uri.is_empty() || !view.permits(Item::Resource(&uri)))
    {
        return Shown::Hidden;
    }
    match message.get("result").map(|text| result(view, kinds, text)) {
        Some(Shown::Changed(result)) => {
            message.set("result", result);
            Shown::Changed(message.write())
        }
        Some(shown @ (Shown::AsIs | Shown::Hidden)) => shown,
        None => Shown::AsIs,
    }
}
