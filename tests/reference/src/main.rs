//! The both-era reference server: a test fixture that stands behind the gateway.
//!
//! It speaks every protocol revision `rmcp` knows, over Streamable HTTP (with sessions for the
//! legacy era) and over stdio, and holds every tool, prompt and resource the official
//! conformance suite asks for by name, and some more that the gateway's own tests need
//! (`tools/workbench.rs`). `--era` makes it a server of one era only.
//!
//! **Invariant:** it passes the suite directly, so a failure seen through the gateway is the
//! gateway's.
//! **Invariant:** stdout carries MCP in stdio mode, and one line (`listening on URL`) in HTTP mode.
#![expect(
    deprecated,
    reason = "a fixture serves what the protocol deprecates, too"
)]

mod ask;
mod audience;
mod call;
mod era;
mod http;
mod polling;
mod prompts;
mod resources;
mod runs;
mod server;
mod stdin;
mod tools;
mod world;

use std::{error::Error, io, sync::Arc};

use clap::Parser;
use rmcp::{ServiceExt, transport::stdio_pipes};
use tracing_subscriber::EnvFilter;

use crate::{
    era::{Bounded, Era},
    server::Server,
    stdin::Watched,
    world::World,
};

/// An MCP server of both eras for tests.
#[derive(Parser)]
#[command(about)]
struct Arguments {
    /// Serve Streamable HTTP on 127.0.0.1 at this port (0 picks a free one).
    #[arg(long, required_unless_present = "stdio", conflicts_with = "stdio")]
    port: Option<u16>,
    /// Serve one client on stdin and stdout.
    #[arg(long)]
    stdio: bool,
    /// HTTP: give legacy clients no session.
    #[arg(long, conflicts_with = "stdio")]
    stateless: bool,
    /// HTTP: answer modern requests as an event stream even if one message is all there is.
    #[arg(long, conflicts_with = "stdio")]
    stream: bool,
    /// The revisions to speak.
    #[arg(long, env = "REFERENCE_ERA", value_enum, default_value_t = Era::Dual)]
    era: Era,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_env_filter(
            EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("off")),
        )
        .with_writer(io::stderr)
        .init();
    let arguments = Arguments::parse();
    let world = Arc::new(World::new(arguments.era));
    match arguments.port {
        Some(port) => {
            let shape = http::Shape {
                stateless: arguments.stateless,
                stream: arguments.stream,
            };
            http::serve(world, port, shape).await?;
        }
        None => {
            let (source, sink) = stdio_pipes();
            let source = Watched {
                source,
                ended: world.client_gone.clone(),
            };
            let server = Bounded {
                server: Server::new(world),
                era: arguments.era,
            };
            let service = server.serve((source, sink)).await?;
            service.waiting().await?;
        }
    }
    Ok(())
}
