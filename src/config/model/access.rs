//! `tenant_isolation` and `auth`.

use std::fmt;
use std::time::Duration;

use filters::identity::certificate;
use filters::identity::token::Algorithm;
use http::HeaderName;

use crate::config::model::url::HttpUrl;
use crate::config::raw::access as raw;

/// The header that names the tenant of an unauthenticated client; present if tenants are kept
/// apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantIsolation {
    /// The header.
    pub header: HeaderName,
}

/// How clients prove who they are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Auth {
    /// The keys that are accepted; nothing where keys are no proof.
    pub api_keys: Option<Vec<ApiKey>>,
    /// What tokens must look like; nothing where they are no proof.
    pub jwt: Option<Jwt>,
    /// What client certificates say; nothing where they are no proof.
    pub certificates: Option<certificate::Rules>,
    /// The gateway as an OAuth resource server.
    pub oauth: Option<OAuth>,
    /// How many wrong credentials may come from one address.
    pub throttle: Throttle,
}

impl Auth {
    /// Whether clients need not prove anything.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.api_keys.is_none() && self.jwt.is_none() && self.certificates.is_none()
    }
}

/// A key and who owns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// The SHA-256 digest of the key.
    pub fingerprint: Fingerprint,
    /// The client.
    pub client_id: String,
    /// Its tenant.
    pub tenant_id: Option<String>,
    /// What the key is for.
    pub label: Option<String>,
    /// When it ends, in seconds since 1970.
    pub expires: Option<u64>,
    /// The roles of the client.
    pub roles: Vec<String>,
    /// The scopes that the key carries.
    pub scopes: Vec<String>,
}

/// The SHA-256 digest of a key. A weak key could be guessed from it, so it is not shown either.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl fmt::Debug for Fingerprint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Fingerprint(…)")
    }
}

/// What tokens must look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jwt {
    /// The issuer's public keys.
    pub jwks_url: HttpUrl,
    /// How often they are fetched.
    pub refresh: Duration,
    /// How soon they are fetched again for a key that is not among them.
    pub cooldown: Duration,
    /// The issuer, if it is checked.
    pub issuer: Option<String>,
    /// The audiences of which a token names one; empty if it is not checked, or is the endpoint's.
    pub audiences: Vec<String>,
    /// The claim that names the tenant.
    pub tenant_claim: String,
    /// The claim that names the client.
    pub client_claim: String,
    /// The claim that lists roles.
    pub roles_claim: String,
    /// The signature algorithms accepted.
    pub algorithms: Vec<Algorithm>,
}

/// The gateway as an OAuth resource server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuth {
    /// The URL that clients reach the gateway by.
    pub resource: String,
    /// The issuers of tokens.
    pub authorization_servers: Vec<String>,
    /// The scopes that clients are told of; nothing for all that are required anywhere.
    pub scopes_supported: Option<Vec<String>>,
    /// The scopes that every credential must carry.
    pub required_scopes: Vec<String>,
    /// The name that people are shown.
    pub name: Option<String>,
    /// Where people read more.
    pub documentation: Option<String>,
}

/// How many wrong credentials may come from one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Throttle {
    /// How many in a window.
    pub failures_max: u32,
    /// How long a window is.
    pub window_seconds: u32,
}

impl Default for Throttle {
    fn default() -> Self {
        let written = raw::Throttle::default();
        Self {
            failures_max: written.max_failures,
            window_seconds: written.window_seconds,
        }
    }
}
