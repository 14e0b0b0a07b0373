//! `GET /conduit/acl/check`: what the access rules say of one caller and one thing, and why, by the
//! same walk that decides requests.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use filters::acl::explain::{Explanation, explain};
use filters::acl::spec::Effect;
use filters::acl::view::{Decision, Item};
use filters::identity::Principal;
use serde_json::{Value, json};

use crate::policy::told;
use crate::state::Shared;

/// What is asked. Roles and scopes may be several, other things stand once.
struct Asked<'a> {
    principal: Principal,
    server: &'a str,
    item: Item<'a>,
}

impl<'a> Asked<'a> {
    /// Reads a query.
    ///
    /// # Errors
    /// What is wrong with it.
    fn read(query: &'a [(String, String)]) -> Result<Self, &'static str> {
        const MISSING: &str = "Required parameters: client, server, tool (or prompt, or resource)";
        let all = |name: &'a str| {
            let named = query.iter().filter(move |(key, _)| key == name);
            named
                .map(|(_, value)| value.as_str())
                .filter(|value| !value.is_empty())
        };
        let one = |name: &'a str| all(name).next();
        let items = [
            one("tool").map(Item::Tool),
            one("prompt").map(Item::Prompt),
            one("resource").map(Item::Resource),
        ];
        let mut items = items.into_iter().flatten();
        let (Some(client), Some(server), Some(item)) = (one("client"), one("server"), items.next())
        else {
            return Err(MISSING);
        };
        if items.next().is_some() {
            return Err("Only one of tool, prompt and resource can be checked at once");
        }
        Ok(Self {
            principal: Principal {
                client: client.into(),
                tenant: one("tenant").map(Into::into),
                roles: all("role").map(Into::into).collect(),
                scopes: all("scope").map(Into::into).collect(),
                ..Principal::anonymous()
            },
            server,
            item,
        })
    }
}

/// Decides what is asked without doing it.
pub(super) async fn check(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<Vec<(String, String)>>,
) -> (StatusCode, Json<Value>) {
    let asked = match Asked::read(&query) {
        Ok(asked) => asked,
        Err(error) => return (StatusCode::BAD_REQUEST, Json(json!({ "error": error }))),
    };
    let snapshot = shared.snapshot.load_full();
    let rules = &snapshot.acl.rules;
    if !rules.is_on() {
        let open = json!({ "allowed": true, "policy": null, "reason": "ACL is off" });
        return (StatusCode::OK, Json(open));
    }
    let told = explain(rules, &asked.principal, asked.server, asked.item);
    let Explanation {
        decision,
        is_visible,
        considered,
    } = &told;
    let considered: Vec<Value> = considered.iter().map(told::step).collect();
    let answer = json!({
        "allowed": decision.effect == Effect::Allow,
        "policy": decision.policy,
        "reason": reason(decision),
        "mode": if rules.is_enforced() { "enforce" } else { "shadow" },
        "server_visible": is_visible,
        "considered": considered,
    });
    (StatusCode::OK, Json(answer))
}

fn reason(decision: &Decision<'_>) -> String {
    let effect = decision.effect.label();
    match (decision.policy, decision.rule) {
        (Some(policy), Some(hit)) => {
            let (list, index, pattern) = (hit.list.label(), hit.index, hit.pattern);
            format!("policy '{policy}', {list}[{index}] matches with '{pattern}'")
        }
        (Some(policy), None) => {
            format!("policy '{policy}' does not name it: acl.default_action is {effect}")
        }
        (None, _) => format!("no policy is for this client: acl.default_action is {effect}"),
    }
}
