//! A kept result as the answer to another request.
//!
//! **Invariant:** who asks is given its own id, byte for byte, and never a longer `ttlMs` than what
//! is left of the answer it gets.

use std::ops::Range;

use crate::rpc::parse::Id;

/// Appends the answer to the request `id`: `result` as it was kept, but for its `ttlMs`. Where that
/// stands and how many milliseconds are left is `ttl`; the smaller of what stands there and what is
/// left is written.
pub fn answer(id: Id<'_>, result: &str, ttl: Option<(&Range<usize>, u64)>, out: &mut Vec<u8>) {
    let id = id.as_json();
    out.reserve(AROUND.iter().map(|text| text.len()).sum::<usize>() + id.len() + result.len());
    let [before_id, before_result, after] = AROUND;
    out.extend_from_slice(before_id);
    out.extend_from_slice(id.as_bytes());
    out.extend_from_slice(before_result);
    match ttl.and_then(|(span, left)| shortened(result, span, left)) {
        Some((before, left, after)) => {
            out.extend_from_slice(before.as_bytes());
            out.extend_from_slice(left.to_string().as_bytes());
            out.extend_from_slice(after.as_bytes());
        }
        None => out.extend_from_slice(result.as_bytes()),
    }
    out.extend_from_slice(after);
}

/// What stands around the id and the result.
const AROUND: [&[u8]; 3] = [br#"{"jsonrpc":"2.0","id":"#, br#","result":"#, b"}"];

/// The result before its `ttlMs`, what is left of it, and the result after it; nothing where it
/// stays as it is.
fn shortened<'r>(
    result: &'r str,
    span: &Range<usize>,
    left: u64,
) -> Option<(&'r str, u64, &'r str)> {
    let own: u64 = result.get(span.clone())?.parse().ok()?;
    let around = (result.get(..span.start)?, left, result.get(span.end..)?);
    (left < own).then_some(around)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(id: &str, result: &str, ttl: Option<(Range<usize>, u64)>) -> String {
        let mut out = b"HTTP ".to_vec();
        let ttl = ttl.as_ref().map(|(span, left)| (span, *left));
        answer(Id::from_json(id).unwrap(), result, ttl, &mut out);
        String::from_utf8(out.split_off(5)).unwrap()
    }

    #[test]
    fn an_id_is_echoed_as_it_was_spelled() {
        for id in [
            "0",
            "-1",
            "9007199254740993",
            "1e0",
            r#""""#,
            r#""\u0061\"""#,
            "\"é\"",
        ] {
            let expected = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"a": 1.0}}}}"#);
            assert_eq!(rendered(id, r#"{"a": 1.0}"#, None), expected);
        }
    }

    #[test]
    fn a_ttl_is_never_more_than_what_is_left_nor_than_it_was() {
        let result = r#"{"tools":[],"ttlMs":1500,"cacheScope":"private"}"#;
        let span = 20..24;
        for (left, expected) in [
            (0, "0"),
            (1, "1"),
            (1499, "1499"),
            (1500, "1500"),
            (1501, "1500"),
            (u64::MAX, "1500"),
        ] {
            let text = rendered("1", result, Some((span.clone(), left)));
            let own = result.replace("1500", expected);
            assert_eq!(
                text,
                format!(r#"{{"jsonrpc":"2.0","id":1,"result":{own}}}"#)
            );
        }
    }

    #[test]
    fn a_span_that_is_no_number_of_the_result_changes_nothing() {
        let result = "{\"é\":1500}";
        for span in [0..0, 2..3, 3..4, 6..100, 100..101, 5..7, 1..5] {
            assert!(
                rendered("1", result, Some((span.clone(), 7))).ends_with(&format!("{result}}}")),
                "{span:?}"
            );
        }
    }
}
