//! MCP servers that are a two-way line of messages: programs, each run as a child, and servers of the
//! HTTP+SSE transport (2024-11-05; see [`remote`]). Each is offered as Streamable HTTP on a unix socket,
//! so that nothing above this module knows that it is not.
//!
//! What is said here of a child holds for a connection to a remote server too: either is the *peer*
//! of its clients.
//!
//! A [`supervisor::Supervisor`] owns one configured server. Modern clients (2026-07-28) share one
//! child, but for calls whose log messages could not be told apart there (`pool`); a legacy client
//! (`initialize`) gets a child of its own for its session, unless the server is declared `shared`. Every child is started through a small [`guard`] process, which takes all
//! its descendants along when it ends, however it ends, and when the gateway itself is killed.
//!
//! **Invariant:** two clients never meet. A child sees only ids and progress tokens made here, and
//! what it answers goes to the one stream that asked.
//! **Invariant:** nothing here grows without a bound, and no client or child can make another wait.

mod backoff;
mod bridge;
mod child;
mod descent;
mod desk;
pub mod environment;
mod failure;
mod frame;
pub mod guard;
mod link;
mod mailbox;
mod meta;
mod nursery;
mod outbox;
mod payload;
mod peer;
mod pool;
mod reader;
pub mod remote;
mod reply;
pub mod runtime;
mod server;
mod session;
mod shared;
pub mod supervisor;
mod tend;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use filters::mask::Mask;
use remote::Remote;

/// Longest message in either direction by default, in bytes.
pub const LINE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// One configured server.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The server's id, as in `/mcp/{server}`.
    pub server: String,
    /// How it is reached.
    pub reach: Reach,
    /// Whether legacy sessions may share one child instead of having one each.
    pub shared: bool,
    /// Most children or connections at once, of both eras together.
    pub processes_max: usize,
    /// Most legacy sessions at once.
    pub sessions_max: usize,
    /// Longest message in either direction, in bytes.
    pub line_bytes_max: usize,
    /// How long the first message of an answer may take.
    pub call_timeout: Duration,
    /// How long a legacy session without a call or stream is kept.
    pub session_idle: Duration,
}

/// How a server is reached.
#[derive(Clone, Debug)]
pub enum Reach {
    /// It is started here.
    Program(Program),
    /// It is connected to.
    Remote(Remote),
}

/// A program that is an MCP server.
#[derive(Clone, Debug)]
pub struct Program {
    /// The program: a path, or a name found on `PATH`.
    pub command: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Variables added to the minimal environment (see [`environment`]).
    pub env: BTreeMap<String, String>,
    /// Where it runs; the gateway's own directory if absent.
    pub cwd: Option<PathBuf>,
    /// Covers what is secret of the above in what it writes.
    pub mask: Option<Arc<Mask>>,
}

impl Reach {
    /// What a server that is reached like this has several of.
    fn peers(&self) -> &'static str {
        match self {
            Self::Program(_) => "processes",
            Self::Remote(_) => "connections",
        }
    }

    /// What covers secrets in what the peer says here; a remote one's are covered where it is heard.
    fn mask(&self) -> Option<&Mask> {
        match self {
            Self::Program(program) => program.mask.as_deref(),
            Self::Remote(_) => None,
        }
    }
}

impl Program {
    /// A program without arguments.
    #[must_use]
    pub fn new(command: impl Into<String>) -> Self {
        Self {
            command: command.into(),
            args: Vec::new(),
            env: BTreeMap::new(),
            cwd: None,
            mask: None,
        }
    }
}

impl Spec {
    /// A server with every bound at its default.
    #[must_use]
    pub fn new(server: impl Into<String>, reach: Reach) -> Self {
        Self {
            server: server.into(),
            reach,
            shared: false,
            processes_max: 256,
            sessions_max: 1024,
            line_bytes_max: LINE_BYTES_MAX,
            call_timeout: Duration::from_secs(30),
            session_idle: Duration::from_secs(30 * 60),
        }
    }
}

/// What an operator is told when a server cannot be offered at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No private directory for the sockets.
    #[error("cannot make a private runtime directory under {}", .base.display())]
    ConfigDirectory {
        /// Where it was tried.
        base: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The directory's path leaves no room for a socket's name.
    #[error(
        "{} is too long for unix sockets (107 bytes): point RUNTIME_DIRECTORY to a shorter path",
        .path.display()
    )]
    ConfigPathTooLong {
        /// The socket's path.
        path: PathBuf,
    },
    /// The thread that starts children could not be started.
    #[error("cannot start the thread that starts children")]
    Thread(#[source] std::io::Error),
    /// The socket cannot be listened on.
    #[error("server \"{server}\": cannot listen on {}", .path.display())]
    Listen {
        /// The server's id.
        server: String,
        /// The socket's path.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

/// What a supervisor is doing, for the operator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Children that run now.
    pub children: usize,
    /// Legacy sessions that are open now.
    pub sessions: usize,
    /// Calls that wait for their answer now.
    pub pending: usize,
    /// Children started so far.
    pub started: u64,
    /// Children that ended without being told to, so far.
    pub crashed: u64,
    /// Notifications that nobody could be given, so far.
    pub dropped: u64,
    /// Why the last child that ended by itself did so.
    pub last_error: Option<String>,
}
