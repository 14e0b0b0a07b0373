//! Answers and notifications on their way to a client of the other era.
//!
//! **Invariant:** a member that neither era gives a meaning of its own passes byte for byte (E62).

use crate::json::object::{self, Object};
use crate::mcp::capability::Need;
use crate::mcp::method::Method;
use crate::mcp::revision::Revision;
use crate::mcp::translate::{SERVER_INFO, edit_meta};

/// A `DiscoverResult` for a modern client from a legacy server's `InitializeResult`: not to be
/// cached, as a legacy server promises nothing for longer than a session. Experimental abilities and
/// the tasks of 2025-11-25 are left out, which the bridge does not carry. `versions` are those the
/// gateway serves.
#[must_use]
pub fn discover(initialize_result: &str, versions: &[&str]) -> String {
    let mut result = Object::read(initialize_result).unwrap_or_default();
    result.remove("protocolVersion");
    let server_info = result.take("serverInfo");
    let capabilities = without(result.get("capabilities"), &["experimental", "tasks"]);
    result.set("capabilities", capabilities);
    let versions = object::array(versions.iter().map(|version| object::quoted(version)));
    result.set("supportedVersions", versions);
    modern_result(
        Method::ServerDiscover,
        &result.write(),
        server_info.as_deref(),
    )
}

/// An `InitializeResult` for a legacy client of `revision` from a modern server's `DiscoverResult`:
/// without extensions, which the handshake does not know. `server_info_fallback` (an
/// `Implementation`, JSON text) stands in where the server does not name both itself and its
/// version, as the handshake requires.
#[must_use]
pub fn initialize(discover_result: &str, revision: Revision, server_info_fallback: &str) -> String {
    let mut result = Object::read(discover_result).unwrap_or_default();
    let server_info = named_server(&result).unwrap_or_else(|| server_info_fallback.to_owned());
    let capabilities = without(result.get("capabilities"), &["extensions"]);
    result.remove("supportedVersions");
    result.set_text("protocolVersion", revision.as_str());
    result.set("capabilities", capabilities);
    result.set("serverInfo", server_info);
    legacy_result(Method::ServerDiscover, &result.write())
}

fn named_server(result: &Object<'_>) -> Option<String> {
    let meta = Object::read(result.get("_meta")?)?;
    let server = Object::read(meta.get(SERVER_INFO)?)?;
    (server.text("name").is_some() && server.text("version").is_some()).then(|| server.write())
}

/// Capabilities less some of them.
fn without(capabilities: Option<&str>, names: &[&str]) -> String {
    let mut capabilities = capabilities.and_then(Object::read).unwrap_or_default();
    capabilities.retain(|name| !names.contains(&name));
    capabilities.write()
}

