//! Reads one JSON-RPC message without building a tree.
//!
//! **Invariant:** what is not understood is not touched. Ids, arguments, results and errors stay
//! slices of the text they came in, so big integers, key order and number spelling survive.

use std::borrow::Cow;
use std::fmt;

use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::bounds::{BATCH_MAX, DEPTH_MAX, ID_BYTES_MAX};
use crate::json::reader::Raw;
use crate::json::scan;
use crate::mcp::envelope as mcp;
use crate::rpc::parse::members::{Envelope, Given};

mod members;

/// One JSON-RPC message: a request, a notification or a response.
#[derive(Debug)]
pub struct Message<'a> {
    /// The whole message as it came, without surrounding white space.
    pub text: &'a str,
    /// The text of `params`, for a request or notification that has them.
    pub params_text: Option<&'a str>,
    /// What kind of message it is, with what only that kind has.
    pub body: Body<'a>,
}

/// The three kinds of JSON-RPC message.
#[derive(Debug)]
pub enum Body<'a> {
    /// Wants an answer.
    Request {
        /// Echoed in the answer, byte for byte.
        id: Id<'a>,
        /// The method's name, unescaped.
        method: Cow<'a, str>,
        /// The parts of `params` that a gateway looks at.
        params: Params<'a>,
    },
    /// Wants none.
    Notification {
        /// The method's name, unescaped.
        method: Cow<'a, str>,
        /// The parts of `params` that a gateway looks at.
        params: Params<'a>,
    },
    /// Answers a request of the other side.
    Response {
        /// The id of the request it answers; absent where that id could not be read.
        id: Option<Id<'a>>,
        /// How it was answered.
        answer: Answer<'a>,
    },
}

/// The two ways a request is answered; both raw JSON.
#[derive(Clone, Copy, Debug)]
pub enum Answer<'a> {
    /// `result`
    Result(Raw<'a>),
    /// `error`
    Error(Raw<'a>),
}

impl<'a> Message<'a> {
    /// The id to echo, for a request.
    #[must_use]
    pub fn request_id(&self) -> Option<Id<'a>> {
        match &self.body {
            Body::Request { id, .. } => Some(*id),
            Body::Notification { .. } | Body::Response { .. } => None,
        }
    }

    /// The method, for a request or notification.
    #[must_use]
    pub fn method(&self) -> Option<&str> {
        match &self.body {
            Body::Request { method, .. } | Body::Notification { method, .. } => Some(method),
            Body::Response { .. } => None,
        }
    }

    /// The params, for a request or notification.
    #[must_use]
    pub fn params(&self) -> Option<&Params<'a>> {
        match &self.body {
            Body::Request { params, .. } | Body::Notification { params, .. } => Some(params),
            Body::Response { .. } => None,
        }
    }
}

/// A JSON-RPC id as its JSON text: a string with its quotes, or a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Id<'a>(&'a str);

impl<'a> Id<'a> {
    /// The JSON text, ready to be written into an answer.
    #[must_use]
    pub fn as_json(self) -> &'a str {
        self.0
    }

    /// Takes an id from its JSON text; nothing but a string or a number is one.
    #[must_use]
    pub fn from_json(text: &'a str) -> Option<Self> {
        let first = *text.as_bytes().first()?;
        (matches!(first, b'"' | b'-' | b'0'..=b'9') && text.len() <= ID_BYTES_MAX)
            .then_some(Self(text))
    }
}

impl fmt::Display for Id<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// The members of `params` that a gateway looks at; all are raw JSON.
#[derive(Clone, Copy, Debug)]
pub struct Params<'a> {
    /// `_meta`.
    pub meta: Option<Raw<'a>>,
    /// What of `_meta` decides the era; nothing where it is no object.
    pub envelope: Result<mcp::Envelope<'a>, mcp::Malformed>,
    /// `name`: of a tool or prompt.
    pub name: Option<Raw<'a>>,
    /// `uri`: of a resource.
    pub uri: Option<Raw<'a>>,
    /// `taskId`: of a task.
    pub task_id: Option<Raw<'a>>,
    /// `requestId`: of the request that `notifications/cancelled` names.
    pub request_id: Option<Raw<'a>>,
    /// `arguments`: of a tool or prompt.
    pub arguments: Option<Raw<'a>>,
    /// `cursor`: of a list.
    pub cursor: Option<Raw<'a>>,
    /// Whether there is a member that a reader to whom case does not matter takes for one of these.
    pub has_lookalike: bool,
}

impl Default for Params<'_> {
    fn default() -> Self {
        Self {
            meta: None,
            envelope: Ok(mcp::Envelope::default()),
            name: None,
            uri: None,
            task_id: None,
            request_id: None,
            arguments: None,
            cursor: None,
            has_lookalike: false,
        }
    }
}

/// Why a text is no JSON-RPC message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// Not UTF-8, or not JSON.
    Syntax,
    /// JSON, but nested deeper than [`DEPTH_MAX`].
    Depth,
    /// JSON, but no JSON-RPC 2.0 message: the reason, for the client.
    Shape(&'static str),
}

