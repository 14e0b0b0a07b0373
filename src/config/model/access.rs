//! `tenant_isolation` and `auth`.

use http::HeaderName;

use crate::config::model::Secret;
use crate::config::model::url::HttpUrl;

/// The header that names the tenant of an unauthenticated client; present if tenants are kept
/// apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantIsolation {
    /// The header.
    pub header: HeaderName,
}

/// How clients prove who they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Auth {
    /// They do not.
    #[default]
    None,
    /// By a key.
    ApiKey(Vec<ApiKey>),
    /// By a token of an identity provider.
    Jwt(Jwt),
}

/// A key and who owns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// The key.
    pub key: Secret,
    /// The client.
    pub client_id: String,
    /// Its tenant.
    pub tenant_id: Option<String>,
}

/// What tokens must look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jwt {
    /// The issuer's public keys.
    pub jwks_url: HttpUrl,
    /// The issuer, if it is checked.
    pub issuer: Option<String>,
    /// The audiences of which a token names one; empty if it is not checked.
    pub audiences: Vec<String>,
    /// The claim that names the tenant.
    pub tenant_claim: String,
    /// The claim that names the client.
    pub client_claim: String,
    /// The signature algorithms accepted.
    pub algorithms: Vec<String>,
}
