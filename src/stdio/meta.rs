//! The few values inside a message that the bridge needs, as slices of its text.

use std::borrow::Cow;

use filters::rpc::parse::{self, Invalid, Message, Params};
use memchr::memmem;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::failure::Failure;

/// Reads one message, which must be an object.
///
/// # Errors
/// See [`parse::message`]; an array is [`Invalid::Shape`], since batches are the gateway's to split.
pub(super) fn message(text: &str) -> Result<Message<'_>, Invalid> {
    if text.trim_ascii_start().starts_with('[') {
        return Err(Invalid::Shape("batches are not accepted here"));
    }
    parse::message(text)
}

/// What a request says about itself in `params._meta`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Meta<'a> {
    /// Whether it claims a protocol version, which makes it modern (E2).
    pub(super) is_modern: bool,
    /// Its progress token's JSON text.
    pub(super) progress_token: Option<&'a str>,
    /// Whether it asks for log messages, as only a modern request does.
    pub(super) wants_log: bool,
}

#[derive(Deserialize)]
struct RawMeta<'a> {
    #[serde(borrow, default, rename = "io.modelcontextprotocol/protocolVersion")]
    version: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "io.modelcontextprotocol/logLevel")]
    log_level: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "io.modelcontextprotocol/subscriptionId")]
    subscription: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "progressToken")]
    progress_token: Option<&'a RawValue>,
}

impl<'a> Meta<'a> {
    /// Reads it; a request without `_meta` says nothing.
    ///
    /// # Errors
    /// [`Failure::ClientMeta`] where it is no object or repeats a member: a token that we do not
    /// see cannot be kept apart from another client's.
    pub(super) fn of(params: &Params<'a>) -> Result<Self, Failure> {
        let Some(raw) = params.meta else {
            return Ok(Self::default());
        };
        // An array would be read as the members in order.
        if !raw.get().starts_with('{') {
            return Err(Failure::ClientMeta);
        }
        let meta: RawMeta<'a> = serde_json::from_str(raw.get()).map_err(|_| Failure::ClientMeta)?;
        Ok(Self {
            is_modern: meta.version.is_some(),
            progress_token: meta.progress_token.map(RawValue::get),
            wants_log: meta.version.is_some() && meta.log_level.is_some(),
        })
    }
}

/// The JSON text of `_meta["io.modelcontextprotocol/subscriptionId"]`.
pub(super) fn subscription<'a>(params: &Params<'a>) -> Option<&'a str> {
    let raw: RawMeta<'a> = serde_json::from_str(params.meta?.get()).ok()?;
    raw.subscription.map(RawValue::get)
}

/// The same of a result.
pub(super) fn result_subscription(text: &str) -> Option<&str> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        result: Result<'a>,
    }
    #[derive(Deserialize)]
    struct Result<'a> {
        #[serde(borrow, rename = "_meta")]
        meta: RawMeta<'a>,
    }
    let answer: Answer<'_> = serde_json::from_str(text).ok()?;
    answer.result.meta.subscription.map(RawValue::get)
}

/// The JSON text of `params.progressToken` of a progress notification.
pub(super) fn progress_token(text: &str) -> Option<&str> {
    #[derive(Deserialize)]
    struct Progress<'a> {
        #[serde(borrow)]
        params: Token<'a>,
    }
    #[derive(Deserialize)]
    struct Token<'a> {
        #[serde(borrow, rename = "progressToken")]
        token: &'a RawValue,
    }
    let progress: Progress<'_> = serde_json::from_str(text).ok()?;
    Some(progress.params.token.get())
}

/// The code of an error answer; nothing for a result.
pub(super) fn error_code(text: &str) -> Option<i64> {
    #[derive(Deserialize)]
    struct Answer {
        error: Option<Error>,
    }
    #[derive(Deserialize)]
    struct Error {
        code: i64,
    }
    // Nearly every answer is a result and need not be parsed again.
    memmem::find(text.as_bytes(), b"\"error\"")?;
    let answer: Answer = serde_json::from_str(text).ok()?;
    Some(answer.error?.code)
}

/// An `initialize` answer's result, cut around its protocol version.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Greeting {
    before: String,
    version: String,
    after: String,
}

