//! What the upstream gets to see of a client's request, and the client of the upstream's answer.
//!
//! protocol.md E7, E9, E14, E15, E19, E43, E62; issue 2, item 5.

mod apart;

use serde_json::{Value, json};

use crate::support::{
    gateway::Gateway,
    message::{LEGACY, MODERN, legacy, legacy_call, modern_call, post, said},
    until,
    upstream::{Recorded, Step, Upstream, accepted, answer, chunk, end, friendly, head, sse_head},
    wire::{self, Answer, Request},
    within,
};

const PATH: &str = "/mcp/fake";
/// The session that the server knows.
const THEIRS: &str = "upstream-session";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

struct Bed {
    upstream: Upstream,
    gateway: Gateway,
}

impl Bed {
    /// `server` is what the config says of the server beside its id and URL.
    async fn start<S>(server: Value, script: S) -> Self
    where
        S: Fn(&Recorded) -> Vec<Step> + Send + Sync + 'static,
    {
        let upstream = Upstream::start(script).await;
        let mut entry = server;
        entry["id"] = json!("fake");
        entry["url"] = json!(upstream.url());
        let gateway = Gateway::start(json!([entry])).await;
        Self { upstream, gateway }
    }

    async fn ask(&self, request: &Request) -> Answer {
        wire::ask(self.gateway.address, request).await
    }

    /// Opens a legacy session: its id, which is not the server's.
    async fn open(&self) -> String {
        let params = json!({ "protocolVersion": LEGACY, "capabilities": {},
            "clientInfo": { "name": "test", "version": "1" } });
        let opened = self
            .ask(&legacy(PATH, &json!(0), "initialize", params))
            .await;
        let id = opened.headers.get("mcp-session-id").unwrap().to_owned();
        assert_ne!(id, THEIRS);
        id
    }
}

/// A call with everything that a client should not get past the gateway, and all that it should.
fn laden_call() -> Request {
    modern_call(PATH, &json!(1), "greet", json!({}))
        .header("authorization", "Bearer client-secret")
        .header("cookie", "session=client-secret")
        .header("proxy-authorization", "Basic client-secret")
        .header("x-hop", "client-secret")
        .header("connection", "keep-alive, x-hop")
        .header("keep-alive", "timeout=5")
        .header("te", "trailers")
        .header("mcp-param-region", "eu")
        .header("traceparent", TRACEPARENT)
        .header("tracestate", "vendor=1")
        .header("baggage", "tenant=a")
}

#[tokio::test]
async fn the_upstream_sees_its_own_host_and_nothing_that_is_the_clients_secret() {
    let bed = Bed::start(
        json!({ "headers": { "x-api-key": "configured" } }),
        friendly,
    )
    .await;
    let port = bed.gateway.address.port();
    let call = laden_call().header("origin", &format!("http://localhost:{port}"));
    assert_eq!(bed.ask(&call).await.status, 200);
    let seen = bed.upstream.first("tools/call").await;
    let headers = &seen.headers;
    assert_eq!(
        headers.get("host"),
        Some(bed.upstream.address.to_string().as_str())
    );
    for name in [
        "authorization",
        "cookie",
        "proxy-authorization",
        "origin",
        "x-hop",
        "te",
    ] {
        assert_eq!(headers.get(name), None, "{name}");
    }
    assert!(
        !format!("{headers:?}").contains("client-secret"),
        "{headers:?}"
    );
    assert_eq!(headers.get("x-api-key"), Some("configured"));
    assert_eq!(seen.target, "/mcp");
}

#[tokio::test]
async fn the_upstream_sees_the_protocol_headers_and_the_trace() {
    let bed = Bed::start(json!({}), friendly).await;
    assert_eq!(bed.ask(&laden_call()).await.status, 200);
    let headers = bed.upstream.first("tools/call").await.headers;
    assert_eq!(headers.get("mcp-protocol-version"), Some(MODERN));
    assert_eq!(headers.get("mcp-method"), Some("tools/call"));
    assert_eq!(headers.get("mcp-name"), Some("greet"));
    assert_eq!(headers.get("mcp-param-region"), Some("eu"));
    let accept = headers.get("accept").unwrap();
    assert!(accept.contains("application/json") && accept.contains("text/event-stream"));
    let traceparent = headers.get("traceparent").unwrap();
    assert_eq!(&traceparent[3..35], TRACE);
    assert_eq!(headers.get("tracestate"), Some("vendor=1"));
}

#[tokio::test]
async fn the_clients_token_goes_upstream_only_where_the_operator_says_so() {
    let bed = Bed::start(json!({ "forward_authorization": true }), friendly).await;
    assert_eq!(bed.ask(&laden_call()).await.status, 200);
    let headers = bed.upstream.first("tools/call").await.headers;
    assert_eq!(headers.get("authorization"), Some("Bearer client-secret"));
    assert_eq!(headers.get("cookie"), None);
}