/// A legacy server's result as a modern client takes it: complete, with its maker's name, and with
/// what a cacheable one must say, which is that it is stale at once. `server_info` is an
/// `Implementation`, JSON text.
#[must_use]
pub fn modern_result(method: Method, result: &str, server_info: Option<&str>) -> String {
    let Some(mut object) = Object::read(result) else {
        return result.to_owned();
    };
    // A legacy server has no other kind: what it says here has no meaning, and must not gain one.
    object.set_text("resultType", "complete");
    if is_cacheable(method) {
        for (name, value) in [("ttlMs", "0"), ("cacheScope", r#""private""#)] {
            if object.get(name).is_none() {
                object.set(name, value);
            }
        }
    }
    if let Some(server) = server_info {
        edit_meta(&mut object, |meta| {
            if meta.get(SERVER_INFO).is_none() {
                meta.set(SERVER_INFO, server.to_owned());
            }
        });
    }
    object.write()
}

/// A modern server's result as a legacy client takes it: without what only the modern era has. Two
/// things that a legacy schema forbids, and for which its clients refuse the whole answer, are left
/// out: an output schema of anything but objects, and structured content that is no object. The
/// latter is kept as text where there is no other content.
#[must_use]
pub fn legacy_result(method: Method, result: &str) -> String {
    let Some(mut object) = Object::read(result) else {
        return result.to_owned();
    };
    object.remove("resultType");
    if is_cacheable(method) {
        object.remove("ttlMs");
        object.remove("cacheScope");
    }
    edit_meta(&mut object, |meta| {
        meta.remove(SERVER_INFO);
    });
    if method == Method::ToolsList {
        keep_object_schemas(&mut object);
    }
    if method == Method::ToolsCall {
        keep_object_content(&mut object);
    }
    object.write()
}

/// Whether a modern server's result is of the one kind that a legacy client knows. What asks for
/// input is the bridge's to answer before.
#[must_use]
pub fn is_complete(result: &str) -> bool {
    let kind = Object::read(result).and_then(|result| {
        let kind = result.text("resultType")?;
        Some(kind == "complete")
    });
    kind.unwrap_or(true)
}

fn keep_object_schemas(result: &mut Object<'_>) {
    let listed = result.get("tools").map(str::to_owned);
    let Some(tools) = listed.as_deref().and_then(object::elements) else {
        return;
    };
    let mut has_changed = false;
    let tools = tools.into_iter().map(|text| match legacy_tool(text) {
        Some(tool) => {
            has_changed = true;
            tool
        }
        None => text.to_owned(),
    });
    let tools = object::array(tools);
    if has_changed {
        result.set("tools", tools);
    }
}

/// A tool as legacy clients are shown it; nothing where that is as it is. Their output schemas are of
/// objects.
#[must_use]
pub fn legacy_tool(tool: &str) -> Option<String> {
    let is_of_objects = |schema: &str| {
        Object::read(schema).is_some_and(|schema| schema.text("type").as_deref() == Some("object"))
    };
    let mut tool = Object::read(tool)?;
    if tool.get("outputSchema").is_none_or(is_of_objects) {
        return None;
    }
    tool.remove("outputSchema");
    Some(tool.write())
}

fn keep_object_content(result: &mut Object<'_>) {
    let is_odd = |content: &str| !content.starts_with('{');
    let Some(odd) = result.get("structuredContent").filter(|it| is_odd(it)) else {
        return;
    };
    let text = format!(r#"[{{"type":"text","text":{}}}]"#, object::quoted(odd));
    result.remove("structuredContent");
    let content = result.get("content").and_then(object::elements);
    if content.is_none_or(|blocks| blocks.is_empty()) {
        result.set("content", text);
    }
}

/// The methods whose results say how long they may be kept (2026-07-28, "Caching").
fn is_cacheable(method: Method) -> bool {
    match method {
        Method::ServerDiscover
        | Method::ToolsList
        | Method::PromptsList
        | Method::ResourcesList
        | Method::ResourcesTemplatesList
        | Method::ResourcesRead => true,
        Method::Initialize
        | Method::Ping
        | Method::ToolsCall
        | Method::PromptsGet
        | Method::ResourcesSubscribe
        | Method::ResourcesUnsubscribe
        | Method::CompletionComplete
        | Method::LoggingSetLevel
        | Method::SubscriptionsListen
        | Method::Tasks
        | Method::Cancelled
        | Method::Notification
        | Method::Other => false,
    }
}

// === errors ===

const PARSE_ERROR: i32 = -32700;
const INVALID_REQUEST: i32 = -32600;
const METHOD_NOT_FOUND: i32 = -32601;
const INVALID_PARAMS: i32 = -32602;
const INTERNAL_ERROR: i32 = -32603;
/// Up to 2025-11-25.
const RESOURCE_NOT_FOUND: i32 = -32002;
/// 2025-11-25 alone.
const URL_ELICITATION_REQUIRED: i32 = -32042;
const HEADER_MISMATCH: i32 = -32020;
const CAPABILITY_MISSING: i32 = -32021;
const VERSION_UNSUPPORTED: i32 = -32022;

/// A legacy server's error object as a modern client takes it, and the HTTP status it goes with.
/// Message and data stay; the two codes that must not be sent any more are replaced:
///
/// - -32002 of a method that names a resource is -32602; of any other it means nothing that is
///   agreed on (some servers say "not initialized" with it) and is -32603;
/// - -32042 is -32021 with `requiredCapabilities` that name URL elicitation. A client that has that
///   ability is better served by [`crate::mcp::input::url_required`], to be tried first.
#[must_use]
pub fn modern_error(method: Method, error: &str) -> (u16, String) {
    let Some(mut object) = Object::read(error) else {
        return (200, error.to_owned());
    };
    let Some(code) = code(&object) else {
        return (200, error.to_owned());
    };
    let code = match code {
        RESOURCE_NOT_FOUND if names_a_resource(method) => INVALID_PARAMS,
        RESOURCE_NOT_FOUND => INTERNAL_ERROR,
        URL_ELICITATION_REQUIRED => {
            let mut data = Object::default();
            let text = object.take("data");
            if let Some(kept) = text.as_deref().and_then(Object::read) {
                data = kept;
            }
            data.set("requiredCapabilities", Need::ElicitationUrl.required());
            object.set("data", data.write());
            CAPABILITY_MISSING
        }
        other => other,
    };
    object.set("code", code.to_string());
    let status = match code {
        METHOD_NOT_FOUND => 404,
        PARSE_ERROR | INVALID_REQUEST | HEADER_MISMATCH | CAPABILITY_MISSING
        | VERSION_UNSUPPORTED => 400,
        _ => 200,
    };
    (status, object.write())
}

/// A modern server's error object as a legacy client takes it; data stays:
///
/// - -32602 of `resources/read` with `data.uri`, the mark of a missing resource, is -32002;
/// - -32021 is -32600 with a message that names the missing capabilities;
/// - -32020 and -32022 are about what passes between the gateway and its upstream, no fault of the
///   client's: -32603.
#[must_use]
pub fn legacy_error(method: Method, error: &str) -> String {
    let Some(mut object) = Object::read(error) else {
        return error.to_owned();
    };
    let data = object
        .get("data")
        .and_then(Object::read)
        .unwrap_or_default();
    let (code, message) = match code(&object) {
        Some(INVALID_PARAMS) if names_a_resource(method) && data.text("uri").is_some() => {
            (RESOURCE_NOT_FOUND, None)
        }
        Some(CAPABILITY_MISSING) => {
            let missing = data.get("requiredCapabilities").and_then(Object::read);
            let missing = missing.unwrap_or_default();
            let names: Vec<&str> = missing.members().map(|(name, _)| name).collect();
            let message = format!(
                "invalid request: the server needs client capabilities that were not declared: {}",
                names.join(", ")
            );
            (INVALID_REQUEST, Some(message))
        }
        Some(HEADER_MISMATCH | VERSION_UNSUPPORTED) => (INTERNAL_ERROR, None),
        Some(_) | None => return error.to_owned(),
    };
    object.set("code", code.to_string());
    if let Some(message) = message {
        object.set_text("message", &message);
    }
    object.write()
}

fn code(error: &Object<'_>) -> Option<i32> {
    error.get("code")?.parse().ok()
}

fn names_a_resource(method: Method) -> bool {
    match method {
        Method::ResourcesRead | Method::ResourcesSubscribe | Method::ResourcesUnsubscribe => true,
        Method::Initialize
        | Method::Ping
        | Method::ServerDiscover
        | Method::ToolsList
        | Method::ToolsCall
        | Method::PromptsList
        | Method::PromptsGet
        | Method::ResourcesList
        | Method::ResourcesTemplatesList
        | Method::CompletionComplete
        | Method::LoggingSetLevel
        | Method::SubscriptionsListen
        | Method::Tasks
        | Method::Cancelled
        | Method::Notification
        | Method::Other => false,
    }
}

// === notifications ===

/// Where a legacy upstream's notification may go with a modern client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relay {
    /// Onto the stream of the request it belongs to.
    Request,
    /// Onto the streams that listen for it.
    Listen,
    /// Onto the request's stream if that asked for logs of its level (E68).
    Log,
    /// Nowhere: the modern era has no such message.
    Drop,
}

/// Where a legacy server's notification may go with a modern client.
#[must_use]
pub fn modern_notification(method: &str) -> Relay {
    match method {
        "notifications/progress" => Relay::Request,
        "notifications/message" => Relay::Log,
        "notifications/tools/list_changed"
        | "notifications/prompts/list_changed"
        | "notifications/resources/list_changed"
        | "notifications/resources/updated" => Relay::Listen,
        // Cancelling one's own request, tasks/status, elicitation/complete: removed, or the bridge's
        // to act on.
        _ => Relay::Drop,
    }
}

/// Whether a log message of `level` is wanted by who asked for `threshold`: of RFC 5424's eight, as
/// severe or more. What is no level is never wanted, and asks for nothing.
#[must_use]
pub fn is_severe_enough(level: &str, threshold: &str) -> bool {
    match (severity(level), severity(threshold)) {
        (Some(level), Some(threshold)) => level >= threshold,
        (Some(_) | None, None) | (None, Some(_)) => false,
    }
}

/// Whether `level` is one of the eight levels of log messages (RFC 5424).
#[must_use]
pub fn is_level(level: &str) -> bool {
    severity(level).is_some()
}

fn severity(level: &str) -> Option<usize> {
    const LEVELS: [&str; 8] = [
        "debug",
        "info",
        "notice",
        "warning",
        "error",
        "critical",
        "alert",
        "emergency",
    ];
    LEVELS.iter().position(|name| *name == level)
}

#[cfg(test)]
mod tests;
