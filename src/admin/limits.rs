//! Rate limits: what was used up, and how to have it forgotten.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use filters::identity::Principal;
use filters::rate::charge::Standing;
use filters::rate::rules::{Kind, Rule};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::limit::Store;
use crate::limit::memory::Shown;
use crate::limit::redis::Error;
use crate::state::Shared;

/// Most counts that are shown at once.
const SHOWN_MAX: usize = 1000;

/// The longest id of a client that is answered for, in bytes.
const ID_BYTES_MAX: usize = 4096;

type Answer = (StatusCode, Json<Value>);

/// Which of the clients of one id is meant.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Of {
    tenant: Option<String>,
}

/// `GET /conduit/limits`: what counts at the moment. Counts in Redis are not listed.
pub(super) async fn list(State(shared): State<Arc<Shared>>) -> Answer {
    let limiter = &shared.live.limiter;
    let is_enabled = shared.snapshot.load().limits.is_some();
    let (backend, shown) = match &limiter.store {
        Store::Memory(_) => ("memory", shown(&shared).await),
        Store::Redis(_) => ("redis", Vec::new()),
    };
    let mut list = Map::new();
    list.insert("enabled".to_owned(), is_enabled.into());
    list.insert("buckets".to_owned(), shown.into());
    list.insert("backend".to_owned(), backend.into());
    list.insert("waiting".to_owned(), limiter.n_waiting().into());
    match &limiter.store {
        Store::Memory(memory) => {
            list.insert("bytes".to_owned(), memory.bytes().into());
        }
        Store::Redis(redis) => {
            list.insert("connected".to_owned(), redis.is_used().into());
        }
    }
    (StatusCode::OK, Json(Value::Object(list)))
}

/// The counts in memory. There may be many of them: no request waits behind this.
async fn shown(shared: &Arc<Shared>) -> Vec<Value> {
    let shared = Arc::clone(shared);
    let looked = tokio::task::spawn_blocking(move || match &shared.live.limiter.store {
        Store::Memory(memory) => memory.show(SHOWN_MAX),
        Store::Redis(_) => Vec::new(),
    });
    let shown = looked.await.unwrap_or_default();
    shown.iter().map(bucket).collect()
}

fn bucket(shown: &Shown) -> Value {
    let tenant = shown
        .client
        .as_ref()
        .and_then(|(tenant, _)| tenant.as_deref());
    let client = shown.client.as_ref().map(|(_, client)| &**client);
    let rule = &shown.rule;
    let window_ms = rule.limit.window.as_millis();
    let names = [
        Some(rule.kind.label()),
        client,
        rule.server.as_deref(),
        rule.tool.as_deref(),
    ];
    let mut key: String = names
        .into_iter()
        .flatten()
        .flat_map(|name| [name, ":"])
        .collect();
    key.push_str(&window_ms.to_string());
    let mut bucket = Map::new();
    bucket.insert("key".to_owned(), key.into());
    bucket.insert("count".to_owned(), shown.used.into());
    bucket.insert("oldest".to_owned(), ago(shown.oldest).into());
    bucket.insert("label".to_owned(), (*rule.label).into());
    bucket.insert("limit".to_owned(), rule.limit.n_calls.into());
    if let Some(tenant) = tenant {
        bucket.insert("tenant".to_owned(), tenant.into());
    }
    Value::Object(bucket)
}

/// `GET /conduit/limits/client/{id}`: how a client's own buckets stand, and those of all.
pub(super) async fn client(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Query(of): Query<Of>,
) -> Answer {
    if id.len() > ID_BYTES_MAX {
        return bad("the id is too long");
    }
    let Some(policy) = shared.snapshot.load().limits.clone() else {
        let off = json!({ "client_id": id, "enabled": false, "limits": [] });
        return (StatusCode::OK, Json(off));
    };
    let principal = Principal {
        client: id.as_str().into(),
        tenant: of.tenant.map(Arc::from),
        ..Principal::anonymous()
    };
    let everybody = policy.rules.bill(&principal, None, None);
    let mut buckets: Vec<_> = everybody
        .buckets()
        .filter(|bucket| bucket.rule.kind == Kind::Global)
        .collect();
    buckets.extend(policy.rules.of_client(&principal));
    match shared.live.limiter.stand(&buckets).await {
        Ok(standings) => {
            let limits: Vec<Value> = standings.iter().map(standing).collect();
            let stands = json!({ "client_id": id, "enabled": true, "limits": limits });
            (StatusCode::OK, Json(stands))
        }
        Err(error) => failed(&error),
    }
}

fn standing(standing: &Standing) -> Value {
    let Rule {
        label,
        server,
        tool,
        limit,
        ..
    } = &*standing.rule;
    let mut shown = Map::new();
    shown.insert("label".to_owned(), (**label).into());
    shown.insert("remaining".to_owned(), standing.remaining().into());
    shown.insert("limit".to_owned(), limit.n_calls.into());
    shown.insert("reset_at".to_owned(), ahead(standing.reset).into());
    if let Some(server) = server {
        shown.insert("server".to_owned(), (**server).into());
    }
    if let Some(tool) = tool {
        shown.insert("tool".to_owned(), (**tool).into());
    }
    Value::Object(shown)
}

/// `DELETE /conduit/limits/reset`: everybody begins anew.
pub(super) async fn reset(State(shared): State<Arc<Shared>>) -> Answer {
    if shared.snapshot.load().limits.is_none() {
        let off = json!({ "reset": false, "reason": "rate limits are not enabled" });
        return (StatusCode::OK, Json(off));
    }
    match shared.live.limiter.reset().await {
        Ok(()) => {
            let done = json!({ "reset": true, "reset_at": now() });
            (StatusCode::OK, Json(done))
        }
        Err(error) => failed(&error),
    }
}

/// `DELETE /conduit/limits/client/{id}/reset`: one client begins anew, with its own buckets only.
pub(super) async fn reset_client(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Query(of): Query<Of>,
) -> Answer {
    if id.len() > ID_BYTES_MAX {
        return bad("the id is too long");
    }
    if shared.snapshot.load().limits.is_none() {
        let why = "rate limits are not enabled";
        let off = json!({ "reset": false, "client_id": id, "reason": why });
        return (StatusCode::OK, Json(off));
    }
    let limiter = &shared.live.limiter;
    match limiter.reset_client(&id, of.tenant.as_deref()).await {
        Ok(()) => {
            let done = json!({ "reset": true, "client_id": id, "reset_at": now() });
            (StatusCode::OK, Json(done))
        }
        Err(error) => failed(&error),
    }
}

fn bad(error: &str) -> Answer {
    (StatusCode::BAD_REQUEST, Json(json!({ "error": error })))
}

fn failed(error: &Error) -> Answer {
    let answer = json!({ "error": error.to_string() });
    (StatusCode::SERVICE_UNAVAILABLE, Json(answer))
}

fn now() -> String {
    humantime::format_rfc3339_millis(SystemTime::now()).to_string()
}

/// A time that is over, in milliseconds of the epoch.
fn ago(age: Duration) -> u64 {
    milliseconds(SystemTime::now().checked_sub(age))
}

/// A time to come, in milliseconds of the epoch.
fn ahead(time: Duration) -> u64 {
    milliseconds(SystemTime::now().checked_add(time))
}

fn milliseconds(time: Option<SystemTime>) -> u64 {
    let time = time.unwrap_or(UNIX_EPOCH);
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
