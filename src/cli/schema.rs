//! `conduit schema`: prints the JSON Schema of the configuration file, or the reference made of it.

use clap::Args;

use crate::cli::{Exit, answer};
use crate::config::{docs, schema};

/// `conduit schema [--markdown]`
#[derive(Debug, Clone, Args)]
pub struct Arguments {
    /// Print docs/CONFIGURATION.md instead
    #[arg(long)]
    markdown: bool,
}

/// Prints it.
#[must_use]
pub fn run(arguments: &Arguments) -> Exit {
    answer(&if arguments.markdown {
        docs::to_markdown()
    } else {
        schema::to_text()
    })
}
