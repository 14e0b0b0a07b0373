//! One server's messages in the names of the aggregated endpoint, and back.
//!
//! Nothing is parsed unless it holds what could need a change: most answers are looked through once
//! and left alone.
//!
//! **Invariant:** only names, URIs and task ids change, and only where the protocol has them; every
//! other member stays byte for byte.

use std::borrow::Cow;

use memchr::memmem;

use crate::json::object;
use crate::json::object::Object;
use crate::mcp::method::Method;
use crate::route::names::Naming;
use crate::route::names::Strategy;
use crate::route::uri;

/// What stands between a server's id and its task id. No server's id has it.
const TASK_SEPARATOR: char = '.';

/// The names of one server on the aggregated endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Namespace<'a> {
    /// How names are made.
    pub naming: &'a Naming,
    /// The server's id.
    pub server: &'a str,
}

/// What a completion is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// An argument of a prompt, by the prompt's name.
    Prompt(String),
    /// A variable of a resource template, by its URI template.
    Resource(String),
}

/// A request's params with its target spelled as the server spells it: the name of a tool or prompt,
/// the URI of a resource, the id of a task, or what a completion refers to. Nothing where the method
/// has no target or these params do not name one.
#[must_use]
pub fn params(method: Method, params: &str, inner: &str) -> Option<String> {
    let mut object = Object::read(params)?;
    let member = match method {
        Method::ToolsCall | Method::PromptsGet => "name",
        Method::ResourcesRead | Method::ResourcesSubscribe | Method::ResourcesUnsubscribe => "uri",
        Method::Tasks => "taskId",
        Method::CompletionComplete => {
            // A reference that is understood has the member that its type asks for.
            let member = match referred(&object)? {
                Reference::Prompt(_) => "name",
                Reference::Resource(_) => "uri",
            };
            edit(&mut object, "ref", |text| {
                let mut reference = Object::read(text)?;
                reference.set_text(member, inner);
                Some(reference.write())
            })?;
            return Some(object.write());
        }
        Method::Initialize
        | Method::Ping
        | Method::ServerDiscover
        | Method::ToolsList
        | Method::PromptsList
        | Method::ResourcesList
        | Method::ResourcesTemplatesList
        | Method::LoggingSetLevel
        | Method::SubscriptionsListen
        | Method::Cancelled
        | Method::Notification
        | Method::Other => return None,
    };
    map(&mut object, member, |_| inner.to_owned())?;
    Some(object.write())
}

/// What the params of `completion/complete` refer to.
#[must_use]
pub fn reference(params: &str) -> Option<Reference> {
    referred(&Object::read(params)?)
}

/// A result as clients of the aggregated endpoint see it; nothing where it stays as it is.
///
/// Mapped are the URIs of resource links and embedded resources in tool results and prompts, of
/// resource contents, and the ids of tasks. What a server asks of the client stays.
#[must_use]
pub fn result(ns: Namespace<'_>, method: Method, result: &str) -> Option<String> {
    match method {
        Method::ToolsCall => outcome(ns, result, "content", blocks),
        Method::PromptsGet => outcome(ns, result, "messages", messages),
        Method::ResourcesRead => outcome(ns, result, "contents", contents),
        Method::Tasks => task(ns, result),
        Method::Initialize
        | Method::Ping
        | Method::ServerDiscover
        | Method::ToolsList
        | Method::PromptsList
        | Method::ResourcesList
        | Method::ResourcesTemplatesList
        | Method::ResourcesSubscribe
        | Method::ResourcesUnsubscribe
        | Method::CompletionComplete
        | Method::LoggingSetLevel
        | Method::SubscriptionsListen
        | Method::Cancelled
        | Method::Notification
        | Method::Other => None,
    }
}

/// The params of a server's notification as clients of the aggregated endpoint see them; nothing
/// where they stay as they are.
#[must_use]
pub fn notification(ns: Namespace<'_>, method: &str, params: &str) -> Option<String> {
    match method {
        "notifications/resources/updated" => addressed(ns, params),
        "notifications/tasks" | "notifications/tasks/status" => task(ns, params),
        _ => None,
    }
}

/// A server's task id on the aggregated endpoint. It names its server whatever the strategy for
/// names: there is no list to look a task up in.
#[must_use]
pub fn task_outer(ns: Namespace<'_>, task_id: &str) -> String {
    format!("{}{TASK_SEPARATOR}{task_id}", ns.server)
}

/// The configured server and its own task id, of one that [`task_outer`] made.
#[must_use]
pub fn task_split<'n>(naming: &'n Naming, outer: &'n str) -> Option<(&'n str, &'n str)> {
    let (server, inner) = outer.split_once(TASK_SEPARATOR)?;
    Some((naming.server(server)?, inner))
}

