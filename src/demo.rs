//! The demo MCP server behind `make run`: a small, complete server for people and for tests.
//!
//! It keeps a handful of notes in memory and shows what the protocol offers: tools with every
//! annotation, progress, cancellation, a question to the user, resources that change, prompts,
//! completion, logging. It speaks both eras: sessions up to 2025-11-25, single requests from
//! 2026-07-28 on.
//!
//! Where to look: `tools` for what it can do, `server` for the rest of the protocol, `caller` for
//! the differences between the eras, `listener` for HTTP.
//!
//! **Invariant:** in stdio mode nothing but MCP is written to stdout.
//! **Invariant:** it listens on the loopback interface only.
//! **Invariant:** notes, connections, subscriptions and waits are bounded; a session that is silent
//! for five minutes is ended (by rmcp, which sets no other bound to their number).
#![expect(
    deprecated,
    reason = "logging still works in both eras, so the demo shows it"
)]

mod audience;
mod caller;
pub mod listener;
mod notes;
mod prompts;
mod resources;
mod server;
mod stdin;
mod tools;

use std::{
    io::{self, Write},
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    time::Duration,
};

use rmcp::{ServiceExt, service::ServerInitializeError, transport::stdio_pipes};
use thiserror::Error;
use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinError,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use self::{
    listener::Listener,
    server::{Server, World},
    stdin::Watched,
};

/// How long calls under way may take to end once the server is told to stop.
const GRACE: Duration = Duration::from_secs(5);

/// Why the demo server stopped other than by request.
#[derive(Debug, Error)]
pub enum Error {
    /// The port is taken, or may not be used.
    #[error("demo server: cannot listen on {address}")]
    Bind {
        /// What was asked for.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Stdout could not be written, or signals not be caught.
    #[error("demo server: input or output failed")]
    Io(#[from] io::Error),
    /// The system gave no random bytes for the key that seals request state.
    #[error("demo server: no randomness for its key: {0}")]
    Randomness(getrandom::Error),
    /// The client began with something that is not MCP.
    #[error("demo server: the client did not begin as MCP asks")]
    ClientHandshake(#[source] Box<ServerInitializeError>),
    /// A bug: the task that serves the client died.
    #[error("demo server: its task died")]
    Task(#[from] JoinError),
}

/// Serves one client on stdin and stdout until stdin ends, SIGTERM or SIGINT.
///
/// At the end of stdin, calls under way get a few seconds to answer: `echo … | conduit demo
/// --stdio` works. Where stdin is not a pipe, a read of it may still be pending when this
/// returns: end the runtime with `shutdown_background`, so that it does not wait for a next line.
///
/// # Errors
///
/// [`Error::ClientHandshake`] if the first message is neither a request nor `initialize`.
pub async fn stdio() -> Result<(), Error> {
    let world = Arc::new(World::new()?);
    let stop = CancellationToken::new();
    let mut serving = pin!(serve_stdio(world, stop.clone()));
    tokio::select! {
        ended = &mut serving => return ended,
        told = told_to_stop() => told?,
    }
    stop.cancel();
    // Out of grace is as good an end as any: the process goes.
    timeout(GRACE, serving).await.unwrap_or(Ok(()))
}

async fn serve_stdio(world: Arc<World>, stop: CancellationToken) -> Result<(), Error> {
    let (source, sink) = stdio_pipes();
    let source = Watched {
        source,
        ended: world.client_gone.clone(),
    };
    match Server::new(world).serve_with_ct((source, sink), stop).await {
        Ok(service) => {
            service.waiting().await?;
            Ok(())
        }
        // Stdin ended, or we were told to stop, before the client said a word.
        Err(ServerInitializeError::ConnectionClosed(_) | ServerInitializeError::Cancelled) => {
            Ok(())
        }
        Err(error) => Err(Error::ClientHandshake(Box::new(error))),
    }
}

/// Serves Streamable HTTP at `http://127.0.0.1:{port}/mcp` until SIGTERM or SIGINT.
///
/// Port 0 picks a free one. The first line on stdout is `listening on {url}`.
///
/// # Errors
///
/// [`Error::Bind`] if the port cannot be had.
pub async fn http(port: u16) -> Result<(), Error> {
    let listener = Listener::bind(port).await?;
    writeln!(io::stdout(), "listening on {}", listener.url())?;
    let stop = CancellationToken::new();
    let mut serving = pin!(listener.serve(stop.clone()));
    tokio::select! {
        () = &mut serving => {}
        told = told_to_stop() => {
            told?;
            stop.cancel();
            serving.await;
        }
    }
    Ok(())
}

async fn told_to_stop() -> Result<(), Error> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    }
}
