//! `conduit demo`: serves the built-in demonstration MCP server.

use clap::Args;

use crate::cli::{Exit, remark};
use crate::demo;

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

/// Drives a demo server on a runtime of its own.
fn serve(server: impl Future<Output = Result<(), demo::Error>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let served = runtime.block_on(server);
    // A read of standard input may be pending for ever; nothing else is left to wait for.
    runtime.shutdown_background();
    served.map_err(anyhow::Error::from)
}
