//! What a link leads to: a child with its pipes, or a connection to a server elsewhere.

use std::sync::Arc;

use super::Reach;
use super::Spec;
use super::child::serve::Child;
use super::link::Link;
use super::remote::connection::{self, Connection};
use super::runtime::Runtime;
use super::tend::{Ended, Halt};

/// A peer that is there.
pub(super) enum Peer {
    Child(Box<Child>),
    Connection(Box<Connection>),
}

impl Peer {
    /// Starts a child, or opens a connection.
    ///
    /// # Errors
    /// Why there is none, to be said after the server's name.
    pub(super) async fn start(spec: &Spec, runtime: &Runtime) -> Result<Self, Arc<str>> {
        match &spec.reach {
            Reach::Program(program) => {
                let child = Child::start(program, runtime).await;
                let child = child.map_err(|error| format!("cannot be started: {error}"))?;
                Ok(Self::Child(Box::new(child)))
            }
            Reach::Remote(remote) => {
                let connection = connection::open(remote, spec.line_bytes_max).await;
                let connection = connection.map_err(|broken| broken.0)?;
                Ok(Self::Connection(Box::new(connection)))
            }
        }
    }

    /// Serves it until it ends or is told to. Closes the link.
    pub(super) async fn serve(self, link: &Arc<Link>, halt: &Halt) -> Ended {
        match self {
            Self::Child(child) => child.serve(link, halt).await,
            Self::Connection(connection) => connection.serve(link, halt).await,
        }
    }
}
