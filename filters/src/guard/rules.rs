//! The compiled rules, and the decision on what clients and servers say.
//!
//! The order of tests is mcp-conduit's: clients, servers, `bypass`, tools, conditions. The first rule
//! that matches decides. A rule that is only rehearsed decides nothing: what the first of them would
//! have done is told, and those that act are tried.
//!
//! **Invariant:** what is decided is what would be without the rules that are only rehearsed.
//! **Invariant:** [`Rules::inspect`] and [`Rules::explain`] decide by the same code.
//! **Invariant:** where it is not known which tool something belongs to, a rule for some tools is a rule
//! for it, too, and one that lets through does not keep others from being tried.

use foldhash::HashMap;

use crate::guard::condition::Condition;
use crate::guard::reading::{Extent, Found, Reading};
use crate::guard::rule::Rule;
use crate::guard::scope::{Kind, Kinds};
use crate::guard::spec::{Fallback, Mode, Spec};
use crate::guard::verdict::{Cause, Considered, Decision, Outcome, Verdict};
use crate::guard::walk::{Opaque, State};
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
    /// What it is about, as the server spells it; nothing where that is not known.
    pub target: Option<Target<'a>>,
    /// The value itself, JSON text; nothing where there is none.
    pub value: Option<&'a str>,
}

/// What something is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// A tool or prompt: a name is what it is.
    Name(&'a str),
    /// A resource: a URI may be read in more ways than one.
    Uri(&'a str),
}

/// Whether a rule that is only rehearsed may still have something to say.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rehearsal {
    Open,
    /// One would have decided.
    Over,
}

/// The compiled rules.
#[derive(Debug, Default)]
pub struct Rules {
    rules: Vec<Rule>,
    fallback: Fallback,
    /// What the default is under.
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
                .filter_map(|rule| Rule::compile(rule, spec.mode, problems))
                .collect(),
            fallback: spec.default_action,
            mode: spec.mode,
            spec: spec.clone(),
            reach: HashMap::default(),
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
        if !self.reach(subject.server).has(subject.kind) {
            return false;
        }
        let reading = Reading::of(subject);
        self.is_blocking_by_default(subject.kind)
            || self.rules.iter().any(|rule| {
                matches!(rule.scope(&reading), None | Some(Outcome::Bypass)) && rule.acts()
            })
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
            return Verdict::default();
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
        let mut verdict = Verdict::default();
        let mut rehearsal = Rehearsal::Open;
        let reading = Reading::of(subject);
        let scopes = self.scopes(&reading);
        let mut found = self.judge(&scopes, &reading).into_iter();
        for (rule, scope) in self.rules.iter().zip(scopes) {
            let mut extent = Extent::All;
            let outcome = match scope {
                Some(outcome) => outcome,
                None => {
                    let found = found.by_ref().take(rule.conditions.len());
                    let (outcome, all) = rule.matches(found, &reading);
                    extent = all;
                    outcome
                }
            };
            if rule.is_rehearsed && rehearsal == Rehearsal::Over {
                tell(rule, Outcome::NotReached);
                continue;
            }
            let Some(decision) = rule.decision(outcome, &reading) else {
                tell(rule, outcome);
                continue;
            };
            // It may be some other tool's, or another resource than the one that it is taken for.
            let is_open = match decision {
                Decision::Alert(_) => subject.target.is_none() || extent == Extent::Some,
                Decision::Rewrite(..) | Decision::Hold(_) => extent == Extent::Some,
                Decision::Pass | Decision::Bypass(_) | Decision::Block(_) => false,
            };
            if rule.is_rehearsed {
                tell(rule, Outcome::Rehearsed);
                verdict.rehearsed.push(decision);
                if !is_open {
                    rehearsal = Rehearsal::Over;
                }
                continue;
            }
            tell(rule, outcome);
            verdict.decision = verdict.decision.or_stricter(decision);
            if !is_open {
                return verdict;
            }
        }
        if self.is_blocking_by_default(subject.kind) {
            match (self.mode, rehearsal) {
                (Mode::Enforce, _) => verdict.decision = Decision::Block(Cause::Default),
                (Mode::Shadow, Rehearsal::Open) => {
                    verdict.rehearsed.push(Decision::Block(Cause::Default));
                }
                (Mode::Shadow, Rehearsal::Over) => {}
            }
        }
        verdict
    }

    /// What each rule has to do with something, before its value is looked at, up to one that lets it
    /// through.
    fn scopes(&self, reading: &Reading<'_>) -> Vec<Option<Outcome>> {
        let mut scopes = Vec::with_capacity(self.rules.len());
        for rule in &self.rules {
            let scope = rule.scope(reading);
            scopes.push(scope);
            if scope == Some(Outcome::Bypass) && !rule.is_rehearsed {
                break;
            }
        }
        scopes
    }

    /// What is known of the conditions of all rules in scope, one after the other.
    fn judge(&self, scopes: &[Option<Outcome>], reading: &Reading<'_>) -> Vec<Found> {
        let in_scope = self.rules.iter().zip(scopes);
        let in_scope = in_scope.filter(|(_, scope)| scope.is_none());
        let in_scope: Vec<&Rule> = in_scope.map(|(rule, _)| rule).collect();
        let conditions: Vec<&Condition> =
            in_scope.iter().flat_map(|rule| &rule.conditions).collect();
        if conditions.is_empty() {
            return Vec::new();
        }
        let mut found = reading.judge(&conditions);
        let is_opaque = |one: &Found| matches!(one.state, State::Opaque(_));
        let is_overworked = |one: &Found| one.state == State::Opaque(Opaque::Work);
        let is_unclear = found.iter().all(is_opaque) || found.iter().any(is_overworked);
        if is_unclear && in_scope.iter().any(|rule| rule.is_rehearsed) {
            // What is rehearsed may have looked further into it than what acts does, and cost more.
            let is_acting = |rule: &&&Rule| !rule.is_rehearsed;
            let acting = in_scope.iter().filter(is_acting);
            let acting: Vec<&Condition> = acting.flat_map(|rule| &rule.conditions).collect();
            let mut alone = reading.judge(&acting).into_iter();
            let rules = in_scope.iter();
            let rehearsed =
                rules.flat_map(|rule| rule.conditions.iter().map(|_| rule.is_rehearsed));
            for (one, is_rehearsed) in found.iter_mut().zip(rehearsed) {
                if !is_rehearsed && let Some(found) = alone.next() {
                    *one = found;
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests;
