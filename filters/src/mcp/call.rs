//! One client message, classified and validated: what the rest of the gateway works on.
//!
//! **Invariant:** the body decides the era and the headers only cross-check it, so a header can
//! never make the gateway treat a message as something its body is not (E2).

use std::borrow::Cow;

use crate::json::reader::Raw;
use crate::mcp::envelope::Envelope;
use crate::mcp::header::{self, Headers};
use crate::mcp::method::Method;
use crate::mcp::revision::{Era, Revision};
use crate::refusal::Refusal;
use crate::rpc::parse::{self, Body, Id, Message, Params};

/// A classified message.
#[derive(Debug)]
pub struct Call<'a> {
    /// The era its body belongs to.
    pub era: Era,
    /// The revision it speaks.
    pub revision: Revision,
    /// What it asks for; [`Method::Other`] for a response.
    pub method: Method,
    /// The tool, prompt, resource or task it names.
    pub target: Option<Target<'a>>,
    /// What its client can do, JSON text, where the message says so itself.
    pub capabilities: Option<&'a str>,
    /// The message itself.
    pub message: Message<'a>,
}

/// What a call is aimed at, as its body says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// A tool by name.
    Tool(Cow<'a, str>),
    /// A prompt by name.
    Prompt(Cow<'a, str>),
    /// A resource by URI.
    Resource(Cow<'a, str>),
    /// A task by id.
    Task(Cow<'a, str>),
}

impl Target<'_> {
    /// The text that `Mcp-Name` mirrors.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Tool(name) | Self::Prompt(name) | Self::Resource(name) | Self::Task(name) => name,
        }
    }
}

impl<'a> Call<'a> {
    /// Classifies and validates one message: the ladder of 2026-07-28 for the modern era, the
    /// version header for the legacy one.
    ///
    /// What MCP asks for an answer to is no notification for want of an id: nobody could be told what
    /// became of it, and servers that carry it out all the same would do so unheard.
    ///
    /// # Errors
    /// The [`Refusal`] of the first rung that does not hold.
    pub fn classify(message: Message<'a>, headers: &Headers<'_>) -> Result<Self, Refusal> {
        let method = message.method().map_or(Method::Other, Method::parse);
        if matches!(message.body, Body::Notification { .. }) && method.is_request() {
            return Err(Refusal::ClientIdMissing {
                method: message.method().unwrap_or_default().to_owned(),
            });
        }
        let envelope = message
            .params()
            .map_or_else(|| Ok(Envelope::default()), |params| params.envelope)
            .map_err(|_| Refusal::ClientShape("`_meta` has a duplicate or malformed member"))?;
        let is_response = matches!(message.body, Body::Response { .. });
        let is_ambiguous = message.params().is_some_and(|params| params.has_lookalike);
        if is_ambiguous && method.names_something() {
            let what = "a member of the params differs from a known one in case only";
            return Err(Refusal::ClientShape(what));
        }
        match envelope.protocol_version {
            Some(version) if !is_response => modern(message, method, &envelope, version, headers),
            _ => legacy(message, method, headers),
        }
    }

    /// The id to echo, for a request.
    #[must_use]
    pub fn id(&self) -> Option<Id<'a>> {
        self.message.request_id()
    }

    /// Whether an answer is owed.
    #[must_use]
    pub fn is_request(&self) -> bool {
        matches!(self.message.body, Body::Request { .. })
    }
}

fn modern<'a>(
    message: Message<'a>,
    method: Method,
    envelope: &Envelope<'a>,
    version: Raw<'a>,
    headers: &Headers<'_>,
) -> Result<Call<'a>, Refusal> {
    let Some(claimed) = parse::string(version) else {
        return Err(Refusal::EnvelopeInvalid {
            member: "protocolVersion",
        });
    };
    // The version is cross-checked before the rest: what is missing depends on it.
    match headers.protocol_version {
        None => {
            return Err(Refusal::HeaderMissing {
                header: "MCP-Protocol-Version".into(),
            });
        }
        Some(named) if named != claimed => {
            return Err(Refusal::HeaderMismatch {
                header: "MCP-Protocol-Version".into(),
            });
        }
        Some(_) => {}
    }
    if envelope
        .client_capabilities
        .is_none_or(|raw| !raw.get().starts_with('{'))
    {
        return Err(Refusal::EnvelopeInvalid {
            member: "clientCapabilities",
        });
    }
    let revision = match Revision::parse(&claimed) {
        Some(revision) if revision.era() == Era::Modern => revision,
        Some(_) | None => {
            return Err(Refusal::VersionUnsupported {
                requested: claimed.into_owned(),
            });
        }
    };
    let target = target(method, message.params());
    mirrored(&message, target.as_ref(), method, headers)?;
    if method.is_removed_from_modern() {
        return Err(Refusal::MethodNotFound {
            method: message.method().unwrap_or_default().into(),
        });
    }
    Ok(Call {
        era: Era::Modern,
        revision,
        method,
        target,
        capabilities: envelope.client_capabilities.map(Raw::get),
        message,
    })
}

