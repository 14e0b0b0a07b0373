//! One JSON message on its way, and the replacing of single values in it.
//!
//! **Invariant:** what is not replaced is passed on byte for byte; no message is parsed into a tree
//! and written again.

use std::ops::Range;

use bytes::Bytes;
use memchr::{memchr, memchr2};

/// Messages up to this size are copied into one buffer; longer ones are sent as slices.
const COPIED_BYTES_MAX: usize = 16 * 1024;

/// A value to put in place of another.
#[derive(Clone, Debug)]
pub(super) struct Edit<'a> {
    /// Where the old value stands.
    pub(super) at: Range<usize>,
    /// The JSON text of the new one.
    pub(super) with: &'a str,
}

impl<'a> Edit<'a> {
    /// Replaces `part`, which must be a slice of `whole`; nothing if it is not.
    pub(super) fn of(whole: &str, part: &str, with: &'a str) -> Option<Self> {
        let start = (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
        let end = start.checked_add(part.len())?;
        (whole.get(start..end)? == part).then_some(Self {
            at: start..end,
            with,
        })
    }
}

/// One JSON message without newlines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Payload {
    /// In order; empty ones have nothing.
    parts: [Bytes; 3],
}

impl Payload {
    /// A message that stands in one buffer.
    pub(super) fn whole(text: Bytes) -> Self {
        Self {
            parts: [without_returns(text), Bytes::new(), Bytes::new()],
        }
    }

