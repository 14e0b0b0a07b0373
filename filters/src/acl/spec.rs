//! Access rules as they are written.

/// What a rule, or the default, says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effect {
    /// Let it pass.
    #[default]
    Allow,
    /// Refuse it.
    Deny,
}

impl Effect {
    /// As it is written.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

/// What becomes of a decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// It holds.
    #[default]
    Enforce,
    /// It is told and counted, and everything passes.
    Shadow,
}

/// All rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spec {
    /// Whether they are enforced.
    pub mode: Mode,
    /// What holds where no rule decides.
    pub default: Effect,
    /// The policies: the first that matches a caller decides.
    pub policies: Vec<Policy>,
}

/// What some callers may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// Whom it is for.
    pub who: Who,
    /// What they may do.
    pub allow: Vec<Rule>,
    /// What they may not do.
    pub deny: Vec<Rule>,
}

/// Whom a policy is for: a caller that every list that is written matches. Of its roles and scopes,
/// one must match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Who {
    /// Patterns of clients.
    pub clients: Option<Vec<String>>,
    /// Patterns of tenants. A caller of no tenant matches none.
    pub tenants: Option<Vec<String>>,
    /// Patterns of roles.
    pub roles: Option<Vec<String>>,
    /// Patterns of scopes.
    pub scopes: Option<Vec<String>>,
}

/// Some of what some servers have. A list that is not written says nothing of its kind, with one
/// exception: see [`Rule::is_of_whole_servers`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// A pattern of servers.
    pub server: String,
    /// Patterns of tools.
    pub tools: Option<Vec<String>>,
    /// Patterns of prompts.
    pub prompts: Option<Vec<String>>,
    /// Patterns of resources, by URI.
    pub resources: Option<Vec<String>>,
}

impl Rule {
    /// Whether it is for everything that its servers have. `tools: ["*"]` alone is how whole servers
    /// were allowed and denied when rules knew tools only.
    #[must_use]
    pub fn is_of_whole_servers(&self) -> bool {
        let has_all = |patterns: &Vec<String>| patterns.iter().any(|pattern| pattern == "*");
        self.tools.as_ref().is_some_and(has_all)
            && self.prompts.is_none()
            && self.resources.is_none()
    }
}
