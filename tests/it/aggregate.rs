//! Several servers as one: what their tools are called, where calls go, and lists that servers fail in.
//!
//! protocol.md E38 to E42; issue 3, item 3.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::support::gateway::Gateway;
use crate::support::message::{MODERN, modern, modern_call, post, result, said};
use crate::support::until;
use crate::support::upstream::{Recorded, Step, Upstream, answer, friendly, json as answer_json};
use crate::support::wire::{self, Answer};

const PATH: &str = "/mcp";

/// What a gateway says of servers whose items are old or missing.
const PARTIAL: &str = "io.conduit/servers";

/// A modern server with tools of these names, `page` of them at a time.
fn with_tools(
    names: Vec<String>,
    page: usize,
) -> impl Fn(&Recorded) -> Vec<Step> + Send + Sync + 'static {
    move |request| {
        if request.method != "POST" || request.rpc_method() != "tools/list" {
            return friendly(request);
        }
        let message = request.json();
        let from: usize = match message["params"]["cursor"].as_str() {
            Some(cursor) => cursor.strip_prefix("from ").unwrap().parse().unwrap(),
            None => 0,
        };
        let tools: Vec<Value> = names
            .iter()
            .skip(from)
            .take(page)
            .map(|name| json!({ "name": name, "inputSchema": { "type": "object" } }))
            .collect();
        let mut list = json!({ "tools": tools, "resultType": "complete", "ttlMs": 0,
            "cacheScope": "private" });
        if from + page < names.len() {
            list["nextCursor"] = json!(format!("from {}", from + page));
        }
        answer_json(&result(&message["id"], list))
    }
}

async fn server(names: &[&str], page: usize) -> Upstream {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    Upstream::start(with_tools(names, page)).await
}

/// A gateway in front of modern servers of these ids.
async fn gateway(servers: &[(&str, &Upstream)], router: Value) -> Gateway {
    let servers = servers
        .iter()
        .map(|(id, server)| json!({ "id": id, "url": server.url(), "era": "modern" }));
    let servers: Value = servers.collect();
    Gateway::with(json!({ "servers": servers, "router": router })).await
}

async fn list(gateway: &Gateway, path: &str, method: &str, cursor: Option<&str>) -> Answer {
    let params = cursor.map_or_else(|| json!({}), |cursor| json!({ "cursor": cursor }));
    wire::ask(gateway.address, &modern(path, &json!(1), method, params)).await
}

/// One page of the tools: their names, the next cursor, and what is missing.
async fn tools(gateway: &Gateway, cursor: Option<&str>) -> (Vec<String>, Option<String>, Value) {
    let answer = list(gateway, PATH, "tools/list", cursor).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let result = &answer.json()["result"];
    let tools = result["tools"].as_array().unwrap().iter();
    let names = tools.map(|tool| tool["name"].as_str().unwrap().to_owned());
    let next = result["nextCursor"].as_str().map(str::to_owned);
    (names.collect(), next, result["_meta"][PARTIAL].clone())
}

// === names ===

#[tokio::test]
async fn a_tool_is_named_and_called_with_each_separator() {
    for separator in [".", "__", "-", "_"] {
        let (one, two) = (
            server(&["echo", "a.b"], 9).await,
            server(&["echo"], 9).await,
        );
        let router = json!({ "namespace_separator": separator });
        let gateway = gateway(&[("one", &one), ("two", &two)], router).await;
        let outer = |server: &str, tool: &str| format!("{server}{separator}{tool}");
        let (names, ..) = tools(&gateway, None).await;
        let wanted = [
            outer("one", "echo"),
            outer("one", "a.b"),
            outer("two", "echo"),
        ];
        assert_eq!(names, wanted);
        for (upstream, name, inner) in [
            (&one, &wanted[1], "a.b"),
            (&two, &wanted[2], "echo"),
            (&one, &wanted[0], "echo"),
        ] {
            let call = modern_call(PATH, &json!(name), name, json!({}));
            let answer = wire::ask(gateway.address, &call).await;
            assert_eq!(
                (answer.status, answer.json()),
                (200, said(&json!(name), "ok"))
            );
            let seen = upstream.recorded("tools/call").pop().unwrap();
            assert_eq!(seen.json()["params"]["name"], inner, "{name}");
            assert_eq!(seen.headers.get("mcp-name"), Some(inner), "{name}");
        }
    }
}

