//! How a legacy client's messages go to one server: in a session with it, opened when the first of
//! them comes, or one by one where the server has no sessions.
//!
//! **Invariant:** what a server says in such a session reaches its client only, and once.

use std::sync::{Arc, Weak};
use std::time::Duration;

use filters::json::object::{Object, quoted};
use filters::mcp::capability;
use filters::mcp::list::Kind;
use filters::mcp::revision::Era;
use filters::mcp::rewrite::{self, Namespace};
use filters::refusal::{Phase, Refusal};
use filters::route::names::{Naming, Strategy};
use filters::rpc::parse::{self, Body};
use futures_util::future::BoxFuture;
use pingora_timeout::fast_timeout::fast_timeout;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use crate::gateway::Ended;
use crate::gateway::{passage, sessions};
use crate::state::live::Live;
use crate::state::session::{Link, Session};
use crate::state::snapshot::Server;
use crate::upstream::CLIENT_INFO;
use crate::upstream::era::{self, Standing};
use crate::upstream::error::Error;
use crate::upstream::fields::Caller;
use crate::upstream::session::Session as Upstream;
use crate::upstream::session::open::OpenError;

/// How soon a lost session is opened anew for one who listens, at first and at the latest.
const ANEW: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));

/// What a legacy client's message goes through on its way to a server.
#[derive(Clone)]
pub(super) struct Way {
    /// The server.
    pub(super) server: Arc<Server>,
    /// What things are called where several servers are one; nothing where there is but one.
    pub(super) naming: Option<Arc<Naming>>,
}

impl Way {
    /// The server's namespace, where it has one.
    pub(super) fn namespace(&self) -> Option<Namespace<'_>> {
        self.naming.as_deref().map(|naming| Namespace {
            naming,
            server: &self.server.id,
        })
    }
}

/// The link of `client` to a server, if there is one. One to what a reload replaced is none.
pub(super) fn standing(client: &Session, server: &Server) -> Option<Link> {
    client.link(&server.id).filter(|link| match link {
        Link::Legacy(upstream) => Arc::ptr_eq(&upstream.remote, &server.remote),
        Link::Modern => true,
    })
}

/// Why a client has no link to a server.
#[derive(Debug)]
pub(super) enum Unlinked {
    /// No session could be opened: what the server said of it may be for the client.
    Session(OpenError),
    /// Nothing of that is the server's.
    Ended(Ended),
}

impl From<Ended> for Unlinked {
    fn from(ended: Ended) -> Self {
        Self::Ended(ended)
    }
}

impl From<Refusal> for Unlinked {
    fn from(refusal: Refusal) -> Self {
        Self::Ended(refusal.into())
    }
}

/// The link of `client` to a server; made where there is none.
///
/// # Errors
/// [`Unlinked`], which `pass::end::unlinked` tells the client.
pub(super) async fn find(
    live: &Arc<Live>,
    client: &Arc<Session>,
    way: &Way,
    caller: &Caller,
) -> Result<Link, Unlinked> {
    let server = &way.server;
    if let Some(link) = standing(client, server) {
        return Ok(link);
    }
    let limits = server.cluster.limits;
    let linking = client.linking(&server.id);
    // Whoever waits behind a server that hangs waits no longer than the first.
    let _turn = fast_timeout(limits.connect + limits.header, linking.lock())
        .await
        .map_err(|_| Ended::from(Error::Timeout(Phase::Header).to_refusal(&server.id)))?;
    if let Some(link) = standing(client, server) {
        return Ok(link);
    }
    if era::decide(&server.remote, caller, Era::Legacy).await == Era::Modern {
        client.connect(&server.id, Link::Modern);
        sessions::save(live, client).await;
        return Ok(Link::Modern);
    }
    let opening = &client.opening;
    let params = format!(
        r#"{{"protocolVersion":{},"capabilities":{},"clientInfo":{}}}"#,
        quoted(opening.revision.as_str()),
        capability::for_legacy(&opening.capabilities, opening.revision),
        opening.client_info.as_deref().unwrap_or(CLIENT_INFO),
    );
    let link = match Upstream::open_as(&server.remote, caller, &params).await {
        Ok(upstream) => {
            server.remote.eras.note(Era::Legacy, Standing::Yes);
            let adopted = adopt(live, client, way, &upstream);
            if fast_timeout(limits.header, adopted).await.is_err() {
                tracing::debug!(server.id = %server.id, "Server is slow to be set up anew");
            }
            Link::Legacy(upstream)
        }
        Err(error) => {
            if matches!(
                error,
                OpenError::Refused { .. } | OpenError::Disagreed { .. }
            ) {
                era::ask(&server.remote, caller).await;
                passage::stay(server)?;
            }
            if server.remote.eras.serves(Era::Modern) != Standing::Yes {
                return Err(Unlinked::Session(error));
            }
            server.remote.eras.note(Era::Legacy, Standing::No);
            Link::Modern
        }
    };
    client.connect(&server.id, link.clone());
    sessions::save(live, client).await;
    Ok(link)
}

/// What a client is told of a session that could not be opened.
pub(super) fn failed(server: &str, error: &OpenError) -> Ended {
    let refusal = match error {
        OpenError::Upstream(error) => error.to_refusal(server),
        OpenError::Refused { .. } => Refusal::UpstreamBroken {
            server: server.to_owned(),
            what: "refused to open a session",
        },
        OpenError::Disagreed { .. } => Refusal::UpstreamBroken {
            server: server.to_owned(),
            what: "agreed to no revision that has sessions",
        },
    };
    Ended::Refused {
        refusal,
        id: None,
        error: Some(error.to_string()),
    }
}

