//! `guardrails` as it is written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::choice::guard::{
    GuardAction, GuardDefault, GuardDetector, GuardMode, GuardSubject, Operator, Severity,
};

/// Rules that look into what clients and servers say; see docs/GUARDRAILS.md.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Guardrails {
    /// Whether rules are applied.
    pub enabled: bool,
    /// Whether they act, or are only rehearsed. A rule may say it for itself.
    pub mode: GuardMode,
    /// What happens to a tool call that no rule matches.
    pub default_action: GuardDefault,
    /// Files with further `rules`, relative to this one; theirs come after those below.
    #[schemars(length(max = 64))]
    pub include: Vec<String>,
    /// The rules; the first that matches decides.
    pub rules: Vec<Rule>,
    /// How the URLs of rules are told.
    pub webhooks: Webhooks,
    /// The rules of the included files, in their order; see [`crate::config::pack`].
    #[serde(skip)]
    #[schemars(skip)]
    pub included: Vec<Vec<Rule>>,
}

/// What to do with what some clients and servers say.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name"]))]
pub struct Rule {
    /// The rule's name, for messages and logs; unique.
    #[schemars(length(min = 1))]
    pub name: String,
    /// What it looks at. Absent means tool calls, and everything for `bypass`.
    #[schemars(length(min = 1))]
    pub on: Option<Vec<GuardSubject>>,
    /// Patterns of tools, prompts or URIs, as their server spells them: `*`, `delete_*` or exact.
    /// Absent means all.
    pub tools: Option<Vec<String>>,
    /// Patterns of clients. Absent means all.
    pub clients: Option<Vec<String>>,
    /// Patterns of servers. Absent means all.
    pub servers: Option<Vec<String>>,
    /// Lets the clients and servers above through without looking at any further rule.
    pub bypass: bool,
    /// What must hold; all of it.
    pub conditions: Vec<Condition>,
    /// What a match does. Required unless `bypass: true`.
    pub action: Option<GuardAction>,
    /// For `action: transform`, what is changed, in order.
    pub transform: Vec<Change>,
    /// What the client is told.
    pub message: Option<String>,
    /// How serious a match is.
    pub severity: Option<Severity>,
    /// A URL that is told about every match.
    #[schemars(extend("writeOnly" = true))]
    pub webhook: Option<String>,
    /// Whether it acts, or is only rehearsed. Absent means as all do.
    pub mode: Option<GuardMode>,
}

/// A test of a value: by an operator, or by detectors.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Condition {
    /// The value, as a path with dots: `filter.limit`, `rows.0.id`, `content.*.text`, `**`. Required
    /// for an operator; without it, detectors look at every text.
    #[schemars(length(min = 1))]
    pub field: Option<String>,
    /// How it is compared.
    pub operator: Option<Operator>,
    /// What it is compared with. Not used by `exists` and `not_exists`.
    pub value: Option<serde_json::Value>,
    /// What is looked for in it; finding one is enough.
    #[schemars(length(min = 1))]
    pub detect: Option<Vec<GuardDetector>>,
    /// Holds for a value whose JSON text is longer than this.
    #[schemars(range(min = 0, max = 4294967295_u64))]
    pub longer_than_bytes: Option<u32>,
}

/// One change of what matched: a path, and one thing to do with what stands there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Change {
    /// The value, as a path with dots. `redact_found`, `truncate` and `replace` change every text
    /// without one.
    #[schemars(length(min = 1))]
    pub path: Option<String>,
    /// It becomes this; a member that is missing is added.
    pub set: Option<serde_json::Value>,
    /// It is taken out.
    pub delete: bool,
    /// It becomes `[REDACTED]`.
    pub redact: bool,
    /// What these find in its texts becomes `[REDACTED:…]`.
    #[schemars(length(min = 1))]
    pub redact_found: Option<Vec<GuardDetector>>,
    /// Its texts are cut to so many characters.
    #[schemars(range(min = 0, max = 4294967295_u64))]
    pub truncate: Option<u32>,
    /// What matches this regular expression in its texts becomes `with`.
    #[schemars(length(min = 1))]
    pub replace: Option<String>,
    /// What stands there instead; `$1` is the first group. Nothing unless it is written.
    pub with: Option<String>,
}

/// How the URLs of rules are told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Webhooks {
    /// What signs them (HMAC-SHA256). Without it they are not signed.
    #[schemars(extend("writeOnly" = true))]
    pub secret: Option<String>,
    /// Whether they may go to private, loopback and link-local addresses.
    pub allow_private: bool,
    /// How long a receiver may take.
    #[schemars(range(min = 1, max = 60_000))]
    pub timeout_ms: u32,
    /// How often one is tried before it is given up.
    #[schemars(range(min = 1, max = 10))]
    pub max_attempts: u32,
    /// How many may wait; of more, the newest are dropped and counted.
    #[schemars(range(min = 1, max = 100_000))]
    pub queue_size: u32,
}

impl Default for Webhooks {
    fn default() -> Self {
        Self {
            secret: None,
            allow_private: false,
            timeout_ms: 10_000,
            max_attempts: 4,
            queue_size: 1_024,
        }
    }
}
