//! A stored or shared answer as one caller gets it: under its own id, in its own era, in its own
//! spelling, and with no more time to live than is left.

use std::borrow::Cow;
use std::time::Instant;

use filters::cache::admit;
use filters::cache::render;
use filters::cache::status::{self, Reason, Source, Status};
use filters::mcp::revision::Era;
use filters::mcp::rewrite::{self, Namespace};
use filters::mcp::translate::down;
use filters::rpc::parse::Id;
use http::HeaderValue;
use http::header::WWW_AUTHENTICATE;
use pingora::http::ResponseHeader;

use crate::cache::entry::Entry;
use crate::cache::{Found, Page};
use crate::gateway::Ended;
use crate::gateway::bridge::modern_server;
use crate::gateway::cached::Served;
use crate::gateway::dispatch::Dispatch;
use crate::gateway::exchange::Exchange;
use crate::gateway::pass::end;
use crate::gateway::reply::Reply;
use crate::state::snapshot::Server;

/// How a caller comes by its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gateway) enum Given {
    /// It was there.
    Hit,
    /// It was there, and is old.
    Stale,
    /// It was fetched in the place of an old one.
    Revalidated,
    /// It was fetched, for this caller or for one that it waited with, and stored.
    Stored {
        /// Whether it was fetched for this caller.
        is_first: bool,
    },
    /// It was fetched, and not stored.
    Unstored {
        /// Whether it was fetched for this caller.
        is_first: bool,
    },
    /// It was fetched, and tells of an error: such are never stored.
    ToolError,
}

/// Gives an entry.
pub(super) async fn entry(
    reply: &mut Reply<'_>,
    dispatch: &Dispatch<'_>,
    entry: &Entry,
    given: Given,
) -> Result<Served, Ended> {
    let inbound = dispatch.inbound;
    let Some(id) = inbound.id().and_then(Id::from_json) else {
        return Ok(Served::Onward);
    };
    let now = Instant::now();
    note(reply.exchange, entry, given, now);
    let namespace = dispatch.way.namespace();
    // What was fetched for this very caller is as its server gave it.
    let asked = match given {
        Given::Stored { is_first: true } | Given::Unstored { is_first: true } => entry.fetched,
        Given::Hit
        | Given::Stale
        | Given::Revalidated
        | Given::Stored { is_first: false }
        | Given::Unstored { is_first: false }
        | Given::ToolError => now,
    };
    let server = &dispatch.way.server;
    let text = text(id, entry, inbound.era, server, namespace, asked);
    reply.exchange.live.cache.memory.weigh(entry);
    reply.document(200, text.into()).await?;
    Ok(Served::Home)
}

/// The whole answer to a request.
pub(in crate::gateway) fn text(
    id: Id<'_>,
    entry: &Entry,
    era: Era,
    server: &Server,
    namespace: Option<Namespace<'_>>,
    now: Instant,
) -> Vec<u8> {
    let (result, span) = entry.in_era(era);
    let screened = (era == Era::Legacy && entry.era == Era::Modern)
        .then(|| modern_server::screen(server, entry.origin.method, result))
        .flatten();
    let (result, span) = match &screened {
        Some(screened) => (screened.as_str(), None),
        None => (result, span),
    };
    let left = u64::try_from(entry.ttl_left(now).as_millis()).unwrap_or(u64::MAX);
    let namespace = namespace.filter(|namespace| rewrite::may_change(*namespace, result));
    let method = entry.origin.method;
    let respelled = namespace.and_then(|namespace| rewrite::result(namespace, method, result));
    let mut out = Vec::new();
    match respelled {
        Some(result) => {
            // Its `ttlMs` stands elsewhere now.
            let hints = admit::admit(method, None, &result).unwrap_or_default();
            let ttl = hints.ttl_span.as_ref().map(|span| (span, left));
            render::answer(id, &result, ttl, &mut out);
        }
        None => render::answer(id, result, span.map(|span| (span, left)), &mut out),
    }
    out
}

