//! Calls that wait for an approval: asked for once, made use of once.

use std::sync::Arc;
use std::time::SystemTime;

use filters::guard::scope::Kind;
use filters::json::canonical;
use filters::json::canonical::ignored::Ignored;
use filters::json::redact;
use filters::refusal::{Approval, Refusal};
use sha2::{Digest, Sha256};

use crate::gateway::exchange::Exchange;
use crate::gateway::guard::watch::Watch;
use crate::state::guard::approvals::{Approval as Pending, Fingerprint, Petition, Redeemed, Spent};

/// Bytes of an id, before it is written in hexadecimal digits.
const ID_BYTES: usize = 16;

/// A call that a rule holds.
pub(super) struct Held<'a> {
    pub(super) kind: Kind,
    pub(super) rule: Arc<str>,
    pub(super) message: String,
    pub(super) target: String,
    pub(super) value: Option<&'a str>,
}

/// Lets a call through that was approved, and asks for an approval of one that was not.
pub(super) fn admit(exchange: &mut Exchange, watch: &Watch, held: Held<'_>) -> Result<(), Refusal> {
    let approvals = watch.snapshot.approvals;
    if !approvals.is_enabled {
        let message = format!(
            "{}: it needs an approval, and governance.approvals.enabled is false",
            held.message
        );
        return Err(Refusal::Guardrail { message });
    }
    let Some(fingerprint) = fingerprint(watch, &held) else {
        let message = format!(
            "{}: it is too long or ambiguous to be approved",
            held.message
        );
        return Err(Refusal::Guardrail { message });
    };
    let now = SystemTime::now();
    let desk = &watch.live.guard.approvals;
    // A message that is sent once more is looked at once more.
    let spent = exchange.spent.as_ref();
    if spent.is_some_and(|spent| spent.fingerprint == fingerprint) {
        return Ok(());
    }
    let named = exchange.approval.as_deref();
    let named = named.map(|id| (id, desk.redeem(id, &watch.subject, &fingerprint, now)));
    let status = match named {
        Some((id, Redeemed::Yes)) => {
            exchange.spent = Some(Spent {
                id: id.to_owned(),
                fingerprint,
            });
            return Ok(());
        }
        Some((_, Redeemed::No(status))) => Some(status.label()),
        Some((_, Redeemed::Mismatch)) => Some("mismatch"),
        None => None,
    };
    let petition = Petition {
        requester: Arc::clone(&watch.client),
        subject: Arc::clone(&watch.subject),
        server: Arc::clone(&watch.server.id),
        target: held.target,
        rule: Arc::clone(&held.rule),
        reason: held.message.clone(),
        trace_id: watch.trace_id.clone(),
        fingerprint,
        arguments: held.value.and_then(redact::shown),
    };
    let id = fresh_id().ok_or(Refusal::Internal)?;
    let asked = desk.ask(id, petition, approvals.ttl, now);
    let Some(approval) = asked else {
        return Err(Refusal::ApprovalsFull);
    };
    Err(required(held.rule, held.message, &approval, status))
}

fn required(
    rule: Arc<str>,
    message: String,
    pending: &Pending,
    status: Option<&'static str>,
) -> Refusal {
    let expires = chrono::DateTime::<chrono::Utc>::from(pending.expires);
    Refusal::ApprovalRequired(Box::new(Approval {
        rule: rule.to_string(),
        message,
        request: pending.id.clone(),
        status: status.unwrap_or_else(|| pending.status.label()),
        expires_at: expires.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
    }))
}

/// What an approval is bound to; nothing where the arguments have no one meaning.
fn fingerprint(watch: &Watch, held: &Held<'_>) -> Option<Fingerprint> {
    let mut text = Vec::new();
    for part in [
        watch.subject.as_bytes(),
        watch.server.id.as_bytes(),
        held.kind.label().as_bytes(),
        held.target.as_bytes(),
    ] {
        // Each with its length: no two lists of parts are one text.
        text.extend_from_slice(&part.len().to_le_bytes());
        text.extend_from_slice(part);
    }
    let value = held.value.unwrap_or("{}");
    canonical::write(value, Ignored::NONE, &mut text).ok()?;
    Some(Sha256::digest(&text).into())
}

fn fresh_id() -> Option<String> {
    let mut bytes = [0; ID_BYTES];
    getrandom::fill(&mut bytes).ok()?;
    Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
