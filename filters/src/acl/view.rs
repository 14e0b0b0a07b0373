//! What the rules say of one caller at one server.
//!
//! **Invariant:** nothing is allocated while something is permitted, but for URIs that have more than
//! one spelling and for resource templates.

use std::sync::Arc;

use crate::acl::denial::{self, Act, Cause, Denial};
use crate::acl::explain::{List, Witness};
use crate::acl::names::Names;
use crate::acl::need::Need;
use crate::acl::policy::{Policy, Rule, Subject};
use crate::acl::spec::Effect;
use crate::acl::{Rules, template};
use crate::identity::Principal;
use crate::mcp::list::Kind;
use crate::refusal::Refusal;

/// A thing that a server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A tool, by name.
    Tool(&'a str),
    /// A prompt, by name.
    Prompt(&'a str),
    /// A resource, by URI.
    Resource(&'a str),
    /// A resource template, by its text: it stands for what it may become, and is permitted where
    /// some of that may be.
    Template(&'a str),
}

impl<'a> Item<'a> {
    /// The item of a list.
    #[must_use]
    pub fn of(kind: Kind, key: &'a str) -> Self {
        match kind {
            Kind::Tools => Self::Tool(key),
            Kind::Prompts => Self::Prompt(key),
            Kind::Resources => Self::Resource(key),
            Kind::Templates => Self::Template(key),
        }
    }

    fn name(self) -> &'a str {
        match self {
            Self::Tool(name) | Self::Prompt(name) | Self::Resource(name) | Self::Template(name) => {
                name
            }
        }
    }
}

/// What was decided, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision<'a> {
    /// Whether it is permitted.
    pub effect: Effect,
    /// The policy that matched the caller.
    pub policy: Option<&'a str>,
    /// The rule of it that decided; without one, the default did.
    pub rule: Option<Hit<'a>>,
}

/// A rule that matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit<'a> {
    /// In which list of the policy it is.
    pub list: List,
    /// Where in it, from 0.
    pub index: usize,
    /// The pattern that matched.
    pub pattern: &'a str,
}

/// What the rules say of one caller at one server.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    default: Effect,
    policy: Option<&'a Policy>,
    server: &'a str,
}

/// Why something is not permitted.
pub(super) enum Denied {
    /// The caller may not know of the server.
    Invisible(Denial),
    /// It names nothing, though it should: what is missing.
    Unnamed(&'static str),
    /// The rules deny it.
    Item(Denial),
}

impl<'a> View<'a> {
    pub(super) fn find(rules: &'a Rules, principal: &Principal, server: &'a str) -> Self {
        Self::found(rules, principal, server, &mut ())
    }

    pub(super) fn found(
        rules: &'a Rules,
        principal: &Principal,
        server: &'a str,
        witness: &mut impl Witness,
    ) -> Self {
        let Some(on) = &rules.on else {
            return Self {
                default: Effect::Allow,
                policy: None,
                server,
            };
        };
        let policy = on.policies.iter().enumerate().find(|(index, policy)| {
            let is_match = policy.is_for(principal);
            witness.policy(*index, policy, is_match);
            is_match
        });
        Self {
            default: on.default,
            policy: policy.map(|(_, policy)| policy),
            server,
        }
    }