/// An error that a server answered with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refused<'r> {
    /// Its era.
    pub(super) era: Era,
    /// The HTTP status.
    pub(super) status: u16,
    /// The error object, JSON text.
    pub(super) error: &'r str,
    /// The head that it came with, where that refuses, too.
    pub(super) head: Option<&'r ResponseHeader>,
}

/// Gives the error that a server answered with: under its own head, as without a cache, where that
/// may pass.
pub(super) async fn error(
    reply: &mut Reply<'_>,
    dispatch: &Dispatch<'_>,
    refused: &Refused<'_>,
) -> Result<(), Ended> {
    let Refused {
        era,
        status,
        error,
        head,
    } = *refused;
    let inbound = dispatch.inbound;
    reply.exchange.live.cache.count(Found::Miss);
    reply.exchange.outcome.cache_status = Some(Status::SkipError);
    let (status, error) = match (inbound.era, era) {
        (Era::Modern, Era::Legacy) => {
            let (status, error) = down::modern_error(inbound.method, error);
            (status, Cow::Owned(error))
        }
        (Era::Legacy, Era::Modern) => (200, Cow::Owned(down::legacy_error(inbound.method, error))),
        (Era::Modern, Era::Modern) | (Era::Legacy, Era::Legacy) => (status, Cow::Borrowed(error)),
    };
    let id = inbound.id().unwrap_or("null");
    let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#);
    let same = head.filter(|_| inbound.era == era);
    if let Some(head) = same.and_then(|head| end::outward(reply, dispatch.way, head, false)) {
        return reply.page(head, text.into()).await;
    }
    let told = head.and_then(|head| head.headers.get(WWW_AUTHENTICATE));
    let came_with = head.map_or(status, |head| head.status.as_u16());
    let challenged = end::challenge(reply, dispatch.way, came_with, told);
    reply.answer(challenged.unwrap_or(status), text).await
}

/// Gives a server's refusal that says nothing of MCP.
pub(super) async fn page(
    reply: &mut Reply<'_>,
    dispatch: &Dispatch<'_>,
    page: &Page,
) -> Result<(), Ended> {
    reply.exchange.live.cache.count(Found::Miss);
    reply.exchange.outcome.cache_status = Some(Status::SkipError);
    let is_in_session = page.is_in_session || dispatch.client.is_some();
    match end::outward(reply, dispatch.way, &page.head, is_in_session) {
        Some(head) => reply.page(head, page.text.clone()).await,
        None => {
            end::tell(
                reply,
                dispatch.way,
                dispatch.inbound,
                page.head.status.as_u16(),
            )
            .await
        }
    }
}

/// Notes what the cache did, for headers, metrics and the access line.
pub(in crate::gateway) fn note(exchange: &mut Exchange, entry: &Entry, given: Given, now: Instant) {
    let ttl = status::ttl(entry.lifetime.fresh(), entry.age(now));
    let forward = |reason, is_stored, is_first: bool| status::CacheStatus {
        is_stored,
        is_collapsed: !is_first,
        ..status::CacheStatus::new(Source::Forward(reason))
    };
    let hit = status::CacheStatus {
        ttl: Some(ttl),
        ..status::CacheStatus::new(Source::Hit)
    };
    let (status, header, found) = match given {
        Given::Hit => (Status::Hit, hit, Found::Hit),
        Given::Stale => (Status::Stale, hit, Found::Hit),
        Given::Revalidated => (
            Status::Revalidated,
            forward(Reason::Stale, true, true),
            Found::Miss,
        ),
        Given::Stored { is_first } => (
            Status::Miss,
            forward(Reason::UriMiss, true, is_first),
            Found::Miss,
        ),
        Given::Unstored { is_first } => (
            Status::Miss,
            forward(Reason::UriMiss, false, is_first),
            Found::Miss,
        ),
        Given::ToolError => (
            Status::SkipError,
            forward(Reason::UriMiss, false, true),
            Found::Miss,
        ),
    };
    exchange.live.cache.count(found);
    exchange.outcome.cache_status = Some(status);
    // All that it is made of may stand in a header.
    exchange.cache_status = HeaderValue::try_from(header.to_text()).ok();
}
