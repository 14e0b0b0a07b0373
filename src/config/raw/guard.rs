//! `guardrails` as it is written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::choice::{GuardAction, GuardDefault, Operator, Severity};

/// Rules that look into the arguments of tool calls.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Guardrails {
    /// Whether rules are enforced.
    pub enabled: bool,
    /// What happens to a call that no rule matches.
    pub default_action: GuardDefault,
    /// The rules; the first that matches decides.
    pub rules: Vec<Rule>,
}

/// What to do with calls of some clients to some tools.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name"]))]
pub struct Rule {
    /// The rule's name, for messages and logs; unique.
    #[schemars(length(min = 1))]
    pub name: String,
    /// Patterns of tools: `*`, `delete_*` or exact names. Absent means all.
    pub tools: Option<Vec<String>>,
    /// Patterns of clients. Absent means all.
    pub clients: Option<Vec<String>>,
    /// Patterns of servers. Absent means all.
    pub servers: Option<Vec<String>>,
    /// Lets the clients and servers above through without looking at any further rule.
    pub bypass: bool,
    /// What must hold for the arguments; all of it.
    pub conditions: Vec<Condition>,
    /// What a match does. Required unless `bypass: true`.
    pub action: Option<GuardAction>,
    /// What the client is told.
    pub message: Option<String>,
    /// How serious a match is.
    pub severity: Option<Severity>,
    /// A URL that is told about every match.
    #[schemars(extend("writeOnly" = true))]
    pub webhook: Option<String>,
}

/// A test of one argument.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["field", "operator"]))]
pub struct Condition {
    /// The argument, as a path with dots: `filter.limit`, `rows.0.id`.
    #[schemars(length(min = 1))]
    pub field: String,
    /// How it is compared.
    pub operator: Operator,
    /// What it is compared with. Not used by `exists` and `not_exists`.
    pub value: Option<serde_json::Value>,
}
