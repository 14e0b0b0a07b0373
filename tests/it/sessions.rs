//! Sessions of legacy clients are the gateway's own: they outlive those with servers that stand behind them,
//! end them, and are nobody else's.
//!
//! protocol.md E43 to E48; issue 3, item 4.

mod events;
mod server;

use futures_util::future::join_all;
use serde_json::{Value, json};

use self::server::{Refusal, SessionServer};
use crate::support::gateway::Gateway;
use crate::support::message::{LEGACY, legacy, legacy_call, post, said};
use crate::support::until;
use crate::support::wire::{self, Answer, Request};

/// An endpoint and what the tool `any` and a resource of the server `one` are called there.
struct Place {
    path: &'static str,
    tool: &'static str,
    uri: &'static str,
}

const SINGLE: Place = Place {
    path: "/mcp/one",
    tool: "any",
    uri: "note://7",
};
const AGGREGATED: Place = Place {
    path: "/mcp",
    tool: "one.any",
    uri: "one+note://7",
};
const PLACES: [Place; 2] = [SINGLE, AGGREGATED];

/// A client's session.
struct Session<'g> {
    gateway: &'g Gateway,
    path: &'static str,
    id: String,
}

impl<'g> Session<'g> {
    async fn open(gateway: &'g Gateway, path: &'static str) -> Self {
        let params = json!({ "protocolVersion": LEGACY, "capabilities": { "roots": {} },
            "clientInfo": { "name": server::CLIENT, "version": "1" } });
        let initialize = legacy(path, &json!(0), "initialize", params);
        let opened = wire::ask(gateway.address, &initialize).await;
        assert_eq!(opened.status, 200, "{opened:?}");
        let id = opened.headers.get("mcp-session-id").unwrap().to_owned();
        assert!(!id.starts_with("theirs"), "a server's own id: {id}");
        let session = Self { gateway, path, id };
        let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        let told = session.send(post(path, initialized.to_string())).await;
        assert_eq!(told.status, 202, "{told:?}");
        session
    }

    async fn send(&self, request: Request) -> Answer {
        let request = request.header("mcp-session-id", &self.id);
        wire::ask(self.gateway.address, &request).await
    }

    async fn ask(&self, id: u64, method: &str, params: Value) -> Answer {
        self.send(legacy(self.path, &json!(id), method, params))
            .await
    }

    async fn call(&self, id: u64, tool: &str) -> Answer {
        self.send(legacy_call(self.path, &json!(id), tool, json!({})))
            .await
    }

    /// Calls `tool`, which must work.
    async fn assert_serves(&self, id: u64, tool: &str) {
        let answer = self.call(id, tool).await;
        let got = (answer.status, answer.json());
        assert_eq!(got, (200, said(&json!(id), "ok")), "{}", self.path);
    }
}

async fn gateway(servers: &[(&str, &SessionServer)]) -> Gateway {
    gateway_with(servers, json!({})).await
}

async fn gateway_with(servers: &[(&str, &SessionServer)], mut config: Value) -> Gateway {
    let servers = servers
        .iter()
        .map(|(id, server)| json!({ "id": id, "url": server.upstream.url() }));
    config["servers"] = servers.collect();
    Gateway::with(config).await
}

// === lost ===

