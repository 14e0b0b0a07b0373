//! Calls that wait for an approval: asked for once, made use of once.

use std::sync::Arc;
use std::time::SystemTime;

use filters::guard::dialog::{Choice, Notice};
use filters::guard::scope::Kind;
use filters::json::canonical;
use filters::json::canonical::ignored::Ignored;
use filters::json::object::Object;
use filters::json::redact;
use filters::mcp::input;
use filters::refusal::{Approval as Told, Asked, Refusal};
use sha2::{Digest, Sha256};

use crate::gateway::exchange::Exchange;
use crate::gateway::guard::rounds::{self, Step, Turn};
use crate::gateway::guard::watch::Watch;
use crate::state::guard::approvals::record::{Approval, Fingerprint, Petition, Status};
use crate::state::guard::approvals::{Redeemed, Spent};

/// Bytes of an id, before it is written in hexadecimal digits.
const ID_BYTES: usize = 16;

/// A call that a rule holds.
pub(super) struct Held<'a> {
    pub(super) kind: Kind,
    pub(super) rule: Arc<str>,
    pub(super) message: String,
    pub(super) target: String,
    pub(super) value: Option<&'a str>,
    /// What its client came back with, where it was asked before.
    pub(super) turn: Option<Turn>,
    /// Whether its client can be asked.
    pub(super) can_ask: bool,
}

/// Lets a call through that was approved, and asks for an approval of one that was not.
pub(super) fn admit(exchange: &mut Exchange, watch: &Watch, held: Held<'_>) -> Result<(), Refusal> {
    let refused = |why: &str| {
        let message = format!("{}: {why}", held.message);
        Err(Refusal::Guardrail { message })
    };
    if !watch.snapshot.approvals.is_enabled {
        return refused("it needs an approval, and governance.approvals.enabled is false");
    }
    let Some(fingerprint) = fingerprint(watch, held.kind, held.value) else {
        return refused("it is too long or ambiguous to be approved");
    };
    let now = SystemTime::now();
    // A message that is sent once more is looked at once more.
    let spent = exchange.spent.as_ref();
    if spent.is_some_and(|spent| spent.fingerprint == fingerprint) {
        return Ok(());
    }
    let spend = |exchange: &mut Exchange, id: &str, round| {
        exchange.spent = Some(Spent {
            id: id.to_owned(),
            fingerprint,
            round,
        });
        Ok(())
    };
    let desk = &watch.live.guard.approvals;
    let redeem = |id: &str| desk.redeem(id, &watch.subject, &fingerprint, now);
    let (id, redeemed, round) = match (&held.turn, &exchange.approval) {
        (Some(turn), _) => {
            let (redeemed, round) = match &turn.step {
                Step::Told(Some(Choice::Accept)) => (redeem(&turn.approval), None),
                Step::Told(Some(Choice::Decline)) => {
                    return withdraw(watch, &held, &turn.approval, &fingerprint, now);
                }
                // Who does not say is told once more.
                Step::Told(None) => (stands(watch, &turn.approval, now), None),
                Step::Begun(round) => {
                    let id = &turn.approval;
                    let resumed = desk.resume(id, &watch.subject, &fingerprint, round, now);
                    (resumed, Some(*round))
                }
            };
            (turn.approval.clone(), redeemed, round)
        }
        (None, Some(id)) => (id.clone(), redeem(id), None),
        (None, None) => return ask(watch, held, fingerprint, None, now),
    };
    match redeemed {
        Redeemed::Yes => spend(exchange, &id, round),
        // A dialog is about one request for approval: where that is over, so is the dialog.
        Redeemed::No(status) if held.turn.is_some() && !status.is_open() => {
            let approval = desk.find(&id, now).ok_or(Refusal::StateInvalid)?;
            Err(required(&held, &approval, status.label()))
        }
        Redeemed::No(status) => ask(watch, held, fingerprint, Some(status.label()), now),
        Redeemed::Mismatch => ask(watch, held, fingerprint, Some("mismatch"), now),
    }
}

/// What became of a request, which is not made use of.
fn stands(watch: &Watch, id: &str, now: SystemTime) -> Redeemed {
    let approval = watch.live.guard.approvals.find(id, now);
    approval.map_or(Redeemed::Mismatch, |one| Redeemed::No(one.status))
}

