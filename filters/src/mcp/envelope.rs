//! The per-request metadata of the modern era: `params._meta` (2026-07-28, "_meta").

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The members of `_meta` that decide the era and validity of a request; all raw JSON.
#[derive(Clone, Copy, Debug, Default)]
pub struct Envelope<'a> {
    /// `io.modelcontextprotocol/protocolVersion`: its presence alone makes a request modern.
    pub protocol_version: Option<&'a RawValue>,
    /// `io.modelcontextprotocol/clientCapabilities`
    pub client_capabilities: Option<&'a RawValue>,
    /// `progressToken`
    pub progress_token: Option<&'a RawValue>,
}

impl<'a> Envelope<'a> {
    /// Reads `_meta`. What is no object has no envelope in it.
    ///
    /// # Errors
    /// [`Malformed`] where a member stands twice or a key is no text: another reader could see an
    /// era there that this one does not.
    pub fn read(meta: &'a RawValue) -> Result<Self, Malformed> {
        if !meta.get().starts_with('{') {
            return Ok(Self::default());
        }
        serde_json::from_str(meta.get()).map_err(|_| Malformed)
    }
}

/// A `_meta` that two readers could take differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

#[derive(Deserialize)]
struct KeyText<'a>(#[serde(borrow)] Cow<'a, str>);

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
        let mut envelope = Envelope::default();
        while let Some(KeyText(key)) = map.next_key::<KeyText<'de>>()? {
            let slot = match key.as_ref() {
                "io.modelcontextprotocol/protocolVersion" => &mut envelope.protocol_version,
                "io.modelcontextprotocol/clientCapabilities" => &mut envelope.client_capabilities,
                "progressToken" => &mut envelope.progress_token,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            if slot.replace(map.next_value()?).is_some() {
                return Err(de::Error::custom("duplicate member of _meta"));
            }
        }
        Ok(envelope)
    }
}
