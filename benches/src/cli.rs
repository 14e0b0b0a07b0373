//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::instructions::Work;
use crate::load::CONNECTIONS_MAX;
use crate::workload::Era;

/// Measures Conduit against bare Pingora, nginx and no proxy at all.
#[derive(Debug, Parser)]
#[command(name = "conduit-bench", args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) calls: CallOptions,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Opens many idle event streams and reports the memory of each
    Idle(IdleOptions),
    /// Sends waves of identical calls to a slow tool and reports how many reach it
    Collapse(CollapseOptions),
    /// Fills the gateway's memory and reports what each result takes, and the latency of hits meanwhile
    Resident(ResidentOptions),
    /// Has Redis fail in every way while the gateway is asked, and reports what its clients see of it
    RedisFaults(FaultOptions),
    /// Counts the instructions of a hit, of each check and of what both run, with valgrind
    Instructions(InstructionsOptions),
    /// (internal) Runs one of the functions that `instructions` counts
    #[command(hide = true)]
    Repeat {
        #[arg(long, value_enum)]
        work: Work,
        #[arg(long)]
        times: u32,
    },
    /// (internal) The upstream MCP server over HTTP
    #[command(hide = true)]
    Stub {
        #[arg(long)]
        port: u16,
    },
    /// (internal) The upstream MCP server over stdio
    #[command(hide = true)]
    StubStdio,
    /// (internal) The bare Pingora pass-through
    #[command(hide = true)]
    Bare {
        #[arg(long)]
        port: u16,
        #[arg(long)]
        upstream: u16,
        #[arg(long)]
        threads: usize,
    },
    /// (internal) A Pingora service that always says the same
    #[command(hide = true)]
    Constant {
        #[arg(long)]
        port: u16,
        #[arg(long)]
        threads: usize,
        #[arg(long, value_enum)]
        kind: ConstantKind,
    },
    /// (internal) Runs a program that dies with its parent
    #[command(hide = true)]
    Tether(TetherOptions),
}

/// What is run beside what.
#[derive(Clone, Debug, Args)]
pub(crate) struct BedOptions {
    /// The gateway's binary [default: `conduit` beside this one]
    #[arg(long, value_name = "PATH")]
    pub(crate) gateway: Option<PathBuf>,
    /// Another build of conduit-bench for the bare pass-through, e.g. with the system's allocator
    #[arg(long, value_name = "PATH")]
    pub(crate) bare: Option<PathBuf>,
    /// The nginx binary [default: the one on the PATH, if there is one]
    #[arg(long, value_name = "PATH")]
    pub(crate) nginx: Option<PathBuf>,
    /// Worker threads of each proxy
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = parse_threads)]
    pub(crate) threads: usize,
    /// Whether the proxies have processors of their own, apart from the load and the stub
    #[arg(long, value_enum, default_value_t = Pin::Auto)]
    pub(crate) pin: Pin,
    /// Also writes the figures to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

/// How a constant is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ConstantKind {
    /// From `request_filter` of a proxy.
    Proxy,
    /// By a `ServeHttp`, without a proxy.
    Plain,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Pin {
    /// When there are more processors than worker threads
    Auto,
    Off,
}

/// The default command: calls per second, latency, CPU per call.
#[derive(Clone, Debug, Args)]
pub(crate) struct CallOptions {
    #[command(flatten)]
    pub(crate) bed: BedOptions,
    /// Seconds of each row in each round
    #[arg(long, default_value_t = 2.0, value_name = "N", value_parser = parse_seconds)]
    pub(crate) seconds: f64,
    /// Rounds; the figures are medians over them
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) rounds: u16,
    /// Connections; give several with commas
    #[arg(long, value_delimiter = ',', default_values_t = [1, 32], value_name = "N",
          value_parser = clap::value_parser!(u16).range(1..=i64::from(CONNECTIONS_MAX)))]
    pub(crate) connections: Vec<u16>,
    /// Only rows whose name, as in `conduit/json-200`, contains one of these (nginx has more rows then)
    #[arg(long, value_delimiter = ',', value_name = "TEXT")]
    pub(crate) only: Vec<String>,
    /// The protocol era of the calls
    #[arg(long, value_enum, default_value_t = Era::Modern)]
    pub(crate) era: Era,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct IdleOptions {
    #[command(flatten)]
    pub(crate) bed: BedOptions,
    /// Event streams to open
    #[arg(long, default_value_t = 1_000, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) streams: u16,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct CollapseOptions {
    #[command(flatten)]
    pub(crate) bed: BedOptions,
    /// Callers of each wave
    #[arg(long, default_value_t = 1_000, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) callers: u16,
    /// Waves
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) waves: u16,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ResidentOptions {
    #[command(flatten)]
    pub(crate) bed: BedOptions,
    /// Results that the gateway may hold; a tenth more are asked for
    #[arg(long, default_value_t = 1_000_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1_000..=100_000_000))]
    pub(crate) entries: u32,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct FaultOptions {
    #[command(flatten)]
    pub(crate) bed: BedOptions,
    /// Seconds of each state of Redis
    #[arg(long, default_value_t = 5.0, value_name = "N", value_parser = parse_seconds)]
    pub(crate) seconds: f64,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct InstructionsOptions {
    /// The gateway's binary [default: `conduit` beside this one]
    #[arg(long, value_name = "PATH")]
    pub(crate) gateway: Option<PathBuf>,
    /// Also writes the figures to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct TetherOptions {
    /// The process whose death is this one's
    #[arg(long)]
    pub(crate) parent: i32,
    /// A processor to stay on; may be given several times
    #[arg(long = "cpu")]
    pub(crate) cpus: Vec<usize>,
    /// The program and its arguments
    #[arg(last = true, required = true)]
    pub(crate) command: Vec<OsString>,
}

fn parse_threads(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(threads @ 1..=256) => Ok(threads),
        Ok(_) | Err(_) => Err("must be a number from 1 to 256".to_owned()),
    }
}

fn parse_seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.1..=3600.0).contains(&seconds) => Ok(seconds),
        Ok(_) | Err(_) => Err("must be a number from 0.1 to 3600".to_owned()),
    }
}
