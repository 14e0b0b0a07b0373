//! Whether a result may be kept at all, and what it says of that itself.
//!
//! **Invariant:** only members of the result itself count. What stands in the content of a result is
//! a server's text, and says nothing to a gateway.

use core::time::Duration;
use std::ops::Range;

use memchr::memchr3;
use serde::Deserialize;
use serde::de::Deserializer;
use serde_json::value::RawValue;

use crate::json::object;
use crate::mcp::list;
use crate::mcp::method::Method;

/// What a result says of its caching (2026-07-28, "Caching").
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// `ttlMs`: nothing where it is absent, zero where it is no whole number from 0 up.
    pub ttl: Option<Duration>,
    /// `cacheScope`: nothing where it is absent or unknown, which is to be taken as private.
    pub scope: Option<Scope>,
    /// Where the number of `ttlMs` stands in the result.
    pub ttl_span: Option<Range<usize>>,
}

/// Whom a result may be served to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Its own authorization context.
    Private,
    /// Anyone.
    Public,
}

/// Why a result is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excluded {
    /// The tool says that it failed.
    IsError,
    /// The server asks for more before it answers.
    InputRequired,
    /// The answer is a task, which goes on.
    Task,
    /// It is no complete result, but one of a kind that is not known here.
    Partial,
    /// The request carried answers or state of an earlier one.
    Retry,
    /// The method's results are not kept.
    NotCacheable,
    /// It is no result of this method, or two readers could take it differently.
    Malformed,
}

impl Excluded {
    /// The reason as a token, for logs and `Cache-Status`.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::IsError => "is-error",
            Self::InputRequired => "input-required",
            Self::Task => "task",
            Self::Partial => "partial",
            Self::Retry => "retry",
            Self::NotCacheable => "not-cacheable",
            Self::Malformed => "malformed",
        }
    }
}

/// What the results of a method have in common, as far as a cache goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// `server/discover` and the four lists: what a server offers.
    Catalog,
    /// `resources/read`: the content of one resource.
    Read,
    /// `tools/call`: kept where the operator says so, outside of what the protocol provides.
    Call,
}

