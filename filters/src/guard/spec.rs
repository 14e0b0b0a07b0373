//! Rules as an operator writes them, before they are compiled.

use serde_json::Value;

use crate::guard::detect::Detector;
use crate::guard::scope::Kind;

/// All rules.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spec {
    /// Whether they are applied; the rules are left out where they are not.
    pub is_enabled: bool,
    /// Whether anything is refused, held or changed at all.
    pub mode: Mode,
    /// What becomes of a tool call that no rule matches.
    pub default_action: Fallback,
    /// The rules, first match first.
    pub rules: Vec<Rule>,
}

/// Whether a rule acts or is only rehearsed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// It acts.
    #[default]
    Enforce,
    /// What it would have done is told and counted; nothing is refused, held or changed.
    Shadow,
}

/// What becomes of a tool call that no rule matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fallback {
    /// It goes through.
    #[default]
    Allow,
    /// It is refused.
    Block,
}

/// What a match does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Action {
    /// Refuses.
    #[default]
    Block,
    /// Lets through and tells.
    Alert,
    /// Holds until somebody approves.
    RequireApproval,
    /// Changes.
    Transform,
}

/// How serious a match is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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

/// One rule.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rule {
    /// Its unique name.
    pub name: String,
    /// Where it is written, as a path for whoever has to change it.
    pub at: String,
    /// What it looks at. Empty means tool calls, and everything for a rule that only lets through.
    pub on: Vec<Kind>,
    /// Globs of tools, prompts or URIs; `None` means all.
    pub tools: Option<Vec<String>>,
    /// Globs of clients; `None` means all.
    pub clients: Option<Vec<String>>,
    /// Globs of servers; `None` means all.
    pub servers: Option<Vec<String>>,
    /// Lets through what is of these clients and servers, without looking any further.
    pub bypass: bool,
    /// What must hold, all of it.
    pub conditions: Vec<Condition>,
    /// What a match does.
    pub action: Action,
    /// How what matched is changed, in order.
    pub changes: Vec<Change>,
    /// What the client is told.
    pub message: Option<String>,
    /// How serious a match is.
    pub severity: Severity,
    /// A URL that is told.
    pub webhook: Option<String>,
    /// Whether it acts; `None` means as all do.
    pub mode: Option<Mode>,
}

/// One condition.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// The path of what is tested; empty means all of it.
    pub field: String,
    /// How it is tested.
    pub check: Check,
}

/// How a value is tested.
#[derive(Clone, Debug, PartialEq)]
pub enum Check {
    /// Against a value.
    Compare(Operator, Value),
    /// For what one of these finds.
    Detect(Vec<Detector>),
    /// For its length, in bytes of JSON text.
    Oversize(usize),
}

/// How a value is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// Equal.
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
    /// What does not.
    NotContains,
    /// A text that matches a regular expression.
    Matches,
    /// Present.
    Exists,
    /// Absent.
    NotExists,
}

/// One change of what matched.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The path of what is changed; empty means all of it.
    pub path: String,
    /// What becomes of it.
    pub edit: Edit,
}

/// What becomes of a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// It is this instead; a member that is missing is added.
    Set(Value),
    /// It is taken out.
    Delete,
    /// A mark stands in its place.
    Redact,
    /// A mark stands in the place of what these find in it.
    RedactFound(Vec<Detector>),
    /// Texts are cut to so many characters.
    Truncate(usize),
    /// What matches a regular expression in texts becomes something else.
    Replace {
        /// The regular expression.
        pattern: String,
        /// What stands there instead; `$1` is the first group.
        with: String,
    },
}

impl Action {
    /// As the configuration spells it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Alert => "alert",
            Self::RequireApproval => "require_approval",
            Self::Transform => "transform",
        }
    }
}

impl Fallback {
    /// As the configuration spells it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Block => "block",
        }
    }
}

impl Severity {
    /// As the configuration spells it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl Mode {
    /// As the configuration spells it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Shadow => "shadow",
        }
    }
}
