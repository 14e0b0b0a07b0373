//! The JSON-RPC text that stub and load generator agree on.
//!
//! **Invariant:** a request id is always [`ID_DIGITS`] digits long, so that every request and every
//! answer of one workload has one length, known beforehand.

use memchr::memmem;

use crate::workload::{Kept, Workload};

/// Digits of each request id.
pub(crate) const ID_DIGITS: usize = 10;
/// The smallest number with [`ID_DIGITS`] digits.
pub(crate) const ID_FIRST: u64 = 1_000_000_000;
/// Stands for the id while a text is being put together.
pub(crate) const ID_MARK: &str = "##########";

/// Stands for what makes a call another one, as long as an id.
pub(crate) const KEY_MARK: &str = "@@@@@@@@@@";

const _: () = assert!(KEY_MARK.len() == ID_DIGITS, "keys are written as ids are");
const _: () = assert!(
    ID_MARK.len() == ID_DIGITS,
    "the mark is replaced in place by an id"
);

const TOOL_PREFIX: &[u8] = b"\"bench_";
const LINE: &str = "Conduit carries this line from the server to the client unchanged. ";

const BEFORE_ID: &str = r#"{"jsonrpc":"2.0","id":"#;
const AFTER_ID: &str = r#","result":{"resultType":"complete","content":[{"type":"text","text":""#;
const CLOSE: &str = r#""}]}}"#;

/// A JSON-RPC response, ready but for its id.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The bytes up to the id.
    pub(crate) before_id: &'static [u8],
    /// The bytes from the id to the end.
    pub(crate) after_id: Vec<u8>,
}

impl Answer {
    /// The response to `workload`'s tool: exactly [`Workload::answer_bytes`] long.
    pub(crate) fn to_workload(workload: Workload) -> Self {
        let mut after_id = AFTER_ID.as_bytes().to_vec();
        after_id.extend(LINE.bytes().cycle().take(text_bytes(workload)));
        after_id.extend_from_slice(CLOSE.as_bytes());
        Self {
            before_id: BEFORE_ID.as_bytes(),
            after_id,
        }
    }

    /// The response to a method other than `tools/call`.
    pub(crate) fn with_result(result: &str) -> Self {
        Self {
            before_id: BEFORE_ID.as_bytes(),
            after_id: format!(r#","result":{result}}}"#).into_bytes(),
        }
    }

    /// The error for a method the stub does not have.
    pub(crate) fn method_not_found() -> Self {
        let error = r#","error":{"code":-32601,"message":"Method not found"}}"#;
        Self {
            before_id: BEFORE_ID.as_bytes(),
            after_id: error.as_bytes().to_vec(),
        }
    }

    /// Bytes of the whole response to a request with an id of `id_bytes`.
    pub(crate) const fn len(&self, id_bytes: usize) -> usize {
        self.before_id.len() + id_bytes + self.after_id.len()
    }
}

/// Bytes of the text content in the answer to `workload`.
pub(crate) const fn text_bytes(workload: Workload) -> usize {
    let frame = BEFORE_ID.len() + ID_DIGITS + AFTER_ID.len() + CLOSE.len();
    workload.answer_bytes().saturating_sub(frame)
}

/// The progress notification for `token`.
pub(crate) fn progress(token: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":1,"total":2}}}}"#
    )
}

/// The first id in `message`, as it is written there: digits, or a string with its quotes.
///
/// A search, not a parse: right for messages in which no earlier member is called `id`.
pub(crate) fn find_id(message: &[u8]) -> Option<&[u8]> {
    const KEY: &[u8] = b"\"id\":";
    let value = message
        .get(memmem::find(message, KEY)? + KEY.len()..)?
        .trim_ascii_start();
    let end = match value.first()? {
        b'"' => memchr::memchr(b'"', value.get(1..)?)? + 2,
        _ => value
            .iter()
            .position(|byte| !byte.is_ascii_digit() && *byte != b'-')?,
    };
    value.get(..end).filter(|id| !id.is_empty())
}

