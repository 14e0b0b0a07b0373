//! What became of something that was looked at, and why.

use crate::guard::rule::Rule;
use crate::guard::walk::Opaque;

/// What becomes of it.
#[derive(Debug, Default)]
pub enum Decision<'r> {
    /// Nothing: no rule matches.
    #[default]
    Pass,
    /// Nothing: this rule lets it through without looking any further.
    Bypass(&'r Rule),
    /// It goes through, and this rule is told of.
    Alert(&'r Rule),
    /// It goes through as this, JSON text. The same text where nothing in it was to be changed.
    Rewrite(&'r Rule, String),
    /// It is held until somebody approves.
    Hold(&'r Rule),
    /// It is refused.
    Block(Cause<'r>),
}

/// Why something is refused.
#[derive(Clone, Copy, Debug)]
pub enum Cause<'r> {
    /// A rule says so.
    Rule(&'r Rule),
    /// It cannot be told whether a rule applies.
    Opaque(&'r Rule, Opaque),
    /// No rule matches, and that is how it is then.
    Default,
}

/// What became of it, and what would have if rules that are only rehearsed acted.
#[derive(Debug, Default)]
pub struct Verdict<'r> {
    /// What becomes of it.
    pub decision: Decision<'r>,
    /// What would have become of it, by those that are only rehearsed: the first that would have
    /// decided, and what alerts come before it.
    pub rehearsed: Vec<Decision<'r>>,
}

/// What one rule had to do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is about something else.
    Kind,
    /// It is about other clients.
    Client,
    /// It is about other servers.
    Server,
    /// It lets through without looking any further.
    Bypass,
    /// It is about other tools.
    Target,
    /// The condition at that place does not hold.
    Condition(usize),
    /// It cannot be told whether the condition at that place holds.
    Opaque(usize, Opaque),
    /// It matches.
    Match,
    /// It matches, and is only rehearsed.
    Rehearsed,
    /// An earlier one decided.
    NotReached,
}

/// What one rule had to do with it.
#[derive(Debug)]
pub struct Considered<'r> {
    /// The rule.
    pub rule: &'r Rule,
    /// What it had to do with it.
    pub outcome: Outcome,
}

impl Outcome {
    /// In words, for whoever asks why.
    #[must_use]
    pub fn describe(self) -> String {
        match self {
            Self::Kind => "is about something else".to_owned(),
            Self::Client => "is not for this client".to_owned(),
            Self::Server => "is not for this server".to_owned(),
            Self::Bypass => "lets this client and server through".to_owned(),
            Self::Target => "is not for this tool".to_owned(),
            Self::Condition(index) => format!("conditions[{index}] does not hold"),
            Self::Opaque(index, opaque) => {
                format!(
                    "conditions[{index}] cannot be decided: {}",
                    opaque.describe()
                )
            }
            Self::Match => "matches".to_owned(),
            Self::Rehearsed => "matches, and is only rehearsed (mode: shadow)".to_owned(),
            Self::NotReached => "not reached: an earlier rule decided".to_owned(),
        }
    }
}

impl<'r> Decision<'r> {
    /// The stricter one of two; the first where they are alike.
    #[must_use]
    pub fn or_stricter(self, other: Self) -> Self {
        if other.rank() > self.rank() {
            other
        } else {
            self
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Bypass(_) => 1,
            Self::Alert(_) => 2,
            Self::Rewrite(..) => 3,
            Self::Hold(_) => 4,
            Self::Block(_) => 5,
        }
    }
    /// The label of what is done, as mcp-conduit has it.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Pass | Self::Bypass(_) => "allow",
            Self::Alert(_) => "alert",
            Self::Rewrite(..) => "transform",
            Self::Hold(_) => "require_approval",
            Self::Block(_) => "block",
        }
    }

    /// The name of the rule that decided; nothing where none did.
    #[must_use]
    pub fn rule(&self) -> Option<&'r Rule> {
        match self {
            Self::Pass | Self::Block(Cause::Default) => None,
            Self::Bypass(rule)
            | Self::Alert(rule)
            | Self::Rewrite(rule, _)
            | Self::Hold(rule)
            | Self::Block(Cause::Rule(rule) | Cause::Opaque(rule, _)) => Some(rule),
        }
    }
}
