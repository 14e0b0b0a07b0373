//! The log for operators: standard error, one line an event.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// What is logged when `RUST_LOG` says nothing: libraries only where something is wrong.
const DEFAULT_FILTER: &str = "info,pingora_core=warn,pingora_proxy=warn,rmcp=warn";

/// Starts logging. A second call changes nothing.
pub fn start() {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .try_init();
    if started.is_err() {
        tracing::debug!("Logging was started already");
    }
}
