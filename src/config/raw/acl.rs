//! `acl` as it is written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::choice::{AccessAction, AclMode};

/// Who may use which tools, prompts and resources of which servers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Acl {
    /// Whether policies decide.
    pub enabled: bool,
    /// `enforce`, or `shadow`: what would be denied is logged and counted, and passes.
    pub mode: AclMode,
    /// What holds for what no rule names.
    pub default_action: AccessAction,
    /// The policies; the first that is for a client decides.
    pub policies: Vec<Policy>,
}

/// What a group of clients may do. Write either `allow` and `deny` lists, or `action` with
/// `servers` and `tools`, `prompts` or `resources`. Of `clients`, `tenants`, `roles` and `scopes`,
/// each that is written must match.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// The policy's name, for messages.
    pub name: Option<String>,
    /// The clients it is for, as patterns: `*`, `agent-*` or an exact name.
    #[schemars(length(min = 1))]
    pub clients: Option<Vec<String>>,
    /// The tenants it is for, as patterns. A client of no tenant is of none of them.
    #[schemars(length(min = 1))]
    pub tenants: Option<Vec<String>>,
    /// The roles it is for, as patterns: a client needs one of them.
    #[schemars(length(min = 1))]
    pub roles: Option<Vec<String>>,
    /// The scopes it is for, as patterns: a client's token needs one of them.
    #[schemars(length(min = 1))]
    pub scopes: Option<Vec<String>>,
    /// What they may use.
    pub allow: Vec<AccessRule>,
    /// What they may not use; wins over `allow`.
    pub deny: Vec<AccessRule>,
    /// Short form: what holds for the `tools`, `prompts` and `resources` of the `servers` listed
    /// here.
    pub action: Option<AccessAction>,
    /// Short form: patterns of servers.
    pub servers: Option<Vec<String>>,
    /// Short form: patterns of tools.
    pub tools: Option<Vec<String>>,
    /// Short form: patterns of prompts.
    pub prompts: Option<Vec<String>>,
    /// Short form: patterns of resources, by URI.
    pub resources: Option<Vec<String>>,
}

/// Some of what some servers have. A list that is not written says nothing of its kind; only
/// `tools: ["*"]` alone is for all that the servers have.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["server"]))]
pub struct AccessRule {
    /// A pattern of servers: `*`, `prod-*` or an exact id.
    pub server: String,
    /// Patterns of tools: `*`, `get_*` or exact names.
    pub tools: Option<Vec<String>>,
    /// Patterns of prompts: `*`, `review_*` or exact names.
    pub prompts: Option<Vec<String>>,
    /// Patterns of resources, by URI: `*`, `file:///docs/*` or exact URIs.
    pub resources: Option<Vec<String>>,
}
