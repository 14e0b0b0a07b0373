//! Two gateways that share a Redis: issue 3, item 4.

use serde_json::{Value, json};

use crate::support::{
    gateway::Gateway,
    message::{MODERN, legacy, legacy_call, modern_body, post},
    process::Process,
    redis::Redis,
    sdk::{Sdk, Server},
    until,
    upstream::{Recorded, Step, Upstream, accepted, answer, friendly},
    wire::{self, Answer, Request},
};

const SESSION: &str = "mcp-session-id";

/// A legacy-only server with sessions: it knows the one it gave, and says what it was called with.
fn with_sessions(request: &Recorded) -> Vec<Step> {
    let is_post = request.method == "POST";
    let message = if is_post { request.json() } else { Value::Null };
    let method = message["method"].as_str().unwrap_or_default();
    let refuse = |status: &str| {
        let error = json!({
            "jsonrpc": "2.0", "id": null,
            "error": { "code": -32000, "message": "Bad Request: No valid session ID provided" },
        });
        let headers = [("content-type", "application/json")];
        answer(status, &headers, error.to_string().as_bytes())
    };
    if method == "initialize" {
        let Some(Step::Write(bytes)) = friendly(request).into_iter().next() else {
            return Vec::new();
        };
        let text = String::from_utf8(bytes).unwrap();
        let with_id = text.replacen("\r\n", &format!("\r\n{SESSION}: upstream-1\r\n"), 1);
        return vec![Step::Write(with_id.into_bytes())];
    }
    match request.headers.get(SESSION) {
        Some("upstream-1") if is_post && message.get("id").is_none() => accepted(),
        Some("upstream-1") if is_post => friendly(request),
        Some("upstream-1") => answer("200 OK", &[], b""),
        Some(_) => refuse("404 Not Found"),
        None => refuse("400 Bad Request"),
    }
}

struct Bed {
    redis: Redis,
    upstream: Upstream,
    one: Gateway,
    other: Gateway,
}

impl Bed {
    async fn start() -> Self {
        let redis = Redis::started().await;
        let upstream = Upstream::start(with_sessions).await;
        let config = json!({
            "servers": [{ "id": "old", "url": upstream.url() }],
            "sessions": { "backend": "redis", "redis_url": redis.url() },
        });
        let (one, other) = tokio::join!(Gateway::with(config.clone()), Gateway::with(config));
        Self {
            redis,
            upstream,
            one,
            other,
        }
    }
}

async fn ask(gateway: &Gateway, request: &Request) -> Answer {
    wire::ask(gateway.address, request).await
}

