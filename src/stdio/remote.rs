//! Servers of the HTTP+SSE transport (2024-11-05): a stream of events is what such a server says, and
//! messages that are posted to an endpoint of its own naming are what it hears. That is a two-way
//! line of messages as a child's pipes are, so that the rest of this module serves both alike.
//!
//! HTTP itself is done by a [`Carrier`], which whoever configures the server brings along.

pub(super) mod connection;
mod post;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use filters::sse::endpoint::Base;
use futures_util::stream::BoxStream;

/// How a server of the HTTP+SSE transport is reached.
#[derive(Clone)]
pub struct Remote {
    /// What opens connections to it.
    pub carrier: Arc<dyn Carrier>,
    /// How long it may take until the server has named its endpoint.
    pub connect_timeout: Duration,
}

/// Opens connections to one server.
#[async_trait]
pub trait Carrier: Send + Sync {
    /// Opens the server's event stream.
    ///
    /// # Errors
    /// Where the server answers with anything else.
    async fn open(&self) -> Result<Opened, Broken>;
}

/// An open event stream, and what posts to the server that sends it.
pub struct Opened {
    /// The URL of the stream, which the endpoint is relative to.
    pub base: Base,
    /// The bytes of the stream; dropped, it is closed. It ends after its first error.
    pub events: BoxStream<'static, Result<Bytes, Broken>>,
    /// What posts messages.
    pub postman: Box<dyn Postman>,
}

/// Posts messages to the server that sends one event stream.
#[async_trait]
pub trait Postman: Send + Sync {
    /// Posts one message to `target`, a path with its query. Gives the status of the answer.
    ///
    /// # Errors
    /// Where there is no answer.
    async fn post(&self, target: Arc<str>, message: Bytes) -> Result<u16, Broken>;
}

/// How a connection failed, to be said after the server's name, to clients too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken(pub Arc<str>);

// === impl Remote ===

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote")
            .field("connect_timeout", &self.connect_timeout)
            .finish_non_exhaustive()
    }
}

// === impl Broken ===

impl From<&str> for Broken {
    fn from(how: &str) -> Self {
        Self(how.into())
    }
}

impl From<String> for Broken {
    fn from(how: String) -> Self {
        Self(how.into())
    }
}
