//! `conduit demo`: serves the built-in demonstration MCP server.

use clap::Args;
use tokio::runtime::Builder;

use crate::{
    cli::{Exit, remark},
    demo,
};

/// `conduit demo [--stdio | --port N]`
#[derive(Debug, Clone, Args)]
pub struct Arguments {
    /// Speak over standard input and output
    #[arg(long, conflicts_with = "port")]
    stdio: bool,
    /// Listen on this TCP port of 127.0.0.1; 0 chooses a free one
    #[arg(long, value_name = "PORT", default_value_t = 3001)]
    port: u16,
}

/// Serves until told to stop.
#[must_use]
pub fn run(arguments: &Arguments) -> Exit {
    let served = if arguments.stdio {
        serve(demo::stdio())
    } else {
        serve(demo::http(arguments.port))
    };
    match served {
        Ok(()) => Exit::Done,
        Err(error) => {
            remark(&format!("error: {error:#}"));
            Exit::Failed
        }
    }
}

fn serve(serving: impl Future<Output = Result<(), demo::Error>>) -> anyhow::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let served = runtime.block_on(serving);
    // A read of standard input may still be pending: do not wait for its next line.
    runtime.shutdown_background();
    Ok(served?)
}
