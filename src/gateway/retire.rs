//! What a reload means for clients: sessions at a server that is gone are not found any more, those at
//! several servers go on with the ones that there are now.
//!
//! **Invariant:** nothing that a call in flight uses is closed here; [`Departed::end`] does it, once
//! nobody is left.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use filters::route::Scope;
use futures_util::future::join_all;

use crate::gateway::link::{self, Way};
use crate::gateway::listen::subscribe;
use crate::gateway::sessions;
use crate::state::Shared;
use crate::state::session::{Link, Session};
use crate::state::snapshot::{Server, Snapshot};
use crate::upstream::fields::Caller;
use crate::upstream::remote::Remote;
use crate::upstream::session::Session as Upstream;

/// How often it is looked whether the last parked call was taken.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// How long servers may take to be told that their sessions are over.
const FAREWELL_MAX: Duration = Duration::from_secs(3);

/// What was in use when a reload took it out.
pub struct Departed {
    servers: Vec<Arc<Server>>,
    sessions: Vec<Arc<Session>>,
    upstreams: Vec<Arc<Upstream>>,
}

/// Has clients go on under the configuration in force, which replaced `old`.
pub async fn retire(shared: &Arc<Shared>, old: &Snapshot) -> Departed {
    let new = shared.snapshot.load_full();
    let stays = |server: &&Arc<Server>| {
        let current = new.servers.get(&*server.id);
        current.is_some_and(|current| Arc::ptr_eq(current, server))
    };
    let servers: Vec<_> = old.servers.values().filter(|one| !stays(one)).collect();
    let servers: Vec<_> = servers.into_iter().map(Arc::clone).collect();
    let mut scopes = HashSet::new();
    for server in &servers {
        scopes.insert(sessions::name(Scope::Server(&server.id)));
    }
    for id in old
        .profiles
        .keys()
        .filter(|id| !new.profiles.contains_key(*id))
    {
        scopes.insert(sessions::name(Scope::Profile(id)));
    }
    let live = &shared.live;
    let retired = live.sessions.retire(&scopes);
    // Whoever listens hears of it now: a session that is gone is gone before its stream ends.
    servers.iter().for_each(|server| server.retired.cancel());
    let mut upstreams = Vec::new();
    for session in live.sessions.all() {
        for (id, link) in session.links() {
            let is_gone = servers.iter().any(|server| server.id == id);
            if is_gone {
                upstreams.extend(relink(shared, &new, &session, &id, link));
            }
        }
    }
    if !Arc::ptr_eq(&old.acl, &new.acl) {
        old.acl.replaced.cancel();
    }
    for (id, profile) in &old.profiles {
        let current = new.profiles.get(id);
        if !current.is_some_and(|current| Arc::ptr_eq(current, profile)) {
            profile.retired.cancel();
        }
    }
    for session in &retired {
        // Other instances are not to serve what is gone here.
        if let Err(error) = live.store.delete(&session.id).await {
            tracing::warn!(%error, "Session's end could not be shared with other instances");
        }
    }
    Departed {
        servers,
        sessions: retired,
        upstreams,
    }
}

/// Takes a session's link to a server that is gone; gives the session with it. One who listens is
/// linked to what stands in its place.
fn relink(
    shared: &Arc<Shared>,
    new: &Snapshot,
    session: &Arc<Session>,
    id: &Arc<str>,
    link: Link,
) -> Option<Arc<Upstream>> {
    let Scope::Profile(profile) = sessions::scope(&session.opening.scope) else {
        return None;
    };
    let profile = new.profiles.get(profile);
    let way = profile.and_then(|profile| {
        Some(Way {
            server: Arc::clone(profile.server(id)?),
            naming: Some(Arc::clone(&profile.naming)),
        })
    });
    match (link, way) {
        (Link::Modern, way) => {
            session.disconnect(id);
            if let Some(way) = way {
                subscribe::resume(session, &way);
            }
            None
        }
        // Until a message replaces it, answers to what the server asked still go there.
        (Link::Legacy(upstream), Some(way)) => {
            if session.outlet.is_open() {
                let (live, session) = (Arc::clone(&shared.live), Arc::clone(session));
                let background = way.server.remote.background.clone();
                background.spawn(async move {
                    let caller = Caller {
                        authorization: session.opening.authorization.clone(),
                        lines: Vec::new(),
                    };
                    if link::find(&live, &session, &way, &caller).await.is_err() {
                        tracing::debug!(server.id = %way.server.id, "Session with a changed server could not be opened");
                    }
                });
            }
            Some(upstream)
        }
        (Link::Legacy(upstream), None) => {
            session.disconnect(id);
            Some(upstream)
        }
    }
}

impl Departed {
    /// The servers.
    #[must_use]
    pub fn servers(&self) -> &[Arc<Server>] {
        &self.servers
    }

    /// Resolves when no call waits for its client in a session with them.
    pub async fn unparked(&self, shared: &Shared) {
        let remotes: Vec<Arc<Remote>> = self
            .servers
            .iter()
            .map(|server| Arc::clone(&server.remote))
            .collect();
        while shared.live.parking.is_any_at(&remotes) {
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    /// Ends the sessions, and tells the servers.
    pub async fn end(mut self) {
        for session in &self.sessions {
            let behind = session
                .upstreams()
                .into_iter()
                .map(|(_, upstream)| upstream);
            self.upstreams.extend(behind);
        }
        for server in &self.servers {
            self.upstreams.extend(server.groups.empty());
        }
        let told = join_all(self.upstreams.iter().map(|upstream| upstream.close()));
        if tokio::time::timeout(FAREWELL_MAX, told).await.is_err() {
            tracing::debug!("Not every server could be told that its sessions are over");
        }
        self.sessions.iter().for_each(|session| session.end());
    }
}
