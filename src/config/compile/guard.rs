//! `guardrails`.

use std::collections::HashMap;

use filters::problem::Problems;
use serde_json::Value as Json;

use crate::config::choice::{GuardAction, Operator};
use crate::config::model::Secret;
use crate::config::model::guard::{Condition, Guardrails, Rule};
use crate::config::model::url::HttpUrl;
use crate::config::path::Path;
use crate::config::raw::guard as raw;

/// `guardrails`.
pub fn compile(raw: raw::Guardrails, problems: &mut Problems) -> Guardrails {
    let mut first_use: HashMap<String, usize> = HashMap::new();
    let mut rules = Vec::new();
    for (index, rule) in raw.rules.into_iter().enumerate() {
        let path = Path::root().key("guardrails").key("rules").index(index);
        if let Some(first) = first_use.get(&rule.name) {
            problems
                .error(
                    path.key("name"),
                    format!("is already the name of guardrails.rules[{first}]"),
                )
                .found(format!("{:?}", rule.name));
        } else {
            first_use.insert(rule.name.clone(), index);
        }
        rules.push(compile_rule(rule, &path, problems));
    }
    Guardrails {
        enabled: raw.enabled,
        default_action: raw.default_action,
        rules,
    }
}

fn compile_rule(raw: raw::Rule, path: &Path, problems: &mut Problems) -> Rule {
    if raw.action.is_none() && !raw.bypass {
        problems
            .error(path.key("action"), "is required")
            .allowed("block, alert, require_approval, transform");
    }
    let webhook = raw.webhook.filter(|url| !url.is_empty());
    if let Some(Err(error)) = webhook.as_deref().map(HttpUrl::parse) {
        problems.error(path.key("webhook"), error.to_string());
    }
    let conditions = raw.conditions.into_iter().enumerate();
    let conditions = conditions.map(|(index, condition)| {
        compile_condition(condition, &path.key("conditions").index(index), problems)
    });
    Rule {
        conditions: conditions.collect(),
        name: raw.name,
        tools: raw.tools,
        clients: raw.clients,
        servers: raw.servers,
        bypass: raw.bypass,
        action: raw.action.unwrap_or(GuardAction::Block),
        message: raw.message,
        severity: raw.severity.unwrap_or_default(),
        webhook: webhook.map(Secret::new),
    }
}

fn compile_condition(raw: raw::Condition, path: &Path, problems: &mut Problems) -> Condition {
    let value = raw.value.unwrap_or(Json::Null);
    let cause = path.key("operator");
    let path = path.key("value");
    let mut wrong = |message: &str| {
        problems
            .error(path.as_str(), message)
            .because_of(cause.as_str());
    };
    match raw.operator {
        Operator::Gt | Operator::Gte | Operator::Lt | Operator::Lte => {
            if !value.is_number() {
                wrong("must be a number for this operator");
            }
        }
        Operator::Matches => {
            if !value.is_string() {
                wrong("must be a regular expression for this operator");
            }
        }
        Operator::Exists | Operator::NotExists => {}
        Operator::Eq | Operator::Neq | Operator::Contains | Operator::NotContains => {
            if value.is_null() {
                wrong("is required for this operator");
            }
        }
    }
    Condition {
        field: raw.field,
        operator: raw.operator,
        value,
    }
}
