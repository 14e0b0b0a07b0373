//! A legacy client's session, found by the id it names: served here, or taken over from another
//! instance that shares the store.

use std::sync::Arc;
use std::time::Duration;

use filters::json::object::Object;
use filters::mcp::revision::{Era, Revision};
use filters::refusal::Refusal;
use filters::route::Scope;

use crate::gateway::exchange::Exchange;
use crate::gateway::link::{self, Way};
use crate::gateway::listen::subscribe;
use crate::state::live::Live;
use crate::state::session::{Link, Opening, Session};
use crate::state::snapshot::Server;
use crate::state::store::{self, Record};
use crate::upstream::era::MODERN;
use crate::upstream::fields::Caller;
use crate::upstream::session::Session as Upstream;

/// How long a session is served without asking whether it ended elsewhere.
const CONFIRM_EVERY: Duration = Duration::from_secs(1);

/// What sessions call an endpoint.
pub(super) fn name(scope: Scope<'_>) -> String {
    match scope {
        Scope::Server(id) => format!("server:{id}"),
        Scope::Profile(id) => format!("profile:{id}"),
    }
}

/// The endpoint that [`name`] named.
pub(super) fn scope(name: &str) -> Scope<'_> {
    match name.split_once(':') {
        Some(("server", id)) => Scope::Server(id),
        Some((_, id)) => Scope::Profile(id),
        None => Scope::Profile(name),
    }
}

/// The caller's session of that id at that endpoint: one that this instance serves, or one that it
/// takes over from another.
///
/// # Errors
/// [`Refusal::SessionUnknown`] where there is none: never was, not any more, or not the caller's.
pub(super) async fn find(
    exchange: &Exchange,
    id: &str,
    scope: Scope<'_>,
) -> Result<Arc<Session>, Refusal> {
    let found = find_local(exchange, id, scope);
    if !exchange.live.store.is_shared() {
        return found;
    }
    match found {
        Ok(session) => confirm(exchange, session).await,
        Err(_) => Box::pin(take_over(exchange, id, scope)).await,
    }
}

/// The caller's session of that id, where nobody has to be asked about it.
///
/// # Errors
/// [`Refusal::SessionUnknown`] where there is none and no other instance could have it.
pub(super) fn seat(
    exchange: &Exchange,
    id: &str,
    scope: Scope<'_>,
) -> Result<Option<Arc<Session>>, Refusal> {
    let found = find_local(exchange, id, scope);
    if !exchange.live.store.is_shared() {
        return found.map(Some);
    }
    Ok(found
        .ok()
        .filter(|session| session.is_confirmed(CONFIRM_EVERY)))
}

/// Makes sure now and then that no other instance ended the session.
async fn confirm(exchange: &Exchange, session: Arc<Session>) -> Result<Arc<Session>, Refusal> {
    if !session.is_unconfirmed(CONFIRM_EVERY) {
        return Ok(session);
    }
    let live = &exchange.live;
    match live
        .store
        .touch(&session.id, live.sessions.limits.idle)
        .await
    {
        Ok(false) if session.is_saved() => {
            live.sessions.end(&session);
            Err(Refusal::SessionUnknown)
        }
        // It could not be saved before.
        Ok(false) => {
            save(live, &session).await;
            Ok(session)
        }
        // Something of it could not be saved before.
        Ok(true) if session.is_behind() => {
            save(live, &session).await;
            Ok(session)
        }
        Ok(true) => Ok(session),
        Err(error) => {
            tracing::debug!(%error, "Session could not be confirmed");
            Ok(session)
        }
    }
}

