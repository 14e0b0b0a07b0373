//! Guardrails: the rules, what they would say to a call, and what they did.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use filters::guard::rules::{Subject, Target};
use filters::guard::scope::Kind;
use filters::guard::spec;
use filters::guard::verdict::{Cause, Considered, Decision};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::state::Shared;

type Answer = (StatusCode, Json<Value>);

/// `GET /conduit/guardrails/rules`: the rules in force, without the URLs they tell.
pub(super) async fn rules(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let snapshot = shared.snapshot.load_full();
    let spec = snapshot.guard.spec();
    if !spec.is_enabled {
        return Json(json!({ "enabled": false, "rules": [] }));
    }
    let rules: Vec<Value> = spec.rules.iter().map(rule).collect();
    Json(json!({
        "enabled": true,
        "mode": spec.mode.label(),
        "default_action": spec.default_action.label(),
        "rules": rules,
    }))
}

fn rule(rule: &spec::Rule) -> Value {
    let on: Vec<&str> = rule.on.iter().map(|kind| kind.label()).collect();
    let fields = rule.conditions.iter().map(|one| one.field.as_str());
    let paths = rule.changes.iter().map(|one| one.path.as_str());
    json!({
        "name": rule.name,
        "at": rule.at,
        "on": on,
        "tools": rule.tools,
        "clients": rule.clients,
        "servers": rule.servers,
        "bypass": rule.bypass,
        "conditions": fields.collect::<Vec<_>>(),
        "action": rule.action.label(),
        "transform": paths.collect::<Vec<_>>(),
        "message": rule.message,
        "severity": rule.severity.label(),
        "mode": rule.mode.map(spec::Mode::label),
        "has_webhook": rule.webhook.is_some(),
    })
}

/// What is to be checked.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Wanted {
    client: Option<String>,
    server: Option<String>,
    tool: Option<String>,
    args: Option<String>,
    on: Option<String>,
}

/// `GET /conduit/guardrails/check`: what the rules in force say to a call, and what each had to do with
/// it. Nothing is counted, told or held.
pub(super) async fn check(
    State(shared): State<Arc<Shared>>,
    Query(wanted): Query<Wanted>,
) -> Answer {
    let (Some(client), Some(server), Some(tool)) = (&wanted.client, &wanted.server, &wanted.tool)
    else {
        return bad("required parameters: client, server, tool");
    };
    let kind = match wanted.on.as_deref().map(Kind::parse) {
        None => Kind::Calls,
        Some(Some(kind)) => kind,
        Some(None) => {
            return bad("`on` is one of calls, prompts, resources, sampling, elicitation, results");
        }
    };
    // Arguments that are no JSON count as none, as mcp-conduit has it.
    let args = wanted.args.as_deref().filter(|args| is_json(args));
    let snapshot = shared.snapshot.load_full();
    // What is asked of a result does not say what it is the result of.
    let target = match kind == Kind::Resources || kind != Kind::Calls && tool.contains("://") {
        true => Target::Uri(tool),
        false => Target::Name(tool),
    };
    let subject = Subject {
        kind,
        client,
        server,
        target: Some(target),
        value: Some(args.unwrap_or("{}")),
    };
    let (verdict, considered) = snapshot.guard.explain(&subject);
    let mut answer = decision(&verdict.decision, tool);
    let rehearsed = verdict.rehearsed.iter().map(|one| decision(one, tool));
    let rehearsed: Vec<Value> = rehearsed.map(Value::Object).collect();
    answer.insert("rehearsed".to_owned(), rehearsed.into());
    let considered: Vec<Value> = considered.iter().map(explain).collect();
    answer.insert("considered".to_owned(), considered.into());
    (StatusCode::OK, Json(Value::Object(answer)))
}

fn is_json(text: &str) -> bool {
    filters::json::scan::nests_within(text.as_bytes(), filters::bounds::DEPTH_MAX)
        && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

fn decision(decision: &Decision<'_>, tool: &str) -> Map<String, Value> {
    let rule = decision.rule();
    let reason = match (decision, rule) {
        (Decision::Block(Cause::Opaque(_, opaque)), _) => {
            format!("the rule cannot be decided: {}", opaque.describe())
        }
        (Decision::Block(Cause::Default), _) => {
            "no rule matches, and the default action is block".to_owned()
        }
        (Decision::Bypass(_), _) => "the rule lets this client and server through".to_owned(),
        (_, Some(rule)) => rule.message(tool),
        (_, None) => "no rule matches".to_owned(),
    };
    let mut answer = Map::new();
    answer.insert("action".to_owned(), decision.label().into());
    answer.insert(
        "rule_name".to_owned(),
        rule.map_or(Value::Null, |rule| (*rule.name).into()),
    );
    answer.insert("reason".to_owned(), reason.into());
    if let Some(rule) = rule {
        answer.insert("severity".to_owned(), rule.severity.label().into());
    }
    if let Decision::Rewrite(_, text) = decision {
        let becomes = serde_json::from_str(text).unwrap_or(Value::Null);
        answer.insert("becomes".to_owned(), becomes);
    }
    answer
}

fn explain(considered: &Considered<'_>) -> Value {
    json!({
        "rule": &*considered.rule.name,
        "outcome": considered.outcome.describe(),
    })
}

fn bad(error: &str) -> Answer {
    (StatusCode::BAD_REQUEST, Json(json!({ "error": error })))
}

/// `GET /conduit/guardrails/stats`: what the rules did since the start.
pub(super) async fn stats(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let counts = shared.live.guard.counts();
    let sum = |of: fn(&crate::state::guard::Counts) -> u64| counts.values().map(of).sum::<u64>();
    let (blocks, alerts) = (sum(|one| one.blocks), sum(|one| one.alerts));
    let others = sum(|one| one.transforms + one.holds);
    let by_rule: Map<String, Value> = counts
        .iter()
        .map(|(rule, one)| {
            let told = json!({
                "blocks": one.blocks,
                "alerts": one.alerts,
                "transforms": one.transforms,
                "approvals_required": one.holds,
                "rehearsed": one.rehearsed,
            });
            (rule.to_string(), told)
        })
        .collect();
    Json(json!({
        "total_actions": blocks + alerts + others,
        "total_blocks": blocks,
        "total_alerts": alerts,
        "by_rule": by_rule,
    }))
}
