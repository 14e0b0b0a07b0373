//! The validation ladder of the 2026-07-28 revision: version, envelope, mirrored headers, methods.

use serde_json::{Value, json};

use super::{Bed, PATH};
use crate::support::message::{LEGACY, MODERN, modern, modern_body, modern_call, post};

#[tokio::test]
async fn an_unknown_modern_version_is_400_with_what_is_supported() {
    let bed = Bed::start().await;
    let mut body = modern_body(
        &json!("v"),
        "tools/call",
        json!({ "name": "x", "arguments": {} }),
    );
    body["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2099-01-01");
    let request = post(PATH, body.to_string())
        .header("mcp-protocol-version", "2099-01-01")
        .header("mcp-method", "tools/call")
        .header("mcp-name", "x");
    let body = bed
        .assert_refused("2099-01-01", &request, 400, -32022)
        .await;
    assert_eq!(body["id"], "v");
    let data = &body["error"]["data"];
    assert_eq!(data["requested"], "2099-01-01");
    let supported = data["supported"].as_array().unwrap();
    assert!(supported.contains(&json!(MODERN)), "{data}");
}

#[tokio::test]
async fn a_modern_header_that_is_missing_or_differs_from_the_body_is_400() {
    let bed = Bed::start().await;
    let good = || modern_call(PATH, &json!(1), "greet", json!({}));
    let replaced = |name: &str, value: &str| good().without(name).header(name, value);
    let cases = [
        ("no version", good().without("mcp-protocol-version")),
        ("other version", replaced("mcp-protocol-version", LEGACY)),
        ("no method", good().without("mcp-method")),
        ("other method", replaced("mcp-method", "tools/list")),
        ("method in capitals", replaced("mcp-method", "Tools/Call")),
        ("no name", good().without("mcp-name")),
        ("other name", replaced("mcp-name", "Greet")),
        ("broken base64", replaced("mcp-name", "=?base64?Z3JlZXQ?=")),
        ("other base64", replaced("mcp-name", "=?base64?R3JlZXQ=?=")),
        ("no base64", replaced("mcp-name", "=?base64?!!!!?=")),
    ];
    for (what, request) in cases {
        let body = bed.assert_refused(what, &request, 400, -32020).await;
        assert_eq!(body["id"], 1, "{what}");
    }
}

#[tokio::test]
async fn modern_headers_are_compared_decoded_and_trimmed() {
    let bed = Bed::start().await;
    let named = |tool: &str, header: &str| {
        modern_call(PATH, &json!(1), tool, json!({}))
            .without("mcp-name")
            .header("mcp-name", header)
    };
    let cases = [
        named("greet", "=?base64?Z3JlZXQ=?="),
        named("greet", "  greet\t"),
        named("grüße", "=?base64?Z3LDvMOfZQ==?="),
        named("=?base64?half", "=?base64?half"),
    ];
    for request in cases {
        let answer = bed.ask(&request).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

#[tokio::test]
async fn a_broken_modern_envelope_is_400_and_never_taken_for_legacy() {
    let bed = Bed::start().await;
    let with = |edit: &dyn Fn(&mut Value)| {
        let params = json!({ "name": "x", "arguments": {} });
        let mut body = modern_body(&json!(1), "tools/call", params);
        edit(&mut body["params"]);
        post(PATH, body.to_string())
            .header("mcp-protocol-version", MODERN)
            .header("mcp-method", "tools/call")
            .header("mcp-name", "x")
    };
    let capabilities = "io.modelcontextprotocol/clientCapabilities";
    let no_capabilities = with(&|params| {
        drop(
            params["_meta"]
                .as_object_mut()
                .unwrap()
                .remove(capabilities),
        )
    });
    bed.assert_refused("no capabilities", &no_capabilities, 400, -32602)
        .await;
    let wrong_capabilities = with(&|params| params["_meta"][capabilities] = json!("all"));
    bed.assert_refused(
        "capabilities of the wrong type",
        &wrong_capabilities,
        400,
        -32602,
    )
    .await;
    let no_meta = with(&|params| drop(params.as_object_mut().unwrap().remove("_meta")));
    bed.assert_refused("a modern header and no envelope", &no_meta, 400, -32602)
        .await;
}

#[tokio::test]
async fn a_method_that_the_modern_revision_removed_is_404() {
    let bed = Bed::start().await;
    for method in [
        "initialize",
        "ping",
        "logging/setLevel",
        "resources/subscribe",
    ] {
        let request = modern(PATH, &json!(9), method, json!({}));
        let body = bed.assert_refused(method, &request, 404, -32601).await;
        assert_eq!(body["id"], 9, "{method}");
    }
}
