//! The policies of a configuration by themselves: nothing runs for them, nobody is asked.

use filters::acl;
use filters::guard::rules::Rules as GuardRules;
use filters::identity::scope;
use filters::policy::Policies;
use filters::route::names::Naming;

use crate::app::build::{gatehouse, snapshot};
use crate::app::limited;
use crate::config::Config;
use crate::limit::Policy;

/// The compiled policies of a configuration, as a gateway would have them.
pub struct Rulebook {
    /// Whether clients are authenticated.
    pub has_auth: bool,
    acl: acl::Rules,
    scopes: scope::Rules,
    limits: Option<Policy>,
    guard: GuardRules,
    naming: Naming,
}

impl Rulebook {
    /// Compiles them.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let ids = config.servers.iter().map(|server| server.id.to_string());
        Self {
            has_auth: !config.auth.is_off(),
            acl: snapshot::access_rules(config),
            scopes: gatehouse::scopes(config),
            limits: limited::policy(&config.rate_limits),
            guard: snapshot::guardrails(config),
            naming: snapshot::naming(&config.router, ids),
        }
    }

    /// What is asked.
    #[must_use]
    pub fn policies(&self) -> Policies<'_> {
        Policies {
            acl: &self.acl,
            scopes: &self.scopes,
            limits: self.limits.as_ref().map(|policy| &policy.rules),
            guard: &self.guard,
            // Nobody is asked for a list of tools here.
            lock: None,
            naming: &self.naming,
        }
    }
}