/// `Mcp-Method` and `Mcp-Name` must say what the body says. This revision does not ask for them in
/// notifications: there they may be missing.
fn mirrored(
    message: &Message<'_>,
    target: Option<&Target<'_>>,
    method: Method,
    headers: &Headers<'_>,
) -> Result<(), Refusal> {
    let is_request = matches!(message.body, Body::Request { .. });
    match headers.method {
        None if is_request => {
            return Err(Refusal::HeaderMissing {
                header: "Mcp-Method".into(),
            });
        }
        None => {}
        Some(named) if Some(named) != message.method() => {
            return Err(Refusal::HeaderMismatch {
                header: "Mcp-Method".into(),
            });
        }
        Some(_) => {}
    }
    match (target, headers.name) {
        // A tasks method of the extension names its task; an older one need not.
        (Some(_), None) if method == Method::Tasks || !is_request => Ok(()),
        (Some(_), None) => Err(Refusal::HeaderMissing {
            header: "Mcp-Name".into(),
        }),
        (Some(target), Some(value)) => match header::decode(value) {
            Ok(name) if name == target.name() => Ok(()),
            Ok(_) => Err(Refusal::HeaderMismatch {
                header: "Mcp-Name".into(),
            }),
            Err(_) => Err(Refusal::HeaderMalformed {
                header: "Mcp-Name".into(),
            }),
        },
        // What an extension's request names is the extension's to say.
        (None, Some(_)) if method != Method::Other || !is_request => Err(Refusal::HeaderMismatch {
            header: "Mcp-Name".into(),
        }),
        (None, _) => Ok(()),
    }
}

fn legacy<'a>(
    message: Message<'a>,
    method: Method,
    headers: &Headers<'_>,
) -> Result<Call<'a>, Refusal> {
    let revision = match headers.protocol_version {
        // The handshake negotiates the version; the header is for what follows it.
        _ if method == Method::Initialize => Revision::ASSUMED,
        None => Revision::ASSUMED,
        Some(named) => match Revision::parse(named) {
            Some(revision) if revision.era() == Era::Legacy => revision,
            Some(_) if matches!(message.body, Body::Response { .. }) => Revision::V2025_11_25,
            Some(_) => {
                return Err(Refusal::EnvelopeInvalid {
                    member: "protocolVersion",
                });
            }
            None => {
                return Err(Refusal::VersionUnsupported {
                    requested: named.to_owned(),
                });
            }
        },
    };
    let target = target(method, message.params());
    Ok(Call {
        era: Era::Legacy,
        revision,
        method,
        target,
        capabilities: None,
        message,
    })
}

fn target<'a>(method: Method, params: Option<&Params<'a>>) -> Option<Target<'a>> {
    let params = params?;
    match method {
        Method::ToolsCall => params.name.and_then(parse::string).map(Target::Tool),
        Method::PromptsGet => params.name.and_then(parse::string).map(Target::Prompt),
        Method::ResourcesRead | Method::ResourcesSubscribe | Method::ResourcesUnsubscribe => {
            params.uri.and_then(parse::string).map(Target::Resource)
        }
        Method::Tasks => params.task_id.and_then(parse::string).map(Target::Task),
        Method::Initialize
        | Method::Ping
        | Method::ServerDiscover
        | Method::ToolsList
        | Method::PromptsList
        | Method::ResourcesList
        | Method::ResourcesTemplatesList
        | Method::CompletionComplete
        | Method::LoggingSetLevel
        | Method::SubscriptionsListen
        | Method::Cancelled
        | Method::Notification
        | Method::Other => None,
    }
}

#[cfg(test)]
mod tests;
