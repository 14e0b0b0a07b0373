//! Calls that wait for somebody's yes.

mod approver;
mod dialog;
mod rounds;

use serde_json::{Value, json};

use super::Bed;
use crate::support::message::modern_call;
use crate::support::wire::Request;

async fn bed() -> Bed {
    Bed::start(json!([{ "name": "ask", "action": "require_approval", "tools": ["echo"] }])).await
}

async fn call(bed: &Bed, arguments: &Value, approval: Option<&str>) -> Value {
    let request = modern_call("/mcp/fake", &json!(1), "echo", arguments.clone());
    let request = match approval {
        Some(id) => request.header("x-conduit-approval-id", id),
        None => request,
    };
    bed.ask(&request).await.json()
}

async fn decide(bed: &Bed, id: &str, verdict: &str, by: &str) -> u16 {
    let path = format!("/conduit/governance/approvals/{id}/{verdict}");
    let request = Request::post(&path)
        .header("x-conduit-admin", "1")
        .body(json!({ "approver_client_id": by }).to_string());
    bed.ask(&request).await.status
}

fn data(answer: &Value) -> &Value {
    assert_eq!(answer["error"]["code"], -32011, "{answer}");
    &answer["error"]["data"]
}

#[tokio::test]
async fn an_approved_call_passes_once_and_as_it_was_approved() {
    let bed = bed().await;
    let arguments = json!({ "b": 1, "a": { "password": "hush" } });
    let held = call(&bed, &arguments, None).await;
    let id = data(&held)["approval_request_id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(data(&held)["approval_header"], "X-Conduit-Approval-Id");

    let again = call(&bed, &arguments, Some(&id)).await;
    assert_eq!(data(&again)["status"], "pending");
    assert_eq!(
        decide(&bed, &id, "approve", "anonymous").await,
        400,
        "it is their own"
    );
    assert_eq!(decide(&bed, &id, "approve", "boss").await, 200);
    assert_eq!(
        decide(&bed, &id, "reject", "boss").await,
        400,
        "it is decided"
    );

    let other = call(&bed, &json!({ "b": 2 }), Some(&id)).await;
    assert_eq!(data(&other)["status"], "mismatch");
    assert_eq!(bed.upstream.recorded("tools/call").len(), 0);
    let respelled = json!({ "a": { "password": "hush" }, "b": 1 });
    assert!(call(&bed, &respelled, Some(&id)).await["result"].is_object());
    let used = call(&bed, &arguments, Some(&id)).await;
    assert_eq!(data(&used)["status"], "used");
    assert_eq!(bed.upstream.recorded("tools/call").len(), 1);

    let list = bed
        .ask(&Request::get("/conduit/governance/approvals"))
        .await;
    assert!(!list.text().contains("hush"), "{list:?}");
    let used = bed.get("/conduit/governance/approvals?status=used").await;
    assert_eq!(used["approvals"][0]["id"], *id);
    assert_eq!(
        used["approvals"][0]["tool_args"]["a"]["password"],
        "[REDACTED]"
    );
}

#[tokio::test]
async fn a_rejected_call_never_passes() {
    let bed = bed().await;
    let held = call(&bed, &json!({}), None).await;
    let id = data(&held)["approval_request_id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(decide(&bed, &id, "reject", "boss").await, 200);
    let answer = call(&bed, &json!({}), Some(&id)).await;
    assert_eq!(data(&answer)["status"], "rejected");
    assert_eq!(bed.upstream.recorded("tools/call").len(), 0);
    assert_eq!(decide(&bed, "unknown", "approve", "boss").await, 400);
}
