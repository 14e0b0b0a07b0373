//! What is looked at of something that is named by a URI: everything a server may take it for.
//!
//! A URI has more spellings than one ([`crate::uri`]), and a rule is written with one of them in mind.
//! So a rule is about a URI if it is about any reading of it, and its conditions on `uri` hold if they
//! hold for any. One that is not about all of them ends nothing unless it refuses: another rule may be
//! about what the server really opens.

use std::borrow::Cow;

use crate::guard::condition::Condition;
use crate::guard::pattern::Meter;
use crate::guard::rules::{Subject, Target};
use crate::guard::scope::{Kind, Names};
use crate::guard::walk::{self, State};
use crate::json::object::Object;
use crate::uri::{self, Readings};

/// The member of the params that names a resource.
const URI: &str = "uri";

/// Something that is looked at, with what else it may be taken for.
pub(super) struct Reading<'s> {
    pub(super) subject: &'s Subject<'s>,
    /// What else its URI may be taken for.
    others: Vec<String>,
    /// Its value with each of them, as far as the value has the URI.
    values: Vec<String>,
    /// Whether the value as it is has the URI as the server does.
    is_own: bool,
}

/// How much of a thing's readings something is true of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    All,
    Some,
    None,
}

/// What is known of a condition, over all readings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) state: State,
    /// Whether it holds for all of them.
    pub(super) is_everywhere: bool,
}

/// Tools, prompts or URIs that are meant; nothing written means all.
#[derive(Clone, Debug)]
pub(super) struct Targets {
    written: Names,
    /// As [`Readings`] spell them.
    canonical: Names,
}

impl Targets {
    pub(super) fn compile(patterns: Option<&[String]>) -> Self {
        let canonical = patterns.map(|patterns| {
            let patterns = patterns.iter();
            let canonical = patterns.map(|pattern| uri::canonical_pattern(pattern));
            canonical.collect::<Vec<_>>()
        });
        Self {
            written: Names::compile(patterns),
            canonical: Names::compile(canonical.as_deref()),
        }
    }

    /// How much of something they mean. What is not known may be any of them.
    pub(super) fn extent(&self, reading: &Reading<'_>) -> Extent {
        let is_meant = match reading.subject.target {
            None => return Extent::All,
            Some(Target::Name(name)) => self.written.has(name),
            Some(Target::Uri(uri)) => self.written.has(uri) || self.canonical.has(uri),
        };
        let others = reading.others.iter();
        Extent::of(is_meant, others.map(|other| self.canonical.has(other)))
    }
}

impl Extent {
    fn of(first: bool, others: impl Iterator<Item = bool>) -> Self {
        let (mut any, mut all) = (first, first);
        for other in others {
            any |= other;
            all &= other;
        }
        match (any, all) {
            (_, true) => Self::All,
            (true, false) => Self::Some,
            (false, false) => Self::None,
        }
    }
}

impl<'s> Reading<'s> {
    /// Most things have one reading, and cost nothing.
    pub(super) fn of(subject: &'s Subject<'s>) -> Self {
        let Some(Target::Uri(uri)) = subject.target else {
            return Self {
                subject,
                others: Vec::new(),
                values: Vec::new(),
                is_own: true,
            };
        };
        let Readings { whole, place } = Readings::of(uri);
        let others: Vec<String> = whole.into_iter().chain(place).collect();
        let params = subject.value.filter(|_| subject.kind == Kind::Resources);
        let params = params.and_then(Object::read);
        let own = params.as_ref().and_then(|params| params.text(URI));
        let is_own = own.as_deref().is_none_or(|own| own == uri);
        let inner = (!is_own).then_some(uri);
        let spelled = inner.into_iter().chain(others.iter().map(String::as_str));
        let values = match &params {
            Some(params) if own.is_some() => spelled.map(|one| with_uri(params, one)).collect(),
            Some(_) | None => Vec::new(),
        };
        Self {
            subject,
            others,
            values,
            is_own,
        }
    }

    /// What is known of conditions, whose searches all draw on one meter.
    pub(super) fn judge(&self, conditions: &[&Condition]) -> Vec<Found> {
        let meter = &mut Meter::default();
        let mut found: Vec<Found> = walk::judge(conditions, self.subject.value, meter)
            .into_iter()
            .map(|state| Found {
                state,
                is_everywhere: !self.is_own || state == State::Met,
            })
            .collect();
        for value in &self.values {
            let states = walk::judge(conditions, Some(value), meter);
            for (found, state) in found.iter_mut().zip(states) {
                found.is_everywhere &= state == State::Met;
                found.state = found.state.or(state);
            }
        }
        found
    }

    /// Whether a change of the value leaves a reading of its URI that is still to be changed.
    /// `change` is what becomes of a value, where anything does.
    pub(super) fn is_left<E>(
        &self,
        changed: &str,
        change: impl Fn(&str) -> Result<Option<String>, E>,
    ) -> Result<bool, E> {
        if self.values.is_empty() {
            return Ok(false);
        }
        let params = Object::read(changed).unwrap_or_default();
        let mut uris: Vec<String> = Vec::new();
        if let Some(uri) = params.text(URI) {
            let Readings { whole, place } = Readings::of(&uri);
            uris.extend(whole.into_iter().chain(place));
        }
        // A URI that names its server, too, goes to it without, whatever stands here then.
        if let Some(Target::Uri(uri)) = self.subject.target
            && !self.is_own
        {
            uris.push(uri.to_owned());
            uris.extend(self.others.iter().cloned());
        }
        for uri in uris {
            if change(&with_uri(&params, &uri))?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn with_uri<'p>(params: &Object<'p>, uri: &str) -> String {
    let mut params: Object<'p> = params.clone();
    params.set_text(Cow::Borrowed(URI), uri);
    params.write()
}

#[cfg(test)]
mod tests;
