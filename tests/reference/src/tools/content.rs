//! Tools that answer at once: every kind of content, an error, two special schemas.

use std::sync::Arc;

use rmcp::model::{CallToolResult, ContentBlock, ResourceContents, Tool, object};
use serde_json::json;

use super::{bare, tool, unknown};
use crate::call::{Answer, Call, failure, text};

/// One red pixel, base64.
pub(crate) const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8/5+hHgAHggJ/PchI7wAAAABJRU5ErkJggg==";
/// A WAV file of no samples, base64.
const WAV: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEARKwAAIhYAQACABAAZGF0YQAAAAA=";

pub(super) fn tools() -> Vec<Tool> {
    vec![
        bare("test_simple_text", "Returns a text"),
        bare("test_image_content", "Returns an image"),
        bare("test_audio_content", "Returns a sound"),
        bare("test_embedded_resource", "Returns an embedded resource"),
        bare(
            "test_multiple_content_types",
            "Returns a text, an image and a resource",
        ),
        bare("test_error_handling", "Always fails"),
        Tool::new(
            "json_schema_2020_12_tool",
            "Has a schema with keywords a careless proxy drops",
            Arc::new(object(schema_2020_12())),
        ),
        tool(
            "test_custom_header",
            "Has an argument that clients mirror into the header Mcp-Param-Value",
            json!({ "value": { "type": "string", "x-mcp-header": "Value" } }),
            &["value"],
        ),
    ]
}

pub(super) fn call(call: &Call<'_>) -> Answer {
    let resource = |uri: &str, text: &str, kind: &str| {
        ContentBlock::resource(ResourceContents::text(text, uri).with_mime_type(kind))
    };
    let content = match call.tool.as_str() {
        "test_simple_text" => return text("This is a simple text response for testing."),
        "test_image_content" => vec![ContentBlock::image(PNG, "image/png")],
        "test_audio_content" => vec![ContentBlock::audio(WAV, "audio/wav")],
        "test_embedded_resource" => vec![resource(
            "test://embedded-resource",
            "This is an embedded resource content.",
            "text/plain",
        )],
        "test_multiple_content_types" => vec![
            ContentBlock::text("Multiple content types test:"),
            ContentBlock::image(PNG, "image/png"),
            resource(
                "test://mixed-content-resource",
                r#"{"test":"data","value":123}"#,
                "application/json",
            ),
        ],
        "test_error_handling" => {
            return failure("This tool intentionally returns an error for testing");
        }
        "json_schema_2020_12_tool" => return text("Valid against a 2020-12 schema"),
        "test_custom_header" => return text(call.text("value")?),
        _ => return Err(unknown(call)),
    };
    Ok(CallToolResult::success(content).into())
}

fn schema_2020_12() -> serde_json::Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {
            "address": {
                "$anchor": "addressDef",
                "type": "object",
                "properties": { "street": { "type": "string" }, "city": { "type": "string" } }
            }
        },
        "properties": {
            "name": { "type": "string" },
            "address": { "$ref": "#/$defs/address" },
            "contactMethod": { "type": "string", "enum": ["phone", "email"] },
            "phone": { "type": "string" },
            "email": { "type": "string" }
        },
        "allOf": [{ "anyOf": [{ "required": ["phone"] }, { "required": ["email"] }] }],
        "if": {
            "properties": { "contactMethod": { "const": "phone" } },
            "required": ["contactMethod"]
        },
        "then": { "required": ["phone"] },
        "else": { "required": ["email"] },
        "additionalProperties": false
    })
}
