//! The control plane: the HTTP API under `/conduit`, and the metrics listener.
//!
//! **Invariant:** every route but health and readiness asks for the admin key, and every change for a
//! header that no web page can send across origins.
//!
//! **Invariant:** the data plane is read here, never carried on: no request of a client's passes
//! through this module.

mod acl;
mod approvals;
mod approver;
mod cache;
mod config;
mod guard;
mod guardrails;
mod health;
mod key;
mod limits;
mod lock;
mod metrics;
mod policy;
mod servers;
mod version;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use serde_json::json;
use tower::ServiceExt;

use crate::admin::guard::{Guard, Listener};
use crate::admin::key::Gate;
use crate::auth::throttle::Limits;
use crate::config::Config;
use crate::config::model::Secret;
use crate::config::model::access::Throttle;
use crate::state::reload::Reload;
use crate::state::snapshot::ControlOrigins;
use crate::state::{ControlPlane, Shared};

/// Largest answer of the control plane, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Who may use the control plane.
pub struct Access {
    gate: Gate,
    shows_metrics: bool,
}

impl From<&Config> for Access {
    fn from(config: &Config) -> Self {
        let Throttle {
            failures_max,
            window_seconds,
        } = config.auth.throttle;
        let limits = Limits {
            failures_max,
            window_seconds,
        };
        let key = config.admin.key.as_ref().map(Secret::expose);
        Self {
            gate: Gate::new(key, limits),
            shows_metrics: config.metrics.allow_unauthenticated,
        }
    }
}

/// The control plane.
pub struct Control {
    guard: Guard,
    reload: Reload,
}

impl Control {
    /// A control plane over shared state, which has the configuration reloaded with `reload`.
    #[must_use]
    pub fn new(shared: Arc<Shared>, access: Access, reload: Reload) -> Self {
        let guard = Guard {
            gate: Arc::new(access.gate),
            shared,
            shows_metrics: access.shows_metrics,
        };
        Self { guard, reload }
    }

    /// What serves `/conduit/…` on the gateway's own listener.
    #[must_use]
    pub fn api(&self) -> ControlPlane {
        serve(self.router())
    }

    /// What serves it there where the API has a listener of its own: yes or no, for whoever sends
    /// traffic here.
    #[must_use]
    pub fn probes(&self) -> ControlPlane {
        let router = Router::new()
            .route("/conduit/health", get(health::pulse))
            .route("/conduit/readyz", get(health::fitness))
            .fallback(unknown)
            .layer(map_response(guard::secure))
            .with_state(Arc::clone(&self.guard.shared));
        serve(router)
    }

    /// What serves a listener of the API's own.
    #[must_use]
    pub fn listener(&self) -> ControlPlane {
        serve(self.behind(self.router(), |origins| &origins.admin))
    }

    /// What serves the metrics listener.
    #[must_use]
    pub fn metrics(&self, needs_key: bool) -> ControlPlane {
        let mut router = Router::new()
            .route("/", get(metrics::show))
            .with_state(Arc::clone(&self.guard.shared));
        if needs_key {
            router = router.layer(from_fn_with_state(self.guard.clone(), guard::key));
        }
        serve(self.behind(router, |origins| &origins.metrics))
    }

    /// A router on a listener of its own, which checks what the gateway's pipeline does elsewhere.
    fn behind(
        &self,
        router: Router,
        rules: fn(&ControlOrigins) -> &filters::origin::Rules,
    ) -> Router {
        let shared = Arc::clone(&self.guard.shared);
        let listener = Listener { shared, rules };
        router
            .layer(from_fn_with_state(listener, guard::origin))
            .layer(map_response(guard::secure))
    }

    fn router(&self) -> Router {
        let open = Router::new()
            .route(
                "/conduit/health",
                get(health::live).with_state(self.guard.clone()),
            )
            .route("/conduit/readyz", get(health::ready));
        let metrics = get(metrics::show);
        let metrics = metrics.layer(from_fn_with_state(self.guard.clone(), guard::metrics));
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
            .route("/conduit/policy/explain", post(policy::show))
            .route("/conduit/guardrails/rules", get(guardrails::rules))
            .route("/conduit/guardrails/check", get(guardrails::check))
            .route("/conduit/guardrails/stats", get(guardrails::stats))
            .route("/conduit/governance/approvals", get(approvals::list))
            .route(
                "/conduit/governance/approvals/{id}/approve",
                post(approvals::approve).with_state(self.guard.clone()),
            )
            .route(
                "/conduit/governance/approvals/{id}/reject",
                post(approvals::reject).with_state(self.guard.clone()),
            )
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
            .route("/conduit/metrics", metrics)
            .fallback(unknown)
            .layer(from_fn(guard::csrf))
            .layer(from_fn_with_state(self.guard.clone(), guard::key));
        open.merge(keyed)
            .layer(map_response(guard::secure))
            .with_state(Arc::clone(&self.guard.shared))
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