#[tokio::test]
async fn a_refused_handshake_keeps_the_status_and_the_challenge_that_are_the_clients() {
    for is_clients in [true, false] {
        let challenge = r#"Bearer resource_metadata="https://example.com/meta""#;
        let server = json!({ "forward_authorization": is_clients });
        let bed = Bed::start(server, move |_| {
            let headers = [
                ("content-type", "text/plain"),
                ("www-authenticate", challenge),
            ];
            answer("401 Unauthorized", &headers, b"no token")
        })
        .await;
        let params = json!({ "protocolVersion": LEGACY, "capabilities": {},
            "clientInfo": { "name": "test", "version": "1" } });
        let refused = bed
            .ask(&legacy(PATH, &json!(7), "initialize", params))
            .await;
        let status = if is_clients { 401 } else { 502 };
        assert_eq!(refused.status, status, "{refused:?}");
        assert_eq!(refused.json()["id"], 7);
        assert!(refused.json()["error"]["code"].is_i64(), "{refused:?}");
        let told = refused.headers.get("www-authenticate");
        assert_eq!(told, is_clients.then_some(challenge));
    }
}

#[tokio::test]
async fn the_body_goes_upstream_byte_for_byte() {
    let bed = Bed::start(json!({}), friendly).await;
    let body = r#" {"id" : 123456789012345678901234567890 , "jsonrpc":"2.0","method":"tools/call","extra":[1.0,1e2,-0],
        "params":{"name":"gr\u00fc\/ße","arguments":{"b":1,"a":2,"b":3},"_meta":{"com.example/k":null}}}"#;
    let answer = bed
        .ask(&post(PATH, body).header("mcp-protocol-version", LEGACY))
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let seen = bed.upstream.first("tools/call").await;
    assert_eq!(String::from_utf8(seen.body).unwrap(), body);
    assert_eq!(seen.headers.get("mcp-protocol-version"), Some(LEGACY));
}

#[tokio::test]
async fn the_answer_names_server_trace_and_cache_and_is_otherwise_the_upstreams() {
    // Not how serde_json would write it: whoever re-writes the body is found out.
    let odd =
        r#"{"id":12345678901234567890123,  "result":{"z":1.50,"a":"\u00fc\/"},"jsonrpc":"2.0"}"#;
    let bed = Bed::start(json!({}), move |request| {
        if request.rpc_method() != "tools/call" {
            return friendly(request);
        }
        let headers = [
            ("content-type", "application/json"),
            ("mcp-session-id", THEIRS),
            ("x-vendor", "kept"),
            ("connection", "x-upstream-hop"),
            ("x-upstream-hop", "1"),
        ];
        answer("200 OK", &headers, odd.as_bytes())
    })
    .await;
    let call = legacy_call(PATH, &json!(1), "any", json!({})).header("traceparent", TRACEPARENT);
    let answer = bed.ask(&call).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.text(), odd);
    let header = |name| answer.headers.get(name);
    assert_eq!(header("x-conduit-server-id"), Some("fake"));
    assert!(["MISS", "SKIP", "BYPASS"].contains(&header("x-conduit-cache-status").unwrap()));
    let trace = header("x-conduit-trace-id").unwrap().replace('-', "");
    assert_eq!(trace, TRACE);
    // A client's sessions are with the gateway: one that its server names is none of its own.
    assert_eq!(header("mcp-session-id"), None);
    assert_eq!(header("x-vendor"), Some("kept"));
    assert_eq!(header("x-upstream-hop"), None);
}

#[tokio::test]
async fn upstream_refusals_come_back_with_their_status_and_their_data() {
    let statuses = [
        "400 Bad Request",
        "404 Not Found",
        "500 Internal Server Error",
        "503 Service Unavailable",
    ];
    for status in statuses {
        let body = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32042,"message":"m","data":{"n":1.0,"k":[null]}}}"#;
        let bed = Bed::start(json!({}), move |request| {
            if request.rpc_method() != "tools/call" {
                return friendly(request);
            }
            answer(
                status,
                &[("content-type", "application/json")],
                body.as_bytes(),
            )
        })
        .await;
        let answer = bed
            .ask(&legacy_call(PATH, &json!(1), "any", json!({})))
            .await;
        assert_eq!(answer.status.to_string(), status[..3], "{answer:?}");
        assert_eq!(answer.text(), body, "{status}");
    }
}

// protocol.md E72: the modern era has no sessions; a header left over from the legacy era means nothing.
#[tokio::test]
async fn a_session_header_on_a_modern_request_means_nothing() {
    let bed = Bed::start(json!({}), friendly).await;
    let call = modern_call(PATH, &json!(1), "any", json!({}))
        .header("mcp-session-id", "left-over")
        .header("last-event-id", "41");
    let answer = bed.ask(&call).await;
    assert_eq!((answer.status, answer.json()), (200, said(&json!(1), "ok")));
    assert_eq!(answer.headers.get("mcp-session-id"), None);
}

