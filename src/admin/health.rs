//! `GET /conduit/health` and `GET /conduit/readyz`
//!
//! **Invariant:** who lacks the admin key, where there is one, is not told which servers there are.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::admin::guard::Guard;
use crate::limit::Store;
use crate::state::Shared;
use crate::state::snapshot::Snapshot;
use crate::upstream::cluster::Cluster;

/// Liveness: 200 for as long as the process serves, whatever its upstreams do; a restart would not
/// mend those. It is told in full to who has the key, or where there is none.
pub(super) async fn live(State(guard): State<Guard>, request: Request) -> Json<Value> {
    if guard.admits(&request) {
        return whole(&guard.shared);
    }
    pulse(State(guard.shared)).await
}

fn whole(shared: &Shared) -> Json<Value> {
    let snapshot = shared.snapshot.load();
    let mut backends: Vec<_> = snapshot.servers.values().collect();
    backends.sort_by(|a, b| a.id.cmp(&b.id));
    let backends: Vec<Value> = backends
        .iter()
        .map(|server| backend(&server.cluster))
        .collect();
    let mut health = json!({
        "status": status(&snapshot),
        "uptime_seconds": shared.live.started.elapsed().as_secs(),
        "db_writable": shared.live.access.is_writable(),
        "backends": backends,
    });
    if let Store::Redis(redis) = &shared.live.limiter.store
        && let Some(health) = health.as_object_mut()
    {
        let standing = json!({ "connected": redis.is_used() });
        health.insert("redis".to_owned(), standing);
    }
    Json(health)
}

/// [`live`] for everybody: nothing of which servers there are.
pub(super) async fn pulse(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(json!({ "status": status(&shared.snapshot.load()) }))
}

fn status(snapshot: &Snapshot) -> &'static str {
    if snapshot.servers.is_empty() || n_healthy(snapshot) > 0 {
        "ok"
    } else {
        "degraded"
    }
}

/// Readiness: whether traffic should come here.
pub(super) async fn ready(State(shared): State<Arc<Shared>>) -> (StatusCode, Json<Value>) {
    if is_ready(&shared) {
        return (StatusCode::OK, Json(json!({ "ready": true })));
    }
    let why = json!({
        "ready": false,
        "backends_healthy": n_healthy(&shared.snapshot.load()),
        "db_writable": shared.live.access.is_writable(),
        "draining": shared.live.is_draining(),
    });
    (StatusCode::SERVICE_UNAVAILABLE, Json(why))
}

/// [`ready`] for everybody: without the reasons.
pub(super) async fn fitness(State(shared): State<Arc<Shared>>) -> (StatusCode, Json<Value>) {
    let is_ready = is_ready(&shared);
    let status = if is_ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(json!({ "ready": is_ready })))
}

fn is_ready(shared: &Shared) -> bool {
    let is_up = n_healthy(&shared.snapshot.load()) > 0 && shared.live.up.is_cancelled();
    is_up && !shared.live.is_draining()
}

fn n_healthy(snapshot: &Snapshot) -> usize {
    let servers = snapshot.servers.values();
    servers.filter(|one| is_healthy(&one.cluster)).count()
}

fn is_healthy(cluster: &Cluster) -> bool {
    cluster.healthy_count() > 0
}

fn backend(cluster: &Cluster) -> Value {
    let last = cluster
        .replicas()
        .iter()
        .filter_map(|replica| replica.last_check())
        .max_by_key(|check| check.at);
    json!({
        "id": &*cluster.server,
        "healthy": is_healthy(cluster),
        "latency_ms": last.map(|check| u64::try_from(check.took.as_millis()).unwrap_or(u64::MAX)),
        "last_checked": last.map(|check| rfc3339(check.at)),
    })
}

fn rfc3339(at: std::time::SystemTime) -> String {
    humantime::format_rfc3339_millis(at).to_string()
}
