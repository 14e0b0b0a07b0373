//! The per-request metadata of the modern era: `params._meta` (2026-07-28, "_meta").

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
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
    /// Reads `_meta`. Anything but an object has no envelope in it.
    #[must_use]
    pub fn read(meta: &'a RawValue) -> Self {
        serde_json::from_str(meta.get()).unwrap_or_default()
    }
}

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
            match key.as_ref() {
                "io.modelcontextprotocol/protocolVersion" => {
                    envelope.protocol_version = Some(map.next_value()?);
                }
                "io.modelcontextprotocol/clientCapabilities" => {
                    envelope.client_capabilities = Some(map.next_value()?);
                }
                "progressToken" => envelope.progress_token = Some(map.next_value()?),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(envelope)
    }
}
