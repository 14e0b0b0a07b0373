//! `POST /conduit/policy/explain`: what all policy in force says of a message, and why.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use filters::policy::{Policies, explain};
use filters::route::EVERYTHING;
use serde_json::{Value, json};

use crate::policy::asked::Asked;
use crate::policy::told;
use crate::state::Shared;

type Answer = (StatusCode, Json<Value>);

/// Explains. Nothing is counted, charged, told or held.
pub(super) async fn show(State(shared): State<Arc<Shared>>, body: Bytes) -> Answer {
    let snapshot = shared.snapshot.load_full();
    let asked = serde_json::from_slice::<Asked>(&body);
    let asked = match asked {
        Ok(asked) => asked.understand(snapshot.auth.methods.is_some()),
        Err(error) => Err(error.to_string()),
    };
    let asked = match asked {
        Ok(asked) => asked,
        Err(error) => return (StatusCode::BAD_REQUEST, Json(json!({ "error": error }))),
    };
    let Some(profile) = snapshot.profiles.get(EVERYTHING) else {
        let error = json!({ "error": "there is no configuration in force" });
        return (StatusCode::SERVICE_UNAVAILABLE, Json(error));
    };
    let policies = Policies {
        acl: &snapshot.acl.rules,
        scopes: &snapshot.auth.scopes,
        limits: snapshot.limits.as_ref().map(|policy| &policy.rules),
        guard: &snapshot.guard,
        naming: &profile.naming,
    };
    let told = explain(&policies, &asked.question());
    (StatusCode::OK, Json(told::whole(&told)))
}