impl Class {
    /// The class of a method; nothing where its results are never kept.
    #[must_use]
    pub fn of(method: Method) -> Option<Self> {
        match method {
            Method::ServerDiscover
            | Method::ToolsList
            | Method::PromptsList
            | Method::ResourcesList
            | Method::ResourcesTemplatesList => Some(Self::Catalog),
            Method::ResourcesRead => Some(Self::Read),
            Method::ToolsCall => Some(Self::Call),
            Method::Initialize
            | Method::Ping
            | Method::PromptsGet
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
}

/// Whether `result`, the answer to `method` with these params, may be kept.
///
/// # Errors
/// Why it may not.
pub fn admit(
    method: Method,
    request_params: Option<&str>,
    result: &str,
) -> Result<Hints, Excluded> {
    let class = Class::of(method).ok_or(Excluded::NotCacheable)?;
    let asked: Asked<'_> = read(request_params.unwrap_or("{}"))?;
    if asked.input_responses.is_some() || asked.request_state.is_some() {
        return Err(Excluded::Retry);
    }
    let answer: Answer<'_> = read(result)?;
    complete(&answer, class)?;
    match class {
        // `server/discover` is the one that has no list.
        Class::Catalog => {
            list::Kind::of(method).map_or(Ok(()), |kind| has_array(answer.items(kind)))?
        }
        Class::Read => has_array(answer.contents)?,
        Class::Call => {}
    }
    Ok(answer.hints(result))
}

/// Whether the request with these params may be answered from what is kept. One that goes on with an
/// earlier one may not.
#[must_use]
pub fn is_first_try(request_params: Option<&str>) -> bool {
    let params = request_params.unwrap_or("{}");
    // Most say nothing of the kind, in no spelling: a name may be escaped. One look for a letter of
    // each is cheaper than one for each.
    let may_go_on = ["inputResponses", "requestState", "\\u"];
    let has_letters = memchr3(b'R', b'S', b'\\', params.as_bytes()).is_some();
    if !has_letters || !may_go_on.iter().any(|name| params.contains(name)) {
        return params.starts_with('{') && params.ends_with('}');
    }
    read(params).is_ok_and(|asked: Asked<'_>| {
        asked.input_responses.is_none() && asked.request_state.is_none()
    })
}

/// That an answer is whole and no failure.
fn complete(answer: &Answer<'_>, class: Class) -> Result<(), Excluded> {
    match answer.result_type.map(text).as_deref() {
        None | Some("complete") => {}
        Some("input_required") => return Err(Excluded::InputRequired),
        Some("task") => return Err(Excluded::Task),
        Some(_) => return Err(Excluded::Partial),
    }
    // 2025-11-25 had no `resultType`: a task stood where the content would be.
    if class == Class::Call && answer.task.is_some_and(|task| task.get().starts_with('{')) {
        return Err(Excluded::Task);
    }
    match answer.is_error.map(RawValue::get) {
        None | Some("false") => Ok(()),
        Some("true") => Err(Excluded::IsError),
        Some(_) => Err(Excluded::Malformed),
    }
}

/// The string that a member is. One that is none is the name of no result type.
fn text(raw: &RawValue) -> String {
    object::string(raw.get()).map_or_else(String::new, Into::into)
}

fn has_array(member: Option<&RawValue>) -> Result<(), Excluded> {
    match member {
        Some(array) if array.get().starts_with('[') => Ok(()),
        Some(_) | None => Err(Excluded::Malformed),
    }
}

/// Reads an object. A derived reader would take an array of the members in order, too.
fn read<'t, T: Deserialize<'t>>(text: &'t str) -> Result<T, Excluded> {
    let inside = text.trim_start_matches([' ', '\t', '\n', '\r']);
    if !inside.starts_with('{') {
        return Err(Excluded::Malformed);
    }
    serde_json::from_str(text).map_err(|_| Excluded::Malformed)
}

#[derive(Deserialize)]
struct Asked<'t> {
    #[serde(
        borrow,
        default,
        rename = "inputResponses",
        deserialize_with = "present"
    )]
    input_responses: Option<&'t RawValue>,
    #[serde(borrow, default, rename = "requestState", deserialize_with = "present")]
    request_state: Option<&'t RawValue>,
}

/// The members of a result that decide. One that stands twice is an error.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'t> {
    #[serde(borrow, default, deserialize_with = "present")]
    result_type: Option<&'t RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    is_error: Option<&'t RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    task: Option<&'t RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    ttl_ms: Option<&'t RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    cache_scope: Option<&'t RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    tools: Option<&'t RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    prompts: Option<&'t RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    resources: Option<&'t RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    resource_templates: Option<&'t RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    contents: Option<&'t RawValue>,
}

/// Keeps an explicit `null` apart from an absent member.
fn present<'de: 'a, 'a, D: Deserializer<'de>>(from: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

impl<'t> Answer<'t> {
    fn items(&self, kind: list::Kind) -> Option<&'t RawValue> {
        match kind {
            list::Kind::Tools => self.tools,
            list::Kind::Prompts => self.prompts,
            list::Kind::Resources => self.resources,
            list::Kind::Templates => self.resource_templates,
        }
    }

    fn hints(&self, result: &str) -> Hints {
        let ttl = self.ttl_ms.map(RawValue::get);
        let ttl_ms = ttl.map(|text| text.parse::<u64>().ok());
        let span = ttl.map(|text| {
            // The member is a slice of the result: where it begins is how far apart they are.
            let start = text.as_ptr().addr().wrapping_sub(result.as_ptr().addr());
            start..start + text.len()
        });
        Hints {
            ttl: ttl_ms.map(|ms| Duration::from_millis(ms.unwrap_or(0))),
            scope: match self.cache_scope.map(text).as_deref() {
                Some("public") => Some(Scope::Public),
                Some("private") => Some(Scope::Private),
                Some(_) | None => None,
            },
            ttl_span: span.filter(|_| ttl_ms.flatten().is_some()),
        }
    }
}

#[cfg(test)]
mod tests;