    /// Decides one thing.
    #[must_use]
    pub fn decide(&self, item: Item<'_>) -> Decision<'a> {
        self.decided(item, &mut ())
    }

    /// Whether one thing is permitted.
    #[must_use]
    pub fn permits(&self, item: Item<'_>) -> bool {
        self.decide(item).effect == Effect::Allow
    }

    pub(super) fn decided(&self, item: Item<'_>, witness: &mut impl Witness) -> Decision<'a> {
        let Some(policy) = self.policy else {
            return self.by_default(None);
        };
        let subject = Subject::of(item);
        for (list, rules, effect) in [
            (List::Deny, &policy.deny, Effect::Deny),
            (List::Allow, &policy.allow, Effect::Allow),
        ] {
            // Another spelling may be allowed by another rule.
            let is_allowed_otherwise = || {
                let mut rules = self.here(rules);
                rules.any(|(_, rule)| rule.allows_otherwise(&subject))
            };
            let is_left = |allowed: &str| self.is_left(policy, Kind::Templates, allowed);
            for (index, rule) in rules.iter().enumerate() {
                let pattern = if rule.server.matches(self.server) {
                    match effect {
                        Effect::Deny => rule.denies(&subject),
                        Effect::Allow => rule
                            .allows(&subject, is_left)
                            .filter(|_| is_allowed_otherwise()),
                    }
                } else {
                    None
                };
                witness.rule(list, index, rule, self.server, pattern);
                if let Some(pattern) = pattern {
                    return Decision {
                        effect,
                        policy: Some(&policy.name),
                        rule: Some(Hit {
                            list,
                            index,
                            pattern,
                        }),
                    };
                }
            }
        }
        self.by_default(Some(&policy.name))
    }

    fn by_default(&self, policy: Option<&'a str>) -> Decision<'a> {
        Decision {
            effect: self.default,
            policy,
            rule: None,
        }
    }

    /// Whether anything may be permitted there: only what certainly is nothing is none.
    #[must_use]
    pub fn is_any(&self) -> bool {
        [Kind::Tools, Kind::Prompts, Kind::Resources]
            .into_iter()
            .any(|kind| self.is_any_of(kind))
    }

    /// Whether anything of a kind may be permitted there.
    #[must_use]
    pub fn is_any_of(&self, kind: Kind) -> bool {
        let Some(policy) = self.policy else {
            return self.default == Effect::Allow;
        };
        if self.denied(policy, kind).any(Names::has_all) {
            return false;
        }
        if self.default == Effect::Allow {
            return true;
        }
        let mut allowing = self.here(&policy.allow);
        // Mostly no rule denies what is allowed, and that is known beforehand.
        if allowing.any(|(_, rule)| rule.is_left(kind)) {
            return true;
        }
        let is_left = |allowed: &str| self.is_left(policy, kind, allowed);
        let allowed = self.here(&policy.allow);
        let mut allowed = allowed.filter_map(|(_, rule)| rule.names(kind));
        allowed.any(|names| names.patterns().any(is_left))
    }

    /// Whether no rule here denies all that an allowing pattern is about.
    fn is_left(&self, policy: &Policy, kind: Kind, allowed: &str) -> bool {
        let mut denied = self.denied(policy, kind).flat_map(Names::patterns);
        !denied.any(|denied| template::contains(denied, allowed))
    }

    /// What is denied of a kind here.
    fn denied<'p>(
        &self,
        policy: &'p Policy,
        kind: Kind,
    ) -> impl Iterator<Item = &'p Names> + use<'a, 'p> {
        let rules = self.here(&policy.deny);
        rules.filter_map(move |(_, rule)| rule.names(kind))
    }

    /// Whether everything of a kind is certainly permitted there.
    #[must_use]
    pub fn is_all_of(&self, kind: Kind) -> bool {
        let Some(policy) = self.policy else {
            return self.default == Effect::Allow;
        };
        let mut denied = self.here(&policy.deny);
        let is_denied = denied.any(|(_, rule)| rule.names(kind).is_some());
        let mut allowed = self.here(&policy.allow);
        let is_allowed = |rule: &Rule| rule.names(kind).is_some_and(Names::has_all);
        !is_denied && (self.default == Effect::Allow || allowed.any(|(_, rule)| is_allowed(rule)))
    }

    /// Whether everything is certainly permitted there.
    #[must_use]
    pub fn is_all(&self) -> bool {
        [Kind::Tools, Kind::Prompts, Kind::Resources]
            .into_iter()
            .all(|kind| self.is_all_of(kind))
    }

    /// The rules that are about this server.
    fn here<'p>(&self, rules: &'p [Rule]) -> impl Iterator<Item = (usize, &'p Rule)> + use<'a, 'p> {
        let server = self.server;
        let rules = rules.iter().enumerate();
        rules.filter(move |(_, rule)| rule.server.matches(server))
    }

    /// Whether the caller may do what a message needs.
    pub(super) fn grants(&self, principal: &Principal, need: &Need<'_>) -> Result<(), Denied> {
        // What is permitted is there to be seen.
        if let Need::Item(item) = need
            && self.permits(item.as_item())
        {
            return Ok(());
        }
        let default = self.by_default(self.policy.map(|policy| &*policy.name));
        let deny = |act, name: &str, decision| self.denial(principal, act, name, decision);
        if !self.is_any() {
            return Err(Denied::Invisible(deny(Act::Know, "", default)));
        }
        match need {
            Need::Server => Ok(()),
            Need::Item(item) => {
                let item = item.as_item();
                let denied = deny(Act::of(item), item.name(), self.decide(item));
                Err(Denied::Item(denied))
            }
            Need::Listen { uris, has_tasks } => {
                let mut decided = uris
                    .iter()
                    .map(|uri| (uri, self.decide(Item::Resource(uri))));
                if let Some((uri, decision)) =
                    decided.find(|(_, decision)| decision.effect == Effect::Deny)
                {
                    return Err(Denied::Item(deny(Act::Read, uri, decision)));
                }
                if *has_tasks && !self.is_any_of(Kind::Tools) {
                    return Err(Denied::Item(deny(Act::Task, "", default)));
                }
                Ok(())
            }
            Need::Task if self.is_any_of(Kind::Tools) => Ok(()),
            Need::Task => Err(Denied::Item(deny(Act::Task, "", default))),
            // Its server says what is wrong with what names nothing.
            Need::Everything(_) | Need::Unnamed(_) if self.is_all() => Ok(()),
            Need::Everything(method) => Err(Denied::Item(deny(Act::Send, method, default))),
            Need::Unnamed(missing) => Err(Denied::Unnamed(missing)),
        }
    }

    fn denial(
        &self,
        principal: &Principal,
        act: Act,
        name: &str,
        decision: Decision<'_>,
    ) -> Denial {
        Denial {
            client: Arc::clone(&principal.client),
            server: self.server.into(),
            act,
            name: denial::kept(name).into(),
            policy: decision.policy.map(Into::into),
            cause: match decision.rule {
                Some(hit) => Cause::Rule(hit.list, hit.index),
                None => Cause::Default,
            },
        }
    }
}

impl Denied {
    pub(super) fn into_refusal(self, server: &str) -> Refusal {
        match self {
            Self::Invisible(_) => Refusal::ServerUnknown {
                server: server.to_owned(),
            },
            Self::Unnamed(what) => Refusal::ParamsInvalid { what },
            Self::Item(denial) => Refusal::AccessDenied(Box::new(denial)),
        }
    }

    pub(super) fn into_denial(self) -> Option<Denial> {
        match self {
            Self::Invisible(denial) | Self::Item(denial) => Some(denial),
            Self::Unnamed(_) => None,
        }
    }
}
