//! How a decision came about: every policy and rule that was considered, told by the walk itself.

use crate::acl::Rules;
use crate::acl::need::Need;
use crate::acl::policy::{Policy, Rule};
use crate::acl::view::{Decision, Item, View};
use crate::identity::Principal;

/// One of the two lists of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// What its callers may not do.
    Deny,
    /// What they may do.
    Allow,
}

impl List {
    /// As it is written.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Allow => "allow",
        }
    }
}

/// Who watches a decision.
pub(super) trait Witness {
    /// A policy was held against the caller.
    fn policy(&mut self, index: usize, policy: &Policy, is_match: bool);
    /// A rule was held against the item; with the pattern, if one matched.
    fn rule(&mut self, list: List, index: usize, rule: &Rule, server: &str, found: Option<&str>);
}

/// Nobody.
impl Witness for () {
    fn policy(&mut self, _: usize, _: &Policy, _: bool) {}
    fn rule(&mut self, _: List, _: usize, _: &Rule, _: &str, _: Option<&str>) {}
}

/// A policy that was considered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Where it stands in `acl.policies`, from 0.
    pub index: usize,
    /// Its name.
    pub policy: String,
    /// Whether it is for the caller: if so, it is the last that was considered.
    pub is_match: bool,
    /// Its rules, as far as they were considered.
    pub rules: Vec<Held>,
}

/// A rule that was considered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// In which list it is.
    pub list: List,
    /// Where in it, from 0.
    pub index: usize,
    /// The pattern of servers.
    pub server: String,
    /// Whether the server matched that.
    pub is_server: bool,
    /// The pattern that the item matched: if there is one, the rule decided.
    pub pattern: Option<String>,
}

/// A decision with all that led to it.
#[derive(Clone, Debug)]
pub struct Explanation<'a> {
    /// What was decided.
    pub decision: Decision<'a>,
    /// Whether the caller may know of the server.
    pub is_visible: bool,
    /// What was considered, in order.
    pub considered: Vec<Step>,
}

/// Decides as for a call, and tells how.
#[must_use]
pub fn explain<'a>(
    rules: &'a Rules,
    principal: &Principal,
    server: &'a str,
    item: Item<'_>,
) -> Explanation<'a> {
    let mut considered = Vec::new();
    let view = View::found(rules, principal, server, &mut considered);
    let decision = view.decided(item, &mut considered);
    Explanation {
        decision,
        is_visible: view.is_any(),
        considered,
    }
}

/// What is considered for what a message needs, in order.
#[must_use]
pub fn steps(rules: &Rules, principal: &Principal, server: &str, need: &Need<'_>) -> Vec<Step> {
    let mut considered = Vec::new();
    let view = View::found(rules, principal, server, &mut considered);
    match need {
        Need::Item(named) => {
            view.decided(named.as_item(), &mut considered);
        }
        Need::Listen { uris, .. } => {
            for uri in uris {
                view.decided(Item::Resource(uri), &mut considered);
            }
        }
        // Decided by what the policy allows at all.
        Need::Server | Need::Task | Need::Everything(_) | Need::Unnamed(_) => {}
    }
    considered
}

impl Witness for Vec<Step> {
    fn policy(&mut self, index: usize, policy: &Policy, is_match: bool) {
        self.push(Step {
            index,
            policy: policy.name.to_string(),
            is_match,
            rules: Vec::new(),
        });
    }

    fn rule(&mut self, list: List, index: usize, rule: &Rule, server: &str, found: Option<&str>) {
        if let Some(step) = self.last_mut() {
            step.rules.push(Held {
                list,
                index,
                server: rule.server().to_owned(),
                is_server: rule.server.matches(server),
                pattern: found.map(str::to_owned),
            });
        }
    }
}
