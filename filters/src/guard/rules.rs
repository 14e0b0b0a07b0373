//! The compiled rules, and the decision on what clients and servers say.
//!
//! The order of tests is mcp-conduit's: clients, servers, `bypass`, tools, conditions. The first rule
//! that matches decides. A rule that is only rehearsed decides nothing: what it would have done is
//! told, and the next one is tried.
//!
//! **Invariant:** [`Rules::inspect`] and [`Rules::explain`] decide by the same code.
//! **Invariant:** where it is not known which tool something belongs to, a rule for some tools is a rule
//! for it, too, and one that lets through does not keep others from being tried.

use std::collections::HashMap;
use std::sync::Arc;

use crate::guard::condition::Condition;
use crate::guard::edit;
use crate::guard::edit::Change;
use crate::guard::scope::{Kind, Kinds, Names};
use crate::guard::spec::{self, Action, Fallback, Mode, Severity, Spec};
use crate::guard::verdict::{Cause, Considered, Decision, Outcome, Verdict};
use crate::guard::walk::{self, State};
use crate::problem::Problems;

/// Most rules of a configuration.
pub const RULES_MAX: usize = 1_000;
/// Most conditions, or changes, of a rule.
pub const PARTS_MAX: usize = 64;

/// Something that is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// What it is.
    pub kind: Kind,
    /// Whose call it is, or belongs to.
    pub client: &'a str,
    /// The server it goes to or comes from.
    pub server: &'a str,
    /// The tool, prompt or URI as the server spells it; nothing where that is not known.
    pub target: Option<&'a str>,
    /// The value itself, JSON text; nothing where there is none.
    pub value: Option<&'a str>,
}

/// A compiled rule.
#[derive(Debug)]
pub struct Rule {
    /// Its unique name.
    pub name: Arc<str>,
    /// What a match does.
    pub action: Action,
    /// How serious a match is.
    pub severity: Severity,
    /// A URL that is told.
    pub webhook: Option<String>,
    /// What the client is told.
    message: Option<String>,
    kinds: Kinds,
    clients: Names,
    servers: Names,
    tools: Names,
    is_bypass: bool,
    is_rehearsed: bool,
    conditions: Vec<Condition>,
    changes: Vec<Change>,
}

/// The compiled rules.
#[derive(Debug, Default)]
pub struct Rules {
    rules: Vec<Rule>,
    fallback: Fallback,
    mode: Mode,
    spec: Spec,
    /// What is looked at at all of each server that is known.
    reach: HashMap<String, Kinds>,
}

impl Rules {
    /// Compiles rules; what is wrong with them is told. A rule that is wrong is left out.
    #[must_use]
    pub fn compile(spec: &Spec, problems: &mut Problems) -> Self {
        if spec.rules.len() > RULES_MAX {
            problems.error("guardrails.rules", "has more than 1000 rules");
        }
        let rules = spec.rules.iter().take(RULES_MAX);
        Self {
            rules: rules
                .filter_map(|rule| Rule::compile(rule, problems))
                .collect(),
            fallback: spec.default_action,
            mode: spec.mode,
            spec: spec.clone(),
            reach: HashMap::new(),
        }
    }

