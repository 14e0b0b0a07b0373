//! What a message needs to be permitted.
//!
//! **Invariant:** what is looked at is what its server will look at: a member that stands twice, where
//! two readers could each take another one, names nothing.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::acl::view::Item;
use crate::json::object::{self, Object};
use crate::mcp::call::{Call, Target};
use crate::mcp::method::Method;
use crate::rpc::parse::{self, Body};

/// What a message needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need<'a> {
    /// That anything of the server is permitted: it names nothing.
    Server,
    /// That this is.
    Item(Named<'a>),
    /// That these resources are, and tasks if it names some.
    Listen {
        /// The URIs.
        uris: Vec<Cow<'a, str>>,
        /// Whether it names tasks.
        has_tasks: bool,
    },
    /// That any tool is: tasks are what tools do.
    Task,
    /// That everything of the server is: nobody here knows what a method of this name does.
    Everything(Cow<'a, str>),
    /// It should name something, and does not: what is missing.
    Unnamed(&'static str),
}

/// An [`Item`] that may own its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named<'a> {
    /// A tool, by name.
    Tool(Cow<'a, str>),
    /// A prompt, by name.
    Prompt(Cow<'a, str>),
    /// A resource, by URI.
    Resource(Cow<'a, str>),
    /// A resource template, by its text.
    Template(Cow<'a, str>),
}

impl Named<'_> {
    /// The item.
    #[must_use]
    pub fn as_item(&self) -> Item<'_> {
        match self {
            Self::Tool(name) => Item::Tool(name),
            Self::Prompt(name) => Item::Prompt(name),
            Self::Resource(uri) => Item::Resource(uri),
            Self::Template(text) => Item::Template(text),
        }
    }
}

impl<'a> Need<'a> {
    /// What a call needs at the server that it is sent to as it is.
    #[must_use]
    pub fn of(call: &'a Call<'_>) -> Self {
        if matches!(call.message.body, Body::Response { .. }) {
            return Self::Server;
        }
        let target = call.target.as_ref();
        let params = call.message.params_text;
        Self::read(call.method, call.message.method(), target, params)
    }

    /// What a call needs that is sent to a server where its target is called `inner`.
    #[must_use]
    pub fn at(call: &'a Call<'_>, inner: &'a str) -> Self {
        match Self::of(call) {
            Self::Item(Named::Tool(_)) => Self::Item(Named::Tool(inner.into())),
            Self::Item(Named::Prompt(_)) => Self::Item(Named::Prompt(inner.into())),
            Self::Item(Named::Resource(_)) => Self::Item(Named::Resource(inner.into())),
            Self::Item(Named::Template(_)) => Self::Item(Named::Template(inner.into())),
            other @ (Self::Server
            | Self::Listen { .. }
            | Self::Task
            | Self::Everything(_)
            | Self::Unnamed(_)) => other,
        }
    }

    fn read(
        method: Method,
        name: Option<&'a str>,
        target: Option<&'a Target<'_>>,
        params: Option<&'a str>,
    ) -> Self {
        let target = target.and_then(|target| match target {
            Target::Tool(name) => Some(Named::Tool(name.as_ref().into())),
            Target::Prompt(name) => Some(Named::Prompt(name.as_ref().into())),
            Target::Resource(uri) => Some(Named::Resource(uri.as_ref().into())),
            Target::Task(_) => None,
        });
        let named = |missing| target.map_or(Self::Unnamed(missing), Self::Item);
        match method {
            Method::ToolsCall | Method::PromptsGet => named("`name` is missing"),
            Method::ResourcesRead | Method::ResourcesSubscribe => named("`uri` is missing"),
            Method::CompletionComplete => params.and_then(referred).map_or(
                Self::Unnamed("`ref` must name a prompt or a resource template, and once"),
                Self::Item,
            ),
            Method::SubscriptionsListen => params.and_then(listened).unwrap_or(Self::Unnamed(
                "`notifications` must be an object, and stand once",
            )),
            Method::Tasks => Self::Task,
            Method::Other => Self::Everything(name.unwrap_or_default().into()),
            Method::Initialize
            | Method::Ping
            | Method::ServerDiscover
            | Method::ToolsList
            | Method::PromptsList
            | Method::ResourcesList
            | Method::ResourcesTemplatesList
            // It only takes something away.
            | Method::ResourcesUnsubscribe
            | Method::LoggingSetLevel
            | Method::Cancelled
            | Method::Notification => Self::Server,
        }
    }
}

/// The params of `completion/complete`. A derived reader refuses a member that stands twice.
#[derive(Deserialize)]
struct Completion<'a> {
    #[serde(borrow, rename = "ref")]
    reference: &'a RawValue,
}

#[derive(Deserialize)]
struct Reference<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    name: Option<&'a RawValue>,
    #[serde(borrow, default)]
    uri: Option<&'a RawValue>,
}

fn referred(params: &str) -> Option<Named<'_>> {
    let completion: Completion<'_> = object(params)?;
    let text = completion.reference.get();
    let reference: Reference<'_> = object(text)?;
    // Some readers take a member of another case for the one that is meant.
    let known = ["type", "name", "uri"];
    let is_alike = |name: &str| {
        known
            .iter()
            .any(|one| *one != name && object::is_alike(one, name))
    };
    if Object::read(text)?
        .members()
        .any(|(name, _)| is_alike(name))
    {
        return None;
    }
    match reference.kind.as_ref() {
        "ref/prompt" => parse::string(reference.name?).map(Named::Prompt),
        "ref/resource" => parse::string(reference.uri?).map(Named::Template),
        _ => None,
    }
}

/// The params of `subscriptions/listen`.
#[derive(Deserialize)]
struct Subscription<'a> {
    #[serde(borrow)]
    notifications: &'a RawValue,
}

#[derive(Deserialize)]
struct Notifications<'a> {
    #[serde(borrow, default, rename = "resourceSubscriptions")]
    uris: Option<Vec<&'a RawValue>>,
    #[serde(borrow, default, rename = "taskIds")]
    tasks: Option<&'a RawValue>,
}

fn listened(params: &str) -> Option<Need<'_>> {
    let subscription: Subscription<'_> = object(params)?;
    let read: Notifications<'_> = object(subscription.notifications.get())?;
    let uris = read.uris.unwrap_or_default();
    let uris: Option<Vec<_>> = uris.into_iter().map(parse::string).collect();
    let has_tasks = read
        .tasks
        .is_some_and(|tasks| !matches!(tasks.get(), "null" | "[]"));
    Some(Need::Listen {
        uris: uris?,
        has_tasks,
    })
}

/// An object; a derived reader would take an array of its members in order, too.
fn object<'a, T: Deserialize<'a>>(text: &'a str) -> Option<T> {
    let is_object = text.trim_start().starts_with('{');
    is_object.then(|| serde_json::from_str(text).ok()).flatten()
}
