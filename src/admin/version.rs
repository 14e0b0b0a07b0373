//! `GET /conduit/version`

use axum::Json;
use serde_json::{Value, json};

/// The version. `node_version` is mcp-conduit's field; there is no Node here.
pub(super) async fn show() -> Json<Value> {
    Json(json!({ "version": env!("CARGO_PKG_VERSION"), "node_version": null }))
}