/// A server that gives every session the same id; GET and DELETE are what `rest` says.
fn with_session(
    rest: impl Fn(&Recorded) -> Vec<Step> + Send + Sync + 'static,
) -> impl Fn(&Recorded) -> Vec<Step> + Send + Sync + 'static {
    move |request| {
        if request.method != "POST" {
            return rest(request);
        }
        if request.rpc_method() != "initialize" {
            return match request.json().get("method") {
                Some(_) => friendly(request),
                None => accepted(),
            };
        }
        let result = json!({ "protocolVersion": LEGACY, "capabilities": {},
            "serverInfo": { "name": "fake", "version": "1" } });
        let result = json!({ "jsonrpc": "2.0", "id": request.json()["id"], "result": result });
        let headers = [
            ("content-type", "application/json"),
            ("mcp-session-id", THEIRS),
        ];
        answer("200 OK", &headers, result.to_string().as_bytes())
    }
}

#[tokio::test]
async fn notifications_and_responses_are_202_without_a_body() {
    let bed = Bed::start(json!({}), with_session(|_| accepted())).await;
    let session = bed.open().await;
    let bodies = [
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }),
        json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 1 } }),
        json!({ "jsonrpc": "2.0", "id": "server-1", "result": {} }),
        json!({ "jsonrpc": "2.0", "id": 7, "error": { "code": -1, "message": "declined" } }),
    ];
    for body in bodies {
        let answer = bed
            .ask(&post(PATH, body.to_string()).header("mcp-session-id", &session))
            .await;
        assert_eq!((answer.status, answer.text().as_str()), (202, ""), "{body}");
        let posts = bed.upstream.recorded_http("POST");
        let arrived = posts.iter().find(|one| one.json() == body);
        let arrived = arrived.unwrap_or_else(|| panic!("{body} did not go upstream"));
        assert_eq!(arrived.headers.get("mcp-session-id"), Some(THEIRS));
    }
}

#[tokio::test]
async fn an_event_stream_comes_through_as_it_was_written() {
    let written = "id: 1\nretry: 500\ndata: \n\nid: 2\nevent: message\ndata: {\"a\":\ndata: 1}\n\n";
    let last = said(&json!(1), "ok");
    let closing = format!("data: {last}\n\n");
    let bed = Bed::start(json!({}), move |request| {
        if request.rpc_method() != "tools/call" {
            return friendly(request);
        }
        let headers = [
            ("content-type", "text/event-stream; charset=utf-8"),
            ("transfer-encoding", "chunked"),
        ];
        // A chunk boundary in the middle of an event must not matter.
        let (front, back) = written.split_at(20);
        vec![
            Step::Write(head("200 OK", &headers)),
            Step::Write(chunk(front.as_bytes())),
            Step::Write(chunk(back.as_bytes())),
            Step::Write(chunk(
                format!("data: {}\n\n", said(&json!(1), "ok")).as_bytes(),
            )),
            end(),
        ]
    })
    .await;
    let call = legacy_call(PATH, &json!(1), "any", json!({}));
    let answer = bed.ask(&call).await;
    assert_eq!(answer.status, 200);
    let content_type = answer.headers.get("content-type").unwrap();
    assert!(
        content_type.starts_with("text/event-stream"),
        "{content_type}"
    );
    assert_eq!(answer.headers.get("x-accel-buffering"), Some("no"));
    assert_eq!(answer.headers.get("content-encoding"), None);
    assert_eq!(answer.text(), format!("{written}{closing}"));
}

#[tokio::test]
async fn a_get_stream_and_a_delete_go_upstream_in_their_session() {
    let bed = Bed::start(
        json!({}),
        with_session(|request| match request.method.as_str() {
            "GET" => vec![
                sse_head(),
                Step::Write(chunk(
                    b"data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\"}\n\n",
                )),
                Step::AwaitDeparture,
            ],
            _ => answer("204 No Content", &[], b""),
        }),
    )
    .await;
    let session = bed.open().await;
    let get = Request::get(PATH)
        .header("accept", "text/event-stream")
        .header("mcp-session-id", &session)
        .header("mcp-protocol-version", LEGACY)
        .header("last-event-id", "41");
    let mut stream = wire::stream(bed.gateway.address, &get).await;
    assert_eq!(stream.status, 200);
    let event = within("an event on the GET stream", stream.event())
        .await
        .unwrap();
    assert!(event.contains("notifications/message"));
    let seen = bed.upstream.recorded_http("GET").remove(0);
    assert_eq!(seen.headers.get("mcp-session-id"), Some(THEIRS));
    assert_eq!(seen.headers.get("last-event-id"), Some("41"));
    drop(stream);
    bed.upstream.departures(1).await;

    let answer = bed
        .ask(&Request::delete(PATH).header("mcp-session-id", &session))
        .await;
    assert_eq!(answer.status, 204, "{answer:?}");
    let seen = until("the upstream to see the end", || async {
        bed.upstream.recorded_http("DELETE").pop()
    })
    .await;
    assert_eq!(seen.headers.get("mcp-session-id"), Some(THEIRS));
}