#[tokio::test]
async fn a_session_that_its_server_lost_is_opened_anew_and_the_refused_call_made_again_once() {
    for refusal in [Refusal::NotFound, Refusal::BadRequest, Refusal::Rmcp] {
        for place in &PLACES {
            let server = SessionServer::start(refusal).await;
            let gateway = gateway(&[("one", &server)]).await;
            let session = Session::open(&gateway, place.path).await;
            session
                .ask(1, "logging/setLevel", json!({ "level": "warning" }))
                .await;
            session.assert_serves(2, place.tool).await;
            let subscribe = json!({ "uri": place.uri });
            session.ask(3, "resources/subscribe", subscribe).await;
            let first = server.sessions().pop().unwrap();
            server.forget();

            session.assert_serves(9, place.tool).await;
            let what = format!("{refusal:?} at {}", place.path);
            let refused = server.posted(&first).pop().unwrap();
            assert_eq!(refused["method"], "tools/call", "{what}");
            let sessions = server.sessions();
            assert_eq!(sessions.len(), 2, "{what}");
            let posted = server.posted(&sessions[1]);
            let methods: Vec<&str> = posted
                .iter()
                .map(|one| one["method"].as_str().unwrap())
                .collect();
            let wanted = [
                "notifications/initialized",
                "logging/setLevel",
                "resources/subscribe",
                "tools/call",
            ];
            assert_eq!(methods, wanted, "{what}");
            assert_eq!(posted[1]["params"]["level"], "warning", "{what}");
            assert_eq!(posted[2]["params"]["uri"], "note://7", "{what}");
            assert_eq!(posted[3], refused, "{what}");
            // What the client said of itself, it said once.
            let handshakes = server.handshakes();
            assert_eq!(handshakes[0]["capabilities"], json!({ "roots": {} }));
            assert_eq!(handshakes[0]["capabilities"], handshakes[1]["capabilities"]);
            session.assert_serves(10, place.tool).await;
            assert_eq!(server.sessions().len(), 2, "{what}");
        }
    }
}

#[tokio::test]
async fn a_call_that_a_new_session_refuses_too_has_its_answer_in_that() {
    for place in &PLACES {
        let server = SessionServer::start(Refusal::NotFound).await;
        let gateway = gateway(&[("one", &server)]).await;
        let session = Session::open(&gateway, place.path).await;
        let refused = place.tool.replace("any", "missing");
        let answer = session.call(5, &refused).await;
        let what = place.path;
        assert_eq!(answer.status, 404, "{what}: {answer:?}");
        let body = answer.json();
        assert_eq!(
            (&body["id"], &body["error"]["code"]),
            (&json!(5), &json!(-32002))
        );
        assert_eq!(server.upstream.recorded("tools/call").len(), 2, "{what}");
        session.assert_serves(6, place.tool).await;
    }
}

#[tokio::test]
async fn calls_that_are_refused_together_share_one_new_session() {
    for place in &PLACES {
        let server = SessionServer::start(Refusal::NotFound).await;
        let gateway = gateway(&[("one", &server)]).await;
        let session = Session::open(&gateway, place.path).await;
        session.assert_serves(0, place.tool).await;
        server.forget();
        join_all((1..=20).map(|id| session.assert_serves(id, place.tool))).await;
        assert_eq!(server.sessions().len(), 2, "{}", place.path);
    }
}

#[tokio::test]
async fn a_get_stream_of_a_lost_session_is_opened_in_a_new_one() {
    let server = SessionServer::start(Refusal::NotFound).await;
    let gateway = gateway(&[("one", &server)]).await;
    let session = Session::open(&gateway, SINGLE.path).await;
    server.forget();
    let get = Request::get(SINGLE.path)
        .header("accept", "text/event-stream")
        .header("mcp-session-id", &session.id);
    let stream = wire::stream(gateway.address, &get).await;
    assert_eq!(stream.status, 200);
    assert_eq!(server.sessions().len(), 2);
    session.assert_serves(1, SINGLE.tool).await;
    assert_eq!(server.sessions().len(), 2);
}

// === ended ===

#[tokio::test]
async fn delete_ends_the_sessions_with_all_servers() {
    let servers = [
        SessionServer::start(Refusal::NotFound).await,
        SessionServer::start(Refusal::NotFound).await,
    ];
    let gateway = gateway(&[("one", &servers[0]), ("two", &servers[1])]).await;
    let session = Session::open(&gateway, "/mcp").await;
    session.assert_serves(1, "one.any").await;
    session.assert_serves(2, "two.any").await;
    let answer = session.send(Request::delete("/mcp")).await;
    assert_eq!((answer.status, answer.text().as_str()), (204, ""));
    for server in &servers {
        assert_ended(server).await;
    }
    assert_eq!(session.call(3, "one.any").await.status, 404);
    assert_eq!(session.send(Request::delete("/mcp")).await.status, 404);
}

