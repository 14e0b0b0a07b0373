//! `conduit run`: starts the gateway.

use clap::Args;

use crate::app;
use crate::cli::{Exit, File, check, remark};
use crate::config;
use crate::config::inactive::inactive;
use crate::config::source::Source;
use crate::telemetry::logging;

/// `conduit run [--config FILE]`
#[derive(Debug, Clone, Args)]
pub struct Arguments {
    #[command(flatten)]
    file: File,
}

/// Loads the configuration and serves until told to stop.
#[must_use]
pub fn run(arguments: &Arguments) -> Exit {
    let loaded =
        Source::read(arguments.file.config.as_deref()).and_then(|source| config::load(&source));
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(problems) => {
            remark(check::lines(problems.iter()).trim_end());
            return Exit::BadConfig;
        }
    };
    logging::start();
    for warning in &loaded.warnings {
        remark(&format!("warning: {warning}"));
    }
    for notice in inactive(&loaded.config) {
        remark(&format!("warning: {notice}"));
    }
    match app::run(&loaded.config, arguments.file.config.as_deref()) {
        Ok(()) => Exit::Done,
        Err(error) => {
            remark(&format!("error: {error:#}"));
            Exit::Failed
        }
    }
}
