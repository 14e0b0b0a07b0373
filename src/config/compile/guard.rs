//! `guardrails`.

use std::collections::HashMap;
use std::time::Duration;

use filters::guard::detect::Detector;
use filters::guard::rules::Rules;
use filters::guard::scope::Kind;
use filters::guard::spec;
use filters::guard::spec::{Check, Edit};
use filters::problem::Problems;
use serde_json::Value as Json;

use crate::config::choice::guard::{
    GuardAction, GuardDetector, GuardMode, GuardSubject, Operator, Severity,
};
use crate::config::model::Secret;
use crate::config::model::guard::{Guardrails, Rule, Webhooks};
use crate::config::model::url::HttpUrl;
use crate::config::path::Path;
use crate::config::raw::guard as raw;

/// `guardrails`, with the rules of files that it includes.
pub fn compile(raw: raw::Guardrails, problems: &mut Problems) -> Guardrails {
    let mut first_use: HashMap<String, Path> = HashMap::new();
    let mut rules = Vec::new();
    let section = Path::root().key("guardrails");
    let included = raw.included.into_iter().enumerate();
    let included = included.map(|(index, rules)| (section.key("include").index(index), rules));
    for (at, written) in std::iter::once((section.clone(), raw.rules)).chain(included) {
        let at = at.key("rules");
        for (index, rule) in written.into_iter().enumerate() {
            let path = at.index(index);
            if let Some(first) = first_use.get(&rule.name) {
                let message = format!("is already the name of {}", first.as_str());
                let problem = problems.error(path.key("name"), message);
                problem.found(format!("{:?}", rule.name));
            } else {
                first_use.insert(rule.name.clone(), path.clone());
            }
            rules.push(compile_rule(rule, &path, problems));
        }
    }
    let guardrails = Guardrails {
        enabled: raw.enabled,
        mode: mode(raw.mode),
        default_action: raw.default_action,
        rules,
        webhooks: webhooks(raw.webhooks, problems),
    };
    // What cannot be compiled is told now, whether it is applied or not.
    let all = Guardrails {
        enabled: true,
        ..guardrails.clone()
    };
    drop(Rules::compile(&all.spec(), problems));
    guardrails
}

/// Fewest bytes of what webhooks are signed with.
const SECRET_BYTES_MIN: usize = 16;

