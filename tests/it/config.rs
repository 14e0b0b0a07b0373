//! The configuration, from text to model.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail loudly"
)]

use std::collections::BTreeMap;

use conduit::config::source::Source;
use conduit::config::{Config, Loaded, load};
use filters::problem::{Problem, Severity};

mod aggregation;
mod cache;
mod check;
mod defaults;
mod dialect;
mod drift;
mod fuzz;
mod inactive;
mod interpolation;
mod overrides;
mod packs;
mod refused;

/// The model of a text that must be right, warnings or not.
fn model(text: &str) -> Config {
    loaded(text).config
}

/// A text that must be right, with its warnings.
fn loaded(text: &str) -> Loaded {
    match load(&Source::from_text(text)) {
        Ok(loaded) => loaded,
        Err(problems) => panic!("refused:\n{problems}"),
    }
}

/// Everything that is said about a text, one finding a line.
fn findings(text: &str) -> String {
    findings_of(&Source::from_text(text))
}

fn findings_of(source: &Source) -> String {
    let line = |problem: &Problem| match problem.severity {
        Severity::Error => format!("{problem}\n"),
        Severity::Warning => format!("warning: {problem}\n"),
    };
    match load(source) {
        Ok(loaded) => loaded.warnings.iter().map(line).collect(),
        Err(problems) => problems.iter().map(line).collect(),
    }
}

/// A source with a process environment.
fn source(text: &str, environment: &[(&str, &str)]) -> Source {
    let environment: BTreeMap<String, String> = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Source {
        environment,
        ..Source::from_text(text)
    }
}
