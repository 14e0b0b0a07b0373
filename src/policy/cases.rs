//! Cases that a configuration's policies are held against: what is asked, and what is expected.

use filters::policy::{Explanation, Outcome, Policies, explain};
use serde::Deserialize;
use serde_json::Value;

use crate::policy::asked::Asked;
use crate::policy::told;

/// A file of cases, YAML or JSON.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cases {
    /// The cases, in order.
    pub cases: Vec<Case>,
}

/// One case.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What it shows.
    #[serde(default)]
    pub name: Option<String>,
    /// What is asked, as `POST /conduit/policy/explain` takes it.
    pub ask: Asked,
    /// What is to come of it.
    pub expect: Expected,
}

/// What is expected: a decision, or more than that.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Expected {
    /// The decision.
    Word(String),
    /// The decision, and how it comes about.
    Whole(Whole),
}

/// A decision, and how it is to come about.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Whole {
    decision: String,
    rule: Option<String>,
    becomes: Option<Value>,
}

/// What became of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// What was expected.
    Met,
    /// Something else: what was expected, and what came.
    Surprise(String),
    /// It cannot be held against anything: what is wrong with it.
    Unusable(String),
}

impl Case {
    /// Holds it against policies.
    #[must_use]
    pub fn hold(&self, policies: &Policies<'_>, has_auth: bool) -> Held {
        let expected = match self.expect.read() {
            Ok(expected) => expected,
            Err(error) => return Held::Unusable(error),
        };
        let asked = match self.ask.understand(has_auth) {
            Ok(asked) => asked,
            Err(error) => return Held::Unusable(format!("ask: {error}")),
        };
        let told = explain(policies, &asked.question());
        match expected.differs(&told) {
            None => Held::Met,
            Some(surprise) => Held::Surprise(surprise),
        }
    }
}

/// What is expected, read.
struct Wanted<'e> {
    outcome: Outcome,
    rule: Option<&'e str>,
    becomes: Option<&'e Value>,
}

impl Expected {
    fn read(&self) -> Result<Wanted<'_>, String> {
        let (word, whole) = match self {
            Self::Word(word) => (word, None),
            Self::Whole(whole) => (&whole.decision, Some(whole)),
        };
        let outcome = Outcome::parse(word).ok_or_else(|| {
            let known = Outcome::ALL.map(Outcome::label).join(", ");
            format!("expect: {word:?} is no decision; write one of {known}")
        })?;
        Ok(Wanted {
            outcome,
            rule: whole.and_then(|whole| whole.rule.as_deref()),
            becomes: whole.and_then(|whole| whole.becomes.as_ref()),
        })
    }
}

impl Wanted<'_> {
    /// How what came differs; nothing where it does not.
    fn differs(&self, told: &Explanation<'_>) -> Option<String> {
        let came = told.outcome.label();
        if self.outcome != told.outcome {
            let (wanted, reason) = (self.outcome.label(), told::reason(told));
            return Some(format!("expected {wanted}, got {came}: {reason}"));
        }
        let rule = told::rule(told);
        if let Some(wanted) = self.rule.filter(|wanted| rule.as_deref() != Some(wanted)) {
            let rule = rule.as_deref().unwrap_or("no rule");
            return Some(format!("expected {came} by {wanted}, got it by {rule}"));
        }
        let becomes = told::becomes(told);
        if let Some(wanted) = self
            .becomes
            .filter(|wanted| becomes.as_ref() != Some(wanted))
        {
            let becomes = becomes.unwrap_or(Value::Null);
            return Some(format!("expected that it becomes {wanted}, got {becomes}"));
        }
        None
    }
}
