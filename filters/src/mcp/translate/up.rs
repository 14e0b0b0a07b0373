//! Requests on their way to an upstream of the other era.
//!
//! **Invariant:** what a modern request says of its client is what the gateway says: a legacy
//! client's own words under those keys never reach an upstream, nor a modern client's a legacy one.

use crate::json::object::Object;
use crate::mcp::translate::edit_meta;
use crate::rpc::write::push_string;

/// The version of the protocol that a modern request speaks.
const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// What its client can do.
const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
/// Who its client says it is.
const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
/// From which level on it wants log messages.
const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
/// Which subscription a modern message belongs to; no request has one, so none passes.
const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";
/// The keys of `_meta` that only the modern era has.
const ENVELOPE: [&str; 5] = [
    PROTOCOL_VERSION,
    CLIENT_CAPABILITIES,
    CLIENT_INFO,
    LOG_LEVEL,
    SUBSCRIPTION_ID,
];
/// The params of a retry that brings input.
const RETRY: [&str; 2] = ["inputResponses", "requestState"];

/// A modern client's params for a legacy upstream: without the modern envelope and what only a retry
/// has. Where the client gave a progress token, `progress_token` (JSON text) takes its place, or
/// nothing does. Trace context and keys that are not MCP's own stay. What is no object is left out.
#[must_use]
pub fn legacy_params(params: Option<&str>, progress_token: Option<&str>) -> Option<String> {
    let mut object = Object::read(params?)?;
    object.retain(|name| !RETRY.contains(&name));
    edit_meta(&mut object, |meta| {
        meta.retain(|key| !ENVELOPE.contains(&key));
        match progress_token {
            Some(token) if meta.get("progressToken").is_some() => {
                meta.set("progressToken", token.to_owned());
            }
            Some(_) => {}
            None => {
                meta.remove("progressToken");
            }
        }
    });
    Some(object.write())
}

/// What a modern request says of its client; capabilities and client info are JSON text.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    /// `io.modelcontextprotocol/protocolVersion`
    pub revision: &'a str,
    /// `io.modelcontextprotocol/clientCapabilities`, JSON text.
    pub capabilities: &'a str,
    /// `io.modelcontextprotocol/clientInfo`, JSON text.
    pub client_info: Option<&'a str>,
    /// `io.modelcontextprotocol/logLevel`, the bare level.
    pub log_level: Option<&'a str>,
}

/// A legacy client's params for a modern upstream: with the envelope, whatever the client had under
/// its keys, and without `task` (2025-11-25) and what only a retry has, which is the gateway's to
/// say. The progress token and all else stays.
#[must_use]
pub fn modern_params(params: Option<&str>, envelope: &Envelope<'_>) -> String {
    let mut object = params.and_then(Object::read).unwrap_or_default();
    object.retain(|name| name != "task" && !RETRY.contains(&name));
    edit_meta(&mut object, |meta| {
        meta.retain(|key| !ENVELOPE.contains(&key));
        meta.set_text(PROTOCOL_VERSION, envelope.revision);
        meta.set(CLIENT_CAPABILITIES, envelope.capabilities.to_owned());
        if let Some(client) = envelope.client_info {
            meta.set(CLIENT_INFO, client.to_owned());
        }
        if let Some(level) = envelope.log_level {
            meta.set_text(LOG_LEVEL, level);
        }
    });
    object.write()
}

/// The params of a retry: the first try's, with the answers (key, result as JSON text) and the state
/// (the JSON string as it came). Without a state none is sent, as the first answer had none.
#[must_use]
pub fn retry_params(params: &str, responses: &[(String, String)], state: Option<&str>) -> String {
    let mut object = Object::read(params).unwrap_or_default();
    object.retain(|name| !RETRY.contains(&name));
    if !responses.is_empty() {
        let mut results = Object::default();
        for (key, result) in responses {
            results.set(key, result);
        }
        object.set("inputResponses", results.write());
    }
    if let Some(state) = state {
        object.set("requestState", state);
    }
    object.write()
}

