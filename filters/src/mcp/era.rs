//! Which era an upstream belongs to, told by its answers, and how one says that a session is lost
//! (D1, C2).
//!
//! **Invariant:** an outage, a lack of credentials or an answer that is not MCP says nothing of the
//! era.

use crate::json::object::{self, Object};
use crate::mcp::revision::{Era, Revision};

/// What an answer to `server/discover` says of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It speaks a modern revision.
    Modern,
    /// It does not know the modern era, or shares no revision of it: `initialize` may still succeed.
    Legacy,
    /// It says nothing of the era: an outage, a lack of credentials, garbage.
    Inconclusive,
}

/// What the HTTP answer to `server/discover` says of the server. `body` is the JSON-RPC message,
/// taken out of its event where the answer was a stream.
///
/// The errors that only the modern era has are evidence of it, with any status that is no outage
/// (2026-07-28, "Backward Compatibility"). -32601 is not: every modern server has `server/discover`,
/// so one that lacks it is an older one, be it with 200 or 404.
#[must_use]
pub fn probe(status: u16, body: &str) -> Verdict {
    match status {
        401 | 403 | 407 | 408 | 425 | 429 => Verdict::Inconclusive,
        200..=299 => answer(body).unwrap_or(Verdict::Inconclusive),
        400..=499 => answer(body).unwrap_or(Verdict::Legacy),
        _ => Verdict::Inconclusive,
    }
}

/// What a JSON-RPC response says, as over stdio; nothing where it is none.
#[must_use]
pub fn answer(body: &str) -> Option<Verdict> {
    let message = Object::read(body)?;
    if let Some(error) = message.get("error") {
        return Some(refusal(&Object::read(error)?));
    }
    let result = message.get("result")?;
    let is_modern = |version: &String| {
        Revision::parse(version).is_some_and(|revision| revision.era() == Era::Modern)
    };
    Some(if supported_versions(result).iter().any(is_modern) {
        Verdict::Modern
    } else {
        Verdict::Legacy
    })
}

fn refusal(error: &Object<'_>) -> Verdict {
    match error.get("code") {
        Some("-32020" | "-32021") => Verdict::Modern,
        Some("-32022") => {
            let data = error.get("data").and_then(Object::read).unwrap_or_default();
            let supported = data.get("supported").map(strings).unwrap_or_default();
            // A legacy server may word its refusal so: it names what `initialize` can agree on.
            let is_legacy = |version: &String| {
                Revision::parse(version).is_some_and(|revision| revision.era() == Era::Legacy)
            };
            if !supported.is_empty() && supported.iter().all(is_legacy) {
                Verdict::Legacy
            } else {
                Verdict::Modern
            }
        }
        Some(_) | None => Verdict::Legacy,
    }
}

/// `supportedVersions` of a `DiscoverResult`: none where it is not one.
#[must_use]
pub fn supported_versions(discover_result: &str) -> Vec<String> {
    let result = Object::read(discover_result).unwrap_or_default();
    result
        .get("supportedVersions")
        .map(strings)
        .unwrap_or_default()
}

fn strings(array: &str) -> Vec<String> {
    let elements = object::elements(array).unwrap_or_default();
    let strings = elements.into_iter().filter_map(object::string);
    strings.map(|text| text.into_owned()).collect()
}

/// Whether a legacy server's HTTP answer to a request with a session id says that it does not know
/// the session: 404, as the protocol has it, unless the body says that it is the method which is not
/// known; or what servers send instead, 400 or 422 with words of a session or of initializing.
#[must_use]
pub fn is_session_loss(status: u16, body: &str) -> bool {
    let message = Object::read(body);
    let error = message
        .as_ref()
        .and_then(|message| message.get("error"))
        .and_then(Object::read);
    let code = error.as_ref().and_then(|error| error.get("code"));
    match status {
        404 => code != Some("-32601"),
        // What only the modern era has, and params that are wrong, are not about the session.
        400 if matches!(code, Some("-32020" | "-32021" | "-32022" | "-32602")) => false,
        400 | 422 => {
            let words = error.as_ref().and_then(|error| error.text("message"));
            speaks_of_session(words.as_deref().unwrap_or(body))
        }
        _ => false,
    }
}

/// As [`is_session_loss`], of the answer to a `GET`: a server that has no such route says 404, too,
/// and nothing of a session.
#[must_use]
pub fn is_stream_loss(status: u16, body: &str) -> bool {
    let is_mcp = Object::read(body).is_some_and(|message| message.get("error").is_some());
    is_session_loss(status, body) && (is_mcp || speaks_of_session(body))
}

