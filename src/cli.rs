//! The command line.
//!
//! **Invariant:** exit codes are those of [`Exit`] and no others; a command prints its result on
//! standard output and everything else on standard error.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

pub mod check;
pub mod demo;
pub mod lock;
pub mod policy;
pub mod run;
pub mod schema;

/// How a command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It did what was asked.
    Done = 0,
    /// It could not.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The configuration is wrong; `EX_CONFIG` of sysexits.
    BadConfig = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A high-performance gateway for the Model Context Protocol.
#[derive(Debug, Parser)]
#[command(
    name = "conduit",
    version,
    about,
    args_conflicts_with_subcommands = true
)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: run::Arguments,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the gateway (also without any command)
    Run(run::Arguments),
    /// Check a configuration file and report everything that is wrong with it
    Check(check::Arguments),
    /// Serve the built-in demonstration MCP server
    Demo(demo::Arguments),
    /// Ask the policies of a configuration file beforehand
    Policy(policy::Arguments),
    /// Look at what servers define as tools, and approve it
    Lock(lock::Arguments),
    /// Print the JSON Schema of the configuration file
    Schema(schema::Arguments),
}

/// Which configuration file is meant.
#[derive(Debug, Clone, Args)]
pub struct File {
    #[arg(
        short,
        long,
        value_name = "FILE",
        help = "The configuration file [default: $CONDUIT_CONFIG, else ./conduit.config.yml]"
    )]
    pub config: Option<PathBuf>,
}

/// Runs the command that the arguments name, the program's name being the first of them.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let exit = match Cli::try_parse_from(arguments) {
        Ok(cli) => dispatch(cli),
        Err(error) => explain(&error),
    };
    exit.into()
}

fn dispatch(cli: Cli) -> Exit {
    match cli.command {
        None => run::run(&cli.run),
        Some(Command::Run(arguments)) => run::run(&arguments),
        Some(Command::Check(arguments)) => check::run(&arguments),
        Some(Command::Demo(arguments)) => demo::run(&arguments),
        Some(Command::Policy(arguments)) => policy::run(&arguments),
        Some(Command::Lock(arguments)) => lock::run(&arguments),
        Some(Command::Schema(arguments)) => schema::run(&arguments),
    }
}

/// Help and version are answers; everything else clap refuses is a wrong command line.
fn explain(error: &clap::Error) -> Exit {
    let exit = if error.use_stderr() {
        Exit::Usage
    } else {
        Exit::Done
    };
    match error.print() {
        Ok(()) => exit,
        Err(_) => Exit::Failed,
    }
}

/// Prints a command's result.
fn answer(text: &str) -> Exit {
    written(std::io::stdout().lock().write_all(text.as_bytes()))
}

/// Prints a remark on standard error. If even that is closed there is nobody to tell.
fn remark(text: &str) {
    if writeln!(std::io::stderr().lock(), "{text}").is_err() {
        tracing::debug!("Standard error is closed");
    }
}

fn written(result: std::io::Result<()>) -> Exit {
    match result {
        Ok(()) => Exit::Done,
        // `conduit schema | head` is a success.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Exit::Done,
        Err(_) => Exit::Failed,
    }
}