    /// With the ids of all servers, for which is found out once what is looked at at all.
    #[must_use]
    pub fn of_servers<'s>(mut self, servers: impl IntoIterator<Item = &'s str>) -> Self {
        let reach = servers
            .into_iter()
            .map(|server| (server.to_owned(), self.reach_of(server)))
            .filter(|(_, kinds)| !kinds.is_empty());
        self.reach = reach.collect();
        self
    }

    fn reach_of(&self, server: &str) -> Kinds {
        let rules = self.rules.iter().filter(|rule| rule.servers.has(server));
        let mut reach: Kinds = Kind::ALL
            .into_iter()
            .filter(|kind| {
                rules
                    .clone()
                    .any(|rule| rule.kinds.has(*kind) && rule.acts())
            })
            .collect();
        if self.fallback == Fallback::Block {
            reach = reach.with(Kind::Calls);
        }
        reach
    }

    /// What is looked at at all of a server. Costs one lookup.
    #[must_use]
    pub fn reach(&self, server: &str) -> Kinds {
        self.reach.get(server).copied().unwrap_or_default()
    }

    /// Whether any rule, or the default, may have to do with something, whatever its value is.
    #[must_use]
    pub fn concern(&self, subject: &Subject<'_>) -> bool {
        self.reach(subject.server).has(subject.kind)
            && (self.is_blocking_by_default(subject.kind)
                || self.rules.iter().any(|rule| {
                    matches!(rule.scope(subject), None | Some(Outcome::Bypass)) && rule.acts()
                }))
    }

    fn is_blocking_by_default(&self, kind: Kind) -> bool {
        self.fallback == Fallback::Block && kind == Kind::Calls
    }

    /// The rules, in order.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// What they were compiled from.
    #[must_use]
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Decides.
    #[must_use]
    pub fn inspect<'r>(&'r self, subject: &Subject<'_>) -> Verdict<'r> {
        if !self.reach(subject.server).has(subject.kind) {
            return Verdict {
                decision: Decision::Pass,
                rehearsed: Vec::new(),
            };
        }
        self.decide(subject, &mut |_, _| {})
    }

    /// Decides, and tells what each rule had to do with it. Also of servers that are not known.
    #[must_use]
    pub fn explain<'r>(&'r self, subject: &Subject<'_>) -> (Verdict<'r>, Vec<Considered<'r>>) {
        let mut considered = Vec::with_capacity(self.rules.len());
        let verdict = self.decide(subject, &mut |rule, outcome| {
            considered.push(Considered { rule, outcome });
        });
        let rest = self.rules.get(considered.len()..).unwrap_or_default();
        considered.extend(rest.iter().map(|rule| Considered {
            rule,
            outcome: Outcome::NotReached,
        }));
        (verdict, considered)
    }

    fn decide<'r>(
        &'r self,
        subject: &Subject<'_>,
        tell: &mut dyn FnMut(&'r Rule, Outcome),
    ) -> Verdict<'r> {
        let mut verdict = Verdict {
            decision: Decision::Pass,
            rehearsed: Vec::new(),
        };
        let scopes = self.scopes(subject);
        let mut states = self.judge(&scopes, subject.value).into_iter();
        for (rule, scope) in self.rules.iter().zip(scopes) {
            let outcome = match scope {
                Some(outcome) => outcome,
                None => rule.matches(states.by_ref().take(rule.conditions.len())),
            };
            let Some(decision) = rule.decision(outcome, subject.value) else {
                tell(rule, outcome);
                continue;
            };
            if rule.is_rehearsed && self.mode == Mode::Enforce {
                tell(rule, Outcome::Rehearsed);
                verdict.rehearsed.push(decision);
                continue;
            }
            tell(rule, outcome);
            // It may be some other tool's.
            if subject.target.is_none() && matches!(decision, Decision::Alert(_)) {
                verdict.decision = decision;
                continue;
            }
            verdict.decision = decision;
            return self.rehearse(verdict);
        }
        if self.is_blocking_by_default(subject.kind) {
            verdict.decision = Decision::Block(Cause::Default);
        }
        self.rehearse(verdict)
    }

    /// Where nothing is enforced, what was decided is only told.
    fn rehearse<'r>(&self, mut verdict: Verdict<'r>) -> Verdict<'r> {
        let acts = !matches!(verdict.decision, Decision::Pass | Decision::Bypass(_));
        if self.mode == Mode::Shadow && acts {
            let decided = std::mem::replace(&mut verdict.decision, Decision::Pass);
            verdict.rehearsed.push(decided);
        }
        verdict
    }

    /// What each rule has to do with something, before its value is looked at, up to one that lets it
    /// through.
    fn scopes(&self, subject: &Subject<'_>) -> Vec<Option<Outcome>> {
        let mut scopes = Vec::with_capacity(self.rules.len());
        for rule in &self.rules {
            let scope = rule.scope(subject);
            scopes.push(scope);
            if scope == Some(Outcome::Bypass) && !rule.is_rehearsed {
                break;
            }
        }
        scopes
    }

    /// What is known of the conditions of all rules in scope, one after the other.
    fn judge(&self, scopes: &[Option<Outcome>], value: Option<&str>) -> Vec<State> {
        let rules = self.rules.iter().zip(scopes);
        let in_scope = rules.filter(|(_, scope)| scope.is_none());
        let conditions: Vec<&Condition> = in_scope.flat_map(|(rule, _)| &rule.conditions).collect();
        if conditions.is_empty() {
            return Vec::new();
        }
        walk::judge(&conditions, value)
    }
}

impl Rule {
    fn compile(spec: &spec::Rule, problems: &mut Problems) -> Option<Self> {
        let at = &spec.at;
        let n_before = count(problems);
        if spec.conditions.len() > PARTS_MAX {
            problems.error(format!("{at}.conditions"), "has more than 64 conditions");
        }
        if spec.changes.len() > PARTS_MAX {
            problems.error(format!("{at}.transform"), "has more than 64 changes");
        }
        let kinds = kinds(spec, problems);
        let conditions = spec.conditions.iter().take(PARTS_MAX).enumerate();
        let conditions = conditions.filter_map(|(index, condition)| {
            Condition::compile(condition, &format!("{at}.conditions[{index}]"), problems)
        });
        let conditions = conditions.collect();
        let changes = spec.changes.iter().take(PARTS_MAX).enumerate();
        let changes = changes.filter_map(|(index, change)| {
            Change::compile(change, &format!("{at}.transform[{index}]"), problems)
        });
        let changes: Vec<Change> = changes.collect();
        if spec.action == Action::Transform && !spec.bypass && spec.changes.is_empty() {
            let message = "is required for `action: transform`: say what is changed, for example \
                           `[{path: card, redact: true}]`";
            let path = format!("{at}.transform");
            problems
                .error(path, message)
                .because_of(format!("{at}.action"));
        }
        (count(problems) == n_before).then(|| Self {
            name: spec.name.as_str().into(),
            action: spec.action,
            severity: spec.severity,
            webhook: spec.webhook.clone(),
            message: spec.message.clone(),
            kinds,
            clients: Names::compile(spec.clients.as_deref()),
            servers: Names::compile(spec.servers.as_deref()),
            tools: Names::compile(spec.tools.as_deref()),
            is_bypass: spec.bypass,
            is_rehearsed: spec.mode == Some(Mode::Shadow),
            conditions,
            changes,
        })
    }

