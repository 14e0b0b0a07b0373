//! `tenant_isolation` and `auth` as they are written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::choice::AuthMethod;

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