fn referred(params: &Object<'_>) -> Option<Reference> {
    let reference = Object::read(params.get("ref")?)?;
    match reference.text("type")?.as_ref() {
        "ref/prompt" => Some(Reference::Prompt(reference.text("name")?.into_owned())),
        "ref/resource" => Some(Reference::Resource(reference.text("uri")?.into_owned())),
        _ => None,
    }
}

/// Whether a text may hold a member that is mapped. It looks for the quoted name, and for letters
/// written as escapes, which could spell one.
#[must_use]
pub fn may_change(ns: Namespace<'_>, text: &str) -> bool {
    let text = text.as_bytes();
    let has_uri = || match ns.naming.strategy() {
        Strategy::Prefix => memmem::find(text, br#""uri""#).is_some(),
        Strategy::None => false,
    };
    has_uri()
        || memmem::find(text, br#""taskId""#).is_some()
        || memmem::find_iter(text, br"\u00").any(|at| matches!(text.get(at + 4), Some(b'4'..=b'7')))
}

/// A result that may be a task or a question instead. `f` maps the member that holds its content.
fn outcome(
    ns: Namespace<'_>,
    text: &str,
    member: &'static str,
    f: fn(Namespace<'_>, &str) -> Option<String>,
) -> Option<String> {
    if !may_change(ns, text) {
        return None;
    }
    let mut result = Object::read(text)?;
    let kind = result.text("resultType").map(Cow::into_owned);
    match kind.as_deref() {
        Some("input_required") => return None,
        Some("task") => map(&mut result, "taskId", |id| task_outer(ns, id))?,
        Some(_) | None => edit(&mut result, member, |text| f(ns, text))?,
    }
    Some(result.write())
}

/// A task with its id mapped, and its result where it has one: a task is a tool call that lasts.
fn task(ns: Namespace<'_>, text: &str) -> Option<String> {
    if !may_change(ns, text) {
        return None;
    }
    let mut task = Object::read(text)?;
    let id = map(&mut task, "taskId", |id| task_outer(ns, id));
    let result = edit(&mut task, "result", |text| {
        outcome(ns, text, "content", blocks)
    });
    id.or(result)?;
    Some(task.write())
}

/// The messages of a prompt.
fn messages(ns: Namespace<'_>, text: &str) -> Option<String> {
    each(text, |message| {
        let mut message = Object::read(message)?;
        edit(&mut message, "content", |content| blocks(ns, content))?;
        Some(message.write())
    })
}

/// The contents of a resource.
fn contents(ns: Namespace<'_>, text: &str) -> Option<String> {
    each(text, |content| addressed(ns, content))
}

/// A content block, or an array of them.
fn blocks(ns: Namespace<'_>, text: &str) -> Option<String> {
    each(text, |element| block(ns, element)).or_else(|| block(ns, text))
}

fn block(ns: Namespace<'_>, text: &str) -> Option<String> {
    let mut block = Object::read(text)?;
    let kind = block.text("type").map(Cow::into_owned);
    match kind.as_deref() {
        Some("resource_link") => address(ns, &mut block)?,
        Some("resource") => edit(&mut block, "resource", |text| addressed(ns, text))?,
        Some(_) | None => return None,
    }
    Some(block.write())
}

/// An object with its `uri` mapped.
fn addressed(ns: Namespace<'_>, text: &str) -> Option<String> {
    let mut object = Object::read(text)?;
    address(ns, &mut object)?;
    Some(object.write())
}

/// Maps the `uri` of an object; nothing where URIs stay bare.
fn address(ns: Namespace<'_>, object: &mut Object<'_>) -> Option<()> {
    match ns.naming.strategy() {
        Strategy::Prefix => map(object, "uri", |inner| uri::outer(ns.server, inner)),
        Strategy::None => None,
    }
}

/// Maps the text of one member; nothing where there is no such text.
fn map(
    object: &mut Object<'_>,
    member: &'static str,
    f: impl FnOnce(&str) -> String,
) -> Option<()> {
    let mapped = f(&object.text(member)?);
    object.set_text(member, &mapped);
    Some(())
}

/// Changes the JSON text of one member; nothing where `f` changes nothing.
fn edit(
    object: &mut Object<'_>,
    member: &'static str,
    f: impl FnOnce(&str) -> Option<String>,
) -> Option<()> {
    let edited = f(object.get(member)?)?;
    object.set(member, edited);
    Some(())
}

/// Changes the elements of an array; nothing where `f` changes none.
fn each(array: &str, f: impl Fn(&str) -> Option<String>) -> Option<String> {
    let mut is_changed = false;
    let elements = object::elements(array)?.into_iter().map(|element| {
        let edited = f(element);
        is_changed |= edited.is_some();
        edited.map_or(Cow::Borrowed(element), Cow::Owned)
    });
    let edited = object::array(elements);
    is_changed.then_some(edited)
}

#[cfg(test)]
mod tests;
