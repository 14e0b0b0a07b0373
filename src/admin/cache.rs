//! The cache: what is in it, what is being fetched, and how to get rid of it.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use filters::cache::freshness::Freshness;
use filters::cache::invalidate::Reach;
use filters::cache::key::Key;
use filters::mcp::method::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::cache::entry::Entry;
use crate::state::Shared;

/// Most entries that are shown at once.
const SHOWN_MAX: usize = 1000;
/// How many are shown unless it is said otherwise.
const SHOWN: usize = 100;

type Answer = (StatusCode, Json<Value>);

/// `GET /conduit/cache/stats`: how often it was asked, and how full it is.
pub(super) async fn stats(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let cache = &shared.live.cache;
    let asked = cache.asked();
    let looked_up = asked.hits + asked.misses;
    let hit_rate = if looked_up == 0 {
        0.0
    } else {
        ratio(asked.hits, looked_up)
    };
    let limits = cache.memory.limits();
    let l2 = cache.redis.as_ref().map(|redis| {
        let told = redis.stats();
        json!({
            "hits": told.hits,
            "misses": told.misses,
            "writes": told.writes,
            "writes_coalesced": told.writes_coalesced,
            "errors": told.errors,
            "connected": told.connected,
        })
    });
    let mut stats = Map::new();
    stats.insert(
        "l1".to_owned(),
        json!({
            "hits": asked.hits,
            "misses": asked.misses,
            "skips": asked.skips,
            "entries": cache.memory.count(),
            "hitRate": hit_rate,
            "bytes": cache.memory.bytes(),
            "evictions": cache.memory.evicted(),
            "max_entries": limits.entries_max,
            "max_bytes": limits.bytes_max,
        }),
    );
    stats.insert("coalesced".to_owned(), cache.joined().into());
    if let Some(l2) = l2 {
        stats.insert("l2".to_owned(), l2);
    }
    Json(Value::Object(stats))
}

fn ratio(part: u64, whole: u64) -> f64 {
    // Counts that a double cannot hold exactly differ in no digit that is shown.
    let (part, whole) = (u32_of(part, whole), u32_of(whole, whole));
    f64::from(part) / f64::from(whole)
}

/// A count in the scale in which `whole` fits.
fn u32_of(count: u64, whole: u64) -> u32 {
    let excess = u64::BITS - whole.leading_zeros();
    u32::try_from(count >> excess.saturating_sub(u32::BITS)).unwrap_or(u32::MAX)
}

/// What is wanted of the entries.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Wanted {
    server: Option<String>,
    tool: Option<String>,
    limit: Option<usize>,
    after: Option<String>,
}

/// `GET /conduit/cache/entries`: what is stored, page by page, without the results themselves.
pub(super) async fn entries(
    State(shared): State<Arc<Shared>>,
    Query(wanted): Query<Wanted>,
) -> Answer {
    let after = match wanted.after.as_deref().map(Key::parse) {
        None => None,
        Some(Some(key)) => Some(key),
        Some(None) => return bad("`after` must be the `next` of the page before"),
    };
    let limit = wanted.limit.unwrap_or(SHOWN).clamp(1, SHOWN_MAX);
    let is_wanted = move |entry: &Entry| {
        let origin = &entry.origin;
        let is_server = wanted
            .server
            .as_deref()
            .is_none_or(|id| *origin.server == *id);
        let is_tool = wanted.tool.as_deref().is_none_or(|tool| {
            origin.method == Method::ToolsCall && origin.target.as_deref() == Some(tool)
        });
        is_server && is_tool
    };
    let memory = Arc::clone(&shared.live.cache.memory);
    // There may be millions of them: no request waits behind this.
    let looked = move || memory.show(after.as_ref(), limit + 1, is_wanted);
    let Ok(shown) = tokio::task::spawn_blocking(looked).await else {
        let error = json!({ "error": "the entries could not be read" });
        return (StatusCode::INTERNAL_SERVER_ERROR, Json(error));
    };
    let next = (shown.len() > limit)
        .then(|| shown.get(limit - 1).map(|entry| entry.key.hex()))
        .flatten();
    let now = Instant::now();
    let entries: Vec<Value> = shown
        .iter()
        .take(limit)
        .map(|entry| show(entry, now))
        .collect();
    let page = json!({ "count": entries.len(), "entries": entries, "next": next });
    (StatusCode::OK, Json(page))
}

fn show(entry: &Entry, now: Instant) -> Value {
    let (state, left) = match entry.freshness(now) {
        Freshness::Fresh { left } => ("fresh", left),
        Freshness::WhileRevalidate | Freshness::IfError => ("stale", Duration::ZERO),
        Freshness::Gone => ("expired", Duration::ZERO),
    };
    let origin = &entry.origin;
    json!({
        "key": entry.key.hex(),
        "server": &*origin.server,
        "method": origin.method.label(),
        "target": origin.target.as_deref(),
        "share": entry.share.label(),
        "era": entry.era.label(),
        "state": state,
        "age_seconds": entry.age(now).as_secs_f64(),
        "ttl_seconds": left.as_secs_f64(),
        "size": entry.text.len(),
    })
}

