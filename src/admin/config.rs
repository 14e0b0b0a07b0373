//! `POST /conduit/config/reload`

use std::time::SystemTime;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::state::reload::Reload;

/// Reads the configuration again, and says what of it is in effect.
pub(super) async fn reload(State(reload): State<Reload>) -> (StatusCode, Json<Value>) {
    let report = reload().await;
    let status = if report.errors.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::INTERNAL_SERVER_ERROR
    };
    let answer = json!({
        "reloaded": report.reloaded,
        "skipped": report.skipped,
        "errors": report.errors,
        "warnings": report.warnings,
        "reloaded_at": humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
    });
    (status, Json(answer))
}
