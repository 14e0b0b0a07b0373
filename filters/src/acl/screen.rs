//! What of a server's own words a caller is shown: lists without what it may not use, and no news of
//! resources that it may not read.

use std::borrow::Cow;

use crate::acl::view::{Item, View};
use crate::json::object::{self, Object};
use crate::mcp::list::{self, Kind};
use crate::rpc::parse::{self, Answer, Body};

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

/// A list result without the items that are not permitted; nothing where all of it may be shown.
///
/// What is left is for this caller: it is said to be private, whatever the server says.
#[must_use]
pub fn result(view: &View<'_>, kind: Kind, result: &str) -> Option<String> {
    let mut object = Object::read(result)?;
    let member = kind.member();
    let n_members = object.members().filter(|(name, _)| *name == member).count();
    let items = object::elements(object.get(member)?);
    let is_list = items.is_some();
    // What is no list shows nothing.
    let items = items.unwrap_or_default();
    let kept: Vec<&str> = items
        .iter()
        .copied()
        .filter(|item| shows(view, kind, item))
        .collect();
    let is_whole = is_list && kept.len() == items.len() && n_members == 1;
    let is_public = object.text("cacheScope").as_deref() == Some("public");
    if is_whole && !is_public {
        return None;
    }
    let kept = object::array(kept);
    object.set(member, kept);
    if is_public {
        object.set_text("cacheScope", "private");
    }
    Some(object.write())
}

fn shows(view: &View<'_>, kind: Kind, item: &str) -> bool {
    list::identify(kind, item).is_some_and(|key| view.permits(Item::of(kind, &key)))
}

/// A server's answer to a list request; nothing where all of it may be shown.
#[must_use]
pub fn answer(view: &View<'_>, kind: Kind, message: &str) -> Option<String> {
    let mut object = Object::read(message)?;
    let screened = result(view, kind, object.get("result")?)?;
    object.set("result", screened);
    Some(object.write())
}

/// The URI of a resource that a message tells news of; nothing where it tells of none, and an empty
/// one where it does not say of which.
#[must_use]
pub fn news(message: &str) -> Option<String> {
    let message = Object::read(message)?;
    if message.text("method")? != "notifications/resources/updated" {
        return None;
    }
    let params = message.get("params").and_then(Object::read);
    let uri = params.and_then(|params| params.text("uri").map(Cow::into_owned));
    Some(uri.unwrap_or_default())
}

/// A message on a stream that brings whatever a server has to say, answers to lists included.
#[must_use]
pub fn message(view: &View<'_>, text: &str) -> Shown {
    let Ok(message) = parse::message(text) else {
        return Shown::AsIs;
    };
    match message.body {
        Body::Response {
            answer: Answer::Result(result),
            ..
        } => lists(view, text, result.get()),
        Body::Response { .. } | Body::Request { .. } => Shown::AsIs,
        Body::Notification { .. } => match news(text) {
            Some(uri) if !view.permits(Item::Resource(&uri)) => Shown::Hidden,
            Some(_) | None => Shown::AsIs,
        },
    }
}

/// An answer of which nobody knows what was asked.
fn lists(view: &View<'_>, text: &str, whole: &str) -> Shown {
    let mut screened: Option<String> = None;
    for kind in Kind::ALL {
        let current = screened.as_deref().unwrap_or(whole);
        screened = result(view, kind, current).or(screened);
    }
    match (screened, Object::read(text)) {
        (Some(result), Some(mut answer)) => {
            answer.set("result", result);
            Shown::Changed(answer.write())
        }
        (None, _) => Shown::AsIs,
        (Some(_), None) => Shown::Hidden,
    }
}
