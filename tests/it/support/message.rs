//! MCP messages as a client of either era sends them, headers included.

use serde_json::{Value, json};

use super::wire::Request;

pub(crate) const LEGACY: &str = "2025-11-25";
pub(crate) const MODERN: &str = "2026-07-28";

const ACCEPT: &str = "application/json, text/event-stream";
const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES_KEY: &str = "io.modelcontextprotocol/clientCapabilities";

/// A POST of raw bytes with the headers that every MCP message needs.
pub(crate) fn post(path: &str, body: impl Into<Vec<u8>>) -> Request {
    Request::post(path)
        .header("content-type", "application/json")
        .header("accept", ACCEPT)
        .body(body)
}

/// The body of a modern request: `params` with the envelope that the revision demands (protocol.md B1).
pub(crate) fn modern_body(id: &Value, method: &str, mut params: Value) -> Value {
    params["_meta"][VERSION_KEY] = json!(MODERN);
    params["_meta"][CAPABILITIES_KEY] = json!({});
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

/// A complete modern request: envelope, `MCP-Protocol-Version`, `Mcp-Method` and, where one is due, `Mcp-Name`.
pub(crate) fn modern(path: &str, id: &Value, method: &str, params: Value) -> Request {
    let name = ["name", "uri"].iter().find_map(|key| params[*key].as_str());
    let name = name.map(ToOwned::to_owned);
    let request = post(path, modern_body(id, method, params).to_string())
        .header("mcp-protocol-version", MODERN)
        .header("mcp-method", method);
    match name {
        Some(name) => request.header("mcp-name", &name),
        None => request,
    }
}

/// A modern `tools/call`.
pub(crate) fn modern_call(path: &str, id: &Value, tool: &str, arguments: Value) -> Request {
    let params = json!({ "name": tool, "arguments": arguments });
    modern(path, id, "tools/call", params)
}

/// A legacy request, outside or inside a session.
pub(crate) fn legacy(path: &str, id: &Value, method: &str, params: Value) -> Request {
    let body = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
    post(path, body.to_string()).header("mcp-protocol-version", LEGACY)
}

/// A legacy `tools/call`.
pub(crate) fn legacy_call(path: &str, id: &Value, tool: &str, arguments: Value) -> Request {
    let params = json!({ "name": tool, "arguments": arguments });
    legacy(path, id, "tools/call", params)
}

/// A JSON-RPC result, as a server writes it.
pub(crate) fn result(id: &Value, result: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "result": result })
}

/// The result of a tool call that says `text`; complete in both eras.
pub(crate) fn said(id: &Value, text: &str) -> Value {
    let content = json!([{ "type": "text", "text": text }]);
    result(id, json!({ "content": content, "resultType": "complete" }))
}

/// Codes that a gateway must not use for its own refusals (protocol.md E12): the range that JSON-RPC reserves.
pub(crate) fn is_reserved(code: i64) -> bool {
    (-32768..=-32000).contains(&code)
}
