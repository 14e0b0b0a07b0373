//! A modern client whose call is held is asked whether to go on waiting, and never whether to approve.

use serde_json::{Value, json};

use super::{data, decide};
use crate::guard::{Bed, script};
use crate::support::gateway::Gateway;
use crate::support::message::{MODERN, legacy_call, modern_body, post};
use crate::support::rust_client::RustClient;
use crate::support::until;
use crate::support::upstream::Upstream;
use crate::support::wire::{self, Request};

const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";

/// A tool call of a modern client that can show forms; `more` are further params.
pub(super) fn able_call(path: &str, tool: &str, arguments: &Value, more: Value) -> Request {
    let mut params = more;
    params["name"] = json!(tool);
    params["arguments"] = arguments.clone();
    let mut body = modern_body(&json!(5), "tools/call", params);
    body["params"]["_meta"][CAPABILITIES] = json!({ "elicitation": { "form": {} } });
    body["params"]["_meta"]["progressToken"] = json!(body.to_string().len());
    post(path, body.to_string())
        .header("mcp-protocol-version", MODERN)
        .header("mcp-method", "tools/call")
        .header("mcp-name", tool)
}

/// What a user's action becomes in the retry of a call.
pub(super) fn retry(asked: &Value, action: &str) -> Value {
    let responses = json!({ "conduit_approval": { "action": action } });
    json!({ "requestState": state(asked), "inputResponses": responses })
}

/// The state that a client was asked to come back with.
pub(super) fn state(asked: &Value) -> &str {
    assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
    asked["result"]["requestState"].as_str().unwrap()
}

/// What its user is told.
fn message(asked: &Value) -> &str {
    let request = &asked["result"]["inputRequests"]["conduit_approval"];
    assert_eq!(request["method"], "elicitation/create", "{asked}");
    assert_eq!(request["params"]["mode"], "form", "{asked}");
    assert_eq!(
        request["params"]["requestedSchema"],
        json!({ "type": "object", "properties": {} })
    );
    request["params"]["message"].as_str().unwrap()
}

async fn bed() -> Bed {
    Bed::start(json!([{ "name": "ask", "action": "require_approval" }])).await
}

async fn ask(bed: &Bed, arguments: &Value, more: Value) -> Value {
    let request = able_call("/mcp/fake", "echo", arguments, more);
    bed.ask(&request).await.json()
}

/// The id of the only request for approval there is.
pub(super) async fn only_id(bed: &Bed) -> String {
    let list = bed.get("/conduit/governance/approvals").await;
    assert_eq!(list["count"], 1, "{list}");
    list["approvals"][0]["id"].as_str().unwrap().to_owned()
}

