//! Everything that a gateway may check of a call: who makes it, whether they may, what it says, how
//! often. What the measured caller is told apart by, and the configuration that it passes.
//!
//! Every list ends with what concerns the caller: all of it is looked through.

use serde_json::{Value, json};

/// How many policies there are.
const POLICIES: usize = 50;
/// How many guardrail rules there are.
const RULES: usize = 50;
/// Calls a minute that nobody makes.
const CALLS_A_MINUTE: u32 = 4_000_000_000;

/// The measured caller's key.
const KEY: &str = "bench-key-0123456789abcdef0123456789abcdef";
/// Its token, signed with a key that was thrown away: `EdDSA`, valid until the year 2100.
const TOKEN: &str = "eyJhbGciOiJFZERTQSIsImtpZCI6ImJlbmNoIiwidHlwIjoiSldUIn0.eyJpc3MiOiJjb25kdWl0LWJlbmNoIiwiYXVkIjoiY29uZHVpdCIsInN1YiI6ImJlbmNoIiwicm9sZXMiOlsiZGV2ZWxvcGVyIl0sImlhdCI6MTc2MzkwMDAwMCwiZXhwIjo0MTAyNDQ0ODAwfQ.Y0qhynMO3VDmleBSUY2S_F_yKDHDg7A5d3pV9wd3EDzyWzfdZvNZvQ0itE5-ARwVnEL4AcSvlpYjoKraQq8ZBA";
/// The public key of that.
pub(crate) const KEY_SET: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"bench","use":"sig","alg":"EdDSA","x":"khvvVJ71W8EAI6nOv89iA7DkOMtHc72RDtVCCa8Iyk8"}]}"#;
/// Where the stub has it.
pub(crate) const PATH_KEY_SET: &str = "/keys";

/// What a gateway checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    /// Who calls, by key or token.
    Caller,
    /// Whether they may, by policies.
    Access,
    /// What the call says, by guardrails.
    Content,
    /// How often they call, and this tool, by limits.
    Rate,
}

impl Check {
    /// All that there is to check.
    pub(crate) const ALL: [Self; 4] = [Self::Caller, Self::Access, Self::Content, Self::Rate];

    /// The section of the configuration, and what stands there.
    fn section(self, stub_port: u16, server: &str, tools: &[&str]) -> (&'static str, Value) {
        match self {
            Self::Caller => ("auth", authentication(stub_port)),
            Self::Access => ("acl", policies(server)),
            Self::Content => ("guardrails", rules()),
            Self::Rate => ("rate_limits", limits(server, tools)),
        }
    }
}

/// How a caller says who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credential {
    /// By a key.
    Key,
    /// By a token.
    Token,
}

impl Credential {
    /// The header line.
    pub(crate) fn line(self) -> String {
        let secret = match self {
            Self::Key => KEY,
            Self::Token => TOKEN,
        };
        format!("Authorization: Bearer {secret}\r\n")
    }
}

/// Has `config` check calls of `tools` at `server`.
pub(crate) fn check(
    config: &mut Value,
    checks: &[Check],
    stub_port: u16,
    server: &str,
    tools: &[&str],
) {
    if let Some(config) = config.as_object_mut() {
        for check in checks {
            let (name, section) = check.section(stub_port, server, tools);
            config.insert(name.to_owned(), section);
        }
    }
}

fn authentication(stub_port: u16) -> Value {
    let other =
        |n: usize| json!({ "key": format!("other-key-{n:032}"), "client_id": format!("c{n}") });
    let mut keys: Vec<_> = (1..POLICIES).map(other).collect();
    keys.push(json!({ "key": KEY, "client_id": "bench", "roles": ["developer"] }));
    json!({
        "method": ["api-key", "jwt"],
        "api_keys": keys,
        "jwks_url": format!("http://127.0.0.1:{stub_port}{PATH_KEY_SET}"),
        "issuer": "conduit-bench",
        "audience": "conduit",
    })
}

fn policies(server: &str) -> Value {
    let other = |n: usize| {
        json!({
            "name": format!("team-{n}"),
            "clients": [format!("team-{n}-*")],
            "allow": [{ "server": "*", "tools": ["get_*"] }],
        })
    };
    let mut policies: Vec<_> = (1..POLICIES).map(other).collect();
    policies.push(json!({
        "name": "bench",
        "roles": ["developer"],
        "allow": [{ "server": server, "tools": ["bench_*"] }],
        "deny": [{ "server": server, "tools": ["*_delete"] }],
    }));
    json!({ "enabled": true, "default_action": "deny", "policies": policies })
}

/// Rules for calls, none of which holds for the measured one: each is tried.
fn rules() -> Value {
    let rule = |n: usize| {
        let condition = match n % 3 {
            0 => json!({ "field": "query", "operator": "contains", "value": format!("word-{n}") }),
            1 => json!({ "field": "query", "operator": "eq", "value": format!("word-{n}") }),
            _ => {
                json!({ "field": "query", "operator": "matches", "value": format!("^DROP TABLE t{n}") })
            }
        };
        json!({ "name": format!("rule-{n}"), "tools": ["bench_*"], "conditions": [condition], "action": "block" })
    };
    let rules: Vec<_> = (1..=RULES).map(rule).collect();
    json!({ "enabled": true, "rules": rules })
}

fn limits(server: &str, tools: &[&str]) -> Value {
    let limit = json!({ "requests_per_minute": CALLS_A_MINUTE });
    let each: serde_json::Map<_, _> = tools
        .iter()
        .map(|tool| ((*tool).to_owned(), limit.clone()))
        .collect();
    json!({
        "enabled": true,
        "per_client": limit,
        "overrides": [{ "server": server, "per_client_tool": each }],
    })
}