fn bad(error: &str) -> Answer {
    (StatusCode::BAD_REQUEST, Json(json!({ "error": error })))
}

/// `DELETE /conduit/cache`: everything.
pub(super) async fn clear(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let snapshot = shared.snapshot.load_full();
    let mut deleted = 0;
    for server in snapshot.servers.values() {
        deleted += drop_all(&shared, &server.id, &Reach::Server).await;
    }
    Json(json!({ "deleted_count": deleted }))
}

/// `DELETE /conduit/cache/server/{id}`: all of one server.
pub(super) async fn server(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Json<Value> {
    let deleted = drop_all(&shared, &Arc::from(id.as_str()), &Reach::Server).await;
    Json(json!({ "server_id": id, "deleted_count": deleted }))
}

/// `DELETE /conduit/cache/server/{id}/tool/{tool}`: the results of one tool.
pub(super) async fn tool(
    State(shared): State<Arc<Shared>>,
    Path((id, tool)): Path<(String, String)>,
) -> Json<Value> {
    let reach = Reach::Tool(tool.clone());
    let deleted = drop_all(&shared, &Arc::from(id.as_str()), &reach).await;
    Json(json!({ "server_id": id, "tool": tool, "deleted_count": deleted }))
}

/// `DELETE /conduit/cache/tag/{tag}`: the results of all tools that bear a tag.
pub(super) async fn tag(State(shared): State<Arc<Shared>>, Path(tag): Path<String>) -> Json<Value> {
    let snapshot = shared.snapshot.load_full();
    let mut deleted = 0;
    for server in snapshot.servers.values() {
        let tools = server.cache.policy.tools.iter();
        let tagged = tools
            .filter(|(_, rules)| rules.tags.contains(&tag))
            .map(|(name, _)| Reach::Tool(name.clone()));
        if let Some(reach) = Reach::union(tagged) {
            deleted += drop_all(&shared, &server.id, &reach).await;
        }
    }
    Json(json!({ "tag": tag, "deleted_count": deleted }))
}

async fn drop_all(shared: &Shared, server: &Arc<str>, reach: &Reach) -> usize {
    shared.live.cache.invalidate(server, reach).await
}

/// `DELETE /conduit/cache/key/{key}`: one result.
pub(super) async fn key(State(shared): State<Arc<Shared>>, Path(key): Path<String>) -> Answer {
    let Some(parsed) = Key::parse(&key) else {
        return bad("a key has 64 hexadecimal digits");
    };
    let snapshot = shared.snapshot.load_full();
    let servers: Vec<Arc<str>> = snapshot
        .servers
        .values()
        .map(|server| Arc::clone(&server.id))
        .collect();
    let is_deleted = shared.live.cache.remove(&parsed, &servers).await;
    let answer = json!({ "deleted": is_deleted, "key": key });
    (StatusCode::OK, Json(answer))
}

/// `DELETE /conduit/cache/l2/flush`: all that Redis holds.
pub(super) async fn flush(State(shared): State<Arc<Shared>>) -> Answer {
    let Some(redis) = &shared.live.cache.redis else {
        let answer = json!({ "flushed": false, "reason": "L2 cache not configured" });
        return (StatusCode::OK, Json(answer));
    };
    match redis.flush().await {
        Ok(deleted) => {
            let now = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
            let answer = json!({ "flushed": true, "deleted_count": deleted, "flushed_at": now });
            (StatusCode::OK, Json(answer))
        }
        Err(error) => {
            let answer = json!({ "flushed": false, "reason": error.to_string() });
            (StatusCode::SERVICE_UNAVAILABLE, Json(answer))
        }
    }
}

/// `GET /conduit/dedup/inflight`: what is being fetched, and how many wait for it.
pub(super) async fn inflight(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let mut flights = shared.live.cache.flights.show();
    flights.sort_by_key(|flight| flight.began);
    let shown: Vec<Value> = flights
        .iter()
        .map(|flight| {
            let began = flight.began.duration_since(UNIX_EPOCH).unwrap_or_default();
            json!({
                "key": flight.key.hex(),
                "startedAt": u64::try_from(began.as_millis()).unwrap_or(u64::MAX),
                "coalesced": flight.n_joined,
                "server": &*flight.origin.server,
                "method": flight.origin.method.label(),
                "target": flight.origin.target.as_deref(),
            })
        })
        .collect();
    Json(json!({ "count": shown.len(), "inflight": shown }))
}
