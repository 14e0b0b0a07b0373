//! `GET /conduit/servers` and `POST /conduit/servers/{id}/refresh`

use std::sync::Arc;
use std::time::SystemTime;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use filters::mcp::list::{self, Kind};
use filters::mcp::revision::Era;
use futures_util::future::join_all;
use serde_json::{Map, Value, json};

use crate::state::Shared;
use crate::state::snapshot::Server;
use crate::upstream::catalog::{Catalog, View};
use crate::upstream::era::Standing;
use crate::upstream::fields::Caller;
use crate::upstream::replica::Replica;

/// All servers: whether they are healthy, what they offer, and how fresh that is known.
pub(super) async fn list(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let snapshot = shared.snapshot.load_full();
    let mut servers: Vec<&Arc<Server>> = snapshot.servers.values().collect();
    servers.sort_by(|a, b| a.id.cmp(&b.id));
    let read = join_all(servers.iter().map(|server| async move {
        let catalog = catalog(server);
        catalog.list(Kind::Tools).await;
    }));
    // What is not known in time is shown as it is.
    tokio::time::timeout(snapshot.lists.deadline, read)
        .await
        .ok();
    let servers: Vec<Value> = servers.iter().map(|server| show(server)).collect();
    Json(json!({ "servers": servers }))
}

/// Reads a server's lists anew.
pub(super) async fn refresh(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> (StatusCode, Json<Value>) {
    let snapshot = shared.snapshot.load_full();
    let Some(server) = snapshot.servers.get(&id) else {
        let error = json!({ "error": format!("Server not found: {id}") });
        return (StatusCode::NOT_FOUND, Json(error));
    };
    let catalog = catalog(server);
    let mut n_tools = 0;
    for kind in Kind::ALL {
        let listed = catalog.reread(kind).await;
        if kind == Kind::Tools {
            n_tools = listed.listing.map_or(0, |listing| listing.items.len());
        }
    }
    let refreshed = json!({
        "server_id": id,
        "tools_count": n_tools,
        "refreshed_at": humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
    });
    (StatusCode::OK, Json(refreshed))
}

/// The view of a client that brings nothing and can do nothing.
fn catalog(server: &Server) -> Arc<Catalog> {
    server.catalogs.find(&View::plain(), &Caller::default())
}

fn show(server: &Server) -> Value {
    let catalog = catalog(server);
    let (_, failure) = catalog.standing();
    let tools: Vec<String> = catalog
        .last(Kind::Tools)
        .listing
        .map(|listing| {
            let names = listing.items.iter();
            names
                .filter_map(|item| Some(list::identify(Kind::Tools, item)?.into_owned()))
                .collect()
        })
        .unwrap_or_default();
    let replicas: Vec<Value> = server
        .cluster
        .replicas()
        .iter()
        .map(|one| replica(server, one))
        .collect();
    json!({
        "id": &*server.id,
        "url": server.url,
        "healthy": server.cluster.healthy_count() > 0,
        "latency_ms": latency(server.cluster.replicas()),
        "era": era(server),
        "tools_count": tools.len(),
        "tools": tools,
        "lists": lists(&catalog),
        "error": failure.as_deref(),
        "sessions": server.groups.n_sessions(),
        "replicas": replicas,
    })
}

fn era(server: &Server) -> &'static str {
    let eras = &server.remote.eras;
    match (eras.serves(Era::Modern), eras.serves(Era::Legacy)) {
        (Standing::Yes, Standing::Yes) => "dual",
        (Standing::Yes, _) => "modern",
        (_, Standing::Yes) => "legacy",
        (Standing::Unknown | Standing::No, Standing::Unknown | Standing::No) => "unknown",
    }
}

/// How each list is known: `fresh`, `stale` (the last good one of a server that fails) or
/// `unavailable`; one that nobody asked for is left out.
fn lists(catalog: &Catalog) -> Value {
    let mut lists = Map::new();
    for kind in Kind::ALL {
        if !catalog.is_asked(kind) {
            continue;
        }
        let listed = catalog.last(kind);
        let status = match (&listed.listing, &listed.failure) {
            (Some(_), None) => "fresh",
            (Some(_), Some(_)) => "stale",
            (None, _) => "unavailable",
        };
        let listing = listed.listing.as_ref();
        let one = json!({
            "status": status,
            "count": listing.map_or(0, |listing| listing.items.len()),
            "age_seconds": listing.map(|listing| listing.read.elapsed().as_secs()),
        });
        lists.insert(kind.label().to_owned(), one);
    }
    Value::Object(lists)
}

fn replica(server: &Server, replica: &Replica) -> Value {
    let last = replica.last_check();
    let is_healthy = server.cluster.is_healthy(replica.index);
    json!({
        "index": replica.index,
        "url": server.replica_urls.get(replica.index),
        "healthy": is_healthy,
        "latency_ms": last.map(|check| u64::try_from(check.took.as_millis()).unwrap_or(u64::MAX)),
        "active_connections": replica.in_flight(),
    })
}

fn latency(replicas: &[Arc<Replica>]) -> Option<u64> {
    let last = replicas.iter().filter_map(|replica| replica.last_check());
    let last = last.max_by_key(|check| check.at)?;
    u64::try_from(last.took.as_millis()).ok()
}
