//! `conduit run`: starts the gateway.

use clap::Args;

use crate::cli::{Exit, File, check, remark};
use crate::config;
use crate::config::Config;
use crate::config::inactive::inactive;
use crate::config::source::Source;

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
    for warning in &loaded.warnings {
        remark(&format!("warning: {warning}"));
    }
    for notice in inactive(&loaded.config) {
        remark(&format!("warning: {notice}"));
    }
    match serve(loaded.config) {
        Ok(()) => Exit::Done,
        Err(error) => {
            remark(&format!("error: {error:#}"));
            Exit::Failed
        }
    }
}

/// The founder's hook: `app::run(config)`.
fn serve(config: Config) -> anyhow::Result<()> {
    let n_servers = config.servers.len();
    anyhow::bail!("the gateway is wired by the founder at merge ({n_servers} servers configured)")
}
