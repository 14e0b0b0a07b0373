//! The lists of several servers as one: asked of all at once, merged in the order of the
//! configuration, given page by page.
//!
//! **Invariant:** a server that fails costs its own items and a note, never the list (E42).

use std::borrow::Borrow;
use std::sync::Arc;

use filters::json::object::Object;
use filters::mcp::capability;
use filters::mcp::list::{self, Kind};
use filters::mcp::revision::Era;
use filters::refusal::Refusal;
use filters::route::cursor::{self, Cursor};
use filters::route::merge::{self, Entry, Merged, Source};
use filters::rpc::parse::Id;
use filters::rpc::write;
use filters::seal;
use futures_util::future::join_all;

use crate::gateway::Ended;
use crate::gateway::access;
use crate::gateway::inbound::Inbound;
use crate::gateway::locked::{self, Eye};
use crate::gateway::passage;
use crate::gateway::reply::{Reply, Wake};
use crate::state::session::Session;
use crate::state::snapshot::{Profile, Server};
use crate::upstream::catalog::{Catalog, Listed, View};
use crate::upstream::fields::Caller;

/// The `_meta` member that tells which servers' items are old or missing.
const PARTIAL: &str = "io.conduit/servers";
/// How long clients may take a list as it is, in milliseconds: the gateway tells of changes.
const TTL_MS: u64 = 0;

/// The catalog of a server as a client sees it.
pub(super) fn catalog(server: &Server, caller: &Caller, capabilities: &str) -> Arc<Catalog> {
    let view = View {
        authorization: server.remote.credential(caller),
        capabilities: capability::canonical(capabilities),
    };
    let caller = Caller {
        authorization: view.authorization.clone(),
        lines: Vec::new(),
    };
    server.catalogs.find(&view, &caller)
}

/// What a client said it can do, in whichever era it says so.
pub(super) fn capabilities(inbound: &Inbound, client: Option<&Arc<Session>>) -> String {
    match inbound.era {
        Era::Modern => inbound.context().capabilities,
        Era::Legacy => client.map_or_else(
            || "{}".to_owned(),
            |client| client.opening.capabilities.clone(),
        ),
    }
}

/// One list of all servers.
pub(super) struct Whole {
    /// Its items.
    pub(super) merged: Arc<Merged>,
    /// What is wrong with which server.
    pub(super) failures: Vec<(Arc<str>, &'static str, Arc<str>)>,
}

/// Asks all servers for a list.
pub(super) async fn read(
    profile: &Profile,
    caller: &Caller,
    capabilities: &str,
    kind: Kind,
    deadline: std::time::Duration,
    eyes: &[Option<Eye>],
) -> Whole {
    let catalogs: Vec<Arc<Catalog>> = profile
        .servers
        .iter()
        .map(|server| catalog(server, caller, capabilities))
        .collect();
    let all = join_all(catalogs.iter().map(|catalog| catalog.list(kind)));
    let mut listed: Vec<Listed> = match tokio::time::timeout(deadline, all).await {
        Ok(listed) => listed,
        Err(_) => catalogs.iter().map(|catalog| catalog.last(kind)).collect(),
    };
    for (listed, eye) in listed.iter_mut().zip(eyes) {
        if let Some(eye) = eye {
            *listed = eye.shown(std::mem::take(listed)).await;
        }
    }
    let mut failures = Vec::new();
    for (server, listed) in profile.servers.iter().zip(&listed) {
        if let Some(failure) = &listed.failure {
            let status = match listed.listing {
                Some(_) => "stale",
                None => "unavailable",
            };
            failures.push((Arc::clone(&server.id), status, Arc::clone(failure)));
        }
    }
    Whole {
        merged: merge_all(profile, kind, &listed),
        failures,
    }
}

fn merge_all(profile: &Profile, kind: Kind, listed: &[Listed]) -> Arc<Merged> {
    let listings: Vec<_> = listed.iter().map(|one| one.listing.clone()).collect();
    if let Some(merged) = profile.merging.find(kind, &listings) {
        return merged;
    }
    let sources: Vec<Source<'_>> = profile
        .servers
        .iter()
        .zip(&listings)
        .filter_map(|(server, listing)| {
            Some(Source {
                server: &server.id,
                items: &listing.as_ref()?.items,
            })
        })
        .collect();
    let merged = Arc::new(merge::merge(kind, &profile.naming, &sources));
    for conflict in &merged.conflicts {
        let [one, other] = &conflict.servers;
        tracing::error!(
            name = %conflict.name,
            list = kind.label(),
            server.id = %one,
            server.other = %other,
            "Ambiguous name is not offered: rename it, or set router.namespace_strategy: prefix"
        );
    }
    profile.merging.keep(kind, listings, Arc::clone(&merged));
    merged
}

/// Answers a list request.
pub(super) async fn serve(
    reply: &mut Reply<'_>,
    profile: &Arc<Profile>,
    client: Option<&Arc<Session>>,
    inbound: &Inbound,
    kind: Kind,
) -> Result<(), Ended> {
    let Some(id) = inbound.id().and_then(Id::from_json) else {
        return reply.accept().await;
    };
    let live = Arc::clone(&reply.exchange.live);
    let key = live.key().await;
    let scope = seal::context(&[
        inbound.principal.as_bytes(),
        profile.id.as_bytes(),
        kind.label().as_bytes(),
    ]);
    let params = Object::read(inbound.params()).unwrap_or_default();
    let after = match params.get("cursor").filter(|text| *text != "null") {
        None => None,
        Some(_) => {
            let opened = params
                .text("cursor")
                .and_then(|text| cursor::open(&key, &scope, &text));
            if opened.is_none() {
                return reply
                    .refuse(Refusal::CursorInvalid, inbound.id(), None)
                    .await;
            }
            opened
        }
    };
    let lists = reply.exchange.snapshot.lists;
    let capabilities = capabilities(inbound, client);
    let eyes = locked::eyes(reply.exchange, profile, kind);
    let read = read(
        profile,
        &inbound.caller,
        &capabilities,
        kind,
        lists.deadline,
        &eyes,
    );
    let whole = match reply.wait(read).await? {
        Wake::Done(whole) => whole,
        Wake::Gone => return Err(Ended::ClientGone),
    };
    for server in &profile.servers {
        passage::stay(server)?;
    }
    for (server, status, _) in &whole.failures {
        live.metrics.count_partial(server, kind.label(), status);
    }
    let entries = &whole.merged.entries;
    let size = lists.page_size;
    let shown = access::shown(reply.exchange, kind, entries);
    let (items, next) = match &shown {
        None => page(entries, after.as_ref(), size),
        Some(shown) => page(shown, after.as_ref(), size),
    };
    let next = next.map(|next| cursor::seal(&key, nonce(&scope, &next), &scope, &next));
    let ttl = (inbound.era == Era::Modern).then_some((TTL_MS, false));
    let meta = partial(&whole.failures, inbound.era);
    let result = list::write(kind, &items, next.as_deref(), ttl, meta.as_deref());
    reply.answer(200, write::result(id, &result)).await
}

/// The texts of a page, and the cursor for what follows.
fn page<'m, E: Borrow<Entry>>(
    entries: &'m [E],
    after: Option<&Cursor>,
    size: usize,
) -> (Vec<&'m str>, Option<Cursor>) {
    let (page, next) = cursor::page(entries, after, size);
    let texts = page.iter().map(|entry| entry.borrow().text.as_str());
    (texts.collect(), next)
}

