//! Calls that guardrails hold: who wants what, and somebody's yes or no.

use std::sync::Arc;
use std::time::SystemTime;

use axum::Json;
use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, SecondsFormat, Utc};
use filters::guard::approver::{Approver, Denied, Requester, Rules};
use filters::identity::Identity;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::admin::approver;
use crate::admin::guard::Guard;
use crate::state::Shared;
use crate::state::guard::approvals::record::Approval;
use crate::state::guard::approvals::{Decision, Refused};

/// How many are shown unless it is said otherwise, and at most.
const SHOWN: usize = 100;
const SHOWN_MAX: usize = 1000;
/// Longest name and note of an approver, in bytes.
const SAID_BYTES_MAX: usize = 1024;
/// The workspace that everything belongs to: this build has no other.
const WORKSPACE: &str = "default";

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
            && is(
                &wanted.approver_client_id,
                one.approver.as_ref().map(|by| &*by.client),
            )
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
        "approver_client_id": approval.approver.as_ref().map(|one| &one.client),
        "approver_proof": approval.approver.as_ref().map(|one| one.proof.label()),
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
struct Said {
    approver_client_id: Option<String>,
    note: Option<String>,
}

/// `POST /conduit/governance/approvals/{id}/approve`.
pub(super) async fn approve(
    State(guard): State<Guard>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    decide(&guard, &id, true, request).await
}

/// `POST /conduit/governance/approvals/{id}/reject`.
pub(super) async fn reject(
    State(guard): State<Guard>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    decide(&guard, &id, false, request).await
}

async fn decide(guard: &Guard, id: &str, is_yes: bool, request: Request) -> Response {
    let snapshot = guard.shared.snapshot.load_full();
    let (parts, body) = request.into_parts();
    let proven = match approver::identify(guard, &snapshot, &parts).await {
        Ok(proven) => proven,
        Err(unproven) => return unproven.into_response(),
    };
    // It was read whole before it came here, within the bound of all requests.
    let body = axum::body::to_bytes(body, usize::MAX).await.ok();
    let said = body.and_then(|body| serde_json::from_slice::<Said>(&body).ok());
    let Some(said) = said else {
        let error = "the body is {\"approver_client_id\": …, \"note\": …}";
        return Problem::Body.respond(error);
    };
    let decision = match decision(&said, proven.as_ref(), is_yes) {
        Ok(decision) => decision,
        Err(response) => return *response,
    };
    let rules = &snapshot.approvals.approvers;
    let by = decision.approver;
    let desk = &guard.shared.live.guard.approvals;
    let check = |approver: Approver<'_>, requester: Requester<'_>| rules.check(approver, requester);
    let decided = desk.decide(id, decision, check, SystemTime::now());
    tell(id, by, &decided);
    match decided {
        Ok(approval) => {
            let request = json!({ "request": show(&approval), "required_roles": rules.roles });
            Json(request).into_response()
        }
        Err(refused) => refuse(refused, rules),
    }
}

/// What somebody decides, as far as what they say makes sense.
fn decision<'a>(
    said: &'a Said,
    proven: Option<&'a Identity>,
    is_yes: bool,
) -> Result<Decision<'a>, Box<Response>> {
    let no = |problem: Problem, error: &str| Err(Box::new(problem.respond(error)));
    let note_bytes = said.note.as_deref().unwrap_or_default().len();
    let name = said.approver_client_id.as_deref();
    let name_bytes = name.unwrap_or("anybody").len();
    if name_bytes == 0 || name_bytes.max(note_bytes) > SAID_BYTES_MAX {
        let error = "approver_client_id has 1 to 1024 bytes, and note at most as many";
        return no(Problem::Body, error);
    }
    let approver = match (proven, name) {
        (Some(identity), Some(name)) if *identity.principal.client != *name => {
            let error = "approver_client_id is not whom the credential proves: leave it out, or send \
                         their credential";
            return no(Problem::OtherName, error);
        }
        (Some(identity), _) => Approver::Proven(&identity.principal),
        (None, Some(name)) => Approver::Said(name),
        (None, None) => return no(Problem::Body, "approver_client_id says who decides"),
    };
    Ok(Decision {
        approver,
        is_yes,
        note: said.note.clone(),
    })
}

