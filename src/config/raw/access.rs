//! `tenant_isolation`, `auth` and `acl` as they are written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::choice::{AccessAction, AuthMethod};

/// Keeps the tenants' cached results and logs apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TenantIsolation {
    /// Whether tenants are kept apart.
    pub enabled: bool,
    /// The header that names the tenant when clients are not authenticated.
    #[schemars(length(min = 1))]
    pub header: String,
}

/// How clients prove who they are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// `none`, `api-key` (also written `api_key`) or `jwt`.
    pub method: AuthMethod,
    /// The keys that are accepted with `api-key`: objects that say who owns the key, or bare
    /// strings.
    pub api_keys: Vec<ApiKey>,
    /// With `jwt`: the URL of the issuer's public keys.
    pub jwks_url: Option<String>,
    /// The same as `jwks_url`.
    pub jwks: Option<String>,
    /// With `jwt`: the issuer that tokens must name.
    pub issuer: Option<String>,
    /// The same as `issuer`.
    pub jwt_issuer: Option<String>,
    /// With `jwt`: the audience that tokens must name; one, or a list of which one suffices.
    pub audience: Option<OneOrMany>,
    /// The same as `audience`.
    pub jwt_audience: Option<OneOrMany>,
    /// With `jwt`: the claim that names the tenant.
    #[schemars(length(min = 1))]
    pub tenant_claim: String,
    /// With `jwt`: the claim that names the client.
    #[schemars(length(min = 1))]
    pub client_claim: String,
    /// With `jwt`: the signature algorithms accepted. Absent means RS, PS and ES with 256, 384 and
    /// 512 bits, and `EdDSA`.
    pub algorithms: Option<Vec<String>>,
}

/// An API key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ApiKey {
    /// Only the key. Its client is called `key-1`, `key-2`, … by its position in the list.
    Bare(#[schemars(extend("writeOnly" = true))] String),
    /// A key and who owns it.
    Owned(OwnedKey),
}

/// A key and who owns it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["key"]))]
pub struct OwnedKey {
    /// The key itself.
    #[schemars(extend("writeOnly" = true))]
    pub key: String,
    /// The client's name in ACLs, limits and logs. Absent means `key-<n>`, by position.
    pub client_id: Option<String>,
    /// The tenant the client belongs to.
    pub tenant_id: Option<String>,
}

/// One text, or a list of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

/// Who may call which tool on which server.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Acl {
    /// Whether policies are enforced.
    pub enabled: bool,
    /// What holds for a call that no policy decides.
    pub default_action: AccessAction,
    /// The policies; the first whose `clients` match decides.
    pub policies: Vec<Policy>,
}

/// What a group of clients may do. Write either `allow` and `deny` lists, or `action` with
/// `servers` and `tools`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["clients"]))]
pub struct Policy {
    /// The policy's name, for messages.
    pub name: Option<String>,
    /// The clients it is for, as patterns: `*`, `agent-*` or an exact name.
    #[schemars(length(min = 1))]
    pub clients: Vec<String>,
    /// What they may call.
    pub allow: Vec<AccessRule>,
    /// What they may not call; wins over `allow`.
    pub deny: Vec<AccessRule>,
    /// Short form: what holds for the `tools` on the `servers` listed here.
    pub action: Option<AccessAction>,
    /// Short form: patterns of servers.
    pub servers: Option<Vec<String>>,
    /// Short form: patterns of tools.
    pub tools: Option<Vec<String>>,
}

/// Some tools of some servers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["server", "tools"]))]
pub struct AccessRule {
    /// A pattern of servers: `*`, `prod-*` or an exact id.
    pub server: String,
    /// Patterns of tools: `*`, `get_*` or exact names.
    pub tools: Vec<String>,
}

impl Default for TenantIsolation {
    fn default() -> Self {
        Self {
            enabled: false,
            header: "Authorization".to_owned(),
        }
    }
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            method: AuthMethod::None,
            api_keys: Vec::new(),
            jwks_url: None,
            jwks: None,
            issuer: None,
            jwt_issuer: None,
            audience: None,
            jwt_audience: None,
            tenant_claim: "org_id".to_owned(),
            client_claim: "sub".to_owned(),
            algorithms: None,
        }
    }
}