impl Greeting {
    /// Reads it from the whole answer; nothing where it is no result with a protocol version.
    pub(super) fn read(text: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Answer<'a> {
            #[serde(borrow)]
            result: &'a RawValue,
        }
        #[derive(Deserialize)]
        struct Version<'a> {
            #[serde(borrow, rename = "protocolVersion")]
            version: &'a RawValue,
        }
        let answer: Answer<'_> = serde_json::from_str(text).ok()?;
        let result = answer.result.get();
        let found: Version<'_> = serde_json::from_str(result).ok()?;
        let version = found.version.get();
        let start = (version.as_ptr() as usize).checked_sub(result.as_ptr() as usize)?;
        Some(Self {
            before: result.get(..start)?.to_owned(),
            version: version.to_owned(),
            after: result.get(start + version.len()..)?.to_owned(),
        })
    }

    /// The result for a client that asked for `requested` (JSON text): its own version if that is
    /// an older legacy one than the server's, since each only adds to the one before.
    pub(super) fn result_for(&self, requested: Option<&str>) -> String {
        let version = requested
            .filter(|asked| LEGACY.contains(asked) && **asked < *self.version)
            .unwrap_or(&self.version);
        [&self.before, version, &self.after].concat()
    }
}

/// The legacy revisions, as JSON text.
const LEGACY: [&str; 4] = [
    "\"2024-11-05\"",
    "\"2025-03-26\"",
    "\"2025-06-18\"",
    "\"2025-11-25\"",
];

/// The protocol version that an `initialize` request asks for, as JSON text.
pub(super) fn requested_version(text: &str) -> Option<&str> {
    #[derive(Deserialize)]
    struct Initialize<'a> {
        #[serde(borrow)]
        params: Version<'a>,
    }
    #[derive(Deserialize)]
    struct Version<'a> {
        #[serde(borrow, rename = "protocolVersion")]
        version: &'a RawValue,
    }
    let request: Initialize<'_> = serde_json::from_str(text).ok()?;
    Some(request.params.version.get())
}

/// The resource that a subscription or its update is about.
pub(super) fn uri<'a>(params: &Params<'a>) -> Option<Cow<'a, str>> {
    parse::string(params.uri?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(text: &str) -> Result<Meta<'_>, Failure> {
        Meta::of(parse::message(text).unwrap().params().unwrap())
    }

    #[test]
    fn a_version_claim_makes_a_request_modern_whatever_its_method() {
        let modern = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","progressToken":"a"}}}"#;
        let meta_of = meta(modern).unwrap();
        assert!(meta_of.is_modern);
        assert_eq!(meta_of.progress_token, Some("\"a\""));
        let legacy = r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"_meta":{"progressToken":12345678901234567890123}}}"#;
        let meta_of = meta(legacy).unwrap();
        assert!(!meta_of.is_modern);
        assert_eq!(meta_of.progress_token, Some("12345678901234567890123"));
    }

    #[test]
    fn a_token_that_could_be_read_in_two_ways_is_refused() {
        for bad in [
            r#"{"progressToken":1,"progressToken":2}"#,
            r#"{"progressToken":1,"progress\u0054oken":2}"#,
            "[]",
            "7",
        ] {
            let text =
                format!(r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{{"_meta":{bad}}}}}"#);
            assert_eq!(meta(&text).unwrap_err(), Failure::ClientMeta, "{bad}");
        }
    }

    #[test]
    fn an_array_is_no_message() {
        assert!(message(r#"["2.0",1,"ping",{}]"#).is_err());
        assert!(message(r#" {"jsonrpc":"2.0","id":1,"method":"ping"}"#).is_ok());
    }

    #[test]
    fn only_an_error_answer_has_a_code() {
        assert_eq!(
            error_code(r#"{"id":1,"error":{"code":-32601,"message":"x"}}"#),
            Some(-32601)
        );
        assert_eq!(
            error_code(r#"{"id":1,"result":{"error":{"code":-1}}}"#),
            None
        );
    }

    #[test]
    fn a_stored_greeting_answers_older_clients_in_their_version() {
        let greeting = Greeting::read(
            r#"{"jsonrpc":"2.0","id":1,"result":{"capabilities":{},"protocolVersion":"2025-11-25","n":12345678901234567890}}"#,
        )
        .unwrap();
        let version = |asked: Option<&str>| greeting.result_for(asked);
        let with = |v: &str| {
            format!(r#"{{"capabilities":{{}},"protocolVersion":"{v}","n":12345678901234567890}}"#)
        };
        assert_eq!(version(Some("\"2025-06-18\"")), with("2025-06-18"));
        assert_eq!(version(Some("\"2026-07-28\"")), with("2025-11-25"));
        assert_eq!(version(Some("\"1999-01-01\"")), with("2025-11-25"));
        assert_eq!(version(None), with("2025-11-25"));
        assert_eq!(Greeting::read(r#"{"id":1,"error":{"code":1}}"#), None);
    }
}
