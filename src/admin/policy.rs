//! `POST /conduit/policy/explain`: what all policy in force says of a message, and why.

use std::fmt;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use filters::lock::Mode;
use filters::lock::refused::Cause;
use filters::mcp::list::Kind;
use filters::policy::{Lock, Policies, Standing, explain};
use filters::route::EVERYTHING;
use serde_json::{Value, json};

use crate::policy::asked::Asked;
use crate::policy::told;
use crate::state::Shared;
use crate::state::snapshot::{FirstUse, Snapshot};

/// Which tools are as they were approved, as far as their servers' lists are known.
struct Approvals<'s> {
    shared: &'s Shared,
    snapshot: &'s Snapshot,
}

impl fmt::Debug for Approvals<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Approvals").finish_non_exhaustive()
    }
}

impl Lock for Approvals<'_> {
    fn standing(&self, server: &str, tool: &str) -> Option<Standing> {
        let policy = self.snapshot.tool_lock.as_ref()?;
        let mode = *policy.modes.get(server)?;
        let catalogs = &self.snapshot.servers.get(server)?.catalogs;
        let Some(listing) = catalogs.plain().known(Kind::Tools) else {
            return (mode != Mode::Off).then_some(Standing::Unlisted);
        };
        let tools = self.shared.live.lock.tools(server);
        if tools.is_none() && policy.first_use == FirstUse::Trust {
            // The first call would have all approved as they are listed.
            return Some(Standing::Unlisted);
        }
        let cause = Cause::find(tools.as_deref(), tool, listing.fingerprint(tool));
        Some(match (mode, cause) {
            (Mode::Off, _) => return None,
            (_, None) => Standing::Approved,
            (Mode::Warn, Some(cause)) => Standing::Warned(cause),
            (Mode::Block, Some(cause)) => Standing::Refused(cause),
        })
    }
}

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
    let approvals = Approvals {
        shared: &shared,
        snapshot: &snapshot,
    };
    let policies = Policies {
        acl: &snapshot.acl.rules,
        scopes: &snapshot.auth.scopes,
        limits: snapshot.limits.as_ref().map(|policy| &policy.rules),
        guard: &snapshot.guard,
        lock: Some(&approvals),
        naming: &profile.naming,
    };
    let told = explain(&policies, &asked.question());
    (StatusCode::OK, Json(told::whole(&told)))
}
