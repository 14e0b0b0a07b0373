//! A stored or shared answer as one caller gets it: under its own id, in its own era, in its own
//! spelling, and with no more time to live than is left.

use std::borrow::Cow;
use std::time::Instant;

use filters::cache::render;
use filters::cache::status::CacheStatus as Header;
use filters::mcp::method::Method;
use filters::mcp::revision::Era;
use filters::mcp::rewrite::{self, Namespace};
use filters::mcp::translate::down;

use crate::cache::Found;
use crate::cache::entry::Entry;
use crate::gateway::Ended;
use crate::gateway::cached::Served;
use crate::gateway::dispatch::Dispatch;
use crate::gateway::exchange::Exchange;
use crate::gateway::reply::Reply;
use crate::telemetry::outcome::CacheStatus;

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
    let Some(id) = inbound.id() else {
        return Ok(Served::Onward);
    };
    let now = Instant::now();
    note(reply.exchange, entry, given, now);
    let namespace = dispatch.way.namespace();
    let text = text(id, entry, inbound.era, namespace, now);
    reply.answer(200, text).await?;
    Ok(Served::Home)
}

/// The whole answer to a request.
pub(in crate::gateway) fn text(
    id: &str,
    entry: &Entry,
    era: Era,
    namespace: Option<Namespace<'_>>,
    now: Instant,
) -> String {
    let (result, span) = entry.in_era(era);
    let left = u64::try_from(entry.ttl_left(now).as_millis()).unwrap_or(u64::MAX);
    let namespace = namespace.filter(|namespace| rewrite::may_change(*namespace, result));
    let method = entry.origin.method;
    let respelled = namespace.and_then(|namespace| rewrite::result(namespace, method, result));
    match respelled {
        // Its `ttlMs` stands elsewhere now.
        Some(result) => render::answer(id, &result, render::ttl_span(&result).as_ref(), left),
        None => render::answer(id, result, span, left),
    }
}

/// Gives the error that a server answered with.
pub(super) async fn error(
    reply: &mut Reply<'_>,
    dispatch: &Dispatch<'_>,
    era: Era,
    status: u16,
    error: &str,
) -> Result<(), Ended> {
    let inbound = dispatch.inbound;
    reply.exchange.live.cache.count(Found::Miss);
    reply.exchange.outcome.cache_status = Some(CacheStatus::SkipError);
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
    reply.answer(status, text).await
}

/// Notes what the cache did, for headers, metrics and the access line.
pub(in crate::gateway) fn note(exchange: &mut Exchange, entry: &Entry, given: Given, now: Instant) {
    let fresh = entry.lifetime.fresh();
    let age = entry.age(now);
    let (status, header, found) = match given {
        Given::Hit => (CacheStatus::Hit, Header::hit(fresh, age), Found::Hit),
        Given::Stale => (CacheStatus::Stale, Header::hit(fresh, age), Found::Hit),
        Given::Revalidated => (CacheStatus::Revalidated, Header::stale(true), Found::Miss),
        Given::Stored { is_first } => (CacheStatus::Miss, Header::miss(true, !is_first), Found::Miss),
        Given::Unstored { is_first } => {
            (CacheStatus::Miss, Header::miss(false, !is_first), Found::Miss)
        }
        Given::ToolError => (
            CacheStatus::SkipError,
            Header::miss(false, false),
            Found::Miss,
        ),
    };
    exchange.live.cache.count(found);
    exchange.outcome.cache_status = Some(status);
    exchange.cache_status = Some(header.to_string());
}