fn speaks_of_session(words: &str) -> bool {
    let words = words.to_ascii_lowercase();
    ["session", "not initialized", "expect initialize"]
        .iter()
        .any(|sign| words.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(result: &str) -> String {
        format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#)
    }

    fn error(code: i32, data: &str) -> String {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"error":{{"code":{code},"message":"m","data":{data}}}}}"#
        )
    }

    #[test]
    fn neither_outage_nor_missing_credentials_are_evidence() {
        let bodies = [
            result(r#"{"supportedVersions":["2026-07-28"]}"#),
            error(-32022, "null"),
            error(-32601, "null"),
            String::new(),
        ];
        for status in [
            0, 101, 301, 307, 401, 403, 407, 408, 425, 429, 500, 502, 503, 504, 530,
        ] {
            for body in &bodies {
                assert_eq!(
                    probe(status, body),
                    Verdict::Inconclusive,
                    "{status} {body}"
                );
            }
        }
    }

    #[test]
    fn an_answer_tells_the_era() {
        let rows = [
            (
                200,
                result(r#"{"supportedVersions":["2025-11-25","2026-07-28"]}"#),
                Verdict::Modern,
            ),
            (
                200,
                result(r#"{"supportedVersions":["2025-11-25"]}"#),
                Verdict::Legacy,
            ),
            (
                200,
                result(r#"{"supportedVersions":["2030-01-01"]}"#),
                Verdict::Legacy,
            ),
            (200, result(r#"{"supportedVersions":7}"#), Verdict::Legacy),
            (200, result("{}"), Verdict::Legacy),
            (
                400,
                error(-32022, r#"{"supported":["2030-01-01"]}"#),
                Verdict::Modern,
            ),
            (400, error(-32022, "null"), Verdict::Modern),
            (
                400,
                error(-32022, r#"{"supported":["2025-11-25"]}"#),
                Verdict::Legacy,
            ),
            (
                200,
                error(-32022, r#"{"supported":["2026-07-28"]}"#),
                Verdict::Modern,
            ),
            (400, error(-32020, "null"), Verdict::Modern),
            (400, error(-32021, "null"), Verdict::Modern),
            (404, error(-32601, "null"), Verdict::Legacy),
            (200, error(-32601, "null"), Verdict::Legacy),
            (200, error(-32602, "null"), Verdict::Legacy),
            (400, error(-32000, "null"), Verdict::Legacy),
            (
                422,
                "Unexpected message, expect initialize request".into(),
                Verdict::Legacy,
            ),
            (404, "not found".into(), Verdict::Legacy),
            (405, String::new(), Verdict::Legacy),
            (200, "<html>".into(), Verdict::Inconclusive),
            (202, String::new(), Verdict::Inconclusive),
            (200, r#"{"status":"ok"}"#.into(), Verdict::Inconclusive),
        ];
        for (status, body, expected) in rows {
            assert_eq!(probe(status, &body), expected, "{status} {body}");
        }
    }

    #[test]
    fn versions_are_listed_as_they_are_named() {
        assert_eq!(
            supported_versions(r#"{"supportedVersions":["2026-07-28",7,"2025\u002d11-25"]}"#),
            ["2026-07-28", "2025-11-25"]
        );
        assert!(supported_versions("[]").is_empty());
    }

    #[test]
    fn a_lost_session_is_told_from_other_refusals() {
        let said = |code: i32, message: &str| {
            format!(
                r#"{{"jsonrpc":"2.0","error":{{"code":{code},"message":"{message}"}},"id":null}}"#
            )
        };
        let rows = [
            (404, String::new(), true),
            (404, "Not Found: Session not found".into(), true),
            (404, said(-32600, "Session has been terminated"), true),
            (404, said(-32001, "Session not found"), true),
            (404, said(-32601, "Method not found"), false),
            (
                400,
                said(-32000, "Bad Request: No valid session ID provided"),
                true,
            ),
            (
                400,
                said(-32000, "Bad Request: Server not initialized"),
                true,
            ),
            (400, said(-32600, "Bad Request: Missing session ID"), true),
            (400, "Bad Request: Session ID is required".into(), true),
            (400, said(-32602, "session_id: wrong type"), false),
            (400, said(-32022, "no session needed"), false),
            (
                400,
                said(-32000, "Bad Request: Unsupported protocol version"),
                false,
            ),
            (400, String::new(), false),
            (
                422,
                "Unexpected message, expect initialize request".into(),
                true,
            ),
            (422, "unprocessable".into(), false),
            (200, said(-32000, "no session"), false),
            (401, "session expired".into(), false),
            (500, "session store down".into(), false),
        ];
        for (status, body, expected) in rows {
            assert_eq!(is_session_loss(status, &body), expected, "{status} {body}");
        }
    }

    #[test]
    fn a_missing_route_is_no_lost_session() {
        for body in [
            "",
            "404 page not found",
            "<pre>Cannot GET /mcp</pre>",
            r#"{"detail":"Not Found"}"#,
        ] {
            assert!(!is_stream_loss(404, body), "{body}");
        }
        for body in [
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"gone"}}"#,
            "session not found",
        ] {
            assert!(is_stream_loss(404, body), "{body}");
        }
    }
}
