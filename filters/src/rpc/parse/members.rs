//! The members of a message and of its params, read once.
//!
//! **Invariant:** no two readers can take a message differently: a member that stands twice is
//! refused, and so is one of the envelope that differs from a known one in case only, as some readers
//! (Go's `encoding/json`) take it for that one. In params it is noted.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::rpc::parse::Params;

/// The members of a message.
#[derive(Default)]
pub(super) struct Envelope<'a> {
    pub(super) jsonrpc: Option<Cow<'a, str>>,
    pub(super) id: Option<&'a RawValue>,
    pub(super) method: Option<Cow<'a, str>>,
    pub(super) params: Option<&'a RawValue>,
    pub(super) result: Option<&'a RawValue>,
    pub(super) error: Option<&'a RawValue>,
}

/// A text, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Whether a reader to whom case does not matter takes `name` for one of `known`.
fn is_lookalike(name: &str, known: &[&str]) -> bool {
    let fold = |c: char| c.to_uppercase().flat_map(char::to_lowercase);
    let folded = |text: &str, other: &str| {
        let (text, other) = (text.chars().flat_map(fold), other.chars().flat_map(fold));
        text.eq(other)
    };
    known.iter().any(|known| folded(name, known))
}

fn put<T, E: de::Error>(slot: &mut Option<T>, value: Option<T>) -> Result<(), E> {
    match (slot.is_some(), value) {
        (true, _) => Err(de::Error::custom("a member stands twice")),
        (false, value) => {
            *slot = value;
            Ok(())
        }
    }
}

// === impl Envelope ===

const ENVELOPE: [&str; 6] = ["jsonrpc", "id", "method", "params", "result", "error"];

impl<'de: 'a, 'a> Deserialize<'de> for Envelope<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(EnvelopeVisitor)
    }
}

struct EnvelopeVisitor;

impl<'de> Visitor<'de> for EnvelopeVisitor {
    type Value = Envelope<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Envelope<'de>, A::Error> {
        let mut read = Envelope::default();
        // `null` is no text and no params, but an id, a result or an error.
        let mut seen = [false; 3];
        while let Some(Text(key)) = map.next_key::<Text<'de>>()? {
            let text = |value: Option<Text<'de>>| value.map(|text| text.0);
            let nth = match key.as_ref() {
                "jsonrpc" => {
                    read.jsonrpc = text(map.next_value()?);
                    Some(0)
                }
                "method" => {
                    read.method = text(map.next_value()?);
                    Some(1)
                }
                "params" => {
                    read.params = map.next_value()?;
                    Some(2)
                }
                "id" => put(&mut read.id, Some(map.next_value()?)).map(|()| None)?,
                "result" => put(&mut read.result, Some(map.next_value()?)).map(|()| None)?,
                "error" => put(&mut read.error, Some(map.next_value()?)).map(|()| None)?,
                other if is_lookalike(other, &ENVELOPE) => {
                    return Err(de::Error::custom("a member of another case"));
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    None
                }
            };
            let seen = nth.and_then(|nth: usize| seen.get_mut(nth));
            if seen.is_some_and(|seen| std::mem::replace(seen, true)) {
                return Err(de::Error::custom("a member stands twice"));
            }
        }
        Ok(read)
    }
}

// === impl Params ===

const PARAMS: [&str; 7] = [
    "_meta",
    "name",
    "uri",
    "taskId",
    "requestId",
    "arguments",
    "cursor",
];

/// Members that are looked into where they matter.
const NESTED: [&str; 2] = ["ref", "notifications"];

impl<'de: 'a, 'a> Deserialize<'de> for Params<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(ParamsVisitor)
    }
}

struct ParamsVisitor;

impl<'de> Visitor<'de> for ParamsVisitor {
    type Value = Params<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Params<'de>, A::Error> {
        let mut params = Params::default();
        while let Some(Text(key)) = map.next_key::<Text<'de>>()? {
            let slot = match key.as_ref() {
                "_meta" => &mut params.meta,
                "name" => &mut params.name,
                "uri" => &mut params.uri,
                "taskId" => &mut params.task_id,
                "requestId" => &mut params.request_id,
                "arguments" => &mut params.arguments,
                "cursor" => &mut params.cursor,
                other => {
                    let is_known = NESTED.contains(&other);
                    let is_alike = is_lookalike(other, &PARAMS) || is_lookalike(other, &NESTED);
                    params.has_lookalike |= is_alike && !is_known;
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            put(slot, Some(map.next_value::<&RawValue>()?))?;
        }
        Ok(params)
    }
}
