//! The control plane: the HTTP API under `/conduit`, and the metrics listener.
//!
//! **Invariant:** the data plane is read here, never carried on: no request of a client's passes
//! through this module.

mod acl;
mod cache;
mod config;
mod guard;
mod health;
mod limits;
mod lock;
mod metrics;
mod servers;
mod version;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use serde_json::json;
use tower::ServiceExt;

use crate::config::model::gateway::Admin;
use crate::state::reload::Reload;
use crate::state::{ControlPlane, Shared};

/// Largest answer of the control plane, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Who may use the control plane.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// The key; without one it is open.
    key: Option<Arc<str>>,
}

impl From<&Admin> for Access {
    fn from(admin: &Admin) -> Self {
        Self {
            key: admin.key.as_ref().map(|key| key.expose().into()),
        }
    }
}

/// The control plane.
pub struct Control {
    shared: Arc<Shared>,
    access: Access,
    reload: Reload,
}

impl Control {
    /// A control plane over shared state, which has the configuration reloaded with `reload`.
    #[must_use]
    pub fn new(shared: Arc<Shared>, access: Access, reload: Reload) -> Self {
        Self {
            shared,
            access,
            reload,
        }
    }

    /// What serves `/conduit/…` on the gateway's own listener.
    #[must_use]
    pub fn api(&self) -> ControlPlane {
        serve(self.router())
    }

    /// What serves the metrics listener.
    #[must_use]
    pub fn metrics(&self, needs_key: bool) -> ControlPlane {
        let mut router = Router::new()
            .route("/", get(metrics::show))
            .with_state(Arc::clone(&self.shared));
        if needs_key {
            let access = self.access.clone();
            router = router.layer(axum::middleware::from_fn_with_state(access, guard::key));
        }
        serve(router)
    }

    fn router(&self) -> Router {
        let open = Router::new()
            .route("/conduit/health", get(health::live))
            .route("/conduit/readyz", get(health::ready));
        let access = self.access.clone();
        let keyed = Router::new()
            .route("/conduit/servers", get(servers::list))
            .route("/conduit/servers/{id}/refresh", post(servers::refresh))
            .route("/conduit/cache", delete(cache::clear))
            .route("/conduit/cache/stats", get(cache::stats))
            .route("/conduit/cache/entries", get(cache::entries))
            .route("/conduit/cache/server/{id}", delete(cache::server))
            .route(
                "/conduit/cache/server/{id}/tool/{tool}",
                delete(cache::tool),
            )
            .route("/conduit/cache/tag/{tag}", delete(cache::tag))
            .route("/conduit/cache/key/{key}", delete(cache::key))
            .route("/conduit/cache/l2/flush", delete(cache::flush))
            .route("/conduit/acl/check", get(acl::check))
            .route("/conduit/dedup/inflight", get(cache::inflight))
            .route(
                "/conduit/config/reload",
                post(config::reload).with_state(Arc::clone(&self.reload)),
            )
            .route("/conduit/limits", get(limits::list))
            .route("/conduit/limits/reset", delete(limits::reset))
            .route("/conduit/limits/client/{id}", get(limits::client))
            .route(
                "/conduit/limits/client/{id}/reset",
                delete(limits::reset_client),
            )
            .route("/conduit/lock", get(lock::show))
            .route("/conduit/lock/approve", post(lock::approve))
            .route("/conduit/version", get(version::show))
            .route("/conduit/metrics", get(metrics::show))
            .fallback(unknown)
            .layer(axum::middleware::from_fn(guard::csrf))
            .layer(axum::middleware::from_fn_with_state(access, guard::key));
        open.merge(keyed)
            .layer(axum::middleware::map_response(guard::secure))
            .with_state(Arc::clone(&self.shared))
    }
}

async fn unknown() -> Response {
    (
        StatusCode::NOT_FOUND,
        axum::Json(json!({ "error": "Not found" })),
    )
        .into_response()
}

fn serve(router: Router) -> ControlPlane {
    Arc::new(move |request| Box::pin(answer(router.clone(), request)))
}

/// Has a router answer one request, body and all.
async fn answer(router: Router, request: http::Request<Bytes>) -> http::Response<Bytes> {
    let response = match router.oneshot(request.map(Body::from)).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    let (parts, body) = response.into_parts();
    match Limited::new(body, ANSWER_BYTES_MAX).collect().await {
        Ok(collected) => http::Response::from_parts(parts, collected.to_bytes()),
        Err(error) => {
            tracing::error!(%error, "An answer of the control plane broke off");
            let mut broken = http::Response::new(Bytes::new());
            *broken.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            broken
        }
    }
}
