//! Bad input gets its exact status and code, names the caller's id when it had one, and the gateway serves on.
//!
//! The expected values are the protocol's: protocol.md B3, B4 and E1–E13, E44, E49. What only the modern era
//! demands is in `bad_input/modern.rs`.

use serde_json::{Value, json};

use crate::support::{
    gateway::Gateway,
    message::{self, LEGACY, MODERN, modern_body, modern_call, post},
    upstream::{Upstream, friendly},
    wire::{self, Answer, Connection, Request},
    within,
};

mod modern;

const PATH: &str = "/mcp/fake";

struct Bed {
    upstream: Upstream,
    gateway: Gateway,
}

impl Bed {
    async fn start() -> Self {
        let upstream = Upstream::start(friendly).await;
        let gateway = Gateway::start(json!([{ "id": "fake", "url": upstream.url() }])).await;
        Self { upstream, gateway }
    }

    async fn ask(&self, request: &Request) -> Answer {
        wire::ask(self.gateway.address, request).await
    }

    /// The request is refused as said, does not reach the upstream, and does no harm.
    async fn assert_refused(&self, what: &str, request: &Request, status: u16, code: i64) -> Value {
        let before = self.upstream.recorded("tools/call").len();
        let answer = self.ask(request).await;
        assert_eq!(answer.status, status, "{what}: {answer:?}");
        let body = answer.json();
        assert_eq!(body["jsonrpc"], "2.0", "{what}: {body}");
        assert_eq!(body["error"]["code"], code, "{what}: {body}");
        assert!(
            body["error"]["message"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{what}: no message in {body}"
        );
        assert_ne!(body.get("id"), Some(&Value::Null), "{what}: a null id");
        assert_eq!(
            self.upstream.recorded("tools/call").len(),
            before,
            "{what}: went upstream"
        );
        self.assert_serves().await;
        body
    }

    async fn assert_serves(&self) {
        let next = self
            .ask(&modern_call(PATH, &json!("next"), "any", json!({})))
            .await;
        assert_eq!(next.status, 200, "the next request: {next:?}");
        assert_eq!(next.json(), message::said(&json!("next"), "ok"));
    }
}

#[tokio::test]
async fn what_is_not_json_is_400_and_a_parse_error() {
    let bed = Bed::start().await;
    let bodies: [&[u8]; 8] = [
        b"",
        b"{",
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"",
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"} trailing",
        b"{\"jsonrpc\":\"2.0\",\"id\":NaN,\"method\":\"ping\"}",
        b"{'jsonrpc':'2.0','id':1,'method':'ping'}",
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\xfe\"}",
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":{\"a\":\"\xc3\"}}",
    ];
    for body in bodies {
        let what = String::from_utf8_lossy(body).into_owned();
        bed.assert_refused(&what, &post(PATH, body), 400, -32700)
            .await;
    }
}

#[tokio::test]
async fn what_is_json_but_no_json_rpc_is_400_and_an_invalid_request() {
    let bed = Bed::start().await;
    let bodies = [
        "42",
        "\"text\"",
        "null",
        "[]",
        "{}",
        r#"{"id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#,
        r#"{"jsonrpc":2.0,"id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":7}"#,
        r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":"scalar"}"#,
    ];
    for body in bodies {
        bed.assert_refused(body, &post(PATH, body), 400, -32600)
            .await;
    }
}

#[tokio::test]
async fn the_id_of_a_refused_request_comes_back_byte_for_byte() {
    let bed = Bed::start().await;
    for id in [
        "7",
        "-0",
        "1e400",
        "123456789012345678901234567890",
        r#""ü\u0000\/""#,
        "\"\"",
    ] {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/list","params":{{"_meta":{{
                "io.modelcontextprotocol/protocolVersion":"2099-01-01",
                "io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#
        );
        let request = post(PATH, body)
            .header("mcp-protocol-version", "2099-01-01")
            .header("mcp-method", "tools/list");
        let answer = bed.ask(&request).await;
        assert_eq!(answer.status, 400, "{answer:?}");
        let text = answer.text();
        assert!(
            text.contains(&format!("\"id\":{id}")),
            "{id} is not in {text}"
        );
    }
}

#[tokio::test]
async fn deep_nesting_is_400_at_any_depth() {
    let bed = Bed::start().await;
    for depth in [1_000, 200_000] {
        let nested = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"x","arguments":{nested}}}}}"#
        );
        let answer = bed.ask(&post(PATH, body)).await;
        assert_eq!(answer.status, 400, "depth {depth}: {}", answer.status);
        let code = answer.json()["error"]["code"].as_i64();
        assert!(
            matches!(code, Some(-32700 | -32600)),
            "depth {depth}: {code:?}"
        );
        bed.assert_serves().await;
    }
}

#[tokio::test]
async fn an_unknown_server_is_404_by_its_name() {
    let bed = Bed::start().await;
    let request = modern_call("/mcp/nowhere", &json!(5), "any", json!({}));
    let body = bed
        .assert_refused("an unknown server", &request, 404, -32601)
        .await;
    assert_eq!(body["id"], 5);
    assert!(
        body["error"]["message"]
            .as_str()
            .unwrap()
            .contains("nowhere"),
        "{body}"
    );
    let get = Request::get("/mcp/nowhere").header("accept", "text/event-stream");
    assert_eq!(bed.ask(&get).await.status, 404);
    assert_eq!(bed.ask(&Request::delete("/mcp/nowhere")).await.status, 404);
}