fn tell(id: &str, by: Approver<'_>, decided: &Result<Approval, Refused>) {
    let (approver, proof) = (by.client(), by.proof().label());
    match decided {
        Ok(approval) => tracing::info!(
            approval.id = id,
            approval.status = approval.status.label(),
            approver,
            approver.proof = proof,
            guardrail.rule = %approval.petition.rule,
            client.id = %approval.petition.requester,
            "Request for approval was decided on"
        ),
        Err(Refused::Denied(denied)) => tracing::warn!(
            approver,
            approver.proof = proof,
            reason = ?denied,
            "Request for approval was not decided on"
        ),
        Err(Refused::Unknown | Refused::Settled(_)) => {}
    }
}

fn refuse(refused: Refused, rules: &Rules) -> Response {
    match refused {
        Refused::Unknown => Problem::Unknown.respond("there is no such request for approval"),
        Refused::Settled(status) => {
            let error = format!("the request is not pending: {}", status.label());
            Problem::Settled.respond(&error)
        }
        Refused::Denied(Denied::Own) => {
            Problem::Own.respond("whoever asked cannot decide on their own request")
        }
        Refused::Denied(Denied::Tenant) => {
            let error = "the approver belongs to a tenant, and the request is not that tenant's";
            Problem::Tenant.respond(error)
        }
        Refused::Denied(Denied::Role) => {
            let error = format!(
                "the approver has none of the roles {:?}: give them one by auth.api_keys[].roles, by the \
                 roles claim of their token, or by governance.role_bindings",
                rules.roles
            );
            Problem::Role.respond(&error)
        }
        Refused::Denied(Denied::Unproven) => Problem::Unproven.respond(approver::UNPROVEN),
    }
}

/// Why nothing was decided.
#[derive(Clone, Copy, Debug)]
pub(super) enum Problem {
    /// The body says nothing that can be read.
    Body,
    /// There is no such request.
    Unknown,
    /// It is not pending.
    Settled,
    /// It is the approver's own.
    Own,
    /// It is another tenant's.
    Tenant,
    /// The approver has none of the roles.
    Role,
    /// The approver proves somebody else than they say.
    OtherName,
    /// The approver proves nothing.
    Unproven,
    /// Nothing can be proved here.
    Unprovable,
    /// Too many wrong credentials came from there.
    Throttled,
    /// What proves it is not to be had.
    Unavailable,
}

impl Problem {
    /// The HTTP status: as in mcp-conduit, where it has one for it.
    fn status(self) -> StatusCode {
        match self {
            Self::OtherName | Self::Unproven => StatusCode::UNAUTHORIZED,
            Self::Throttled => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Body
            | Self::Unknown
            | Self::Settled
            | Self::Own
            | Self::Tenant
            | Self::Role
            | Self::Unprovable => StatusCode::BAD_REQUEST,
        }
    }

    /// What programs tell it by.
    fn code(self) -> &'static str {
        match self {
            Self::Body => "body_invalid",
            Self::Unknown => "approval_unknown",
            Self::Settled => "approval_settled",
            Self::Own => "approver_is_requester",
            Self::Tenant => "approver_tenant",
            Self::Role => "approver_role_missing",
            Self::OtherName => "approver_differs",
            Self::Unproven => "approver_unproven",
            Self::Unprovable => "approver_unprovable",
            Self::Throttled => "approver_throttled",
            Self::Unavailable => "approver_unavailable",
        }
    }

    /// The answer.
    pub(super) fn respond(self, error: &str) -> Response {
        let body = json!({ "error": error, "code": self.code() });
        (self.status(), Json(body)).into_response()
    }
}
