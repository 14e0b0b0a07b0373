//! Nobody sees what is another's: clients of both eras at both kinds of endpoint, with the same ids,
//! progress tokens and subscription ids, in front of servers that they share.
//!
//! Every message to or from a client carries the tag of the call that it belongs to.

mod client;
mod refused;
mod web;

use std::env;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::support::gateway::Gateway;
use crate::support::upstream::Upstream;

use client::{About, Client, Era, Messages};

/// How many clients there are, where the environment does not say.
const N_CLIENTS: usize = 100;
const N_CLIENTS_VARIABLE: &str = "CONDUIT_ISOLATION_CLIENTS";
const N_CALLS: usize = 20;
/// The id of everybody's subscription.
const LISTEN: u64 = 99;
const SERVERS: [&str; 2] = ["web", "child"];
/// How long all clients together may take.
const DEADLINE: Duration = Duration::from_secs(600);

/// One client at one endpoint: two of them where each server is one of its own.
struct Place {
    client: Client,
    servers: Vec<&'static str>,
    is_aggregated: bool,
}

impl Place {
    /// What a tool of a server is called here.
    fn tool(&self, server: &str, tool: &str) -> String {
        if self.is_aggregated {
            format!("{server}.{tool}")
        } else {
            tool.to_owned()
        }
    }

    /// What a resource of a server is called here.
    fn uri(&self, server: &str, uri: &str) -> String {
        if self.is_aggregated {
            format!("{server}+{uri}")
        } else {
            uri.to_owned()
        }
    }
}

async fn start() -> (Gateway, Upstream) {
    start_with(json!({})).await
}

/// A gateway in front of both servers, with more of a config.
async fn start_with(mut config: Value) -> (Gateway, Upstream) {
    let web = web::start().await;
    let fixture = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/tagged_child.py"
    );
    config["servers"] = json!([
        { "id": "web", "url": web.url() },
        { "id": "child", "transport": "stdio", "command": "/usr/bin/env",
          "args": ["python3", "-ES", fixture] },
    ]);
    (Gateway::with(config).await, web)
}

/// A call and everything that comes of it.
async fn call(place: &Place, who: usize, number: usize) {
    let kinds = ["echo", "ask", "log", "echo"];
    let server = place.servers[number % place.servers.len()];
    let kind = kinds[(number / 2) % kinds.len()];
    let tag = format!("client {who}, call {number}");
    let params = json!({ "name": place.tool(server, kind), "arguments": { "tag": tag } });
    // Not the id, so that one cannot pass for the other.
    let token = json!(N_CALLS + 1 - number);
    let about = About {
        token: Some(&token),
        wants_log: kind == "log",
    };
    let id = json!(number);
    let messages = place.client.ask(&id, "tools/call", params.clone(), about);
    let answer = answer(place, messages.await, &tag, &token).await;
    assert_eq!(answer["id"], id, "{tag}: {answer}");
    let answer = if answer["result"]["resultType"] == "input_required" {
        let asked = answer["result"]["inputRequests"].as_object().unwrap();
        assert_eq!(asked.len(), 1, "{tag}: {answer}");
        let (key, question) = asked.iter().next().unwrap();
        assert_eq!(question["params"]["message"], tag, "{answer}");
        let mut params = params;
        params["inputResponses"][key] = told(&tag);
        params["requestState"] = answer["result"]["requestState"].clone();
        let id = json!(number + N_CALLS);
        let messages = place.client.ask(&id, "tools/call", params, about);
        let answer = self::answer(place, messages.await, &tag, &token).await;
        assert_eq!(answer["id"], id, "{tag}: {answer}");
        answer
    } else {
        answer
    };
    let said = match kind {
        "ask" => format!("{tag}|{tag}|{tag}"),
        _ => tag.clone(),
    };
    let text = &answer["result"]["content"][0]["text"];
    assert_eq!(
        *text, said,
        "{tag} at {server}, {:?}: {answer}",
        place.client.era
    );
}

fn told(tag: &str) -> Value {
    json!({ "action": "accept", "content": { "tag": tag } })
}

/// The answer of a call, once all that came before it was the call's own.
async fn answer(place: &Place, mut messages: Messages, tag: &str, token: &Value) -> Value {
    while let Some(message) = messages.next().await {
        let params = &message["params"];
        match message["method"].as_str() {
            None => return message,
            Some("notifications/progress") => {
                assert_eq!(params["message"], *tag, "{message}");
                assert_eq!(params["progressToken"], *token, "{tag}: {message}");
            }
            Some("notifications/message") => assert_eq!(params["data"], *tag, "{message}"),
            Some("elicitation/create") => {
                assert_eq!(params["message"], *tag, "{message}");
                let answer = json!({ "jsonrpc": "2.0", "id": message["id"], "result": told(tag) });
                place.client.tell(&answer).await;
            }
            Some(_) => panic!("{tag}: {message}"),
        }
    }
    panic!("{tag}: no answer, HTTP {}", messages.status);
}

