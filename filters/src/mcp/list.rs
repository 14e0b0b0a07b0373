//! The four lists of MCP: their pages read and written, their items told apart.
//!
//! **Invariant:** an item is JSON text and stays it: what is not its key is never changed.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::value::RawValue;

use crate::json::object;
use crate::json::object::Object;
use crate::mcp::method::Method;
use crate::rpc::write::push_string;

/// Which list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Tools, by `name`.
    Tools,
    /// Prompts, by `name`.
    Prompts,
    /// Resources, by `uri`.
    Resources,
    /// Resource templates, by `uriTemplate`.
    Templates,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Tools, Self::Prompts, Self::Resources, Self::Templates];

    /// The list that a method asks for.
    #[must_use]
    pub fn of(method: Method) -> Option<Self> {
        match method {
            Method::ToolsList => Some(Self::Tools),
            Method::PromptsList => Some(Self::Prompts),
            Method::ResourcesList => Some(Self::Resources),
            Method::ResourcesTemplatesList => Some(Self::Templates),
            Method::Initialize
            | Method::Ping
            | Method::ServerDiscover
            | Method::ToolsCall
            | Method::PromptsGet
            | Method::ResourcesRead
            | Method::ResourcesSubscribe
            | Method::ResourcesUnsubscribe
            | Method::CompletionComplete
            | Method::LoggingSetLevel
            | Method::SubscriptionsListen
            | Method::Tasks
            | Method::Cancelled
            | Method::Notification
            | Method::Other => None,
        }
    }

    /// The method that asks for it.
    #[must_use]
    pub fn method(self) -> &'static str {
        match self {
            Self::Tools => "tools/list",
            Self::Prompts => "prompts/list",
            Self::Resources => "resources/list",
            Self::Templates => "resources/templates/list",
        }
    }

    /// The member of the result that holds the items.
    #[must_use]
    pub fn member(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::Templates => "resourceTemplates",
        }
    }

    /// The member of an item that names it.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Tools | Self::Prompts => "name",
            Self::Resources => "uri",
            Self::Templates => "uriTemplate",
        }
    }

    /// The notification that says it changed. Resources and templates share one.
    #[must_use]
    pub fn changed(self) -> &'static str {
        match self {
            Self::Tools => "notifications/tools/list_changed",
            Self::Prompts => "notifications/prompts/list_changed",
            Self::Resources | Self::Templates => "notifications/resources/list_changed",
        }
    }

    /// The metric label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::Templates => "templates",
        }
    }
}

/// One page of a list, as a server gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<'a> {
    /// The items, JSON text each.
    pub items: Vec<&'a str>,
    /// `nextCursor`: there is another page. The empty string is a cursor like any other.
    pub next_cursor: Option<Cow<'a, str>>,
    /// `ttlMs`: how long it may be kept; nothing where it is absent or no whole number from 0 up.
    pub ttl_ms: Option<u64>,
    /// Whether `cacheScope` is `public`: the page may be served to other callers.
    pub is_public: bool,
}

/// Reads a list result; nothing where it is none.
#[must_use]
pub fn read(kind: Kind, result: &str) -> Option<Page<'_>> {
    let members = members(result)?;
    Some(Page {
        items: object::elements(members.get(kind.member())?)?,
        next_cursor: members.get("nextCursor").copied().and_then(object::string),
        ttl_ms: members
            .get("ttlMs")
            .and_then(|text| serde_json::from_str(text).ok()),
        is_public: members.get("cacheScope").copied().and_then(object::string)
            == Some(Cow::Borrowed("public")),
    })
}

/// What an item is called: its name, URI or URI template.
#[must_use]
pub fn identify(kind: Kind, item: &str) -> Option<Cow<'_, str>> {
    object::string(members(item)?.get(kind.key())?)
}

/// Whether all readers call an item the same.
#[must_use]
pub fn is_clear(kind: Kind, item: &str) -> bool {
    Object::read(item).is_some_and(|item| item.is_clear(kind.key()))
}

/// The item under another key. All other members stay, byte for byte.
#[must_use]
pub fn rename(kind: Kind, item: &str, key: &str) -> String {
    let Some(mut object) = Object::read(item) else {
        return item.to_owned();
    };
    object.set_text(kind.key(), key);
    object.write()
}

/// Writes a list result. With `ttl` (how long it may be kept, in milliseconds, and whether it may be
/// served to other callers) it is a modern one. `meta` is `_meta` as JSON text.
#[must_use]
pub fn write(
    kind: Kind,
    items: &[&str],
    next_cursor: Option<&str>,
    ttl: Option<(u64, bool)>,
    meta: Option<&str>,
) -> String {
    let bytes: usize = items.iter().map(|item| item.len() + 1).sum();
    let mut text = String::with_capacity(bytes + 160);
    text.push('{');
    if ttl.is_some() {
        text.push_str(r#""resultType":"complete","#);
    }
    push_string(&mut text, kind.member());
    text.push(':');
    text.push_str(&object::array(items));
    if let Some(cursor) = next_cursor {
        text.push_str(r#","nextCursor":"#);
        push_string(&mut text, cursor);
    }
    if let Some((ttl_ms, is_public)) = ttl {
        let scope = if is_public { "public" } else { "private" };
        text.push_str(&format!(r#","ttlMs":{ttl_ms},"cacheScope":"{scope}""#));
    }
    if let Some(meta) = meta {
        text.push_str(r#","_meta":"#);
        text.push_str(meta);
    }
    text.push('}');
    text
}

/// The members of an object by name. Where one stands twice the last one counts.
fn members(text: &str) -> Option<HashMap<Cow<'_, str>, &str>> {
    let members: HashMap<Cow<'_, str>, &RawValue> = serde_json::from_str(text).ok()?;
    let texts = members.into_iter().map(|(name, raw)| (name, raw.get()));
    Some(texts.collect())
}

#[cfg(test)]
mod tests;
