//! The members of a message and of its params, read once.
//!
//! **Invariant:** no two readers can take a message differently: a member that stands twice is
//! refused, and so is one of the envelope that differs from a known one in case only, as some readers
//! (Go's `encoding/json`) take it for that one. In params it is noted.

use std::borrow::Cow;

use crate::json::object;
use crate::json::reader::{Malformed, Raw, Reader};
use crate::mcp::envelope;
use crate::rpc::parse::Params;

/// The members of a message.
#[derive(Default)]
pub(super) struct Envelope<'a> {
    pub(super) jsonrpc: Option<Cow<'a, str>>,
    pub(super) id: Option<Raw<'a>>,
    pub(super) method: Option<Cow<'a, str>>,
    pub(super) params: Option<Given<'a>>,
    pub(super) result: Option<Raw<'a>>,
    pub(super) error: Option<Raw<'a>>,
    /// Whether one stands twice, is misspelled or has the wrong type.
    pub(super) is_misshapen: bool,
    /// Whether something is nested deeper than [`crate::bounds::DEPTH_MAX`].
    pub(super) is_deep: bool,
    /// Which of those that may be `null` were there.
    seen: [bool; 3],
}

/// The params of a message.
pub(super) struct Given<'a> {
    pub(super) text: &'a str,
    /// Nothing where they have no one meaning.
    pub(super) members: Option<Params<'a>>,
}

/// Whether a reader to whom case does not matter takes `name` for one of `known`.
fn is_lookalike(name: &str, known: &[&str]) -> bool {
    known.iter().any(|known| object::is_alike(name, known))
}

// === impl Envelope ===

const ENVELOPE: [&str; 6] = ["jsonrpc", "id", "method", "params", "result", "error"];

impl<'a> Envelope<'a> {
    /// Reads a message.
    ///
    /// # Errors
    /// Where it is no JSON, or no object. What else is wrong with it is noted.
    pub(super) fn read(text: &'a str) -> Result<Self, Malformed> {
        let mut read = Self::default();
        let mut reader = Reader::new(text);
        reader.object(|reader, name| {
            let name = name.string().ok_or(Malformed)?;
            read.member(reader, &name)
        })?;
        reader.end()?;
        read.is_deep = reader.is_deep();
        Ok(read)
    }

    fn member(&mut self, reader: &mut Reader<'a>, name: &str) -> Result<(), Malformed> {
        match name {
            "jsonrpc" => {
                self.see(0);
                self.jsonrpc = self.text(reader)?;
            }
            "method" => {
                self.see(1);
                self.method = self.text(reader)?;
            }
            "params" => {
                self.see(2);
                self.params = Given::read(reader)?;
            }
            // `null` is no text and no params, but an id, a result or an error.
            "id" => self.is_misshapen |= self.id.replace(reader.value()?).is_some(),
            "result" => self.is_misshapen |= self.result.replace(reader.value()?).is_some(),
            "error" => self.is_misshapen |= self.error.replace(reader.value()?).is_some(),
            other => {
                self.is_misshapen |= is_lookalike(other, &ENVELOPE);
                reader.value()?;
            }
        }
        Ok(())
    }

    fn see(&mut self, nth: usize) {
        if let Some(seen) = self.seen.get_mut(nth) {
            self.is_misshapen |= std::mem::replace(seen, true);
        }
    }

    /// A value that is to be a string.
    fn text(&mut self, reader: &mut Reader<'a>) -> Result<Option<Cow<'a, str>>, Malformed> {
        let value = reader.value()?;
        if value.get().starts_with('"') {
            return value.string().map(Some).ok_or(Malformed);
        }
        self.is_misshapen |= value.get() != "null";
        Ok(None)
    }
}

// === impl Given ===

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

impl<'a> Given<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Option<Self>, Malformed> {
        if reader.peek() != Some(b'{') {
            let text = reader.value()?.get();
            let other = Self {
                text,
                members: None,
            };
            return Ok((text != "null").then_some(other));
        }
        let mut params = Params::default();
        let mut is_clear = true;
        let read = reader.spanned(|reader| {
            reader.object(|reader, name| {
                let name = name.string();
                is_clear &= name.is_some();
                is_clear &= params.member(reader, name.as_deref().unwrap_or_default())?;
                Ok(())
            })
        })?;
        let members = is_clear.then_some(params);
        let text = read.get();
        Ok(Some(Self { text, members }))
    }
}

// === impl Params ===

impl<'a> Params<'a> {
    /// Reads one member; `false` where it was there already.
    fn member(&mut self, reader: &mut Reader<'a>, name: &str) -> Result<bool, Malformed> {
        let slot = match name {
            "_meta" => return self.meta(reader),
            "name" => &mut self.name,
            "uri" => &mut self.uri,
            "taskId" => &mut self.task_id,
            "requestId" => &mut self.request_id,
            "arguments" => &mut self.arguments,
            "cursor" => &mut self.cursor,
            other => {
                let is_known = NESTED.contains(&other);
                let is_alike = is_lookalike(other, &PARAMS) || is_lookalike(other, &NESTED);
                self.has_lookalike |= is_alike && !is_known;
                return reader.value().map(|_| true);
            }
        };
        // Two readers that pick different ones would disagree about what is called.
        Ok(slot.replace(reader.value()?).is_none())
    }

    fn meta(&mut self, reader: &mut Reader<'a>) -> Result<bool, Malformed> {
        let value = if reader.peek() == Some(b'{') {
            reader.spanned(|reader| {
                self.envelope = envelope::Envelope::read(reader)?;
                Ok(())
            })?
        } else {
            reader.value()?
        };
        Ok(self.meta.replace(value).is_none())
    }
}
