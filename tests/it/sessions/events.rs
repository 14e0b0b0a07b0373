//! Sessions of clients of the HTTP+SSE transport (2024-11-05): they begin with their stream.

use serde_json::{Value, json};

use super::server::{self, Refusal, SessionServer};
use super::{assert_deleted, gateway, gateway_with};
use crate::support::gateway::Gateway;
use crate::support::message::{LEGACY, legacy, post};
use crate::support::wire::{self, EventStream, Request};
use crate::support::within;

/// A client and its stream.
struct Client<'g> {
    gateway: &'g Gateway,
    endpoint: String,
    stream: EventStream,
}

impl<'g> Client<'g> {
    async fn open(gateway: &'g Gateway) -> Self {
        let mut stream = wire::stream(gateway.address, &Request::get("/mcp/one/sse")).await;
        assert_eq!(stream.status, 200);
        let endpoint = within("an endpoint", stream.event()).await.unwrap();
        Self {
            gateway,
            endpoint,
            stream,
        }
    }

    async fn post(&self, request: Request) {
        let answer = wire::ask(self.gateway.address, &request).await;
        assert_eq!(answer.status, 202, "{answer:?}");
    }

    async fn initialize(&mut self, id: u64) -> Value {
        let params = json!({ "protocolVersion": LEGACY, "capabilities": {},
            "clientInfo": { "name": server::CLIENT, "version": "1" } });
        self.post(legacy(&self.endpoint, &json!(id), "initialize", params))
            .await;
        let answer = within("an answer", self.stream.event()).await.unwrap();
        serde_json::from_str(&answer).unwrap()
    }
}

#[tokio::test]
async fn a_second_initialize_on_a_stream_ends_the_first_session_with_the_server() {
    let server = SessionServer::start(Refusal::NotFound).await;
    let gateway = gateway(&[("one", &server)]).await;
    let mut client = Client::open(&gateway).await;
    for id in 1..=2 {
        let answer = client.initialize(id).await;
        assert_eq!(answer["id"], id, "{answer}");
        assert!(answer["result"].is_object(), "{answer}");
    }
    let sessions = server.sessions();
    assert_eq!(sessions.len(), 2);
    assert_deleted(&server, &sessions[0]).await;
    drop(client);
    assert_deleted(&server, &sessions[1]).await;
}

#[tokio::test]
async fn a_notification_has_reached_the_server_when_it_is_accepted() {
    let server = SessionServer::start(Refusal::NotFound).await;
    let gateway = gateway(&[("one", &server)]).await;
    let mut client = Client::open(&gateway).await;
    client.initialize(1).await;
    let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    client
        .post(post(&client.endpoint, initialized.to_string()))
        .await;
    let posted = server.posted(&server.sessions()[0]);
    assert_eq!(posted, [initialized]);
}

#[tokio::test]
async fn a_session_with_the_server_is_closed_where_its_client_has_too_many() {
    let server = SessionServer::start(Refusal::NotFound).await;
    let config = json!({ "sessions": { "max_per_client": 1 } });
    let gateway = gateway_with(&[("one", &server)], config).await;
    let _client = Client::open(&gateway).await;
    let params = json!({ "protocolVersion": LEGACY, "capabilities": {},
        "clientInfo": { "name": server::CLIENT, "version": "1" } });
    let initialize = legacy("/mcp/one", &json!(1), "initialize", params);
    let answer = wire::ask(gateway.address, &initialize).await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_deleted(&server, &server.sessions()[0]).await;
}
