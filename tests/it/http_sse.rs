//! Servers of the HTTP+SSE transport (2024-11-05) behind the gateway, which offers them as Streamable HTTP.

mod faults;
mod found;
mod probe;
mod sdk;
mod server;
mod sessions;

use serde_json::{Value, json};

use crate::support::gateway::Gateway;
use crate::support::message::{legacy, post};
use crate::support::wire::{self, Answer, Request};

const PATH: &str = "/mcp/old";

/// A gateway in front of the server at `url`.
async fn gateway(url: &str) -> Gateway {
    gateway_with(url, json!({})).await
}

/// A gateway in front of the server at `url`, with more said about it.
async fn gateway_with(url: &str, more: Value) -> Gateway {
    let mut server = json!({ "id": "old", "transport": "sse", "url": url });
    for (key, value) in more.as_object().unwrap() {
        server[key] = value.clone();
    }
    Gateway::start(json!([server])).await
}

fn initialize() -> Request {
    let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": { "name": "test", "version": "1" } });
    legacy(PATH, &json!(1), "initialize", params)
}

/// What an `initialize` that must fail is answered: status and message.
async fn refusal(gateway: &Gateway) -> (u16, String) {
    let answer = wire::ask(gateway.address, &initialize()).await;
    assert_eq!(answer.headers.get("mcp-session-id"), None, "{answer:?}");
    error(&answer)
}

fn error(answer: &Answer) -> (u16, String) {
    let message = answer.json()["error"]["message"]
        .as_str()
        .map(str::to_owned);
    let message = message.unwrap_or_else(|| panic!("no error: {answer:?}"));
    (answer.status, message)
}

/// A legacy client's session. Every one numbers its requests alike.
struct Session<'g> {
    gateway: &'g Gateway,
    id: String,
}

impl<'g> Session<'g> {
    async fn open(gateway: &'g Gateway) -> Self {
        let answer = wire::ask(gateway.address, &initialize()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let id = answer.headers.get("mcp-session-id").unwrap().to_owned();
        let session = Self { gateway, id };
        session.tell("notifications/initialized", json!({})).await;
        session
    }

    fn within(&self, request: Request) -> Request {
        request.header("mcp-session-id", &self.id)
    }

    fn call(&self, tool: &str, arguments: Value) -> Request {
        let params = json!({ "name": tool, "arguments": arguments,
            "_meta": { "progressToken": "token" } });
        self.within(legacy(PATH, &json!(2), "tools/call", params))
    }

    async fn ask(&self, request: Request) -> Answer {
        wire::ask(self.gateway.address, &self.within(request)).await
    }

    /// The text that `tool` answers with, be it alone or at the end of a stream.
    async fn text(&self, tool: &str, arguments: Value) -> String {
        let answer = wire::ask(self.gateway.address, &self.call(tool, arguments)).await;
        let body = answer.text();
        let last = body.trim_end().rsplit("data: ").next().unwrap();
        let message: Value = serde_json::from_str(last).unwrap_or_default();
        let text = message["result"]["content"][0]["text"].as_str();
        text.unwrap_or_else(|| panic!("no text: {body}")).to_owned()
    }

    async fn tell(&self, method: &str, params: Value) {
        let message = json!({ "jsonrpc": "2.0", "method": method, "params": params });
        self.deliver(&message).await;
    }

    /// Sends a notification or a response.
    async fn deliver(&self, message: &Value) {
        let answer = self.ask(post(PATH, message.to_string())).await;
        assert_eq!(answer.status, 202, "{answer:?}");
    }
}
