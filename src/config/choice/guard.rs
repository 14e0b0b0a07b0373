//! The closed choices of guardrails.
//!
//! What they mean once they are compiled is `filters::guard::spec`'s, which knows no file: a choice is a
//! spelling with its documentation, and `config::compile::guard` maps one to the other.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What happens to a call that no guardrail rule matches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GuardDefault {
    /// It goes through.
    #[default]
    Allow,
    /// It is refused.
    Block,
}

/// What a matching guardrail rule does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GuardAction {
    /// Refuses the call.
    #[default]
    Block,
    /// Lets it through and reports it.
    Alert,
    /// Holds it until somebody approves.
    RequireApproval,
    /// Changes its arguments.
    Transform,
}

/// How a guardrail condition compares.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Operator {
    /// Equal.
    #[default]
    Eq,
    /// Not equal.
    Neq,
    /// Greater.
    Gt,
    /// Greater or equal.
    Gte,
    /// Less.
    Lt,
    /// Less or equal.
    Lte,
    /// A text or list that contains the value.
    Contains,
    /// One that does not.
    NotContains,
    /// A text that matches a regular expression.
    Matches,
    /// Present.
    Exists,
    /// Absent.
    NotExists,
}

/// Whether guardrails act or are only rehearsed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GuardMode {
    /// They act.
    #[default]
    Enforce,
    /// What they would have done is logged and counted; nothing is refused, held or changed.
    Shadow,
}

/// What a guardrail rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GuardSubject {
    /// The arguments of tool calls.
    Calls,
    /// The arguments of prompts.
    Prompts,
    /// The params of reads of resources and of subscriptions to them: `uri`.
    Resources,
    /// What servers ask of clients' models, and the answers.
    Sampling,
    /// What servers ask of users, and the answers.
    Elicitation,
    /// The results of calls, prompts, resources and tasks.
    Results,
}

/// What a guardrail condition looks for in texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GuardDetector {
    /// Keys and tokens of well-known services, passwords in URLs, private keys.
    Secrets,
    /// Private keys (PEM).
    PrivateKey,
    /// E-mail addresses.
    Email,
    /// Phone numbers with their country, or of North America.
    Phone,
    /// Payment card numbers, with their check digit (Luhn).
    Card,
    /// Bank accounts, with their check digits (mod 97).
    Iban,
    /// US social security numbers.
    Ssn,
    /// Known phrases and marks that tell a model what to do instead.
    PromptInjection,
}

/// How serious a guardrail finding is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth a note.
    Low,
    /// Worth a look.
    #[default]
    Medium,
    /// Worth acting on.
    High,
    /// Worth acting on now.
    Critical,
}
