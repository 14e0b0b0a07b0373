//! What is tampered with, replayed, too late or not its sender's is refused, and does nothing.

use http::StatusCode;
use serde_json::{Value, json};

use crate::isolation::client::{About, Client, Era, Messages};
use crate::isolation::{Place, hear, listen, start, start_with};
use crate::support::until;

const INVALID_PARAMS: i64 = -32602;

async fn say(client: &Client, id: u64, method: &str, params: Value) -> Value {
    let id = json!(id);
    let messages = client.ask(&id, method, params, About::default());
    messages.await.only().await
}

fn ask(tool: &str, tag: &str) -> Value {
    json!({ "name": tool, "arguments": { "tag": tag } })
}

fn told(tag: &str) -> Value {
    json!({ "action": "accept", "content": { "tag": tag } })
}

/// The same call with the answer to what was asked.
fn again(mut params: Value, asked: &Value, state: &Value) -> Value {
    let questions = asked["result"]["inputRequests"].as_object().unwrap();
    for key in questions.keys() {
        params["inputResponses"][key] = told("mine");
    }
    params["requestState"] = state.clone();
    params
}

/// The same text with another character in its middle.
fn tampered(text: &Value) -> Value {
    let text = text.as_str().unwrap();
    let (head, tail) = text.split_at(text.len() / 2);
    let other = if tail.starts_with('A') { "B" } else { "A" };
    json!(format!("{head}{other}{}", &tail[1..]))
}

/// A call of a legacy client that waits for its answer to a question.
async fn asking(client: &Client, tool: &str, tag: &str) -> (Messages, Value) {
    let params = ask(tool, tag);
    let mut call = client
        .ask(&json!(7), "tools/call", params, About::default())
        .await;
    let question = call.next().await.unwrap();
    assert_eq!(question["method"], "elicitation/create", "{question}");
    assert_eq!(question["params"]["message"], tag);
    (call, question["id"].clone())
}

fn answer(id: &Value, tag: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "result": told(tag) })
}

#[tokio::test]
async fn a_state_serves_once_for_the_request_it_was_made_for() {
    let (gateway, _web) = start().await;
    for (path, tool) in [("/mcp/web", "ask"), ("/mcp", "web.ask")] {
        let client = Client::open(gateway.address, Era::Modern, path).await;
        let params = ask(tool, "mine");
        let asked = say(&client, 1, "tools/call", params.clone()).await;
        let state = &asked["result"]["requestState"];
        let forged = [
            again(params.clone(), &asked, &tampered(state)),
            again(params.clone(), &asked, &json!("")),
            again(params.clone(), &asked, &json!("AAAA")),
            again(ask(tool, "another's"), &asked, state),
        ];
        for params in forged {
            let refused = say(&client, 2, "tools/call", params.clone()).await;
            assert_eq!(
                refused["error"]["code"], INVALID_PARAMS,
                "{params}: {refused}"
            );
        }
        let resumed = again(params, &asked, state);
        let answered = say(&client, 3, "tools/call", resumed.clone()).await;
        let text = &answered["result"]["content"][0]["text"];
        assert_eq!(text, "mine|mine|mine", "{answered}");
        let replayed = say(&client, 4, "tools/call", resumed).await;
        assert_eq!(replayed["error"]["code"], INVALID_PARAMS, "{replayed}");
    }
}

#[tokio::test]
async fn a_state_of_one_endpoint_is_none_of_another() {
    let (gateway, _web) = start().await;
    let client = Client::open(gateway.address, Era::Modern, "/mcp/web").await;
    let elsewhere = client.posing("/mcp", None);
    let asked = say(&client, 1, "tools/call", ask("ask", "mine")).await;
    let state = &asked["result"]["requestState"];
    let params = again(ask("web.ask", "mine"), &asked, state);
    let refused = say(&elsewhere, 2, "tools/call", params).await;
    assert_eq!(refused["error"]["code"], INVALID_PARAMS, "{refused}");
    let params = again(ask("ask", "mine"), &asked, state);
    let answered = say(&client, 3, "tools/call", params).await;
    let text = &answered["result"]["content"][0]["text"];
    assert_eq!(text, "mine|mine|mine", "{answered}");
}

#[tokio::test]
async fn a_state_that_is_too_old_is_refused_and_its_server_was_told() {
    let (gateway, web) = start_with(json!({ "sessions": { "parked_ttl_seconds": 1 } })).await;
    let client = Client::open(gateway.address, Era::Modern, "/mcp/web").await;
    let asked = say(&client, 1, "tools/call", ask("ask", "mine")).await;
    until("the server to be told", || async {
        let posted = web.recorded_http("POST");
        let mut posted = posted.iter();
        posted
            .any(|one| one.json()["result"]["action"] == "cancel")
            .then_some(())
    })
    .await;
    let params = again(ask("ask", "mine"), &asked, &asked["result"]["requestState"]);
    let refused = say(&client, 2, "tools/call", params).await;
    assert_eq!(refused["error"]["code"], INVALID_PARAMS, "{refused}");
}

