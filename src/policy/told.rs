//! What policy says of a message, as JSON.

use filters::acl::explain::Step;
use filters::guard::verdict::{Cause, Decision};
use filters::policy::{Explanation, Fare, Inspection, Stage, Standing};
use filters::refusal::Refusal;
use serde_json::{Map, Value, json};

/// The whole path of a decision.
#[must_use]
pub fn whole(told: &Explanation<'_>) -> Value {
    let mut answer = Map::new();
    answer.insert("decision".to_owned(), told.outcome.label().into());
    answer.insert("rule".to_owned(), rule(told).into());
    answer.insert("reason".to_owned(), reason(told).into());
    answer.insert("server".to_owned(), told.server.as_str().into());
    if let Some(refusal) = &told.refusal {
        let error = json!({ "http_status": refusal.status(), "label": refusal.label() });
        answer.insert("error".to_owned(), error);
    }
    let stages: Vec<Value> = told.stages.iter().map(stage).collect();
    answer.insert("stages".to_owned(), stages.into());
    Value::Object(answer)
}

/// The rule that decided; nothing where none did.
#[must_use]
pub fn rule(told: &Explanation<'_>) -> Option<String> {
    if let Some(Refusal::AccessDenied(denial)) = &told.refusal {
        return Some(denial.rule());
    }
    let inspections = told.stages.iter().rev().filter_map(inspection);
    inspections
        .filter_map(|inspection| inspection.verdict.decision.rule())
        .map(|rule| rule.name.to_string())
        .next()
}

/// What an answer becomes by it; nothing where it stays.
#[must_use]
pub fn becomes(told: &Explanation<'_>) -> Option<Value> {
    let mut inspections = told.stages.iter().rev().filter_map(inspection);
    inspections.find_map(|inspection| match &inspection.verdict.decision {
        Decision::Rewrite(_, text) => serde_json::from_str(text).ok(),
        Decision::Pass
        | Decision::Bypass(_)
        | Decision::Alert(_)
        | Decision::Hold(_)
        | Decision::Block(_) => None,
    })
}

fn inspection<'t, 'p>(stage: &'t Stage<'p>) -> Option<&'t Inspection<'p>> {
    match stage {
        Stage::Request(inspection) | Stage::Result(inspection) => Some(inspection),
        Stage::Access { .. } | Stage::Scopes { .. } | Stage::Lock(_) | Stage::Limits(_) => None,
    }
}

/// Why, in words.
#[must_use]
pub fn reason(told: &Explanation<'_>) -> String {
    if let Some(refusal) = &told.refusal {
        return refusal.message().into_owned();
    }
    let decided = told.stages.iter().rev().filter_map(inspection);
    let mut decided = decided.map(|one| &one.verdict.decision);
    let decision = decided.find(|decision| !matches!(decision, Decision::Pass));
    decision.map_or_else(|| "no policy objects".to_owned(), why)
}

fn why(decision: &Decision<'_>) -> String {
    match decision {
        Decision::Pass => "no guardrail matches".to_owned(),
        Decision::Bypass(rule) => format!("guardrail '{}' lets it through", rule.name),
        Decision::Alert(rule) => format!("guardrail '{}' tells of it", rule.name),
        Decision::Rewrite(rule, _) => format!("guardrail '{}' changes it", rule.name),
        Decision::Hold(rule) => {
            format!("guardrail '{}' holds it until somebody approves", rule.name)
        }
        Decision::Block(Cause::Rule(rule)) => format!("guardrail '{}' refuses it", rule.name),
        Decision::Block(Cause::Opaque(rule, opaque)) => format!(
            "guardrail '{}' cannot be decided: {}",
            rule.name,
            opaque.describe()
        ),
        Decision::Block(Cause::Default) => {
            "no guardrail matches, and the default action is block".to_owned()
        }
    }
}

fn stage(stage: &Stage<'_>) -> Value {
    match stage {
        Stage::Access {
            considered,
            shadowed,
            is_passed,
        } => json!({
            "stage": "acl",
            "passed": is_passed,
            "would_be_denied_by": shadowed,
            "considered": considered.iter().map(step).collect::<Vec<_>>(),
        }),
        Stage::Scopes {
            required,
            is_passed,
        } => json!({ "stage": "scopes", "passed": is_passed, "required": required }),
        Stage::Lock(standing) => {
            let (is_passed, state) = held(*standing);
            json!({ "stage": "tool_lock", "passed": is_passed, "tool": state })
        }
        Stage::Limits(fares) => json!({
            "stage": "limits",
            "charged": fares.iter().map(fare).collect::<Vec<_>>(),
        }),
        Stage::Request(inspection) => inspected("guardrails", inspection),
        Stage::Result(inspection) => inspected("guardrails_on_result", inspection),
    }
}

/// Whether the tool lock lets a call through, as far as that is known, and what it thinks of the tool.
fn held(standing: Standing) -> (Option<bool>, &'static str) {
    match standing {
        Standing::Approved => (Some(true), "approved"),
        Standing::Refused(cause) => (Some(false), cause.label()),
        Standing::Warned(cause) => (Some(true), cause.label()),
        Standing::Unlisted => (None, "unlisted"),
    }
}

fn fare(fare: &Fare) -> Value {
    json!({
        "limit": fare.label,
        "requests": fare.n_calls,
        "window_seconds": fare.window_seconds,
    })
}

fn inspected(stage: &str, inspection: &Inspection<'_>) -> Value {
    let considered: Vec<Value> = inspection
        .considered
        .iter()
        .map(|one| json!({ "rule": &*one.rule.name, "outcome": one.outcome.describe() }))
        .collect();
    let rehearsed = inspection.verdict.rehearsed.iter();
    let rehearsed: Vec<Value> = rehearsed
        .map(|one| json!({ "action": one.label(), "reason": why(one) }))
        .collect();
    let mut told = json!({
        "stage": stage,
        "action": inspection.verdict.decision.label(),
        "reason": why(&inspection.verdict.decision),
        "considered": considered,
        "rehearsed": rehearsed,
    });
    if let (Decision::Rewrite(_, text), Some(told)) =
        (&inspection.verdict.decision, told.as_object_mut())
    {
        let becomes = serde_json::from_str(text).unwrap_or(Value::Null);
        told.insert("becomes".to_owned(), becomes);
    }
    told
}

/// A policy of the access rules that was considered.
#[must_use]
pub fn step(step: &Step) -> Value {
    let rules: Vec<Value> = step
        .rules
        .iter()
        .map(|rule| {
            json!({
                "list": rule.list.label(),
                "index": rule.index,
                "server": rule.server,
                "server_matches": rule.is_server,
                "pattern": rule.pattern,
            })
        })
        .collect();
    json!({
        "index": step.index,
        "policy": step.policy,
        "matches": step.is_match,
        "rules": rules,
    })
}