/// A JSON-RPC request; `id` is JSON text.
#[must_use]
pub fn request(id: &str, method: &str, params: Option<&str>) -> String {
    let mut text = format!(r#"{{"jsonrpc":"2.0","id":{id},"#);
    finish(&mut text, method, params);
    text
}

/// A JSON-RPC notification.
#[must_use]
pub fn notification(method: &str, params: Option<&str>) -> String {
    let mut text = String::from(r#"{"jsonrpc":"2.0","#);
    finish(&mut text, method, params);
    text
}

fn finish(text: &mut String, method: &str, params: Option<&str>) {
    text.push_str(r#""method":"#);
    push_string(text, method);
    if let Some(params) = params {
        text.push_str(r#","params":"#);
        text.push_str(params);
    }
    text.push('}');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_legacy_upstream_sees_nothing_of_the_modern_envelope() {
        let full = r#"{"name":"t","inputResponses":{},"requestState":"s","arguments":{"n":12345678901234567890, "x":1.0},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"roots":{}},"progressToken":7,"io.modelcontextprotocol/clientInfo":{},"io.modelcontextprotocol/logLevel":"info","io.modelcontextprotocol/subscriptionId":1,"traceparent":"00-a","com.example/k":{ "a":1}}}"#;
        let rows = [
            (
                full,
                Some("\"u1\""),
                r#"{"name":"t","arguments":{"n":12345678901234567890, "x":1.0},"_meta":{"progressToken":"u1","traceparent":"00-a","com.example/k":{ "a":1}}}"#,
            ),
            (
                full,
                None,
                r#"{"name":"t","arguments":{"n":12345678901234567890, "x":1.0},"_meta":{"traceparent":"00-a","com.example/k":{ "a":1}}}"#,
            ),
            (r#"{"_meta":{"progressToken":1}}"#, None, "{}"),
            (
                r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}"#,
                Some("2"),
                "{}",
            ),
            (r#"{"_meta":{}}"#, None, "{}"),
            (r#"{"_meta":3}"#, None, "{}"),
        ];
        for (params, token, expected) in rows {
            assert_eq!(legacy_params(Some(params), token).unwrap(), expected);
        }
        assert_eq!(legacy_params(None, Some("1")), None);
        assert_eq!(legacy_params(Some("[1]"), None), None);
    }

    const ENVELOPE: Envelope<'_> = Envelope {
        revision: "2026-07-28",
        capabilities: r#"{"roots":{}}"#,
        client_info: Some(r#"{"name":"c","version":"1"}"#),
        log_level: Some("info"),
    };

    #[test]
    fn a_legacy_client_cannot_speak_for_the_envelope() {
        let forged = r#"{"name":"t","task":{},"requestState":"s","inputResponses":{},"_meta":{"io.modelcontextprotocol/clientCapabilities":{"sampling":{}},"io.modelcontextprotocol/subscriptionId":1,"\u0069o.modelcontextprotocol/logLevel":"debug","progressToken":"p","v":1}}"#;
        assert_eq!(
            modern_params(Some(forged), &ENVELOPE),
            r#"{"name":"t","_meta":{"progressToken":"p","v":1,"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"roots":{}},"io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"},"io.modelcontextprotocol/logLevel":"info"}}"#
        );
    }

    #[test]
    fn the_least_envelope_has_what_every_request_must_have() {
        let least = Envelope {
            client_info: None,
            log_level: None,
            capabilities: "{}",
            ..ENVELOPE
        };
        let expected = r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}"#;
        for params in [None, Some("{}"), Some(r#"{"_meta":[]}"#), Some("nonsense")] {
            assert_eq!(modern_params(params, &least), expected);
        }
    }

    #[test]
    fn a_retry_brings_the_answers_and_the_state_as_it_came() {
        let params = r#"{"name":"t","requestState":"old","_meta":{"a":1}}"#;
        let answers = [("k\"1".to_owned(), r#"{"action":"accept"}"#.to_owned())];
        assert_eq!(
            retry_params(params, &answers, Some(r#""\u0061/b""#)),
            r#"{"name":"t","_meta":{"a":1},"inputResponses":{"k\"1":{"action":"accept"}},"requestState":"\u0061/b"}"#
        );
        assert_eq!(
            retry_params(params, &[], None),
            r#"{"name":"t","_meta":{"a":1}}"#
        );
    }

    #[test]
    fn messages_read_back_as_they_were_meant() {
        let text = request("\"a\"", "x/\"y", Some("{}"));
        let message = crate::rpc::parse::message(&text).unwrap();
        assert_eq!(message.request_id().unwrap().as_json(), "\"a\"");
        assert_eq!(message.method(), Some("x/\"y"));
        assert_eq!(
            notification("notifications/initialized", None),
            r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#
        );
    }
}