#[tokio::test]
async fn a_session_is_unknown_where_it_was_not_opened() {
    let (gateway, _web) = start().await;
    let paths = ["/mcp/web", "/mcp/child", "/mcp"];
    for own in paths {
        let client = Client::open(gateway.address, Era::Legacy, own).await;
        let session = client.session.clone();
        for other in paths.into_iter().filter(|path| *path != own) {
            let stranger = client.posing(other, session.as_deref());
            let listed = stranger
                .ask(&json!(1), "tools/list", json!({}), About::default())
                .await;
            assert_eq!(listed.status, StatusCode::NOT_FOUND, "{own} at {other}");
            let listened = stranger.listen().await;
            assert_eq!(listened.status, StatusCode::NOT_FOUND, "{own} at {other}");
            let ended = stranger.end().await;
            assert_eq!(ended, StatusCode::NOT_FOUND, "{own} at {other}");
        }
        let listed = say(&client, 1, "tools/list", json!({})).await;
        assert!(listed["result"]["tools"].is_array(), "{own}: {listed}");
    }
}

#[tokio::test]
async fn only_the_session_that_was_asked_can_answer_and_only_what_was_asked() {
    let (gateway, _web) = start().await;
    for (path, tool) in [
        ("/mcp/web", "ask"),
        ("/mcp/child", "ask"),
        ("/mcp", "web.ask"),
        ("/mcp", "child.ask"),
    ] {
        let asked = Client::open(gateway.address, Era::Legacy, path).await;
        let other = Client::open(gateway.address, Era::Legacy, path).await;
        // It has a session with the same server.
        say(&other, 1, "tools/list", json!({})).await;
        let (mut call, id) = asking(&asked, tool, "mine").await;
        other.tell(&answer(&id, "another's")).await;
        for forged in [
            json!(424_242),
            json!("forged"),
            json!("web/1/1"),
            json!("web/x"),
        ] {
            asked.tell(&answer(&forged, "forged")).await;
        }
        assert_eq!(asked.tell(&answer(&id, "mine")).await, StatusCode::ACCEPTED);
        let answered = call.next().await.unwrap();
        assert_eq!(answered["id"], 7, "{answered}");
        let text = &answered["result"]["content"][0]["text"];
        assert_eq!(text, "mine|mine|mine", "{path} {tool}: {answered}");
    }
}

#[tokio::test]
async fn a_cursor_serves_in_its_own_list_and_as_it_was_given() {
    let (gateway, _web) = start_with(json!({ "router": { "list_page_size": 1 } })).await;
    for era in [Era::Legacy, Era::Modern] {
        let client = Client::open(gateway.address, era, "/mcp").await;
        let first = say(&client, 1, "tools/list", json!({})).await;
        let cursor = &first["result"]["nextCursor"];
        for (method, cursor) in [
            ("tools/list", tampered(cursor)),
            ("tools/list", json!("")),
            ("tools/list", json!(1)),
            ("resources/list", cursor.clone()),
        ] {
            let refused = say(&client, 2, method, json!({ "cursor": cursor })).await;
            let code = &refused["error"]["code"];
            assert_eq!(*code, INVALID_PARAMS, "{method} {cursor}: {refused}");
        }
        let second = say(&client, 3, "tools/list", json!({ "cursor": cursor })).await;
        assert_eq!(second["result"]["tools"].as_array().unwrap().len(), 1);
        assert_ne!(first["result"]["tools"], second["result"]["tools"]);
    }
}

#[tokio::test]
async fn who_listens_hears_of_nothing_else() {
    let (gateway, _web) = start().await;
    for era in [Era::Legacy, Era::Modern] {
        for server in ["web", "child"] {
            let path = format!("/mcp/{server}");
            let place = Place {
                client: Client::open(gateway.address, era, &path).await,
                servers: vec![server],
                is_aggregated: false,
            };
            let own = [format!("tag://{server}/own")];
            let mut stream = listen(&place, &own).await;
            let neighbour = Client::open(gateway.address, era, &path).await;
            for uri in [
                "tag://other",
                "tag://",
                "tag://child/owner",
                own[0].as_str(),
            ] {
                let params = json!({ "name": "touch", "arguments": { "tag": uri, "uri": uri } });
                say(&neighbour, 5, "tools/call", params).await;
            }
            hear(&place, &mut stream, &own, &own).await;
        }
    }
}
