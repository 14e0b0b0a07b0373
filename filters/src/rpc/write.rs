//! Writes JSON-RPC answers around text that is already JSON.

use crate::json::scan;
use crate::rpc::parse::Id;

/// A JSON-RPC error, ready to be written.
#[derive(Clone, Copy, Debug)]
pub struct Failure<'a> {
    /// The error's code.
    pub code: i32,
    /// For a human.
    pub message: &'a str,
    /// `error.data` as JSON text.
    pub data: Option<&'a str>,
}

/// An error answer. Without an `id` (it could not be read) the member is left out: MCP has no null
/// ids.
#[must_use]
pub fn error(id: Option<Id<'_>>, failure: &Failure<'_>) -> String {
    let mut text = String::with_capacity(96 + failure.message.len());
    text.push_str(r#"{"jsonrpc":"2.0","#);
    if let Some(id) = id {
        text.push_str(r#""id":"#);
        text.push_str(id.as_json());
        text.push(',');
    }
    text.push_str(r#""error":{"code":"#);
    text.push_str(&failure.code.to_string());
    text.push_str(r#","message":"#);
    push_string(&mut text, failure.message);
    if let Some(data) = failure.data {
        text.push_str(r#","data":"#);
        text.push_str(data);
    }
    text.push_str("}}");
    text
}

/// A result answer around a result that is already JSON.
#[must_use]
pub fn result(id: Id<'_>, result: &str) -> String {
    let mut text = String::with_capacity(32 + id.as_json().len() + result.len());
    text.push_str(r#"{"jsonrpc":"2.0","id":"#);
    text.push_str(id.as_json());
    text.push_str(r#","result":"#);
    text.push_str(result);
    text.push('}');
    text
}

/// Appends `value` as a JSON string, quotes and escapes included.
pub fn push_string(text: &mut String, value: &str) {
    text.push('"');
    if scan::plain(value.as_bytes()) == value.len() {
        text.push_str(value);
    } else {
        value
            .chars()
            .for_each(|character| push_escaped(text, character));
    }
    text.push('"');
}

fn push_escaped(text: &mut String, character: char) {
    match character {
        '"' => text.push_str("\\\""),
        '\\' => text.push_str("\\\\"),
        '\n' => text.push_str("\\n"),
        '\r' => text.push_str("\\r"),
        '\t' => text.push_str("\\t"),
        control if u32::from(control) < 0x20 => {
            text.push_str(&format!("\\u{:04x}", u32::from(control)));
        }
        other => text.push(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_echoes_the_id_it_is_given_and_leaves_out_one_it_has_not() {
        let failure = Failure {
            code: -32601,
            message: "no \"x\"\n",
            data: Some("{\"a\":1}"),
        };
        let id = Id::from_json("\"\\u0061\"");
        assert_eq!(
            error(id, &failure),
            r#"{"jsonrpc":"2.0","id":"\u0061","error":{"code":-32601,"message":"no \"x\"\n","data":{"a":1}}}"#
        );
        assert!(error(None, &failure).starts_with(r#"{"jsonrpc":"2.0","error""#));
    }

    #[test]
    fn every_string_written_reads_back_the_same() {
        for value in [
            "",
            "plain",
            "\u{0}\u{1f}\u{7f}",
            "\"\\/",
            "ünï – 語 🦀",
            "a\nb\rc\td",
        ] {
            let mut text = String::new();
            push_string(&mut text, value);
            assert_eq!(serde_json::from_str::<String>(&text).unwrap(), value);
        }
    }
}
