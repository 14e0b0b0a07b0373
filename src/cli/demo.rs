//! `conduit demo`: serves the built-in demonstration MCP server.

use clap::Args;

use crate::cli::{Exit, remark};

/// `conduit demo [--stdio | --port N]`
#[derive(Debug, Clone, Args)]
pub struct Arguments {
    /// Speak over standard input and output
    #[arg(long, conflicts_with = "port")]
    stdio: bool,
    /// Listen on this TCP port of 127.0.0.1; 0 chooses a free one
    #[arg(long, value_name = "PORT", default_value_t = 3000)]
    port: u16,
}

/// Serves until told to stop.
#[must_use]
pub fn run(arguments: &Arguments) -> Exit {
    let served = if arguments.stdio {
        serve_stdio()
    } else {
        serve_http(arguments.port)
    };
    match served {
        Ok(()) => Exit::Done,
        Err(error) => {
            remark(&format!("error: {error:#}"));
            Exit::Failed
        }
    }
}

/// The founder's hook.
fn serve_stdio() -> anyhow::Result<()> {
    anyhow::bail!("the demo server is wired by the founder at merge")
}

/// The founder's hook.
fn serve_http(port: u16) -> anyhow::Result<()> {
    anyhow::bail!("the demo server is wired by the founder at merge (port {port})")
}
