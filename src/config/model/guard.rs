//! `guardrails`.

use std::time::Duration;

use filters::guard::spec;

use crate::config::choice::guard::GuardDefault;
use crate::config::model::Secret;

/// Rules that look into what clients and servers say.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Guardrails {
    /// Whether rules are applied.
    pub enabled: bool,
    /// Whether they act.
    pub mode: spec::Mode,
    /// What happens to a call that no rule matches.
    pub default_action: GuardDefault,
    /// The rules, first match first.
    pub rules: Vec<Rule>,
    /// How the URLs of rules are told.
    pub webhooks: Webhooks,
}

/// One rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// All but the URL.
    pub spec: spec::Rule,
    /// A URL that is told; its path may be a secret.
    pub webhook: Option<Secret>,
}

/// How the URLs of rules are told.
#[derive(Debug, Clone, PartialEq)]
pub struct Webhooks {
    /// What signs them.
    pub secret: Option<Secret>,
    /// Whether they may go to addresses that are not public.
    pub allow_private: bool,
    /// How long a receiver may take.
    pub timeout: Duration,
    /// How often one is tried.
    pub attempts_max: u32,
    /// How many may wait.
    pub queue_max: usize,
}

impl Default for Webhooks {
    fn default() -> Self {
        Self {
            secret: None,
            allow_private: false,
            timeout: Duration::from_secs(10),
            attempts_max: 4,
            queue_max: 1_024,
        }
    }
}

impl Guardrails {
    /// The rules as they are compiled; none where they are not applied.
    #[must_use]
    pub fn spec(&self) -> spec::Spec {
        if !self.enabled {
            return spec::Spec::default();
        }
        spec::Spec {
            is_enabled: true,
            mode: self.mode,
            default_action: match self.default_action {
                GuardDefault::Allow => spec::Fallback::Allow,
                GuardDefault::Block => spec::Fallback::Block,
            },
            rules: self.rules.iter().map(Rule::exposed).collect(),
        }
    }
}

impl Rule {
    fn exposed(&self) -> spec::Rule {
        spec::Rule {
            webhook: self.webhook.as_ref().map(|url| url.expose().to_owned()),
            ..self.spec.clone()
        }
    }
}
