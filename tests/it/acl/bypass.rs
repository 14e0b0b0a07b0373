//! Every way that was thought of to have a server do what is denied: nothing of it reaches the server.

use serde_json::{Value, json};

use crate::acl::site::{Form, Site, is_done};
use crate::acl::{all_but, only, reached};
use crate::support::message::{MODERN, legacy, legacy_call, modern, modern_call, post};
use crate::support::wire::{self, Request};

const SECRET: &str = "drop_a";

fn denied() -> Value {
    all_but(
        json!([{ "server": "one", "tools": ["drop_*"], "prompts": ["secret"],
        "resources": ["file:///priv/*"] }]),
    )
}

/// A legacy message of exactly this text.
fn raw(path: &str, body: &str) -> Request {
    post(path, body.to_owned()).header("mcp-protocol-version", "2025-11-25")
}

fn call(params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#)
}

fn assert_untouched(site: &Site) {
    for (method, name) in [
        ("tools/call", SECRET),
        ("prompts/get", "secret"),
        ("resources/read", "file:///priv/b"),
    ] {
        assert!(
            !reached(site.upstream("one"), method, name),
            "{method} {name}"
        );
    }
    let seen = site.calls("one").join(" ");
    assert!(!seen.contains("drop_a") && !seen.contains("priv"), "{seen}");
}