/// Takes the request for approval back: its user wants the call no more.
fn withdraw(
    watch: &Watch,
    held: &Held<'_>,
    id: &str,
    fingerprint: &Fingerprint,
    now: SystemTime,
) -> Result<(), Refusal> {
    let desk = &watch.live.guard.approvals;
    let withdrawn = desk.withdraw(id, &watch.subject, fingerprint, now);
    let approval = desk.find(id, now).ok_or(Refusal::StateInvalid)?;
    if matches!(withdrawn, Redeemed::Yes) {
        tracing::info!(
            approval.id = id,
            guardrail.rule = %held.rule,
            client.id = %watch.client,
            "Request for approval was withdrawn"
        );
    }
    Err(required(held, &approval, approval.status.label()))
}

/// Asks for an approval, and has the client told.
fn ask(
    watch: &Watch,
    held: Held<'_>,
    fingerprint: Fingerprint,
    status: Option<&'static str>,
    now: SystemTime,
) -> Result<(), Refusal> {
    let shown = held.value.and_then(|value| match held.kind {
        Kind::Resources => redact::shown(&input::bare_params(value)),
        Kind::Calls | Kind::Prompts | Kind::Sampling | Kind::Elicitation | Kind::Results => {
            redact::shown(value)
        }
    });
    let petition = Petition {
        requester: Arc::clone(&watch.client),
        tenant: watch.tenant.clone(),
        subject: Arc::clone(&watch.subject),
        server: Arc::clone(&watch.server.id),
        target: redact::text(&held.target).into_owned(),
        rule: Arc::clone(&held.rule),
        reason: redact::text(&held.message).into_owned(),
        trace_id: watch.trace_id.clone(),
        fingerprint,
        arguments: shown,
    };
    let id = fresh_id().ok_or(Refusal::Internal)?;
    let ttl = watch.snapshot.approvals.ttl;
    let asked = watch.live.guard.approvals.ask(id, petition, ttl, now);
    let Some(approval) = asked else {
        return Err(Refusal::ApprovalsFull);
    };
    if !held.can_ask {
        let status = status.unwrap_or_else(|| approval.status.label());
        return Err(required(&held, &approval, status));
    }
    let state = rounds::seal_told(watch, &approval).ok_or(Refusal::Internal)?;
    let age = now.duration_since(approval.created).unwrap_or_default();
    Err(Refusal::ApprovalAsked(Box::new(Asked {
        notice: Notice {
            message: held.message,
            is_approved: approval.status == Status::Approved,
            age_seconds: age.as_secs(),
            expires_at: time(approval.expires),
            approval: approval.id,
        },
        state,
    })))
}

fn required(held: &Held<'_>, approval: &Approval, status: &'static str) -> Refusal {
    Refusal::ApprovalRequired(Box::new(Told {
        rule: held.rule.to_string(),
        message: held.message.clone(),
        request: approval.id.clone(),
        status,
        is_open: approval.status.is_open(),
        expires_at: time(approval.expires),
    }))
}

fn time(time: SystemTime) -> String {
    let time = chrono::DateTime::<chrono::Utc>::from(time);
    time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// What an approval is bound to; nothing where the arguments have no one meaning.
pub(super) fn fingerprint(watch: &Watch, kind: Kind, value: Option<&str>) -> Option<Fingerprint> {
    let mut text = Vec::new();
    for part in [
        watch.subject.as_bytes(),
        watch.server.id.as_bytes(),
        kind.label().as_bytes(),
        watch.target().as_bytes(),
    ] {
        // Each with its length: no two lists of parts are one text.
        text.extend_from_slice(&part.len().to_le_bytes());
        text.extend_from_slice(part);
    }
    let value = value.unwrap_or("{}");
    match kind {
        Kind::Resources => canonical::write(&what_is_read(value), Ignored::NONE, &mut text),
        Kind::Calls | Kind::Prompts | Kind::Sampling | Kind::Elicitation | Kind::Results => {
            canonical::write(value, Ignored::NONE, &mut text)
        }
    }
    .ok()?;
    Some(Sha256::digest(&text).into())
}

/// The params of a resource's reading less what changes between a request and its retry, and the URI,
/// which is the target, however the client spells it.
fn what_is_read(params: &str) -> String {
    let bare = input::bare_params(params);
    let mut bare = Object::read(&bare).unwrap_or_default();
    bare.remove("uri");
    bare.write()
}

fn fresh_id() -> Option<String> {
    let mut bytes = [0; ID_BYTES];
    getrandom::fill(&mut bytes).ok()?;
    Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