fn webhooks(raw: raw::Webhooks, problems: &mut Problems) -> Webhooks {
    let is_short = |secret: &String| secret.len() < SECRET_BYTES_MIN;
    if raw.secret.as_ref().is_some_and(is_short) {
        let message = "must have at least 16 bytes; make one with `openssl rand -hex 32`";
        problems.error("guardrails.webhooks.secret", message);
    }
    Webhooks {
        secret: raw.secret.map(Secret::new),
        allow_private: raw.allow_private,
        timeout: Duration::from_millis(raw.timeout_ms.into()),
        attempts_max: raw.max_attempts,
        queue_max: usize::try_from(raw.queue_size).unwrap_or(usize::MAX),
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
    // What is wrong keeps its place, so that later findings name the right one.
    let conditions = conditions.map(|(index, condition)| {
        let path = path.key("conditions").index(index);
        compile_condition(condition, &path, problems).unwrap_or(spec::Condition {
            field: String::new(),
            check: Check::Compare(spec::Operator::Exists, Json::Null),
        })
    });
    let conditions = conditions.collect();
    let changes = raw.transform.into_iter().enumerate();
    let changes = changes.map(|(index, change)| {
        let path = path.key("transform").index(index);
        compile_change(change, &path, problems).unwrap_or(spec::Change {
            path: "*".to_owned(),
            edit: Edit::Delete,
        })
    });
    Rule {
        spec: spec::Rule {
            conditions,
            changes: changes.collect(),
            at: path.as_str().to_owned(),
            on: raw.on.into_iter().flatten().map(kind).collect(),
            name: raw.name,
            tools: raw.tools,
            clients: raw.clients,
            servers: raw.servers,
            bypass: raw.bypass,
            action: action(raw.action.unwrap_or_default()),
            message: raw.message,
            severity: severity(raw.severity.unwrap_or_default()),
            webhook: None,
            mode: raw.mode.map(mode),
        },
        webhook: webhook.map(Secret::new),
    }
}

fn compile_condition(
    raw: raw::Condition,
    path: &Path,
    problems: &mut Problems,
) -> Option<spec::Condition> {
    let n_ways = usize::from(raw.operator.is_some())
        + usize::from(raw.detect.is_some())
        + usize::from(raw.longer_than_bytes.is_some());
    if n_ways > 1 {
        let message = "has more than one of operator, detect and longer_than_bytes: write a \
                       condition for each";
        problems.error(path.as_str(), message);
        return None;
    }
    let check = match (raw.operator, raw.detect, raw.longer_than_bytes) {
        (Some(operator), _, _) => {
            let value = raw.value.unwrap_or(Json::Null);
            let needs_value = matches!(
                operator,
                Operator::Eq | Operator::Neq | Operator::Contains | Operator::NotContains
            );
            if needs_value && value.is_null() {
                problems
                    .error(path.key("value"), "is required for this operator")
                    .because_of(path.key("operator").as_str());
                return None;
            }
            Check::Compare(operator_of(operator), value)
        }
        (None, Some(detectors), _) => Check::Detect(detectors.into_iter().map(detector).collect()),
        (None, None, Some(max)) => Check::Oversize(usize::try_from(max).unwrap_or(usize::MAX)),
        (None, None, None) => {
            if raw.field.is_none() {
                problems.error(path.key("field"), "is required");
            }
            problems
                .error(path.key("operator"), "is required")
                .allowed("an operator, or `detect`, or `longer_than_bytes`");
            return None;
        }
    };
    if raw.field.is_none() && matches!(check, Check::Compare(..)) {
        problems.error(path.key("field"), "is required");
        return None;
    }
    Some(spec::Condition {
        field: raw.field.unwrap_or_default(),
        check,
    })
}

fn compile_change(raw: raw::Change, path: &Path, problems: &mut Problems) -> Option<spec::Change> {
    let with = raw.with;
    if with.is_some() && raw.replace.is_none() {
        problems.error(path.key("with"), "is for `replace` alone");
    }
    let edits = [
        raw.set.map(Edit::Set),
        raw.delete.then_some(Edit::Delete),
        raw.redact.then_some(Edit::Redact),
        raw.redact_found
            .map(|found| Edit::RedactFound(found.into_iter().map(detector).collect())),
        raw.truncate
            .map(|max| Edit::Truncate(usize::try_from(max).unwrap_or(usize::MAX))),
        raw.replace.map(|pattern| Edit::Replace {
            pattern,
            with: with.unwrap_or_default(),
        }),
    ];
    let mut edits = edits.into_iter().flatten();
    match (edits.next(), edits.next()) {
        (Some(edit), None) => Some(spec::Change {
            path: raw.path.unwrap_or_default(),
            edit,
        }),
        (_, _) => {
            let message = "must have one of set, delete, redact, redact_found, truncate and \
                           replace";
            problems.error(path.as_str(), message);
            None
        }
    }
}

fn mode(raw: GuardMode) -> spec::Mode {
    match raw {
        GuardMode::Enforce => spec::Mode::Enforce,
        GuardMode::Shadow => spec::Mode::Shadow,
    }
}

fn action(raw: GuardAction) -> spec::Action {
    match raw {
        GuardAction::Block => spec::Action::Block,
        GuardAction::Alert => spec::Action::Alert,
        GuardAction::RequireApproval => spec::Action::RequireApproval,
        GuardAction::Transform => spec::Action::Transform,
    }
}

fn severity(raw: Severity) -> spec::Severity {
    match raw {
        Severity::Low => spec::Severity::Low,
        Severity::Medium => spec::Severity::Medium,
        Severity::High => spec::Severity::High,
        Severity::Critical => spec::Severity::Critical,
    }
}

fn kind(raw: GuardSubject) -> Kind {
    match raw {
        GuardSubject::Calls => Kind::Calls,
        GuardSubject::Prompts => Kind::Prompts,
        GuardSubject::Resources => Kind::Resources,
        GuardSubject::Sampling => Kind::Sampling,
        GuardSubject::Elicitation => Kind::Elicitation,
        GuardSubject::Results => Kind::Results,
    }
}

fn detector(raw: GuardDetector) -> Detector {
    match raw {
        GuardDetector::Secrets => Detector::Secrets,
        GuardDetector::PrivateKey => Detector::PrivateKey,
        GuardDetector::Email => Detector::Email,
        GuardDetector::Phone => Detector::Phone,
        GuardDetector::Card => Detector::Card,
        GuardDetector::Iban => Detector::Iban,
        GuardDetector::Ssn => Detector::Ssn,
        GuardDetector::PromptInjection => Detector::PromptInjection,
    }
}

fn operator_of(raw: Operator) -> spec::Operator {
    match raw {
        Operator::Eq => spec::Operator::Eq,
        Operator::Neq => spec::Operator::Neq,
        Operator::Gt => spec::Operator::Gt,
        Operator::Gte => spec::Operator::Gte,
        Operator::Lt => spec::Operator::Lt,
        Operator::Lte => spec::Operator::Lte,
        Operator::Contains => spec::Operator::Contains,
        Operator::NotContains => spec::Operator::NotContains,
        Operator::Matches => spec::Operator::Matches,
        Operator::Exists => spec::Operator::Exists,
        Operator::NotExists => spec::Operator::NotExists,
    }
}