    /// Whether it looks for something, rather than being about all that is in its scope.
    #[must_use]
    pub fn is_conditional(&self) -> bool {
        !self.conditions.is_empty()
    }

    /// Whether a match does anything but let through.
    fn acts(&self) -> bool {
        !self.is_bypass
    }

    /// What it has to do with something, before its value is looked at; nothing where its conditions
    /// decide.
    fn scope(&self, subject: &Subject<'_>) -> Option<Outcome> {
        if !self.kinds.has(subject.kind) {
            return Some(Outcome::Kind);
        }
        if !self.clients.has(subject.client) {
            return Some(Outcome::Client);
        }
        if !self.servers.has(subject.server) {
            return Some(Outcome::Server);
        }
        if self.is_bypass {
            return Some(Outcome::Bypass);
        }
        let is_meant = subject.target.is_none_or(|target| self.tools.has(target));
        (!is_meant).then_some(Outcome::Target)
    }

    /// Whether all conditions hold.
    fn matches(&self, states: impl Iterator<Item = State>) -> Outcome {
        let mut outcome = Outcome::Match;
        for (index, state) in states.enumerate() {
            outcome = match (state, outcome) {
                (State::Unmet, Outcome::Condition(first)) => Outcome::Condition(first),
                (State::Unmet, _) => Outcome::Condition(index),
                (State::Opaque(opaque), Outcome::Match) => Outcome::Opaque(index, opaque),
                (State::Opaque(_) | State::Met, outcome) => outcome,
            };
        }
        outcome
    }

    /// What it decides; nothing where it does not match.
    fn decision(&self, outcome: Outcome, value: Option<&str>) -> Option<Decision<'_>> {
        match outcome {
            Outcome::Bypass => return Some(Decision::Bypass(self)),
            Outcome::Opaque(_, opaque) => {
                return Some(Decision::Block(Cause::Opaque(self, opaque)));
            }
            Outcome::Match | Outcome::Rehearsed => {}
            Outcome::Kind
            | Outcome::Client
            | Outcome::Server
            | Outcome::Target
            | Outcome::Condition(_)
            | Outcome::NotReached => return None,
        }
        Some(match self.action {
            Action::Block => Decision::Block(Cause::Rule(self)),
            Action::Alert => Decision::Alert(self),
            Action::RequireApproval => Decision::Hold(self),
            Action::Transform => {
                let value = value.unwrap_or("{}");
                match edit::apply(&self.changes, value) {
                    Ok(changed) => {
                        Decision::Rewrite(self, changed.unwrap_or_else(|| value.to_owned()))
                    }
                    Err(opaque) => Decision::Block(Cause::Opaque(self, opaque)),
                }
            }
        })
    }

    /// What the client is told.
    #[must_use]
    pub fn message(&self, target: &str) -> String {
        match &self.message {
            Some(message) => format!("{message} (guardrail \"{}\")", self.name),
            None => format!("guardrail \"{}\" applies to {target:?}", self.name),
        }
    }
}

fn count(problems: &Problems) -> usize {
    problems.iter().count() + problems.omitted()
}

/// What a rule looks at.
fn kinds(spec: &spec::Rule, problems: &mut Problems) -> Kinds {
    let kinds: Kinds = match (spec.on.as_slice(), spec.bypass) {
        ([], true) => Kind::ALL.into_iter().collect(),
        ([], false) => Kinds::default().with(Kind::Calls),
        (on, _) => on.iter().copied().collect(),
    };
    let is_held = spec.action == Action::RequireApproval && !spec.bypass;
    let never_held = [Kind::Sampling, Kind::Elicitation, Kind::Results];
    if is_held && never_held.into_iter().any(|kind| kinds.has(kind)) {
        let path = format!("{}.on", spec.at);
        let message = "must be calls, prompts or resources for `action: require_approval`: what a \
                       server has done already cannot be held";
        problems
            .error(path, message)
            .because_of(format!("{}.action", spec.at));
    }
    kinds
}

#[cfg(test)]
mod tests;