#[tokio::test]
async fn the_arguments_of_a_call_arrive_byte_for_byte() {
    let one = server(&["echo"], 9).await;
    let gateway = gateway(&[("one", &one)], json!({})).await;
    let arguments =
        r#"{"n":123456789012345678901234567890, "f":[1.0,1e2,-0],"b":1,"a":"gr\u00fc\/ße","b":2}"#;
    let meta = format!(
        r#"{{"io.modelcontextprotocol/protocolVersion":"{MODERN}","io.modelcontextprotocol/clientCapabilities":{{}}}}"#
    );
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":12345678901234567890123,"method":"tools/call","params":{{"name":"one.echo","arguments":{arguments},"_meta":{meta}}}}}"#
    );
    let call = post(PATH, body.clone())
        .header("mcp-protocol-version", MODERN)
        .header("mcp-method", "tools/call")
        .header("mcp-name", "one.echo");
    let answer = wire::ask(gateway.address, &call).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let seen = one.first("tools/call").await;
    let wanted = body.replace("one.echo", "echo");
    assert_eq!(String::from_utf8(seen.body).unwrap(), wanted);
}

#[tokio::test]
async fn a_name_that_is_too_long_is_shortened_and_both_spellings_are_called() {
    let long = "a_tool/with a rather long name,".repeat(3);
    let one = server(&[&long, "short"], 9).await;
    let gateway = gateway(&[("one", &one)], json!({ "name_limit": 64 })).await;
    let (names, ..) = tools(&gateway, None).await;
    for name in &names {
        let is_legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        assert!(name.len() <= 64 && name.chars().all(is_legal), "{name}");
    }
    for (spelling, inner) in [
        (names[0].clone(), long.as_str()),
        (format!("one.{long}"), long.as_str()),
        (names[1].clone(), "short"),
        ("one.short".to_owned(), "short"),
    ] {
        let call = modern_call(PATH, &json!(1), &spelling, json!({}));
        let answer = wire::ask(gateway.address, &call).await;
        assert_eq!((answer.status, answer.json()), (200, said(&json!(1), "ok")));
        let seen = one.recorded("tools/call").pop().unwrap();
        assert_eq!(seen.json()["params"]["name"], inner, "{spelling}");
    }
}

#[tokio::test]
async fn a_bare_name_that_two_servers_have_is_neither_listed_nor_called() {
    let (one, two) = (
        server(&["same", "mine"], 9).await,
        server(&["same", "yours"], 9).await,
    );
    let router = json!({ "namespace_strategy": "none" });
    let gateway = gateway(&[("one", &one), ("two", &two)], router).await;
    let (names, ..) = tools(&gateway, None).await;
    assert_eq!(names, ["mine", "yours"]);
    let call = |name: &str| modern_call(PATH, &json!(1), name, json!({}));
    let answer = wire::ask(gateway.address, &call("same")).await;
    let message = answer.json()["error"]["message"].to_string();
    assert!(
        message.contains("one") && message.contains("two"),
        "{answer:?}"
    );
    for upstream in [&one, &two] {
        assert!(upstream.recorded("tools/call").is_empty());
    }
    assert_eq!(wire::ask(gateway.address, &call("yours")).await.status, 200);
    assert_eq!(two.recorded("tools/call").len(), 1);
}

#[tokio::test]
async fn a_tool_of_no_server_is_refused_and_reaches_none() {
    let one = server(&["echo"], 9).await;
    let gateway = gateway(&[("one", &one)], json!({})).await;
    for name in ["echo", "two.echo", ".echo", "one"] {
        let call = modern_call(PATH, &json!(1), name, json!({}));
        let answer = wire::ask(gateway.address, &call).await;
        assert_eq!(answer.json()["error"]["code"], -32602, "{name}: {answer:?}");
    }
    assert!(one.recorded("tools/call").is_empty());
}

// === pages ===

