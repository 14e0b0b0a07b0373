//! `tenant_isolation` and `auth` as they are written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::choice::{AuthMethod, CertificateName};

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
    /// `none`, `api-key` (also written `api_key`), `jwt` or `mtls`; or a list of them, of which
    /// one suffices.
    pub method: Methods,
    /// The keys that are accepted with `api-key`: objects that say who owns the key, or bare
    /// strings. A key may be written as its SHA-256 digest: `sha256:` and 64 hexadecimal digits.
    pub api_keys: Vec<ApiKey>,
    /// With `jwt`: the URL of the issuer's public keys.
    pub jwks_url: Option<String>,
    /// The same as `jwks_url`.
    pub jwks: Option<String>,
    /// With `jwt`: the issuer that tokens must name.
    pub issuer: Option<String>,
    /// The same as `issuer`.
    pub jwt_issuer: Option<String>,
    /// With `jwt`: the audience that tokens must name; one, or a list of which one suffices. With
    /// `oauth` a token may instead name the endpoint that it is used at.
    pub audience: Option<OneOrMany>,
    /// The same as `audience`.
    pub jwt_audience: Option<OneOrMany>,
    /// With `jwt`: the claim that names the tenant.
    #[schemars(length(min = 1))]
    pub tenant_claim: String,
    /// With `jwt`: the claim that names the client.
    #[schemars(length(min = 1))]
    pub client_claim: String,
    /// With `jwt`: the claim that lists roles. Dots lead into objects: `realm_access.roles`.
    #[schemars(length(min = 1))]
    pub roles_claim: String,
    /// With `jwt`: the signature algorithms accepted. Absent means RS and PS with 256, 384 and 512
    /// bits, ES with 256 and 384, and `EdDSA`.
    pub algorithms: Option<Vec<String>>,
    /// With `jwt`: how often the issuer's public keys are fetched again.
    #[schemars(range(min = 1, max = 86400))]
    pub jwks_refresh_seconds: u32,
    /// With `jwt`: how soon after a fetch a token that names an unknown key may cause another.
    #[schemars(range(min = 1, max = 3600))]
    pub jwks_cooldown_seconds: u32,
    /// With `mtls`: what a client certificate says of its client.
    pub mtls: Mtls,
    /// How many wrong credentials may come from one address.
    pub throttle: Throttle,
    /// The gateway as an OAuth 2.1 resource server: tells clients where to get a token.
    pub oauth: Option<OAuth>,
}

/// One way of proving who one is, or several.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Methods {
    /// One.
    One(AuthMethod),
    /// Several.
    Many(#[schemars(length(min = 1, max = 8))] Vec<AuthMethod>),
}

/// How many wrong credentials may come from one address (IPv6: one network of 64 bits).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Throttle {
    /// How many in a window; what comes after them is answered 429. 0 means any number.
    pub max_failures: u32,
    /// How long a window is.
    #[schemars(range(min = 1, max = 86400))]
    pub window_seconds: u32,
}

/// What a client certificate says of its client.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Mtls {
    /// What names the client: the first kind of name that the certificate has. One that has
    /// several of that kind is refused.
    #[schemars(length(min = 1, max = 6))]
    pub client_id_from: Vec<CertificateName>,
    /// What names its tenant. Absent means that clients have none.
    pub tenant_from: Option<CertificateName>,
}

/// What clients are told of the gateway as an OAuth 2.1 resource server (RFC 9728).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["resource", "authorization_servers"]))]
pub struct OAuth {
    /// The URL that clients reach the gateway by, without `/mcp`: `https://gateway.example.com`.
    /// Each endpoint below it (`/mcp`, `/mcp/<server>`, …) is a resource, and the audience of
    /// tokens for it.
    pub resource: String,
    /// The issuers of tokens.
    pub authorization_servers: Vec<String>,
    /// The scopes that clients are told of. Absent means all that are required anywhere.
    pub scopes_supported: Option<Vec<String>>,
    /// The scopes that every credential must carry.
    pub required_scopes: Vec<String>,
    /// The name that people are shown.
    pub resource_name: Option<String>,
    /// A URL where people read more.
    pub resource_documentation: Option<String>,
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
    /// The key itself, or `sha256:` and its SHA-256 digest.
    #[schemars(extend("writeOnly" = true))]
    pub key: String,
    /// The client's name in ACLs, limits and logs. Absent means `key-<n>`, by position.
    pub client_id: Option<String>,
    /// The tenant the client belongs to.
    pub tenant_id: Option<String>,
    /// What the key is for, as people are told where it has expired.
    pub label: Option<String>,
    /// When the key ends: `2027-01-31`, or with a time, `2027-01-31T12:00:00Z`.
    pub expires_at: Option<String>,
    /// The roles the client has.
    pub roles: Vec<String>,
    /// The scopes that the key carries.
    pub scopes: Vec<String>,
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
            method: Methods::One(AuthMethod::None),
            api_keys: Vec::new(),
            jwks_url: None,
            jwks: None,
            issuer: None,
            jwt_issuer: None,
            audience: None,
            jwt_audience: None,
            tenant_claim: "org_id".to_owned(),
            client_claim: "sub".to_owned(),
            roles_claim: "roles".to_owned(),
            algorithms: None,
            jwks_refresh_seconds: 300,
            jwks_cooldown_seconds: 30,
            mtls: Mtls::default(),
            throttle: Throttle::default(),
            oauth: None,
        }
    }
}

impl Default for Mtls {
    fn default() -> Self {
        Self {
            client_id_from: vec![
                CertificateName::SanUri,
                CertificateName::SanDns,
                CertificateName::SubjectCn,
            ],
            tenant_from: None,
        }
    }
}

impl Default for Throttle {
    fn default() -> Self {
        Self {
            max_failures: 20,
            window_seconds: 60,
        }
    }
}

impl Methods {
    /// Whether a method is one of them.
    #[must_use]
    pub fn has(&self, method: AuthMethod) -> bool {
        match self {
            Self::One(only) => *only == method,
            Self::Many(several) => several.contains(&method),
        }
    }
}