/// Hears of the changes of a client's own resources from now on.
async fn listen(place: &Place, uris: &[String]) -> Messages {
    let client = &place.client;
    if client.era == Era::Legacy {
        for uri in uris {
            let params = json!({ "uri": uri });
            let id = json!(LISTEN);
            let subscribed = client.ask(&id, "resources/subscribe", params, About::default());
            let answer = subscribed.await.only().await;
            assert_eq!(answer["result"], json!({}), "{uri}: {answer}");
        }
        return client.listen().await;
    }
    let params = json!({ "notifications": { "resourceSubscriptions": uris } });
    let id = json!(LISTEN);
    let mut stream = client
        .ask(&id, "subscriptions/listen", params, About::default())
        .await;
    let acknowledged = stream.next().await.unwrap();
    let honoured = &acknowledged["params"]["notifications"]["resourceSubscriptions"];
    let mut honoured: Vec<String> = serde_json::from_value(honoured.clone()).unwrap();
    honoured.sort();
    let mut asked = uris.to_vec();
    asked.sort();
    assert_eq!(honoured, asked, "{acknowledged}");
    stream
}

/// Reads a client's stream until all of `uris` have changed; `known` may change, too.
async fn hear(place: &Place, stream: &mut Messages, uris: &[String], known: &[String]) {
    let mut missing: Vec<&String> = uris.iter().collect();
    while !missing.is_empty() {
        let message = stream.next().await.expect("the stream goes on");
        let params = &message["params"];
        assert_eq!(
            message["method"], "notifications/resources/updated",
            "{message}"
        );
        let uri = params["uri"].as_str().unwrap();
        assert!(known.iter().any(|one| one == uri), "{uri} in {known:?}");
        if place.client.era == Era::Modern {
            let subscription = &params["_meta"]["io.modelcontextprotocol/subscriptionId"];
            assert_eq!(*subscription, LISTEN, "{message}");
        }
        missing.retain(|one| *one != uri);
    }
}

/// All that one client does.
async fn run(gateway: &Gateway, who: usize, together: &Barrier) {
    let era = [Era::Legacy, Era::Modern][who % 2];
    let is_aggregated = (who / 2) % 2 == 1;
    let paths: &[(&str, &[&'static str])] = if is_aggregated {
        &[("/mcp", &SERVERS)]
    } else {
        &[("/mcp/web", &["web"]), ("/mcp/child", &["child"])]
    };
    let mut places = Vec::new();
    for (path, servers) in paths {
        places.push(Place {
            client: Client::open(gateway.address, era, path).await,
            servers: servers.to_vec(),
            is_aggregated,
        });
    }
    let inner = ["first", "last"].map(|name| format!("tag://{who}/{name}"));
    let own = |place: &Place, uri: &str| -> Vec<String> {
        let servers = place.servers.iter();
        servers.map(|server| place.uri(server, uri)).collect()
    };
    let mut streams = Vec::new();
    for place in &places {
        let known = inner.each_ref().map(|uri| own(place, uri)).concat();
        streams.push((listen(place, &known).await, known));
    }
    together.wait().await;
    let calls = (1..=N_CALLS).map(|number| call(&places[number % places.len()], who, number));
    join_all(calls).await;
    for uri in &inner {
        for place in &places {
            for server in &place.servers {
                let arguments = json!({ "tag": uri, "uri": uri });
                let name = place.tool(server, "touch");
                let params = json!({ "name": name, "arguments": arguments });
                let id = json!(N_CALLS);
                let touched = place
                    .client
                    .ask(&id, "tools/call", params, About::default())
                    .await;
                let answer = answer(place, touched, uri, &Value::Null).await;
                assert_eq!(answer["result"]["content"][0]["text"], *uri, "{answer}");
            }
        }
        for (place, (stream, known)) in places.iter().zip(&mut streams) {
            hear(place, stream, &own(place, uri), known).await;
        }
        // What others heard wrongly of the first comes before what they hear of the last.
        together.wait().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_sees_what_is_anothers() {
    let n_clients = env::var(N_CLIENTS_VARIABLE).map_or(N_CLIENTS, |text| text.parse().unwrap());
    let (gateway, _web) = start().await;
    let gateway = Arc::new(gateway);
    let together = Arc::new(Barrier::new(n_clients));
    let mut clients = JoinSet::new();
    for who in 0..n_clients {
        let (gateway, together) = (Arc::clone(&gateway), Arc::clone(&together));
        clients.spawn(async move { run(&gateway, who, &together).await });
    }
    // The first to fail fails the test: the others may wait for it.
    let all = async {
        while let Some(client) = clients.join_next().await {
            client.unwrap();
        }
    };
    assert!(
        tokio::time::timeout(DEADLINE, all).await.is_ok(),
        "not all had an answer in time"
    );
}