#[tokio::test]
async fn a_session_that_nobody_uses_ends_with_those_behind_it() {
    for place in &PLACES {
        let server = SessionServer::start(Refusal::NotFound).await;
        let config = json!({ "sessions": { "idle_seconds": 1 } });
        let gateway = gateway_with(&[("one", &server)], config).await;
        let session = Session::open(&gateway, place.path).await;
        session.assert_serves(1, place.tool).await;
        assert_ended(&server).await;
        assert_eq!(session.call(2, place.tool).await.status, 404);
    }
}

/// The server is told that the client's only session is over.
async fn assert_ended(server: &SessionServer) {
    let sessions = server.sessions();
    assert_eq!(sessions.len(), 1);
    assert_deleted(server, &sessions[0]).await;
}

/// The server is told that one of its sessions is over.
async fn assert_deleted(server: &SessionServer, session: &str) {
    until("the server's session to be ended", || async {
        let deleted = server.upstream.recorded_http("DELETE");
        let mut ids = deleted.iter().map(|one| one.headers.get("mcp-session-id"));
        ids.any(|id| id == Some(session)).then_some(())
    })
    .await;
}

// === somebody else's ===

/// What may be sent in a session.
fn all_in_session(path: &str) -> [Request; 5] {
    let told = json!({ "jsonrpc": "2.0", "method": "notifications/roots/list_changed" });
    let said = json!({ "jsonrpc": "2.0", "id": 7, "result": {} });
    [
        legacy(path, &json!(1), "tools/list", json!({})),
        post(path, told.to_string()),
        post(path, said.to_string()),
        Request::get(path).header("accept", "text/event-stream"),
        Request::delete(path),
    ]
}

#[tokio::test]
async fn a_session_that_nobody_opened_is_404_and_reaches_no_server() {
    let server = SessionServer::start(Refusal::NotFound).await;
    let gateway = gateway(&[("one", &server)]).await;
    for place in &PLACES {
        for request in all_in_session(place.path) {
            let request = request.header("mcp-session-id", "theirs-0");
            let answer = wire::ask(gateway.address, &request).await;
            assert_eq!(answer.status, 404, "{}: {answer:?}", place.path);
        }
    }
    assert!(server.posted("theirs-0").is_empty());
    assert!(server.upstream.recorded_http("DELETE").is_empty());
}

#[tokio::test]
async fn a_session_is_served_at_its_own_endpoint_only() {
    let (one, two) = (
        SessionServer::start(Refusal::NotFound).await,
        SessionServer::start(Refusal::NotFound).await,
    );
    let profiles = json!([{ "id": "some", "server_ids": ["one"] }]);
    let config = json!({ "connect": { "profiles": profiles } });
    let gateway = gateway_with(&[("one", &one), ("two", &two)], config).await;
    let paths = ["/mcp", "/mcp/one", "/mcp/two", "/mcp/profile/some"];
    for own in paths {
        let session = Session::open(&gateway, own).await;
        for path in paths.into_iter().filter(|path| *path != own) {
            for request in all_in_session(path) {
                let answer = session.send(request).await;
                assert_eq!(answer.status, 404, "{own} used at {path}: {answer:?}");
            }
        }
        let listed = session.ask(1, "tools/list", json!({})).await;
        assert_eq!(listed.status, 200, "{own}: {listed:?}");
    }
}

#[tokio::test]
async fn several_servers_as_one_need_a_session() {
    let server = SessionServer::start(Refusal::NotFound).await;
    let gateway = gateway(&[("one", &server)]).await;
    for request in all_in_session("/mcp") {
        let answer = wire::ask(gateway.address, &request).await;
        assert_eq!(answer.status, 400, "{answer:?}");
    }
}
