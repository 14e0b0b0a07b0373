//! `GET /conduit/metrics`, and `/` of the metrics listener.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::state::Shared;

/// The metrics in Prometheus' text format.
pub(super) async fn show(State(shared): State<Arc<Shared>>) -> Response {
    refresh(&shared);
    match shared.live.metrics.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "Metrics could not be encoded");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Sets the gauges that say how things are now.
fn refresh(shared: &Shared) {
    let metrics = &shared.live.metrics;
    shared.live.cache.show(&metrics.cache);
    for (id, server) in &shared.snapshot.load().servers {
        let is_up = server.cluster.healthy_count() > 0;
        metrics
            .backend_health
            .with_label_values(&[id])
            .set(i64::from(is_up));
        for replica in server.cluster.replicas() {
            let gauge = metrics
                .backend_active
                .with_label_values(&[id, &replica.index.to_string()]);
            gauge.set(i64::try_from(replica.in_flight()).unwrap_or(i64::MAX));
        }
    }
}