#[tokio::test]
async fn other_spellings_of_a_message_do_not_open_it() {
    let site = Site::start(Form::Json, denied()).await;
    for body in [
        call(r#"{"name":"drop_a"}"#),
        call(r#"{"name":"drop\u005fa"}"#),
        call(r#"{"n\u0061me":"drop_a"}"#),
        call(r#"{"name":"get_a","name":"drop_a"}"#),
        call(r#"{"name":"drop_a","name":"get_a"}"#),
        call(r#"{"name":"get_a","n\u0061me":"drop_a"}"#),
        call(r#"{"name":["drop_a"]}"#),
        call(r#"{"name":{"name":"drop_a"}}"#),
        call("{}"),
        call(r#"["drop_a"]"#),
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_a"},"params":{"name":"drop_a"}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call","params":{"name":"drop_a"}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":1,"method":"tools\/call","params":{"name":"drop_a"}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"drop_a"}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":1,"method":"Tools/Call","params":{"name":"drop_a"}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":1,"method":" tools/call","params":{"name":"drop_a"}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call/","params":{"name":"drop_a"}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call","params":{"name":"drop_a"}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_a"},"Params":{"name":"drop_a"}}"#.to_owned(),
        call(r#"{"name":"get_a","Name":"drop_a"}"#),
        call(r#"{"name":"get_a","NAME":"drop_a"}"#),
    ] {
        for path in ["/mcp/one", "/mcp/one/", "/mcp/on%65", "/MCP/one", "/mcp/ONE", "/mcp//one", "/mcp/./one", "/mcp/two/../one"] {
            site.ask(&raw(path, &body)).await;
        }
        let session = site.session("/mcp").await;
        let outer = body.replace("drop_a", "one.drop_a").replace("get_a", "one.get_a");
        site.ask(&raw("/mcp", &outer).header("mcp-session-id", &session)).await;
    }
    for method in ["Tools/Call", " tools/call", "tools/call/"] {
        assert!(site.upstream("one").recorded(method).is_empty(), "{method}");
    }
    for message in ["ping", "tools/call"] {
        for seen in site.upstream("one").recorded(message) {
            let text = String::from_utf8(seen.body).unwrap();
            assert!(!text.contains("drop"), "{text}");
        }
    }
    assert_untouched(&site);
}

#[tokio::test]
async fn headers_do_not_open_what_the_body_names() {
    let site = Site::start(Form::Json, denied()).await;
    let body = |tool: &str| {
        let meta = json!({ "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientCapabilities": {} });
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": { "name": tool, "_meta": meta } })
        .to_string()
    };
    let modern = |tool: &str, names: &[&str]| {
        let mut request = post("/mcp/one", body(tool))
            .header("mcp-protocol-version", MODERN)
            .header("mcp-method", "tools/call");
        for name in names {
            request = request.header("mcp-name", name);
        }
        request
    };
    for request in [
        modern(SECRET, &["get_a"]),
        modern("get_a", &[SECRET]),
        modern("get_a", &["get_a", SECRET]),
        modern("get_a", &[SECRET, "get_a"]),
        modern(SECRET, &[SECRET]).header("mcp-method", "ping"),
        modern(SECRET, &[SECRET]).header("x-http-method-override", "GET"),
        modern(SECRET, &["=?base64?ZHJvcF9h?="]),
        modern(SECRET, &[])
            .header("x-forwarded-for", "admin")
            .header("x-client-id", "admin"),
    ] {
        let answer = site.ask(&request).await;
        assert!(!is_done(&answer), "{answer:?}");
    }
    assert_untouched(&site);
}

#[tokio::test]
async fn what_stands_beside_a_denied_entry_of_a_batch_passes_and_the_entry_does_not() {
    for form in [Form::Json, Form::Sse] {
        let site = Site::start(form, denied()).await;
        let entry = |id: u64, method: &str, params: Value| json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let told =
            json!({ "jsonrpc": "2.0", "method": "tools/call", "params": { "name": SECRET } });
        let batch = json!([
            entry(1, "tools/call", json!({ "name": "get_a" })),
            entry(2, "tools/call", json!({ "name": SECRET })),
            entry(3, "prompts/get", json!({ "name": "secret" })),
            entry(
                4,
                "resources/read",
                json!({ "uri": "file:///pub/../priv/b" })
            ),
            told,
        ]);
        let request =
            post("/mcp/one", batch.to_string()).header("mcp-protocol-version", "2025-03-26");
        let answer = site.ask(&request).await.text();
        assert!(answer.contains(r#""id":1"#), "{answer}");
        assert_eq!(answer.matches("Access denied").count(), 3, "{answer}");
        assert_eq!(site.upstream("one").recorded("tools/call").len(), 1);
        assert_untouched(&site);
    }
}

#[tokio::test]
async fn every_spelling_of_a_name_is_decided_alike() {
    for router in [
        json!({}),
        json!({ "namespace_separator": "__" }),
        json!({ "namespace_separator": "-" }),
        json!({ "name_limit": 16 }),
        json!({ "namespace_strategy": "none" }),
    ] {
        let acl = only(json!([{ "server": "two", "tools": ["get_a", "one.get_a"] }]));
        let site = Site::with(Form::Json, acl, router.clone(), "auto").await;
        let session = site.session("/mcp").await;
        for name in [
            "one.get_a",
            "one__get_a",
            "one-get_a",
            "two.drop_a",
            "two__drop_a",
            "two-drop_a",
            "two.a.b.c",
            "two..drop_a",
            "two.one.drop_a",
            "one.two.get_a",
            "drop_a",
            "two.two.drop_a",
            "TWO.drop_a",
            "two_drop_a",
            "two.drop_a ",
        ] {
            // Without prefixes it is a tool's own name.
            if name == "one.get_a" && router["namespace_strategy"] == "none" {
                continue;
            }
            let modern = modern_call("/mcp", &json!(1), name, json!({}));
            let legacy = legacy_call("/mcp", &json!(1), name, json!({}));
            for request in [modern, legacy.header("mcp-session-id", &session)] {
                let answer = site.ask(&request).await;
                assert!(!is_done(&answer), "{router} {name}: {answer:?}");
            }
        }
        assert_eq!(site.calls("one"), [""; 0], "{router}");
        assert_eq!(site.calls("two"), [""; 0], "{router}");
        let listed = site
            .ask(&modern("/mcp", &json!(1), "tools/list", json!({})))
            .await
            .json();
        for tool in listed["result"]["tools"].as_array().unwrap() {
            let name = tool["name"].as_str().unwrap();
            let answer = site
                .ask(&modern_call("/mcp", &json!(1), name, json!({})))
                .await;
            assert!(is_done(&answer), "{router} {name}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn other_spellings_of_a_uri_do_not_open_it() {
    let site = Site::start(Form::Json, denied()).await;
    for uri in [
        "file:///priv/b",
        "FILE:///priv/b",
        "file:/priv/b",
        "file://localhost/priv/b",
        "file:///priv//b",
        "file:///pub/../priv/b",
        "file:///pub/%2e%2e/priv/b",
        "file:///pub/%252e%252e/priv/b",
        "file:///%70riv/b",
        "file:///pub/..\\priv\\b",
        "file:///./priv/b",
        "file:///priv/./b",
    ] {
        for (path, uri) in [
            ("/mcp/one", uri.to_owned()),
            ("/mcp", format!("one+{uri}")),
            ("/mcp", format!("ONE+{uri}")),
        ] {
            let answer = site
                .ask(&modern(
                    path,
                    &json!(1),
                    "resources/read",
                    json!({ "uri": uri }),
                ))
                .await;
            assert!(!is_done(&answer), "{uri}: {answer:?}");
        }
    }
    for reference in [
        json!({ "type": "ref/prompt", "name": "secret" }),
        json!({ "type": "ref/resource", "uri": "file:///priv/{x}" }),
    ] {
        let params = json!({ "ref": reference, "argument": { "name": "x", "value": "" } });
        let answer = site
            .ask(&legacy(
                "/mcp/one",
                &json!(1),
                "completion/complete",
                params,
            ))
            .await;
        assert_eq!(answer.json()["error"]["code"], -32000, "{answer:?}");
    }
    let twice = r#"{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"greet"},"ref":{"type":"ref/prompt","name":"secret"},"argument":{"name":"x","value":""}}}"#;
    assert!(!is_done(&site.ask(&raw("/mcp/one", twice)).await));
    assert!(
        site.upstream("one")
            .recorded("completion/complete")
            .is_empty()
    );
    assert_untouched(&site);
}

#[tokio::test]
async fn the_http_sse_transport_asks_as_well() {
    let site = Site::start(Form::Json, denied()).await;
    for (path, name) in [("/mcp/one/sse", SECRET), ("/sse", "one.drop_a")] {
        let mut stream = wire::stream(site.gateway.address, &Request::get(path)).await;
        let endpoint = stream.event().await.unwrap();
        let say = async |body: Value| site.ask(&post(&endpoint, body.to_string())).await;
        say(
            json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2024-11-05", "capabilities": {},
            "clientInfo": { "name": "t", "version": "1" } } }),
        )
        .await;
        assert!(stream.event().await.unwrap().contains(r#""id":1"#));
        say(json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": { "name": name } })).await;
        assert!(stream.event().await.unwrap().contains("Access denied"));
        say(json!({ "jsonrpc": "2.0", "id": 3, "method": "tools/list" })).await;
        let listed = stream.event().await.unwrap();
        let is_shown = |text: &str| listed.contains(text);
        assert!(
            is_shown("get_a") && !is_shown("one.drop_") && !is_shown("\"drop_"),
            "{listed}"
        );
        say(json!({ "jsonrpc": "2.0", "method": "tools/call", "params": { "name": name } })).await;
    }
    assert_untouched(&site);
}

#[tokio::test]
async fn a_method_that_nobody_knows_needs_everything() {
    let site = Site::start(Form::Json, denied()).await;
    for path in ["/mcp/one", "/mcp/two"] {
        let answer = site
            .ask(&legacy(
                path,
                &json!(1),
                "vendor/run",
                json!({ "tool": SECRET }),
            ))
            .await;
        assert_eq!(is_done(&answer), path == "/mcp/two", "{answer:?}");
    }
    assert!(site.upstream("one").recorded("vendor/run").is_empty());
}