/// Takes over a session that another instance opened, and the sessions with servers behind it.
async fn take_over(
    exchange: &Exchange,
    id: &str,
    scope: Scope<'_>,
) -> Result<Arc<Session>, Refusal> {
    let live = &exchange.live;
    let record = live.store.load(id).await.map_err(|error| {
        tracing::warn!(%error, "Session could not be looked up");
        Refusal::SessionUnknown
    })?;
    let principal = &exchange.subject;
    let record = record
        .filter(|record| *record.principal == **principal && record.scope == name(scope))
        .ok_or(Refusal::SessionUnknown)?;
    let opening = Opening {
        principal: Arc::clone(principal),
        scope: record.scope.clone(),
        revision: Revision::parse(&record.revision).ok_or(Refusal::SessionUnknown)?,
        capabilities: record.client_capabilities.clone(),
        client_info: record.client_info.clone(),
        authorization: None,
    };
    let session = Arc::new(Session::new(id.into(), opening, Arc::default()));
    session.note_saved();
    session.set_log_level(record.log_level.clone());
    for uri in &record.subscriptions {
        session.subscribe(uri);
    }
    for (server, upstream) in &record.upstreams {
        if let Some(server) = exchange.snapshot.servers.get(server) {
            let link = restore(server, &record, upstream);
            let naming = match scope {
                Scope::Server(_) => None,
                Scope::Profile(id) => {
                    let profile = exchange.snapshot.profiles.get(id);
                    profile.map(|profile| Arc::clone(&profile.naming))
                }
            };
            let way = Way {
                server: Arc::clone(server),
                naming,
            };
            match (&link, scope) {
                (Link::Legacy(upstream), Scope::Profile(_)) => {
                    link::hear_from(&exchange.live, &session, &way, upstream);
                }
                (Link::Legacy(_), Scope::Server(_)) => {}
                (Link::Modern, _) => subscribe::resume(&session, &way),
            }
            session.connect(&server.id, link);
        }
    }
    live.sessions
        .restore(session)
        .map_err(|_| Refusal::SessionsFull)
}

fn restore(server: &Arc<Server>, record: &Record, upstream: &store::Upstream) -> Link {
    if Revision::parse(&upstream.revision).is_some_and(|revision| revision.era() == Era::Modern) {
        return Link::Modern;
    }
    let mut asked = Object::default();
    asked.set("capabilities", record.client_capabilities.clone());
    let mut answered = Object::default();
    answered.set_text("protocolVersion", &upstream.revision);
    if let (Some(affinity), Some(id), Some(replica)) = (
        &server.cluster.affinity,
        &upstream.session,
        upstream.replica,
    ) {
        affinity.remember(id, replica);
    }
    Link::Legacy(Upstream::restore(
        Arc::clone(&server.remote),
        Caller::default(),
        upstream.session.clone(),
        answered.write(),
        &asked.write(),
    ))
}

/// Has other instances know what a session is by now.
pub(super) async fn save(live: &Live, session: &Session) {
    if !live.store.is_shared() || session.over.is_cancelled() {
        return;
    }
    // Said before it is read: what changes from here on is saved by whoever changes it.
    session.note_behind(false);
    let opening = &session.opening;
    let upstreams = session.links().into_iter().map(|(server, link)| {
        let upstream = match link {
            Link::Legacy(upstream) => store::Upstream {
                replica: upstream.replica(),
                session: upstream.id.clone(),
                revision: upstream.revision.clone(),
            },
            Link::Modern => store::Upstream {
                session: None,
                revision: MODERN.to_owned(),
                replica: None,
            },
        };
        (server.to_string(), upstream)
    });
    let record = Record {
        principal: opening.principal.to_string(),
        scope: opening.scope.clone(),
        revision: opening.revision.as_str().to_owned(),
        client_capabilities: opening.capabilities.clone(),
        client_info: opening.client_info.clone(),
        log_level: session.log_level(),
        subscriptions: session.subscriptions(),
        upstreams: upstreams.collect(),
    };
    let idle = live.sessions.limits.idle;
    match live.store.save(&session.id, &record, idle).await {
        Ok(()) => session.note_saved(),
        Err(error) => {
            // One that is too large stays so.
            session.note_behind(!matches!(error, store::Error::ClientTooLarge(_)));
            tracing::warn!(%error, "Session could not be shared with other instances");
        }
    }
}

/// Has other instances know in the background.
pub(super) fn save_later(live: &Arc<Live>, session: &Arc<Session>) {
    if live.store.is_shared() {
        let (live, session) = (Arc::clone(live), Arc::clone(session));
        live.background
            .clone()
            .spawn(async move { save(&live, &session).await });
    }
}

/// The caller's session of that id at that endpoint, if this instance serves it.
///
/// # Errors
/// As [`find`].
pub(super) fn find_local(
    exchange: &Exchange,
    id: &str,
    scope: Scope<'_>,
) -> Result<Arc<Session>, Refusal> {
    let principal = &exchange.subject;
    let is_here = |name: &str| self::scope(name) == scope;
    let found = exchange.live.sessions.find(id, principal, is_here);
    found.ok_or(Refusal::SessionUnknown)
}

/// Ends a session, here and everywhere.
pub(super) async fn end(live: &Live, client: &Session) {
    live.sessions.end(client);
    if let Err(error) = live.store.delete(&client.id).await {
        tracing::warn!(%error, "Session's end could not be shared with other instances");
    }
}
