//! `guardrails`.

use crate::config::choice::{GuardAction, GuardDefault, Operator, Severity};
use crate::config::model::Secret;

/// Rules that look into the arguments of tool calls.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Guardrails {
    /// Whether rules are enforced.
    pub enabled: bool,
    /// What happens to a call that no rule matches.
    pub default_action: GuardDefault,
    /// The rules, first match first.
    pub rules: Vec<Rule>,
}

/// What to do with some calls.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Its unique name.
    pub name: String,
    /// Patterns of tools; `None` means all.
    pub tools: Option<Vec<String>>,
    /// Patterns of clients; `None` means all.
    pub clients: Option<Vec<String>>,
    /// Patterns of servers; `None` means all.
    pub servers: Option<Vec<String>>,
    /// Lets a match through without looking further.
    pub bypass: bool,
    /// What must hold, all of it.
    pub conditions: Vec<Condition>,
    /// What a match does.
    pub action: GuardAction,
    /// What the client is told.
    pub message: Option<String>,
    /// How serious a match is.
    pub severity: Severity,
    /// A URL that is told; its path may be a secret.
    pub webhook: Option<Secret>,
}

/// A test of one argument.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// The path of the argument, with dots.
    pub field: String,
    /// How it is compared.
    pub operator: Operator,
    /// With what; `Null` if nothing was given.
    pub value: serde_json::Value,
}
