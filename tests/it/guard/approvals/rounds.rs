//! A server that asks something before it answers an approved call: the rounds are one call.

use serde_json::{Value, json};

use super::dialog::{able_call, only_id, retry, state};
use super::{data, decide};
use crate::guard::Bed;
use crate::support::gateway::Gateway;
use crate::support::message::{MODERN, modern_body, post, result};
use crate::support::rust_client::RustClient;
use crate::support::sdk::Sdk;
use crate::support::upstream::{Recorded, Step, Upstream, friendly, json as answer_json};
use crate::support::wire::{self, Request};

/// A server whose every tool asks twice: with a state, then without one.
fn curious(request: &Recorded) -> Vec<Step> {
    if request.rpc_method() != "tools/call" {
        return friendly(request);
    }
    let message = request.json();
    let params = &message["params"];
    let name = json!({ "method": "elicitation/create", "params": { "mode": "form",
        "message": "Who?", "requestedSchema": { "type": "object", "properties": {} } } });
    let said = match (
        params["requestState"].as_str(),
        params["inputResponses"].get("more"),
    ) {
        (None, None) => json!({ "resultType": "input_required",
            "inputRequests": { "name": name }, "requestState": "up \"1\" \u{1f600}" }),
        (Some("up \"1\" \u{1f600}"), _) => json!({ "resultType": "input_required",
            "inputRequests": { "more": name } }),
        (None, Some(_)) => json!({ "resultType": "complete",
            "content": [{ "type": "text", "text": params.to_string() }] }),
        (Some(other), _) => json!({ "resultType": "complete", "isError": true,
            "content": [{ "type": "text", "text": format!("unknown state {other}") }] }),
    };
    answer_json(&result(&message["id"], said))
}

async fn bed() -> Bed {
    let upstream = Upstream::start(curious).await;
    let gateway = Gateway::with(json!({
        "servers": [{ "id": "fake", "url": upstream.url() }],
        "guardrails": { "enabled": true,
            "rules": [{ "name": "ask", "action": "require_approval" }] },
    }))
    .await;
    Bed { gateway, upstream }
}

fn answers(asked: &Value, key: &str) -> Value {
    assert!(asked["result"]["inputRequests"][key].is_object(), "{asked}");
    let responses = json!({ key: { "action": "accept", "content": {} } });
    json!({ "requestState": state(asked), "inputResponses": responses })
}

#[tokio::test]
async fn the_rounds_of_an_approved_call_need_no_other_approval() {
    let bed = bed().await;
    for (path, tool) in [("/mcp/fake", "t"), ("/mcp", "fake.t")] {
        let n_before = bed.upstream.recorded("tools/call").len();
        let arguments = json!({ "at": path });
        let call = async |more: Value| {
            bed.ask(&able_call(path, tool, &arguments, more))
                .await
                .json()
        };
        let held = call(json!({})).await;
        let list = bed
            .get("/conduit/governance/approvals?status=pending")
            .await;
        let id = list["approvals"][0]["id"].as_str().unwrap().to_owned();
        assert_eq!(decide(&bed, &id, "approve", "boss").await, 200);
        let first = call(retry(&held, "accept")).await;
        let second = call(answers(&first, "name")).await;
        let replayed = call(answers(&first, "name")).await;
        assert_eq!(
            data(&replayed)["status"],
            "used",
            "each round is good once: {replayed}"
        );
        let done = call(answers(&second, "more")).await;
        assert_eq!(done["result"]["resultType"], "complete", "{done}");
        let replayed = call(answers(&second, "more")).await;
        assert_eq!(data(&replayed)["status"], "used", "{replayed}");

        let seen = bed.upstream.recorded("tools/call");
        let seen: Vec<Value> = seen[n_before..].iter().map(Recorded::json).collect();
        let states: Vec<_> = seen
            .iter()
            .map(|one| &one["params"]["requestState"])
            .collect();
        assert_eq!(
            states,
            [&Value::Null, &json!("up \"1\" \u{1f600}"), &Value::Null]
        );
        assert_eq!(seen[0]["params"]["inputResponses"], Value::Null);
        assert!(
            seen[1]["params"]["inputResponses"]["name"].is_object(),
            "{seen:?}"
        );
        assert!(
            seen[2]["params"]["inputResponses"]["more"].is_object(),
            "{seen:?}"
        );
    }
    let list = bed.get("/conduit/governance/approvals").await;
    assert_eq!(list["count"], 2, "one for each call: {list}");
}

#[tokio::test]
async fn a_round_is_of_no_use_to_another_call() {
    let bed = bed().await;
    let call = async |n: u32, more: Value| {
        let request = able_call("/mcp/fake", "t", &json!({ "n": n }), more);
        bed.ask(&request).await.json()
    };
    let held = call(1, json!({})).await;
    assert_eq!(
        decide(&bed, &only_id(&bed).await, "approve", "boss").await,
        200
    );
    let first = call(1, retry(&held, "accept")).await;
    let other = call(2, answers(&first, "name")).await;
    assert_eq!(other["error"]["code"], -32602, "{other}");
    assert_eq!(bed.upstream.recorded("tools/call").len(), 1);
    let second = call(1, answers(&first, "name")).await;
    assert!(
        second["result"]["inputRequests"]["more"].is_object(),
        "{second}"
    );
}

#[tokio::test]
async fn who_names_the_approval_in_a_header_has_rounds_too() {
    let bed = bed().await;
    let call = async |more: Value, approval: Option<&str>| {
        let mut params = more;
        params["name"] = json!("t");
        let body = modern_body(&json!(5), "tools/call", params);
        let mut request = post("/mcp/fake", body.to_string())
            .header("mcp-protocol-version", MODERN)
            .header("mcp-method", "tools/call")
            .header("mcp-name", "t");
        if let Some(id) = approval {
            request = request.header("x-conduit-approval-id", id);
        }
        bed.ask(&request).await.json()
    };
    let held = call(json!({}), None).await;
    let id = data(&held)["approval_request_id"].as_str().unwrap();
    assert_eq!(decide(&bed, id, "approve", "boss").await, 200);
    let first = call(json!({}), Some(id)).await;
    let second = call(answers(&first, "name"), Some(id)).await;
    let done = call(answers(&second, "more"), None).await;
    assert_eq!(done["result"]["resultType"], "complete", "{done}");
}

#[tokio::test]
async fn an_approved_call_of_the_official_sdk_is_asked_by_a_legacy_server() {
    let sdk = Sdk::locate();
    let everything = sdk.everything().await;
    let gateway = Gateway::with(json!({
        "servers": [{ "id": "everything", "url": everything.url }],
        "guardrails": { "enabled": true, "rules": [{ "name": "ask", "action": "require_approval",
            "tools": ["trigger-elicitation-request"] }] },
    }))
    .await;
    let call = able_call(
        "/mcp/everything",
        "trigger-elicitation-request",
        &json!({}),
        json!({}),
    );
    wire::ask(gateway.address, &call).await;
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
        .body(json!({ "approver_client_id": "boss" }).to_string());
    assert_eq!(wire::ask(gateway.address, &approve).await.status, 200);
    let client = RustClient::modern(&gateway.url("everything")).await;
    let text = client.text("trigger-elicitation-request", json!({})).await;
    assert!(
        text.contains("provided the requested information"),
        "{text}"
    );
    let shown = client.inbox.all("elicitation");
    assert_eq!(
        shown.len(),
        2,
        "the approval, then what the server asks: {shown:?}"
    );
    client.close().await;
}