async fn status_of(bed: &Bed, id: &str) -> String {
    let list = bed.get("/conduit/governance/approvals").await;
    let mut all = list["approvals"].as_array().unwrap().iter();
    let one = all.find(|one| one["id"] == *id).unwrap();
    one["status"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_held_call_asks_until_somebody_else_approved_it_and_then_passes_once() {
    let bed = bed().await;
    for (path, tool) in [("/mcp/fake", "echo"), ("/mcp", "fake.echo")] {
        let n_before = bed.upstream.recorded("tools/call").len();
        let arguments = json!({ "at": path });
        let call = async |more: Value| {
            let answer = bed.ask(&able_call(path, tool, &arguments, more)).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            answer.json()
        };
        let first = call(json!({})).await;
        assert_eq!(first["id"], 5, "{first}");
        let list = bed
            .get("/conduit/governance/approvals?status=pending")
            .await;
        let id = list["approvals"][0]["id"].as_str().unwrap().to_owned();
        for part in ["\"ask\"", &*id, "is pending", "seconds ago"] {
            assert!(message(&first).contains(part), "{part} in {first}");
        }
        let second = call(retry(&first, "accept")).await;
        assert!(
            message(&second).contains(&id),
            "it is the same request: {second}"
        );
        let silent = call(json!({ "requestState": state(&second) })).await;
        assert!(
            message(&silent).contains(&id),
            "who says nothing is told once more: {silent}"
        );
        assert_eq!(
            status_of(&bed, &id).await,
            "pending",
            "accepting approves nothing"
        );

        assert_eq!(decide(&bed, &id, "approve", "boss").await, 200);
        let told = call(json!({ "requestState": state(&second) })).await;
        assert!(message(&told).contains("is approved"), "{told}");
        let passed = call(retry(&first, "accept")).await;
        let text = passed["result"]["content"][0]["text"]
            .as_str()
            .unwrap()
            .to_owned();
        for ours in ["requestState", "inputResponses", "conduit_approval"] {
            assert!(
                !text.contains(ours),
                "the server is told nothing of it: {text}"
            );
        }
        let again = call(retry(&second, "accept")).await;
        assert_eq!(data(&again)["status"], "used", "{again}");
        assert_eq!(data(&again)["approval_request_id"], *id);
        assert_eq!(bed.upstream.recorded("tools/call").len(), n_before + 1);
    }
}

#[tokio::test]
async fn who_declines_withdraws_and_nobody_can_approve_it_any_more() {
    let bed = bed().await;
    for action in ["decline", "cancel"] {
        let arguments = json!({ "by": action });
        let asked = ask(&bed, &arguments, json!({})).await;
        let refused = ask(&bed, &arguments, retry(&asked, action)).await;
        assert_eq!(data(&refused)["status"], "withdrawn", "{refused}");
        let id = data(&refused)["approval_request_id"].as_str().unwrap();
        assert!(message(&asked).contains(id), "{asked}");
        assert_eq!(decide(&bed, id, "approve", "boss").await, 400);
        let late = ask(&bed, &arguments, retry(&asked, "accept")).await;
        assert_eq!(data(&late)["status"], "withdrawn", "{late}");
        let anew = ask(&bed, &arguments, json!({})).await;
        assert!(
            !message(&anew).contains(id),
            "it is another request: {anew}"
        );
    }
    assert_eq!(bed.n_calls(), 0);
}

#[tokio::test]
async fn a_rejected_or_expired_request_is_told_by_its_name() {
    let bed = bed().await;
    let arguments = json!({});
    let asked = ask(&bed, &arguments, json!({})).await;
    let id = only_id(&bed).await;
    assert_eq!(decide(&bed, &id, "reject", "boss").await, 200);
    let refused = ask(&bed, &arguments, retry(&asked, "accept")).await;
    assert_eq!(data(&refused)["status"], "rejected", "{refused}");
    assert_eq!(data(&refused)["approval_request_id"], *id);
    assert_eq!(bed.n_calls(), 0);

    let upstream = Upstream::start(script).await;
    let gateway = Gateway::with(json!({
        "servers": [{ "id": "fake", "url": upstream.url() }],
        "guardrails": { "enabled": true,
            "rules": [{ "name": "ask", "action": "require_approval" }] },
        "governance": { "approvals": { "ttl_seconds": 1 } },
    }))
    .await;
    let bed = Bed { gateway, upstream };
    let asked = ask(&bed, &arguments, json!({})).await;
    let id = only_id(&bed).await;
    until("the request to expire", || async {
        (status_of(&bed, &id).await == "expired").then_some(())
    })
    .await;
    let refused = ask(&bed, &arguments, retry(&asked, "accept")).await;
    assert_eq!(data(&refused)["status"], "expired", "{refused}");
    assert_eq!(data(&refused)["approval_request_id"], *id);
    assert_eq!(bed.n_calls(), 0);
}

#[tokio::test]
async fn a_state_is_good_for_the_same_call_only() {
    let bed = bed().await;
    let arguments = json!({ "a": 1, "b": { "c": [2] } });
    let asked = ask(&bed, &arguments, json!({})).await;
    let id = only_id(&bed).await;
    assert_eq!(decide(&bed, &id, "approve", "boss").await, 200);
    for (tool, other) in [
        ("echo", json!({ "a": 2, "b": { "c": [2] } })),
        ("leak", arguments.clone()),
    ] {
        let request = able_call("/mcp/fake", tool, &other, retry(&asked, "accept"));
        let answer = bed.ask(&request).await.json();
        assert_eq!(answer["error"]["code"], -32602, "{tool}: {answer}");
    }
    assert_eq!(
        status_of(&bed, &id).await,
        "approved",
        "nothing was made use of"
    );
    assert_eq!(bed.n_calls(), 0);
    let passed = ask(&bed, &arguments, retry(&asked, "accept")).await;
    assert!(passed["result"]["content"].is_array(), "{passed}");
}

#[tokio::test]
async fn a_state_is_good_for_its_own_client_only() {
    let upstream = Upstream::start(script).await;
    let gateway = Gateway::with(json!({
        "servers": [{ "id": "fake", "url": upstream.url() }],
        "guardrails": { "enabled": true,
            "rules": [{ "name": "ask", "action": "require_approval" }] },
        "auth": { "method": "api-key", "api_keys": [
            { "key": "a", "client_id": "alice" },
            { "key": "b", "client_id": "bob", "roles": ["owner"] },
        ] },
    }))
    .await;
    let arguments = json!({});
    let call = async |key: &str, more: Value| {
        let request = able_call("/mcp/fake", "echo", &arguments, more).header("x-api-key", key);
        wire::ask(gateway.address, &request).await.json()
    };
    let asked = call("a", json!({})).await;
    let list = wire::ask(
        gateway.address,
        &Request::get("/conduit/governance/approvals"),
    )
    .await;
    let id = list.json()["approvals"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let approve = Request::post(&format!("/conduit/governance/approvals/{id}/approve"))
        .header("x-conduit-admin", "1")
        .header("authorization", "Bearer b")
        .body("{}");
    assert_eq!(wire::ask(gateway.address, &approve).await.status, 200);
    for action in ["accept", "decline"] {
        let answer = call("b", retry(&asked, action)).await;
        assert_eq!(answer["error"]["code"], -32602, "{answer}");
    }
    assert!(upstream.recorded("tools/call").is_empty());
    let passed = call("a", retry(&asked, "accept")).await;
    assert!(passed["result"]["content"].is_array(), "{passed}");
}

#[tokio::test]
async fn a_state_of_somebody_elses_is_the_servers_and_buys_nothing() {
    let bed = bed().await;
    for more in [
        json!({ "requestState": "made up", "inputResponses": { "conduit_approval": { "action": "accept" } } }),
        json!({ "requestState": "", "inputResponses": {} }),
        json!({ "inputResponses": { "conduit_approval": { "action": "accept" } } }),
        json!({ "requestState": 7 }),
    ] {
        // What the client brings for its server is not to be lost in a dialog of ours.
        let answer = ask(&bed, &json!({}), more).await;
        assert_eq!(data(&answer)["status"], "pending", "{answer}");
    }
    assert_eq!(bed.n_calls(), 0);
}

#[tokio::test]
async fn who_cannot_show_a_form_is_told_by_an_error() {
    let bed = bed().await;
    for able in [
        json!({}),
        json!({ "elicitation": { "url": {} } }),
        json!({ "sampling": {} }),
    ] {
        let mut body = modern_body(&json!(5), "tools/call", json!({ "name": "echo" }));
        body["params"]["_meta"][CAPABILITIES] = able.clone();
        let request = post("/mcp/fake", body.to_string())
            .header("mcp-protocol-version", MODERN)
            .header("mcp-method", "tools/call")
            .header("mcp-name", "echo");
        let answer = bed.ask(&request).await.json();
        assert_eq!(data(&answer)["status"], "pending", "{able}: {answer}");
    }
    // What a legacy client says in `_meta` declares nothing.
    let mut params = json!({ "_meta": { CAPABILITIES: { "elicitation": {} } } });
    params["name"] = json!("echo");
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    let legacy = legacy_call("/mcp/fake", &json!(1), "echo", json!({})).body(body.to_string());
    let answer = bed.ask(&legacy).await.json();
    assert_eq!(data(&answer)["status"], "pending", "{answer}");
    assert_eq!(bed.n_calls(), 0);
}

#[tokio::test]
async fn where_the_rule_is_gone_the_call_goes_on_and_its_server_sees_nothing_of_ours() {
    let bed = bed().await;
    let asked = ask(&bed, &json!({}), json!({})).await;
    bed.gateway
        .rewrite(json!({ "servers": [{ "id": "fake", "url": bed.upstream.url() }] }));
    bed.gateway.reload().await;
    let passed = ask(&bed, &json!({}), retry(&asked, "accept")).await;
    let text = passed["result"]["content"][0]["text"].as_str().unwrap();
    assert!(
        !text.contains("requestState") && !text.contains("inputResponses"),
        "{text}"
    );
}

#[tokio::test]
async fn the_official_sdk_goes_through_the_dialog_by_itself() {
    let bed = bed().await;
    let held = super::call(&bed, &json!({ "n": 1 }), None).await;
    let id = data(&held)["approval_request_id"].as_str().unwrap();
    assert_eq!(decide(&bed, id, "approve", "boss").await, 200);
    let client = RustClient::modern(&bed.gateway.url("fake")).await;
    let text = client.text("echo", json!({ "n": 1 })).await;
    assert!(text.contains("\"n\":1"), "{text}");
    let shown = client.inbox.all("elicitation");
    assert_eq!(shown.len(), 1, "{shown:?}");
    assert!(shown[0].to_string().contains("is approved"), "{shown:?}");
    client.close().await;
    assert_eq!(status_of(&bed, id).await, "used");
}
