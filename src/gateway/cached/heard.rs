//! What a server says in answer to a write, as it passes on its way to the client.
//!
//! **Invariant:** bounded: an answer longer than [`ANSWER_BYTES_MAX`] is not looked into. One that
//! tells of a task is short.

use filters::cache::task::{self, Said};
use filters::sse::decode::Decoder;

/// Longest answer that is looked into, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// What was said so far.
pub(in crate::gateway) enum Heard {
    /// The beginning of a document; nothing where it is too long.
    Document(Option<Vec<u8>>),
    /// A stream's last message that was an answer.
    Stream(Box<Decoder>, Option<String>),
}

impl Heard {
    /// Nothing of a document.
    pub(in crate::gateway) fn document() -> Self {
        Self::Document(Some(Vec::new()))
    }

    /// Nothing of a stream.
    pub(in crate::gateway) fn stream() -> Self {
        Self::Stream(Box::new(Decoder::new(ANSWER_BYTES_MAX)), None)
    }

    /// Takes what comes next.
    pub(in crate::gateway) fn hear(&mut self, bytes: &[u8]) {
        match self {
            Self::Document(text) => {
                let has_room = |text: &Vec<u8>| text.len() + bytes.len() <= ANSWER_BYTES_MAX;
                *text = text.take().filter(has_room);
                if let Some(text) = text {
                    text.extend_from_slice(bytes);
                }
            }
            Self::Stream(decoder, answer) => {
                decoder.feed(bytes);
                while let Some(Ok(event)) = decoder.next_event() {
                    if matches!(Said::of(event.as_bytes()), Said::Result(_)) {
                        *answer = Some(event);
                    }
                }
            }
        }
    }

    /// Whether the answer can tell of a task that was begun.
    pub(in crate::gateway) fn may_begin_a_task(&self) -> bool {
        match self {
            Self::Document(text) => text.as_deref().is_some_and(task::may_begin),
            Self::Stream(_, answer) => answer.is_some(),
        }
    }

    /// What the answer says.
    pub(in crate::gateway) fn said(&self) -> Said<'_> {
        let answer = match self {
            Self::Document(text) => text.as_deref(),
            Self::Stream(_, answer) => answer.as_ref().map(String::as_bytes),
        };
        answer.map_or(Said::Other, Said::of)
    }
}
