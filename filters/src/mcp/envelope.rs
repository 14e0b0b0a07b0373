//! The per-request metadata of the modern era: `params._meta` (2026-07-28, "_meta").

use crate::json::reader::{self, Raw, Reader};

/// The members of `_meta` that decide the era and validity of a request; all raw JSON.
#[derive(Clone, Copy, Debug, Default)]
pub struct Envelope<'a> {
    /// `io.modelcontextprotocol/protocolVersion`: its presence alone makes a request modern.
    pub protocol_version: Option<Raw<'a>>,
    /// `io.modelcontextprotocol/clientCapabilities`
    pub client_capabilities: Option<Raw<'a>>,
    /// `progressToken`
    pub progress_token: Option<Raw<'a>>,
}

impl<'a> Envelope<'a> {
    /// Reads the object that comes next. [`Malformed`] is what it is where a member stands twice or a
    /// key is no text: another reader could see an era there that this one does not.
    ///
    /// # Errors
    /// [`reader::Malformed`] where it is no object at all.
    pub fn read(reader: &mut Reader<'a>) -> Result<Result<Self, Malformed>, reader::Malformed> {
        let mut envelope = Self::default();
        let mut is_clear = true;
        reader.object(|reader, name| {
            let name = name.string();
            is_clear &= name.is_some();
            let value = reader.value()?;
            let slot = match name.as_deref().unwrap_or_default() {
                "io.modelcontextprotocol/protocolVersion" => &mut envelope.protocol_version,
                "io.modelcontextprotocol/clientCapabilities" => &mut envelope.client_capabilities,
                "progressToken" => &mut envelope.progress_token,
                _ => return Ok(()),
            };
            is_clear &= slot.replace(value).is_none();
            Ok(())
        })?;
        Ok(if is_clear {
            Ok(envelope)
        } else {
            Err(Malformed)
        })
    }
}

/// A `_meta` that two readers could take differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;