/// Opens a session; gives its id.
async fn open(gateway: &Gateway, path: &str) -> String {
    let params = json!({
        "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": { "name": "t", "version": "1" },
    });
    let answer = ask(gateway, &legacy(path, &json!(1), "initialize", params)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.headers.get(SESSION).unwrap().to_owned()
}

fn call(path: &str, tool: &str, session: &str) -> Request {
    legacy_call(path, &json!(2), tool, json!({})).header(SESSION, session)
}

#[tokio::test]
async fn a_session_opened_at_one_gateway_works_at_the_other_in_the_same_upstream_session() {
    let bed = Bed::start().await;
    for (path, tool) in [("/mcp/old", "greet"), ("/mcp", "old.greet")] {
        let session = open(&bed.one, path).await;
        assert_ne!(session, "upstream-1", "the upstream's id stays inside");
        // The first call at `/mcp` opens the session with the server.
        let here = ask(&bed.one, &call(path, tool, &session)).await;
        assert_eq!(here.status, 200, "{}", here.text());
        let n_opened = bed.upstream.recorded("initialize").len();
        let there = ask(&bed.other, &call(path, tool, &session)).await;
        assert_eq!(there.status, 200, "{}", there.text());
        assert_eq!(there.json()["result"]["content"][0]["text"], "ok");
        assert_eq!(bed.upstream.recorded("initialize").len(), n_opened);
    }
}

#[tokio::test]
async fn a_session_that_ended_at_one_gateway_is_404_at_the_other() {
    let bed = Bed::start().await;
    let session = open(&bed.one, "/mcp/old").await;
    let there = ask(&bed.other, &call("/mcp/old", "greet", &session)).await;
    assert_eq!(there.status, 200, "{}", there.text());
    let end = Request::delete("/mcp/old").header(SESSION, &session);
    assert_eq!(ask(&bed.one, &end).await.status, 204);
    until("the other gateway to hear of the end", || async {
        let there = ask(&bed.other, &call("/mcp/old", "greet", &session)).await;
        (there.status == 404).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_session_works_at_its_own_endpoint_only_on_either_gateway() {
    let bed = Bed::start().await;
    let session = open(&bed.one, "/mcp/old").await;
    for gateway in [&bed.one, &bed.other] {
        let answer = ask(gateway, &call("/mcp", "old.greet", &session)).await;
        assert_eq!(answer.status, 404, "{}", answer.text());
    }
}

#[tokio::test]
async fn a_session_that_began_without_redis_is_shared_once_it_is_there() {
    let mut bed = Bed::start().await;
    bed.redis.stop();
    let session = open(&bed.one, "/mcp").await;
    let call = call("/mcp", "old.greet", &session);
    assert_eq!(ask(&bed.one, &call).await.status, 200);
    let n_opened = bed.upstream.recorded("initialize").len();
    bed.redis.start().await;
    until("the other gateway to know the session", || async {
        assert_eq!(ask(&bed.one, &call).await.status, 200);
        let there = ask(&bed.other, &call).await;
        (there.status == 200).then_some(())
    })
    .await;
    assert_eq!(bed.upstream.recorded("initialize").len(), n_opened);
}

#[tokio::test]
async fn what_redis_did_not_take_of_a_session_it_is_given_again() {
    let bed = Bed::start().await;
    let session = open(&bed.one, "/mcp").await;
    let record = async || -> Vec<u8> {
        let names: Vec<String> = bed.redis.ask(redis::cmd("KEYS").arg("*")).await;
        let is_record = |name: &&String| name.contains("id:");
        let name = names.iter().find(is_record);
        let name = name.unwrap_or_else(|| panic!("no record among {names:?}"));
        bed.redis.ask(redis::cmd("GET").arg(name)).await
    };
    let before = record().await;
    let limit = async |bytes: u64| {
        let mut command = redis::cmd("CONFIG");
        let command = command.arg("SET").arg("maxmemory").arg(bytes);
        let () = bed.redis.ask(command).await;
    };
    // It answers, and takes nothing new.
    limit(1).await;
    let call = call("/mcp", "old.greet", &session);
    assert_eq!(ask(&bed.one, &call).await.status, 200);
    let n_opened = bed.upstream.recorded("initialize").len();
    assert_eq!(record().await, before);
    limit(0).await;
    until("the record to be renewed", || async {
        assert_eq!(ask(&bed.one, &call).await.status, 200);
        (record().await != before).then_some(())
    })
    .await;
    let there = ask(&bed.other, &call).await;
    assert_eq!(there.status, 200, "{}", there.text());
    assert_eq!(bed.upstream.recorded("initialize").len(), n_opened);
}

/// A modern call of the tool that asks its client, with what comes back for it.
fn asking(id: u64, path: &str, tool: &str, answers: Option<(&Value, Value)>) -> Request {
    let mut params = json!({ "name": tool, "arguments": { "message": "who?" } });
    if let Some((state, responses)) = answers {
        params["requestState"] = state.clone();
        params["inputResponses"] = responses;
    }
    let mut body = modern_body(&json!(id), "tools/call", params);
    body["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"] =
        json!({ "elicitation": { "form": {} } });
    post(path, body.to_string())
        .header("mcp-protocol-version", MODERN)
        .header("mcp-method", "tools/call")
        .header("mcp-name", tool)
}

fn responses(asked: &Value) -> Value {
    let requests = asked["result"]["inputRequests"].as_object().unwrap();
    let content =
        json!({ "action": "accept", "content": { "username": "me", "email": "me@example.com" } });
    requests
        .keys()
        .map(|key| (key.clone(), content.clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

#[tokio::test]
async fn a_parked_call_resumes_where_it_waits_and_fails_clearly_elsewhere() {
    let redis = Redis::started().await;
    let reference = Sdk::reference_server();
    let arguments = ["--port", "0", "--era", "legacy"];
    let server = Server::announced(Process::spawn(reference, arguments, &[])).await;
    let config = json!({
        "servers": [{ "id": "old", "url": server.url }],
        "sessions": { "backend": "redis", "redis_url": redis.url() },
    });
    let (one, other) = tokio::join!(Gateway::with(config.clone()), Gateway::with(config));
    let tool = "old.test_elicitation";
    let asked = ask(&one, &asking(1, "/mcp", tool, None)).await.last_json();
    assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
    let state = &asked["result"]["requestState"];
    let given = responses(&asked);
    let foreign = asking(2, "/mcp", tool, Some((state, given.clone())));
    let refused = ask(&other, &foreign).await.last_json();
    assert_eq!(refused["error"]["code"], -32602, "{refused}");
    let own = asking(3, "/mcp", tool, Some((state, given)));
    let resumed = ask(&one, &own).await.last_json();
    assert_eq!(resumed["result"]["resultType"], "complete", "{resumed}");
    assert_eq!(resumed["id"], 3);
    let again = ask(&one, &own).await.last_json();
    assert_eq!(
        again["error"]["code"], -32602,
        "a state is used once: {again}"
    );
}