/// The workload whose tool `message` names, if it names one.
pub(crate) fn find_workload(message: &[u8]) -> Option<Workload> {
    let named = message.get(memmem::find(message, TOOL_PREFIX)? + 1..)?;
    let name = named.get(..memchr::memchr(b'"', named)?)?;
    Workload::ALL
        .into_iter()
        .find(|workload| workload.tool().as_bytes() == name)
}

/// The result of a `method` other than `tools/call`, if the stub has that method.
pub(crate) fn result_of(method: &str) -> Option<String> {
    match method {
        "server/discover" => Some(
            r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"ttlMs":60000,"cacheScope":"public"}"#
                .to_owned(),
        ),
        "initialize" => Some(
            r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"conduit-bench-stub","version":"1"}}"#
                .to_owned(),
        ),
        "tools/list" => Some(tools()),
        "ping" => Some("{}".to_owned()),
        _ => None,
    }
}

fn tools() -> String {
    let mut names: Vec<_> = Workload::ALL
        .into_iter()
        .map(|workload| (workload.tool(), workload.kept() != Kept::Nowhere))
        .collect();
    names.sort_unstable();
    names.dedup();
    let tools: Vec<_> = names
        .into_iter()
        .map(|(name, is_read_only)| {
            format!(
                r#"{{"name":"{name}","inputSchema":{{"type":"object"}},"annotations":{{"readOnlyHint":{is_read_only}}}}}"#
            )
        })
        .collect();
    let list = tools.join(",");
    format!(r#"{{"resultType":"complete","tools":[{list}],"ttlMs":60000,"cacheScope":"public"}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_the_size_its_workload_promises() {
        for workload in Workload::ALL {
            let answer = Answer::to_workload(workload);
            assert_eq!(
                answer.len(ID_DIGITS),
                workload.answer_bytes(),
                "{}",
                workload.name()
            );
        }
    }

    #[test]
    fn an_answer_is_json_with_the_id_in_place() {
        let answer = Answer::to_workload(Workload::Json64k);
        let text = [answer.before_id, b"1234567890", answer.after_id.as_slice()].concat();
        let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(value["id"], 1_234_567_890);
        let carried = value["result"]["content"][0]["text"].as_str().unwrap();
        assert_eq!(carried.len(), text_bytes(Workload::Json64k));
    }

    #[test]
    fn ids_are_found_as_they_are_written() {
        let check = |message: &str, id: Option<&str>| {
            assert_eq!(
                find_id(message.as_bytes()),
                id.map(str::as_bytes),
                "{message}"
            );
        };
        check(r#"{"jsonrpc":"2.0","id":12,"method":"x"}"#, Some("12"));
        check(r#"{"method":"x","id": -7}"#, Some("-7"));
        check(r#"{"id":"a b","method":"x"}"#, Some("\"a b\""));
        check(r#"{"id":null}"#, None);
        check(r#"{"id":12"#, None);
        check(r#"{"id":"12"#, None);
        check(r#"{"method":"x"}"#, None);
    }

    #[test]
    fn the_tool_is_found_beside_other_names() {
        let call = br#"{"params":{"_meta":{"clientInfo":{"name":"conduit-bench"}},"name":"bench_sse_200"}}"#;
        assert_eq!(find_workload(call), Some(Workload::Sse200));
        assert_eq!(find_workload(br#"{"params":{"name":"bench_other"}}"#), None);
        assert_eq!(find_workload(br#"{"params":{"name":"echo"}}"#), None);
    }

    #[test]
    fn every_method_result_is_json() {
        for method in ["server/discover", "initialize", "tools/list", "ping"] {
            let result = result_of(method).unwrap();
            assert!(
                serde_json::from_str::<serde_json::Value>(&result).is_ok(),
                "{method}"
            );
        }
    }
}
