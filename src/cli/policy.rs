//! `conduit policy test`: holds cases against the policies of a configuration.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::app::rulebook::Rulebook;
use crate::cli::check::lines;
use crate::cli::{Exit, File, answer, remark};
use crate::config;
use crate::config::source::Source;
use crate::policy::cases::{Cases, Held};

/// `conduit policy …`
#[derive(Debug, Clone, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, Subcommand)]
enum Command {
    /// Hold cases against the configuration; fail if one comes out otherwise than it says
    Test(Test),
}

/// `conduit policy test FILE [--config FILE]`
#[derive(Debug, Clone, Args)]
struct Test {
    /// The cases: YAML or JSON, see docs/POLICY.md
    file: PathBuf,
    #[command(flatten)]
    config: File,
}

/// Runs it.
#[must_use]
pub fn run(arguments: &Arguments) -> Exit {
    match &arguments.command {
        Command::Test(arguments) => test(arguments),
    }
}

fn test(arguments: &Test) -> Exit {
    let loaded =
        Source::read(arguments.config.config.as_deref()).and_then(|source| config::load(&source));
    let config = match loaded {
        Ok(loaded) => loaded.config,
        Err(problems) => {
            remark(lines(problems.iter()).trim_end());
            return Exit::BadConfig;
        }
    };
    let file = arguments.file.display();
    let cases = match read(&arguments.file) {
        Ok(cases) => cases,
        Err(error) => {
            remark(&format!("{file}: {error}"));
            return Exit::Usage;
        }
    };
    let rulebook = Rulebook::of(&config);
    let (mut text, mut n_surprises, mut n_unusable) = (String::new(), 0_usize, 0_usize);
    for (index, case) in cases.cases.iter().enumerate() {
        let place = format!("cases[{index}]");
        let name = case.name.as_deref().unwrap_or(&place);
        match case.hold(&rulebook.policies(), rulebook.has_auth) {
            Held::Met => text.push_str(&format!("ok        {name}\n")),
            Held::Surprise(what) => {
                n_surprises += 1;
                text.push_str(&format!("SURPRISE  {name}: {what}\n"));
            }
            Held::Unusable(what) => {
                n_unusable += 1;
                text.push_str(&format!("UNUSABLE  {name}: {what}\n"));
            }
        }
    }
    let n = cases.cases.len();
    text.push_str(&format!(
        "{n} {}, {n_surprises} {}\n",
        if n == 1 { "case" } else { "cases" },
        if n_surprises == 1 {
            "surprise"
        } else {
            "surprises"
        },
    ));
    match answer(&text) {
        Exit::Done if n_unusable > 0 => Exit::Usage,
        Exit::Done if n_surprises > 0 => Exit::Failed,
        written @ (Exit::Done | Exit::Failed | Exit::Usage | Exit::BadConfig) => written,
    }
}

fn read(file: &PathBuf) -> Result<Cases, String> {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    let cases: Cases = serde_yaml::from_str(&text).map_err(|error| error.to_string())?;
    if cases.cases.is_empty() {
        // It would pass for ever, and show nothing.
        return Err("has no cases".to_owned());
    }
    Ok(cases)
}
