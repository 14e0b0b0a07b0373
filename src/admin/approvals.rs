//! Calls that guardrails hold: who wants what, and somebody's yes or no.

use std::sync::Arc;
use std::time::SystemTime;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::state::Shared;
use crate::state::guard::approvals::{Approval, Refused, Status};

/// How many are shown unless it is said otherwise, and at most.
const SHOWN: usize = 100;
const SHOWN_MAX: usize = 1000;
/// Longest name and note of an approver, in bytes.
const SAID_BYTES_MAX: usize = 1024;
/// Whoever has the admin key decides; roles come with governance.
const WORKSPACE: &str = "default";

type Answer = (StatusCode, Json<Value>);

/// What is wanted of the requests.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Wanted {
    status: Option<String>,
    requester_client_id: Option<String>,
    approver_client_id: Option<String>,
    limit: Option<usize>,
    offset: Option<usize>,
}

/// `GET /conduit/governance/approvals`: requests for approval, newest first.
pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    Query(wanted): Query<Wanted>,
) -> Json<Value> {
    let snapshot = shared.snapshot.load_full();
    let all = shared.live.guard.approvals.list(SystemTime::now());
    let is = |wanted: &Option<String>, found: Option<&str>| {
        wanted.is_none() || wanted.as_deref() == found
    };
    let found = all.iter().filter(|one| {
        is(&wanted.status, Some(one.status.label()))
            && is(&wanted.requester_client_id, Some(&one.petition.requester))
            && is(&wanted.approver_client_id, one.approver.as_deref())
    });
    let limit = wanted.limit.unwrap_or(SHOWN).clamp(1, SHOWN_MAX);
    let page = found.skip(wanted.offset.unwrap_or_default()).take(limit);
    let approvals: Vec<Value> = page.map(show).collect();
    Json(json!({
        "enabled": snapshot.approvals.is_enabled,
        "count": approvals.len(),
        "approvals": approvals,
    }))
}

fn show(approval: &Approval) -> Value {
    let petition = &approval.petition;
    let arguments = petition.arguments.as_deref();
    let arguments: Option<Value> = arguments.and_then(|text| serde_json::from_str(text).ok());
    json!({
        "id": approval.id,
        "created_at": time(approval.created),
        "updated_at": time(approval.updated),
        "expires_at": time(approval.expires),
        "status": approval.status.label(),
        "source": "guardrail",
        "workspace_id": WORKSPACE,
        "requester_client_id": &*petition.requester,
        "approver_client_id": approval.approver,
        "server_id": &*petition.server,
        "tool_name": petition.target,
        "rule_name": &*petition.rule,
        "reason": petition.reason,
        "trace_id": petition.trace_id,
        "request_fingerprint": hex(&petition.fingerprint),
        "tool_args": arguments,
        "note": approval.note,
    })
}

fn time(time: SystemTime) -> String {
    DateTime::<Utc>::from(time).to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Who decides, and what they have to say.
#[derive(Debug, Deserialize)]
pub(super) struct Decision {
    approver_client_id: String,
    note: Option<String>,
}

/// `POST /conduit/governance/approvals/{id}/approve`.
pub(super) async fn approve(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    body: axum::body::Bytes,
) -> Answer {
    decide(&shared, &id, Status::Approved, &body)
}

/// `POST /conduit/governance/approvals/{id}/reject`.
pub(super) async fn reject(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    body: axum::body::Bytes,
) -> Answer {
    decide(&shared, &id, Status::Rejected, &body)
}

fn decide(shared: &Shared, id: &str, verdict: Status, body: &[u8]) -> Answer {
    let Ok(decision) = serde_json::from_slice::<Decision>(body) else {
        return bad("the body is {\"approver_client_id\": …, \"note\": …}");
    };
    let note_bytes = decision.note.as_deref().unwrap_or_default().len();
    let name_bytes = decision.approver_client_id.len();
    if name_bytes == 0 || name_bytes.max(note_bytes) > SAID_BYTES_MAX {
        return bad("approver_client_id has 1 to 1024 bytes, and note at most as many");
    }
    let snapshot = shared.snapshot.load_full();
    let decided = shared.live.guard.approvals.decide(
        id,
        verdict,
        (&decision.approver_client_id, decision.note),
        snapshot.approvals.may_be_own,
        SystemTime::now(),
    );
    match decided {
        Ok(approval) => {
            tracing::info!(
                approval.id = id,
                approval.status = approval.status.label(),
                approver = %decision.approver_client_id,
                guardrail.rule = %approval.petition.rule,
                client.id = %approval.petition.requester,
                "Request for approval was decided on"
            );
            let request = json!({ "request": show(&approval), "required_roles": [] });
            (StatusCode::OK, Json(request))
        }
        Err(Refused::Unknown) => bad("there is no such request for approval"),
        Err(Refused::Settled(status)) => {
            bad(&format!("the request is not pending: {}", status.label()))
        }
        Err(Refused::Own) => bad("whoever asked cannot decide on their own request"),
    }
}

fn bad(error: &str) -> Answer {
    (StatusCode::BAD_REQUEST, Json(json!({ "error": error })))
}