#[tokio::test]
async fn all_pages_of_all_servers_are_given_page_by_page() {
    let (one, two) = (
        server(&["a", "b", "c"], 1).await,
        server(&["d", "e"], 1).await,
    );
    let gateway = gateway(
        &[("one", &one), ("two", &two)],
        json!({ "list_page_size": 2 }),
    )
    .await;
    let mut pages = Vec::new();
    let mut cursor = None;
    loop {
        let (names, next, partial) = tools(&gateway, cursor.as_deref()).await;
        assert_eq!(partial, Value::Null);
        pages.push(names);
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    let wanted = [
        vec!["one.a", "one.b"],
        vec!["one.c", "two.d"],
        vec!["two.e"],
    ];
    assert_eq!(pages, wanted);
}

#[tokio::test]
async fn a_cursor_that_was_not_given_for_this_list_is_refused() {
    let one = server(&["a", "b", "c"], 9).await;
    let servers = json!([{ "id": "one", "url": one.url(), "era": "modern" }]);
    let profiles = json!([{ "id": "some", "server_ids": ["one"] }]);
    let gateway = Gateway::with(
        json!({ "servers": servers, "router": { "list_page_size": 2 },
        "connect": { "profiles": profiles } }),
    )
    .await;
    let (_, cursor, _) = tools(&gateway, None).await;
    let cursor = cursor.unwrap();
    let good = list(&gateway, PATH, "tools/list", Some(&cursor)).await;
    assert_eq!(good.json()["result"]["tools"][0]["name"], "one.c");

    let mut tampered: Vec<String> = Vec::new();
    for at in [0, cursor.len() / 2, cursor.len() - 1] {
        let mut bytes = cursor.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        tampered.push(String::from_utf8(bytes).unwrap());
    }
    tampered.extend([String::new(), "from 2".to_owned(), cursor[1..].to_owned()]);
    for cursor in &tampered {
        let answer = list(&gateway, PATH, "tools/list", Some(cursor)).await;
        assert_eq!(
            answer.json()["error"]["code"],
            -32602,
            "{cursor}: {answer:?}"
        );
    }
    for (path, method) in [
        (PATH, "prompts/list"),
        (PATH, "resources/list"),
        ("/mcp/profile/some", "tools/list"),
    ] {
        let answer = list(&gateway, path, method, Some(&cursor)).await;
        assert_eq!(
            answer.json()["error"]["code"],
            -32602,
            "{path} {method}: {answer:?}"
        );
    }
}

// === failures ===

/// Never answers a list.
fn hangs(request: &Recorded) -> Vec<Step> {
    match request.rpc_method().as_str() {
        "tools/list" => vec![Step::AwaitDeparture],
        _ => friendly(request),
    }
}

/// Fails to give a list.
fn fails(request: &Recorded) -> Vec<Step> {
    match request.rpc_method().as_str() {
        "tools/list" => answer("500 Internal Server Error", &[], b""),
        _ => friendly(request),
    }
}

#[tokio::test]
async fn servers_that_fail_are_named_and_cost_their_own_items_only() {
    let is_dead = Arc::new(AtomicBool::new(false));
    let dies = Arc::clone(&is_dead);
    let lists = with_tools(vec!["last".to_owned()], 9);
    let dying = Upstream::start(move |request| {
        if dies.load(Ordering::Acquire) {
            return vec![Step::Close];
        }
        lists(request)
    })
    .await;
    let (good, hanging, failing) = (
        server(&["a"], 9).await,
        Upstream::start(hangs).await,
        Upstream::start(fails).await,
    );
    let servers = [
        ("good", &good),
        ("hanging", &hanging),
        ("failing", &failing),
        ("dying", &dying),
    ];
    let gateway = gateway(&servers, json!({ "list_timeout_ms": 500 })).await;
    let (names, _, partial) = tools(&gateway, None).await;
    assert_eq!(names, ["good.a", "dying.last"]);
    let failed: Vec<&String> = partial.as_object().unwrap().keys().collect();
    assert_eq!(failed, ["hanging", "failing"]);
    for server in failed {
        assert_eq!(partial[server]["status"], "unavailable", "{partial}");
        assert!(!partial[server]["error"].as_str().unwrap().is_empty());
    }

    is_dead.store(true, Ordering::Release);
    until("the dying server to be missed", || async {
        let (names, _, partial) = tools(&gateway, None).await;
        // Its last good list stays.
        assert_eq!(names, ["good.a", "dying.last"]);
        (partial["dying"]["status"] == "stale").then_some(())
    })
    .await;
    is_dead.store(false, Ordering::Release);
    until("the server that is back to be missed no more", || async {
        let (_, _, partial) = tools(&gateway, None).await;
        partial.get("dying").is_none().then_some(())
    })
    .await;
}

#[tokio::test]
async fn fifty_servers_of_which_some_fail_are_listed_alike_twice() {
    let mut servers = Vec::new();
    for number in 0..50 {
        let id = format!("server-{number}");
        let names: Vec<String> = (0..4).map(|tool| format!("tool-{tool}")).collect();
        let upstream = match number {
            7 => Upstream::start(hangs).await,
            8 => Upstream::start(fails).await,
            10..=12 => Upstream::start(with_tools(names, 1)).await,
            _ => Upstream::start(with_tools(names, 9)).await,
        };
        servers.push((id, upstream));
    }
    let borrowed: Vec<(&str, &Upstream)> = servers
        .iter()
        .map(|(id, upstream)| (id.as_str(), upstream))
        .collect();
    let gateway = gateway(&borrowed, json!({ "list_timeout_ms": 1500 })).await;
    let first = list(&gateway, PATH, "tools/list", None).await;
    let second = list(&gateway, PATH, "tools/list", None).await;
    assert_eq!(first.text(), second.text());
    let (names, _, partial) = tools(&gateway, None).await;
    let wanted = (0..50).filter(|number| ![7, 8].contains(number));
    let wanted: Vec<String> = wanted
        .flat_map(|number| (0..4).map(move |tool| format!("server-{number}.tool-{tool}")))
        .collect();
    assert_eq!(names, wanted);
    let failed: Vec<&String> = partial.as_object().unwrap().keys().collect();
    assert_eq!(failed, ["server-7", "server-8"]);
}
