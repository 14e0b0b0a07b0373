//! One compiled rule: what it is about, and what it says to what it is about.

use std::cell::RefCell;
use std::sync::Arc;

use crate::guard::condition::Condition;
use crate::guard::edit;
use crate::guard::edit::Change;
use crate::guard::pattern::Meter;
use crate::guard::reading::{Extent, Found, Reading, Targets};
use crate::guard::rules::PARTS_MAX;
use crate::guard::scope::{Kind, Kinds, Names};
use crate::guard::spec::{self, Action, Mode, Severity};
use crate::guard::verdict::{Cause, Decision, Outcome};
use crate::guard::walk::{Opaque, State};
use crate::problem::Problems;

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
    pub(super) kinds: Kinds,
    pub(super) clients: Names,
    pub(super) servers: Names,
    pub(super) tools: Targets,
    pub(super) is_bypass: bool,
    /// Its own mode's, or that of all.
    pub(super) is_rehearsed: bool,
    pub(super) conditions: Vec<Condition>,
    pub(super) changes: Vec<Change>,
}

impl Rule {
    /// Compiles a rule; `mode` is that of all rules.
    pub(super) fn compile(spec: &spec::Rule, mode: Mode, problems: &mut Problems) -> Option<Self> {
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
            tools: Targets::compile(spec.tools.as_deref()),
            is_bypass: spec.bypass,
            is_rehearsed: spec.mode.unwrap_or(mode) == Mode::Shadow,
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
    pub(super) fn acts(&self) -> bool {
        !self.is_bypass
    }

    /// What it has to do with something, before its value is looked at; nothing where its conditions
    /// decide.
    pub(super) fn scope(&self, reading: &Reading<'_>) -> Option<Outcome> {
        let subject = reading.subject;
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
        (self.tools.extent(reading) == Extent::None).then_some(Outcome::Target)
    }

    /// Whether all conditions hold, and, where they do, for how many of its readings.
    pub(super) fn matches(
        &self,
        found: impl Iterator<Item = Found>,
        reading: &Reading<'_>,
    ) -> (Outcome, Extent) {
        let mut outcome = Outcome::Match;
        let mut is_everywhere = true;
        for (index, found) in found.enumerate() {
            is_everywhere &= found.is_everywhere;
            outcome = match (found.state, outcome) {
                (State::Unmet, Outcome::Condition(first)) => Outcome::Condition(first),
                (State::Unmet, _) => Outcome::Condition(index),
                (State::Opaque(opaque), Outcome::Match) => Outcome::Opaque(index, opaque),
                (State::Opaque(_) | State::Met, outcome) => outcome,
            };
        }
        let extent = match (outcome, is_everywhere) {
            // It decides nothing.
            (Outcome::Condition(_), _) => Extent::None,
            (_, false) => Extent::Some,
            (_, true) => self.tools.extent(reading),
        };
        (outcome, extent)
    }

    /// What it decides; nothing where it does not match.
    pub(super) fn decision(&self, outcome: Outcome, reading: &Reading<'_>) -> Option<Decision<'_>> {
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
            Action::Transform => match self.changed(reading) {
                Ok(changed) => Decision::Rewrite(self, changed),
                Err(opaque) => Decision::Block(Cause::Opaque(self, opaque)),
            },
        })
    }

    /// The value after its changes, which leave nothing that a reading still shows.
    fn changed(&self, reading: &Reading<'_>) -> Result<String, Opaque> {
        let value = reading.subject.value.unwrap_or("{}");
        let meter = RefCell::new(Meter::default());
        let change = |value: &str| edit::apply(&self.changes, value, &mut meter.borrow_mut());
        let changed = change(value)?.unwrap_or_else(|| value.to_owned());
        match reading.is_left(&changed, change)? {
            true => Err(Opaque::Spelling),
            false => Ok(changed),
        }
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
