//! `conduit check`: reports everything that is wrong with a configuration.
//!
//! Where names are not prefixed (`router.namespace_strategy: none`) only the servers know whether they
//! are unambiguous: they are asked.

use clap::Args;
use filters::problem::{Problem, Problems, Severity};

use crate::app::rehearse;
use crate::app::tls;
use crate::cli::{Exit, File, answer};
use crate::config;
use crate::config::Config;
use crate::config::Loaded;
use crate::config::choice::NamespaceStrategy;
use crate::config::inactive::inactive;
use crate::config::source::Source;

/// `conduit check [--config FILE] [--strict]`
#[derive(Debug, Clone, Args)]
pub struct Arguments {
    #[command(flatten)]
    file: File,
    /// Fail on warnings, such as unknown keys, too
    #[arg(long)]
    strict: bool,
}

/// Checks the configuration. Servers are asked only where their names must be unambiguous.
#[must_use]
pub fn run(arguments: &Arguments) -> Exit {
    let report = match Source::read(arguments.file.config.as_deref()) {
        Ok(source) => match config::load(&source) {
            Ok(loaded) => usable(&source, &loaded, arguments.strict),
            Err(problems) => unusable(&problems),
        },
        Err(problems) => unusable(&problems),
    };
    match answer(&report.text) {
        Exit::Done => report.exit,
        failed @ (Exit::Failed | Exit::Usage | Exit::BadConfig) => failed,
    }
}

struct Report {
    text: String,
    exit: Exit,
}

fn usable(source: &Source, loaded: &Loaded, strict: bool) -> Report {
    let mut text = lines(loaded.warnings.iter());
    for notice in inactive(&loaded.config) {
        text.push_str(&format!("notice: {notice}\n"));
    }
    let path = match source.text {
        Some(_) => source.path.display().to_string(),
        None => "a configuration without a file".to_owned(),
    };
    if strict && !loaded.warnings.is_empty() {
        let n = loaded.warnings.len();
        let plural = if n == 1 { "warning" } else { "warnings" };
        text.push_str(&format!(
            "{path} has {n} {plural}, which --strict does not accept\n"
        ));
        return Report {
            text,
            exit: Exit::BadConfig,
        };
    }
    if let Err(errors) = tls::check(&loaded.config) {
        for error in &errors {
            text.push_str(&format!("error: {error}\n"));
        }
        let plural = if errors.len() == 1 { "error" } else { "errors" };
        let n = errors.len();
        text.push_str(&format!("the configuration cannot be used: {n} {plural}\n"));
        return Report {
            text,
            exit: Exit::BadConfig,
        };
    }
    if let Some(report) = ambiguous(&loaded.config, &mut text) {
        return report;
    }
    let n_servers = loaded.config.servers.len();
    let plural = if n_servers == 1 { "server" } else { "servers" };
    text.push_str(&format!("{path} is OK: {n_servers} {plural}\n"));
    Report {
        text,
        exit: Exit::Done,
    }
}

/// Asks the servers whether their names are unambiguous, where they have to be.
fn ambiguous(config: &Config, text: &mut String) -> Option<Report> {
    if config.router.namespace_strategy != NamespaceStrategy::None || config.servers.len() < 2 {
        return None;
    }
    let names = match rehearse::names(config) {
        Ok(names) => names,
        Err(error) => {
            text.push_str(&format!("warning: servers cannot be asked: {error:#}\n"));
            return None;
        }
    };
    for warning in names.warnings() {
        text.push_str(&format!("warning: {warning}\n"));
    }
    for error in names.errors() {
        text.push_str(&format!("error: {error}\n"));
    }
    let n = names.conflicts.len();
    if n == 0 {
        return None;
    }
    let plural = if n == 1 { "error" } else { "errors" };
    text.push_str(&format!("the configuration cannot be used: {n} {plural}\n"));
    Some(Report {
        text: std::mem::take(text),
        exit: Exit::BadConfig,
    })
}

/// All findings of a configuration that cannot be used, errors first told by their number.
fn unusable(problems: &Problems) -> Report {
    let mut text = lines(problems.iter());
    if problems.omitted() > 0 {
        text.push_str(&format!("and {} more\n", problems.omitted()));
    }
    let n = problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error)
        .count();
    let plural = if n == 1 { "error" } else { "errors" };
    text.push_str(&format!("the configuration cannot be used: {n} {plural}\n"));
    Report {
        text,
        exit: Exit::BadConfig,
    }
}

/// One line for each finding.
pub fn lines<'a>(problems: impl Iterator<Item = &'a Problem>) -> String {
    let line = |problem: &Problem| match problem.severity {
        Severity::Error => format!("error: {problem}\n"),
        Severity::Warning => format!("warning: {problem}\n"),
    };
    problems.map(line).collect()
}