    /// `line` with `edits` made.
    pub(super) fn edited(line: &Bytes, edits: &mut [Edit<'_>]) -> Self {
        if let [edit] = edits
            && line.len() > COPIED_BYTES_MAX
            && edit.at.end <= line.len()
            && edit.at.start <= edit.at.end
            && memchr(b'\r', line).is_none()
        {
            return Self {
                parts: [
                    line.slice(..edit.at.start),
                    Bytes::copy_from_slice(edit.with.as_bytes()),
                    line.slice(edit.at.end..),
                ],
            };
        }
        let mut text = Vec::with_capacity(edited_bytes_max(line.len(), edits));
        push_edited(&mut text, line, edits);
        Self::whole(text.into())
    }

    /// Its length in bytes.
    pub(super) fn len(&self) -> usize {
        self.parts.iter().map(Bytes::len).sum()
    }

    /// Takes its next part; nothing after the last.
    pub(super) fn take_part(&mut self) -> Option<Bytes> {
        let part = self.parts.iter_mut().find(|part| !part.is_empty())?;
        Some(std::mem::take(part))
    }

    /// Its text in one piece.
    pub(super) fn to_vec(&self) -> Vec<u8> {
        self.parts.concat()
    }

    /// As one server-sent event: one buffer for a short message, slices for a long one.
    pub(super) fn into_event(self) -> impl Iterator<Item = Bytes> {
        const BEFORE: &[u8] = b"event: message\ndata: ";
        const AFTER: &[u8] = b"\n\n";
        let parts = if self.len() > COPIED_BYTES_MAX {
            let [a, b, c] = self.parts;
            [
                Bytes::from_static(BEFORE),
                a,
                b,
                c,
                Bytes::from_static(AFTER),
            ]
        } else {
            let mut event = Vec::with_capacity(BEFORE.len() + self.len() + AFTER.len());
            event.extend_from_slice(BEFORE);
            for part in &self.parts {
                event.extend_from_slice(part);
            }
            event.extend_from_slice(AFTER);
            [
                event.into(),
                Bytes::new(),
                Bytes::new(),
                Bytes::new(),
                Bytes::new(),
            ]
        };
        parts.into_iter().filter(|part| !part.is_empty())
    }
}

/// Most bytes that [`push_edited`] appends.
pub(super) fn edited_bytes_max(text_bytes: usize, edits: &[Edit<'_>]) -> usize {
    text_bytes + edits.iter().map(|edit| edit.with.len()).sum::<usize>()
}

/// Appends `text` with `edits` made. Edits of overlapping or missing places are left out.
pub(super) fn push_edited(to: &mut Vec<u8>, text: &[u8], edits: &mut [Edit<'_>]) {
    edits.sort_unstable_by_key(|edit| edit.at.start);
    let mut done = 0;
    for edit in edits.iter() {
        let Some(between) = text.get(done..edit.at.start) else {
            continue;
        };
        to.extend_from_slice(between);
        to.extend_from_slice(edit.with.as_bytes());
        done = edit.at.end;
    }
    to.extend_from_slice(text.get(done..).unwrap_or_default());
}

/// Makes `text`, which is valid JSON, one line: JSON has line breaks only as white space.
pub(super) fn join_lines(text: &mut [u8]) {
    let mut rest = text;
    while let Some(at) = memchr2(b'\n', b'\r', rest) {
        let Some((found, after)) = rest.get_mut(at..).and_then(<[u8]>::split_first_mut) else {
            return;
        };
        *found = b' ';
        rest = after;
    }
}

/// A lone carriage return is white space in JSON, but ends a line of an event stream.
fn without_returns(text: Bytes) -> Bytes {
    if memchr(b'\r', &text).is_none() {
        return text;
    }
    let mut text = Vec::from(text);
    join_lines(&mut text);
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(parts: impl Iterator<Item = Bytes>) -> String {
        String::from_utf8(parts.flat_map(|part| part.to_vec()).collect()).unwrap()
    }

    fn edits<'a>(whole: &'a str, list: &[(&str, &'a str)]) -> Vec<Edit<'a>> {
        list.iter()
            .map(|(old, with)| {
                let start = whole.find(old).unwrap();
                let place = whole.get(start..start + old.len()).unwrap();
                Edit::of(whole, place, with).unwrap()
            })
            .collect()
    }

    #[test]
    fn only_the_named_values_change_whatever_their_order() {
        let line = r#"{"a":111,"big":123456789012345678901,"b":"x"}"#;
        let mut edits = edits(line, &[("\"x\"", "7"), ("111", "\"é\"")]);
        let payload = Payload::edited(&Bytes::from(line), &mut edits);
        assert_eq!(
            String::from_utf8(payload.to_vec()).unwrap(),
            r#"{"a":"é","big":123456789012345678901,"b":7}"#
        );
    }

    #[test]
    fn a_long_message_is_edited_without_a_copy() {
        let line = Bytes::from(format!(r#"{{"pad":"{}","id":1}}"#, "x".repeat(20_000)));
        let whole = std::str::from_utf8(&line).unwrap();
        let mut edits = edits(whole, &[("\"id\":1", "\"id\":\"me\"")]);
        let payload = Payload::edited(&line, &mut edits);
        assert_eq!(payload.parts[0].as_ptr(), line.as_ptr());
        let mut parts = payload.clone();
        let parts = std::iter::from_fn(|| parts.take_part());
        assert_eq!(text(parts), whole.replace("\"id\":1", "\"id\":\"me\""));
        assert!(text(payload.into_event()).ends_with("\"id\":\"me\"}\n\n"));
    }

    #[test]
    fn a_slice_of_another_text_is_no_place_to_edit() {
        let whole = String::from("[1]");
        let other = String::from("1");
        assert!(Edit::of(&whole, &other, "2").is_none());
    }

    #[test]
    fn overlapping_edits_are_left_out() {
        let mut edited = Vec::new();
        let mut edits = [
            Edit {
                at: 1..3,
                with: "x",
            },
            Edit {
                at: 2..4,
                with: "y",
            },
        ];
        push_edited(&mut edited, b"[12,3]", &mut edits);
        assert_eq!(edited, b"[x,3]");
    }

    #[test]
    fn white_space_that_breaks_lines_becomes_blank() {
        let mut json = Vec::from("{\r\n\t\"a\":\n1\n}");
        join_lines(&mut json);
        assert_eq!(json, b"{  \t\"a\": 1 }");
    }

    #[test]
    fn an_event_is_one_line_even_with_a_lone_return() {
        let payload = Payload::whole(Bytes::from_static(b"{\r}"));
        assert_eq!(text(payload.into_event()), "event: message\ndata: { }\n\n");
    }
}
