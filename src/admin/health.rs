//! `GET /conduit/health` and `GET /conduit/readyz`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::limit::Store;
use crate::state::Shared;
use crate::upstream::cluster::Cluster;

/// Liveness: 200 for as long as the process serves, whatever its upstreams do; a restart would not
/// mend those.
pub(super) async fn live(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let snapshot = shared.snapshot.load();
    let mut backends: Vec<_> = snapshot.servers.values().collect();
    backends.sort_by(|a, b| a.id.cmp(&b.id));
    let is_up = backends.is_empty() || backends.iter().any(|server| is_healthy(&server.cluster));
    let backends: Vec<Value> = backends
        .iter()
        .map(|server| backend(&server.cluster))
        .collect();
    let mut health = json!({
        "status": if is_up { "ok" } else { "degraded" },
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

/// Readiness: whether traffic should come here.
pub(super) async fn ready(State(shared): State<Arc<Shared>>) -> (StatusCode, Json<Value>) {
    let snapshot = shared.snapshot.load();
    let n_healthy = snapshot
        .servers
        .values()
        .filter(|s| is_healthy(&s.cluster))
        .count();
    let is_draining = shared.live.is_draining();
    if n_healthy > 0 && !is_draining && shared.live.up.is_cancelled() {
        return (StatusCode::OK, Json(json!({ "ready": true })));
    }
    let why = json!({
        "ready": false,
        "backends_healthy": n_healthy,
        "db_writable": shared.live.access.is_writable(),
        "draining": is_draining,
    });
    (StatusCode::SERVICE_UNAVAILABLE, Json(why))
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
