//! `conduit lock`: what of servers' tools is approved, what is not, and its approval.
//!
//! **Invariant:** what a server wrote is shown with everything in it visible: it comes from whom the lock
//! is against.

mod client;
mod show;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::cli::check;
use crate::cli::lock::client::Client;
use crate::cli::{Exit, File, answer, remark};
use crate::config;
use crate::config::Config;
use crate::config::source::Source;
use crate::lock;

/// `conduit lock status|diff|approve`
#[derive(Debug, Clone, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, Subcommand)]
enum Command {
    /// Show how each tool stands
    Status {
        #[command(flatten)]
        gateway: Gateway,
        /// Only this server
        #[arg(long, value_name = "ID")]
        server: Option<String>,
        /// Show only what the file says, without asking a gateway
        #[arg(long)]
        offline: bool,
    },
    /// Show what differs from what was approved
    Diff {
        #[command(flatten)]
        gateway: Gateway,
        /// Only this server
        #[arg(long, value_name = "ID")]
        server: Option<String>,
        /// Only this tool
        #[arg(long, value_name = "NAME")]
        tool: Option<String>,
    },
    /// Approve what differs
    Approve(Approve),
}

#[derive(Debug, Clone, Args)]
struct Approve {
    #[command(flatten)]
    gateway: Gateway,
    /// Approve tools of this server
    #[arg(long, value_name = "ID", required_unless_present = "all")]
    server: Option<String>,
    /// Approve only this tool
    #[arg(long, value_name = "NAME", requires = "server")]
    tool: Option<String>,
    /// Approve the tools of all servers
    #[arg(long, conflicts_with = "server")]
    all: bool,
    /// Approve only what has this digest, as `diff` showed it
    #[arg(long, value_name = "DIGEST", conflicts_with = "all")]
    digest: Option<String>,
    /// Keep what was approved before: the server defines its tools differently for different callers
    #[arg(long)]
    also: bool,
}

/// Which running gateway is asked.
#[derive(Debug, Clone, Args)]
struct Gateway {
    #[command(flatten)]
    file: File,
    /// Where the gateway is [default: where the configuration says]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

/// Why a command ends.
enum Stop {
    /// The configuration is wrong; that was told.
    Config,
    /// This went wrong.
    Failed(String),
}

/// Does what the arguments say.
#[must_use]
pub fn run(arguments: &Arguments) -> Exit {
    let done = match &arguments.command {
        Command::Status {
            gateway,
            server,
            offline: true,
        } => offline(gateway, server.as_deref()),
        Command::Status {
            gateway, server, ..
        } => look(gateway).map(|state| show::status(&state, server.as_deref())),
        Command::Diff {
            gateway,
            server,
            tool,
        } => look(gateway).map(|state| show::diff(&state, server.as_deref(), tool.as_deref())),
        Command::Approve(order) => approve(order),
    };
    match done {
        Ok(text) => answer(&text),
        Err(Stop::Config) => Exit::BadConfig,
        Err(Stop::Failed(why)) => {
            remark(&format!("error: {why}"));
            Exit::Failed
        }
    }
}

impl Gateway {
    fn config(&self) -> Result<Config, Stop> {
        let loaded =
            Source::read(self.file.config.as_deref()).and_then(|source| config::load(&source));
        loaded.map(|loaded| loaded.config).map_err(|problems| {
            remark(check::lines(problems.iter()).trim_end());
            Stop::Config
        })
    }

    fn client(&self) -> Result<Client, Stop> {
        Client::new(&self.config()?, self.url.as_deref()).map_err(Stop::Failed)
    }
}

fn offline(gateway: &Gateway, server: Option<&str>) -> Result<String, Stop> {
    let path = gateway.config()?.tool_lock.file;
    let book = lock::file::read(&path).map_err(|error| Stop::Failed(error.to_string()))?;
    Ok(show::book(&path, &book, server))
}

fn look(gateway: &Gateway) -> Result<Value, Stop> {
    let client = gateway.client()?;
    client.get("/conduit/lock").map_err(Stop::Failed)
}

fn approve(order: &Approve) -> Result<String, Stop> {
    let client = order.gateway.client()?;
    let state = client.get("/conduit/lock").map_err(Stop::Failed)?;
    let mut text = String::new();
    for body in orders(order, &state)? {
        let server = show::member(&body, "server").as_str().unwrap_or_default();
        text.push_str(&show::diff(&state, Some(server), order.tool.as_deref()));
        let done = client.post("/conduit/lock/approve", &body);
        text.push_str(&show::approved(&done.map_err(Stop::Failed)?));
    }
    if text.is_empty() {
        text.push_str("nothing is pending\n");
    }
    Ok(text)
}

/// What is asked of the gateway: what it just showed, by its digests.
fn orders(order: &Approve, state: &Value) -> Result<Vec<Value>, Stop> {
    let servers = show::member(state, "servers")
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let is_meant = |server: &&Value| match &order.server {
        Some(id) => show::member(server, "server") == id.as_str(),
        None => show::member(server, "mode") != "off",
    };
    let servers: Vec<&Value> = servers.iter().filter(is_meant).collect();
    if let (Some(id), true) = (&order.server, servers.is_empty()) {
        let why = format!("nothing is known of server {id}: is tool_lock on for it?");
        return Err(Stop::Failed(why));
    }
    let Some(tool) = &order.tool else {
        let whole = servers
            .into_iter()
            .filter(|server| show::is_pending(server));
        let body = |server: &Value| {
            let shown = show::member(server, "pending_digest")
                .as_str()
                .unwrap_or_default();
            let digest = order.digest.as_deref().unwrap_or(shown);
            json!({ "server": show::member(server, "server"), "digest": digest, "also": order.also })
        };
        return Ok(whole.map(body).collect());
    };
    let tools = servers
        .iter()
        .flat_map(|one| show::member(one, "tools").as_array());
    let row = tools
        .flatten()
        .find(|row| show::member(row, "tool") == tool.as_str());
    let Some(row) = row else {
        return Err(Stop::Failed(format!("there is no tool {tool}")));
    };
    let digests = show::digests(row);
    let digest = match (&order.digest, digests.as_slice()) {
        (Some(digest), _) => digest,
        (None, [only]) => only,
        (None, []) => return Err(Stop::Failed(format!("nothing is pending of tool {tool}"))),
        (None, _) => {
            let why = format!(
                "tool {tool} has several definitions: name one with --digest, as `conduit lock diff` \
                 shows it"
            );
            return Err(Stop::Failed(why));
        }
    };
    let server = order.server.as_deref();
    Ok(vec![
        json!({ "server": server, "tool": tool, "digest": digest, "also": order.also }),
    ])
}