/// A request body: one message, or a batch of them.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are the large one, which is moved once: a box costs more"
)]
pub enum Payload<'a> {
    /// One message.
    One(Message<'a>),
    /// The entries of a JSON array, each still to be read with [`message`].
    Batch(Vec<&'a RawValue>),
}

/// Reads a request body.
///
/// # Errors
/// [`Invalid`] where it is neither a message nor an array of 1 to [`BATCH_MAX`] values.
pub fn payload(bytes: &[u8]) -> Result<Payload<'_>, Invalid> {
    // What is too deep is told as that, whatever else is wrong with it.
    let deep_or = |invalid| {
        if scan::nests_within(bytes, DEPTH_MAX) {
            invalid
        } else {
            Invalid::Depth
        }
    };
    let text = std::str::from_utf8(bytes)
        .map_err(|_| deep_or(Invalid::Syntax))?
        .trim_matches(JSON_SPACE);
    if text.starts_with('[') {
        return batch(text).map(Payload::Batch).map_err(deep_or);
    }
    let envelope = Envelope::read(text).map_err(|_| deep_or(refused(text)))?;
    if envelope.is_deep {
        return Err(Invalid::Depth);
    }
    envelope.into_message(text).map(Payload::One)
}

/// The entries of a batch, whose depth is bounded.
fn batch(text: &str) -> Result<Vec<&RawValue>, Invalid> {
    if !scan::nests_within(text.as_bytes(), DEPTH_MAX) {
        return Err(Invalid::Depth);
    }
    let entries: Vec<&RawValue> = serde_json::from_str(text).map_err(|_| Invalid::Syntax)?;
    match entries.len() {
        0 => Err(Invalid::Shape("empty JSON-RPC batch")),
        1..=BATCH_MAX => Ok(entries),
        _ => Err(Invalid::Shape("JSON-RPC batch exceeds maximum size (100)")),
    }
}

/// Reads one message. The depth of `text` is the caller's to bound: see [`payload`].
///
/// # Errors
/// [`Invalid::Syntax`] where it is not JSON, [`Invalid::Shape`] where it is no message.
pub fn message(text: &str) -> Result<Message<'_>, Invalid> {
    let text = text.trim_matches(JSON_SPACE);
    let envelope = Envelope::read(text).map_err(|_| refused(text))?;
    envelope.into_message(text)
}

const MISSHAPEN: &str =
    "a member of the JSON-RPC message is duplicated, misspelled or has the wrong type";
const AMBIGUOUS: &str = "a message has either `method` or `result` or `error`";
const JSON_SPACE: [char; 4] = [' ', '\t', '\n', '\r'];

/// What a text is that is no JSON object.
fn refused(text: &str) -> Invalid {
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) if !text.starts_with('{') => Invalid::Shape("a JSON-RPC message must be an object"),
        Ok(_) | Err(_) => Invalid::Syntax,
    }
}

impl<'a> Envelope<'a> {
    fn into_message(self, text: &'a str) -> Result<Message<'a>, Invalid> {
        if self.is_misshapen {
            return Err(Invalid::Shape(MISSHAPEN));
        }
        if self.jsonrpc.as_deref() != Some("2.0") {
            return Err(Invalid::Shape("`jsonrpc` must be \"2.0\""));
        }
        let answer = match (self.result, self.error) {
            (Some(result), None) => Some(Answer::Result(result)),
            (None, Some(error)) => Some(Answer::Error(error)),
            (None, None) => None,
            (Some(_), Some(_)) => return Err(Invalid::Shape(AMBIGUOUS)),
        };
        let params_text = self.params.as_ref().map(|given| given.text);
        let params = match self.params {
            None => Params::default(),
            // What is no object is refused as anything else of the wrong type.
            Some(Given { members, .. }) => members.ok_or(Invalid::Shape(MISSHAPEN))?,
        };
        let body = match (self.method, self.id, answer) {
            (Some(method), Some(id), None) => Body::Request {
                id: known(id)?,
                method,
                params,
            },
            (Some(method), None, None) => Body::Notification { method, params },
            (None, Some(id), Some(answer)) => Body::Response {
                id: answered(id)?,
                answer,
            },
            (None, None, Some(answer @ Answer::Error(_))) => Body::Response { id: None, answer },
            (None, None, Some(Answer::Result(_))) => {
                return Err(Invalid::Shape("a result must have an `id`"));
            }
            (Some(_), _, Some(_)) => return Err(Invalid::Shape(AMBIGUOUS)),
            (None, _, None) => {
                return Err(Invalid::Shape(
                    "a message must have one of `method`, `result` or `error`",
                ));
            }
        };
        Ok(Message {
            text,
            params_text,
            body,
        })
    }
}

/// A request's id: a string or a number, never null (MCP, "Requests").
fn known(id: Raw<'_>) -> Result<Id<'_>, Invalid> {
    if id.get().len() > ID_BYTES_MAX {
        return Err(Invalid::Shape("`id` is too long"));
    }
    Id::from_json(id.get()).ok_or(Invalid::Shape("`id` must be a string or a number"))
}

/// A response's id, which may be null where the request's could not be read.
fn answered(id: Raw<'_>) -> Result<Option<Id<'_>>, Invalid> {
    if id.get() == "null" {
        Ok(None)
    } else {
        known(id).map(Some)
    }
}

/// The string that `raw` is, unescaped; nothing where it is no string.
#[must_use]
pub fn string<'a>(raw: impl Into<Raw<'a>>) -> Option<Cow<'a, str>> {
    raw.into().string()
}

#[cfg(test)]
mod tests;