/// Makes a new session with a server one of the client's: what was set and subscribed to before
/// holds in it, and what it brings goes to the client.
pub(super) async fn adopt(
    live: &Arc<Live>,
    client: &Arc<Session>,
    way: &Way,
    upstream: &Arc<Upstream>,
) {
    hear_from(live, client, way, upstream);
    if let Some(level) = client.log_level()
        && let Err(error) = upstream.set_log_level(&level).await
    {
        tracing::debug!(server.id = %way.server.id, %error, "Log level could not be set");
    }
    for outer in client.subscriptions() {
        let inner = match &way.naming {
            None => Some(outer.as_str()),
            Some(naming) if naming.strategy() == Strategy::None => Some(outer.as_str()),
            Some(naming) => filters::route::uri::split(&outer)
                .filter(|(server, _)| naming.server(server) == Some(&way.server.id))
                .map(|(_, inner)| inner),
        };
        if let Some(inner) = inner {
            upstream.subscribe(inner).await.ok();
        }
    }
    if client.outlet.is_open() {
        upstream.attend().await;
    }
}

/// Has what a session with a server brings beside answers go to the client.
pub(super) fn hear_from(
    live: &Arc<Live>,
    client: &Arc<Session>,
    way: &Way,
    upstream: &Arc<Upstream>,
) {
    let notices = upstream.notices();
    if client.outlet.is_open() {
        upstream.listen();
    }
    let feed = Feed {
        live: Arc::clone(live),
        client: Arc::downgrade(client),
        over: client.over.clone(),
        way: way.clone(),
        upstream: Arc::clone(upstream),
    };
    // A feed that outlives its session begins another: the type must end somewhere.
    let task: BoxFuture<'static, ()> = Box::pin(feed.run(notices));
    way.server.remote.background.spawn(task);
}

/// What a session with a server brings beside answers, on its way to the client.
struct Feed {
    live: Arc<Live>,
    client: Weak<Session>,
    over: CancellationToken,
    way: Way,
    upstream: Arc<Upstream>,
}

impl Feed {
    /// Passes on what comes, until either side is over.
    async fn run(self, mut notices: broadcast::Receiver<Arc<str>>) {
        loop {
            let notice = tokio::select! {
                biased;
                () = self.over.cancelled() => return,
                notice = notices.recv() => notice,
                () = self.upstream.ended() => return self.begin_anew().await,
            };
            match notice {
                Ok(notice) => {
                    let Some(client) = self.client.upgrade() else {
                        return;
                    };
                    if let Some(message) = outward(&self.way, &notice) {
                        client.outlet.send(message);
                    }
                }
                Err(RecvError::Lagged(n_lost)) => {
                    tracing::debug!(server.id = %self.way.server.id, n_lost, "Messages to a slow client lost");
                }
                Err(RecvError::Closed) => return,
            }
        }
    }

    /// The server lost the session: whoever listens gets another one, without having to call.
    async fn begin_anew(self) {
        let mut pause = ANEW.0;
        loop {
            let Some(client) = self.client.upgrade() else {
                return;
            };
            let is_retired = self.way.server.retired.is_cancelled();
            if !client.outlet.is_open() || client.over.is_cancelled() || is_retired {
                return;
            }
            let caller = Caller {
                authorization: client.opening.authorization.clone(),
                lines: Vec::new(),
            };
            if find(&self.live, &client, &self.way, &caller).await.is_ok() {
                return;
            }
            drop(client);
            tokio::select! {
                () = self.over.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(ANEW.1);
        }
    }
}

/// A server's message as its client sees it; nothing where it is not for the client.
pub(super) fn outward(way: &Way, message: &str) -> Option<String> {
    let parsed = parse::message(message).ok()?;
    match &parsed.body {
        Body::Request { id, .. } => {
            if way.naming.is_none() {
                return Some(message.to_owned());
            }
            let mut object = Object::read(message)?;
            object.set("id", quoted(&format!("{}/{}", way.server.id, id.as_json())));
            Some(object.write())
        }
        Body::Notification { method, .. } => {
            way.server.remote.hear(message);
            let changed = Kind::ALL
                .into_iter()
                .filter(|kind| kind.changed() == method.as_ref());
            let mut is_change = false;
            for kind in changed {
                is_change = true;
                way.server.catalogs.nudge(kind);
            }
            // The catalog tells all who listen, once it has read what changed.
            if is_change {
                return way.naming.is_none().then(|| message.to_owned());
            }
            let Some(namespace) = way.namespace() else {
                return Some(message.to_owned());
            };
            let mut object = Object::read(message)?;
            let params = object.get("params").unwrap_or("{}").to_owned();
            if method == "notifications/cancelled" {
                // The client knows the server's request under another id.
                let mut params = Object::read(&params)?;
                let theirs = params.get("requestId")?.to_owned();
                params.set("requestId", quoted(&format!("{}/{theirs}", way.server.id)));
                object.set("params", params.write());
                return Some(object.write());
            }
            match rewrite::notification(namespace, method, &params) {
                Some(params) => {
                    object.set("params", params);
                    Some(object.write())
                }
                None => Some(message.to_owned()),
            }
        }
        Body::Response { .. } => None,
    }
}

/// The server that a client's answer goes to, and the id it goes under: the other way round of what
/// [`outward`] did.
pub(super) fn inward(id: &str) -> Option<(String, String)> {
    let text = filters::json::object::string(id)?;
    let (server, id) = text.split_once('/')?;
    parse::Id::from_json(id)?;
    Some((server.to_owned(), id.to_owned()))
}