#[tokio::test]
async fn an_unknown_legacy_version_header_is_400() {
    let bed = Bed::start().await;
    let legacy = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    for version in ["1999-01-01", "latest", "2025-11-25x"] {
        let request = post(PATH, legacy).header("mcp-protocol-version", version);
        let answer = bed.ask(&request).await;
        assert_eq!(answer.status, 400, "{version}: {answer:?}");
        bed.assert_serves().await;
    }
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", LEGACY] {
        let request = post(PATH, legacy).header("mcp-protocol-version", version);
        assert_eq!(bed.ask(&request).await.status, 200, "{version}");
    }
    assert_eq!(
        bed.ask(&post(PATH, legacy)).await.status,
        200,
        "no version at all"
    );
}

#[tokio::test]
async fn batches_are_for_2025_03_26_alone_and_bounded() {
    let bed = Bed::start().await;
    let batch = |entries: &[Value], version: &str| {
        post(PATH, json!(entries).to_string()).header("mcp-protocol-version", version)
    };
    let ping = |id: usize| json!({ "jsonrpc": "2.0", "id": id, "method": "ping" });
    let hundred: Vec<Value> = (0..100).map(ping).collect();
    let more: Vec<Value> = (0..101).map(ping).collect();

    let answer = bed.ask(&batch(&hundred, "2025-03-26")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json().as_array().unwrap().len(), 100);
    let mixed = [
        ping(1),
        json!({ "jsonrpc": "2.0", "id": 2 }),
        json!({ "jsonrpc": "2.0", "method": "notifications/x" }),
    ];
    let answer = bed.ask(&batch(&mixed, "2025-03-26")).await.json();
    let answers = answer.as_array().unwrap();
    assert_eq!(
        answers.len(),
        2,
        "one result, one error, nothing for the notification: {answer}"
    );
    assert!(
        answers
            .iter()
            .any(|one| one["id"] == 1 && one.get("result").is_some()),
        "{answer}"
    );
    assert!(
        answers.iter().any(|one| one["error"]["code"] == -32600),
        "{answer}"
    );

    bed.assert_refused("101 entries", &batch(&more, "2025-03-26"), 400, -32600)
        .await;
    bed.assert_refused(
        "a later revision",
        &batch(&hundred[..2], "2025-06-18"),
        400,
        -32600,
    )
    .await;
    let modern_entry = [modern_body(&json!(1), "tools/list", json!({}))];
    bed.assert_refused("a modern entry", &batch(&modern_entry, MODERN), 400, -32600)
        .await;
}

#[tokio::test]
async fn a_foreign_origin_is_403_and_a_foreign_host_is_refused() {
    let bed = Bed::start().await;
    let call = || modern_call(PATH, &json!(1), "any", json!({}));
    for origin in [
        "http://evil.example.com",
        "https://localhost.evil.example",
        "null",
    ] {
        let answer = bed.ask(&call().header("origin", origin)).await;
        assert_eq!(answer.status, 403, "{origin}: {answer:?}");
    }
    let answer = bed.ask(&call().header("host", "evil.example.com")).await;
    assert!((400..500).contains(&answer.status), "{answer:?}");
    let port = bed.gateway.address.port();
    for own in [
        format!("http://127.0.0.1:{port}"),
        format!("http://localhost:{port}"),
    ] {
        let answer = bed.ask(&call().header("origin", &own)).await;
        assert_eq!(answer.status, 200, "{own}: {answer:?}");
    }
}

#[tokio::test]
async fn a_wrong_http_method_is_405_with_what_is_allowed() {
    let bed = Bed::start().await;
    let answer = bed.ask(&Request::put(PATH).body("{}")).await;
    assert_eq!(answer.status, 405);
    let allow = answer.headers.get("allow").unwrap();
    assert!(allow.contains("POST"), "{allow}");
    bed.assert_serves().await;
}

// Two framings are how a request hides behind another. Whatever the gateway makes of it, the upstream must not
// see more than one request, and that one cleanly framed (the fake server insists on it).
#[tokio::test]
async fn a_body_with_two_framings_smuggles_nothing() {
    let bed = Bed::start().await;
    let call = modern_call(PATH, &json!("framed"), "any", json!({}));
    let length = call.body_bytes() + 100;
    let both = call
        .chunked(50)
        .header("content-length", &length.to_string());
    let answer = bed.ask(&both).await;
    assert!(matches!(answer.status, 200 | 400), "{answer:?}");
    let seen = bed.upstream.recorded_http("POST");
    let framed = seen
        .iter()
        .filter(|one| one.json()["id"] == "framed")
        .count();
    assert_eq!(framed, usize::from(answer.status == 200));
    bed.assert_serves().await;
}

#[tokio::test]
async fn a_head_too_large_to_be_meant_is_refused() {
    let bed = Bed::start().await;
    let call = modern_call(PATH, &json!("vast"), "any", json!({}));
    let vast = call.header("x-vast", &"v".repeat(2 * 1024 * 1024));
    let refused = within("an end of it", async {
        let connection = Connection::open(bed.gateway.address).await.unwrap();
        connection.exchange(&vast).await
    })
    .await;
    // Refused by a status, or by hanging up on what is not going to end.
    let status = refused.map(|answer| answer.status);
    assert!(
        status.is_err() || matches!(status, Ok(400 | 431)),
        "{status:?}"
    );
    assert!(bed.upstream.recorded("tools/call").is_empty());
    bed.assert_serves().await;
}