/// The same place in the same list has the same cursor.
fn nonce(scope: &[u8], next: &Cursor) -> [u8; seal::NONCE_BYTES] {
    let digest = seal::digest(&[
        scope,
        next.server.as_bytes(),
        next.inner.as_bytes(),
        &next.given.to_be_bytes(),
        &next.left.to_be_bytes(),
    ]);
    let mut nonce = [0; seal::NONCE_BYTES];
    for (to, from) in nonce.iter_mut().zip(digest) {
        *to = from;
    }
    nonce
}

/// `_meta` of a list: who says it, and what is missing from it.
fn partial(failures: &[(Arc<str>, &'static str, Arc<str>)], era: Era) -> Option<String> {
    let mut meta = Object::default();
    if !failures.is_empty() {
        let mut servers = Object::default();
        for (server, status, failure) in failures {
            let mut one = Object::default();
            one.set_text("status", status);
            one.set_text("error", failure);
            servers.set(server.to_string(), one.write());
        }
        meta.set(PARTIAL, servers.write());
    }
    if era == Era::Modern {
        meta.set(
            "io.modelcontextprotocol/serverInfo",
            crate::upstream::CLIENT_INFO,
        );
    }
    (!meta.is_empty()).then(|| meta.write())
}

/// The server that has a tool, prompt or resource, and what it calls it.
pub(super) async fn resolve(
    profile: &Profile,
    caller: &Caller,
    capabilities: &str,
    kind: Kind,
    outer: &str,
    deadline: std::time::Duration,
    eyes: &[Option<Eye>],
) -> Result<(Arc<Server>, String), Refusal> {
    let whole = read(profile, caller, capabilities, kind, deadline, eyes).await;
    for server in &profile.servers {
        passage::stay(server)?;
    }
    if let Some(entry) = whole.merged.find(outer)
        && let Some(server) = profile.server(&entry.server)
    {
        return Ok((Arc::clone(server), entry.inner.clone()));
    }
    if let Some(conflict) = whole.merged.conflicts.iter().find(|one| one.name == outer) {
        return Err(Refusal::TargetAmbiguous {
            name: outer.to_owned(),
            servers: conflict.servers.clone(),
        });
    }
    Err(Refusal::TargetUnknown {
        kind: match kind {
            Kind::Tools => "tool",
            Kind::Prompts => "prompt",
            Kind::Resources | Kind::Templates => "resource",
        },
        name: outer.to_owned(),
    })
}
