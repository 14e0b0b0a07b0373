//! One server, as the gateway speaks to it on its own account: with requests that it makes rather
//! than passes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;
use filters::mcp::list::Kind;
use filters::mcp::revision::Era;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::upstream::changes::{Change, Ear};
use crate::upstream::cluster::Cluster;
use crate::upstream::era::Verdicts;
use crate::upstream::error::Error;
use crate::upstream::fields::{self, Caller, Mcp, StaticFields};
use crate::upstream::found::Finder;
use crate::upstream::relay::Request;
use crate::upstream::talk::{Patience, Talk};

/// One server.
pub struct Remote {
    /// Its replicas.
    pub cluster: Arc<Cluster>,
    /// The headers that every request to it carries.
    pub fields: StaticFields,
    /// Whether the client's `Authorization` goes to it.
    pub forwards_authorization: bool,
    /// How it is reached, where that matters for who is answered.
    pub transport: Transport,
    /// Which eras it speaks, as far as is known.
    pub eras: Verdicts,
    /// Tells how the server is really reached, where that is found out.
    pub finder: Finder,
    /// What runs for it beside requests, and ends with it.
    pub background: Background,
    ear: Ear,
    serial: AtomicU64,
}

/// What a server is made from: see the fields of [`Remote`].
pub struct Spec {
    /// Its replicas.
    pub cluster: Arc<Cluster>,
    /// The headers that every request to it carries.
    pub fields: StaticFields,
    /// Whether the client's `Authorization` goes to it.
    pub forwards_authorization: bool,
    /// How it is reached.
    pub transport: Transport,
    /// Which eras it may speak.
    pub eras: Verdicts,
    /// Where it is told how it turns out to be reached.
    pub finder: Finder,
    /// What runs for it beside requests.
    pub background: Background,
    /// Who is told of its changes first.
    pub ear: Ear,
}

/// How a server is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Streamable HTTP: an answer's stream is its call's alone.
    Http,
    /// One pair of pipes for everything: what a server asks may belong to any call.
    Pipe,
}

/// Where tasks run that belong to no request.
#[derive(Clone, Debug, Default)]
pub struct Background {
    /// Counts them.
    pub tasks: TaskTracker,
    /// Ends them.
    pub stop: CancellationToken,
}

impl Background {
    /// Runs `task` until it or what it is for ends.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        // Whoever is dropped last may be so where nothing can be spawned any more.
        if stop.is_cancelled() {
            return;
        }
        self.tasks.spawn(async move {
            stop.run_until_cancelled(task).await;
        });
    }
}

/// A message on its way to a server.
#[derive(Clone, Copy, Debug)]
pub struct Post<'a> {
    /// Its headers.
    pub mcp: Mcp<'a>,
    /// Whether repeating it changes nothing.
    pub is_repeatable: bool,
}

impl Remote {
    /// A server of which nothing is known yet.
    #[must_use]
    pub fn new(spec: Spec) -> Self {
        let Spec {
            cluster,
            fields,
            forwards_authorization,
            transport,
            eras,
            finder,
            background,
            ear,
        } = spec;
        Self {
            cluster,
            fields,
            forwards_authorization,
            transport,
            eras,
            finder,
            background,
            ear,
            serial: AtomicU64::new(1),
        }
    }

    /// The server's id.
    #[must_use]
    pub fn id(&self) -> &Arc<str> {
        &self.cluster.server
    }

    /// The credential of a caller, as far as this server is to have it.
    #[must_use]
    pub fn credential(&self, caller: &Caller) -> Option<String> {
        caller
            .authorization
            .clone()
            .filter(|_| self.forwards_authorization)
    }

    fn lines(&self, caller: &Caller, mcp: &Mcp<'_>) -> Vec<u8> {
        let authorization = caller.authorization.as_deref();
        let authorization = authorization.filter(|_| self.forwards_authorization);
        fields::write(&self.fields, authorization, &caller.lines, mcp)
    }

    /// Takes a message that the server sent of its own accord: whoever must know of changes before
    /// clients do is told.
    pub fn hear(&self, message: &str) {
        for change in Change::read(message) {
            (self.ear)(self.id(), &change);
        }
    }

    /// Takes a change of a list that nobody told of: whoever must know of it before clients do is told.
    pub fn changed(&self, kind: Kind) {
        (self.ear)(self.id(), &Change::List(kind));
    }

    /// A number that no other request to this server was given (E10).
    pub fn serial(&self) -> u64 {
        self.serial.fetch_add(1, Ordering::Relaxed)
    }

    /// Until when a call that begins now must be over.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        Instant::now() + self.cluster.limits.total
    }

    /// Sends one message and awaits the head of what comes back.
    ///
    /// # Errors
    /// Where no replica takes it or answers it in time.
    pub async fn post(
        &self,
        caller: &Caller,
        post: Post<'_>,
        body: impl Into<Bytes>,
        patience: Patience,
    ) -> Result<Talk, Error> {
        let request = self.request(caller, &post, body);
        Talk::begin(&self.cluster, request, patience).await
    }

    /// One message as a request that is ready to be sent.
    #[must_use]
    pub fn request(&self, caller: &Caller, post: &Post<'_>, body: impl Into<Bytes>) -> Request {
        Request {
            verb: "POST",
            target: None,
            fields: self.lines(caller, &post.mcp),
            body: body.into(),
            is_repeatable: post.is_repeatable,
            session: post.mcp.session.map(str::to_owned),
        }
    }

    /// Sends a request without a body: `GET` opens a legacy session's stream, `DELETE` ends it.
    ///
    /// # Errors
    /// Where no replica takes it or answers it in time.
    pub async fn bodiless(
        &self,
        verb: &'static str,
        caller: &Caller,
        mcp: &Mcp<'_>,
        patience: Patience,
    ) -> Result<Talk, Error> {
        debug_assert!(mcp.era == Era::Legacy, "the modern era has POST only");
        let request = Request {
            verb,
            target: None,
            fields: self.lines(caller, mcp),
            body: Bytes::new(),
            is_repeatable: true,
            session: mcp.session.map(str::to_owned),
        };
        Talk::begin(&self.cluster, request, patience).await
    }
}
