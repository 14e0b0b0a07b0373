//! Who is calling: API keys, tokens of an identity provider, or nobody in particular.
//!
//! **Invariant:** a request that proves nothing is refused before its body is read, unless the
//! configuration says that nobody has to.
//!
//! **Invariant:** nothing here tells, logs or counts any part of a credential.

pub mod api_key;
pub mod certificate;
pub mod jwks;
pub mod jwt;
pub mod places;
pub mod signature;
pub mod throttle;

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use filters::identity::certificate::Rules as CertificateRules;
use filters::identity::credential::{self, Credential};
use filters::identity::denial::Denial;
use filters::identity::resource::Resource;
use filters::identity::{Identity, is_name, scope};
use filters::json::object::Object;
use filters::refusal::Refusal;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};
use sha2::{Digest, Sha256};

use crate::auth::api_key::Keys;
use crate::auth::certificate::Peer;
use crate::auth::jwt::{Judged, Verifier};
use crate::auth::throttle::{Limits, Throttle};

/// The header that carries an API key.
const API_KEY: &str = "x-api-key";

/// What callers are asked for.
pub struct Authenticator {
    /// How they prove who they are; nothing where they need not.
    pub methods: Option<Methods>,
    /// The header that names the tenant of callers who need not prove who they are.
    pub tenant_header: Option<HeaderName>,
    /// Whether tenants share nothing at all, also not what a server calls public.
    pub is_isolated: bool,
    /// The gateway as an OAuth resource server.
    pub resource: Option<Resource>,
    /// Which scopes are needed for what.
    pub scopes: scope::Rules,
}

/// The ways of proving who one is; each suffices.
pub struct Methods {
    /// By a key.
    pub keys: Keys,
    /// By a token.
    pub jwt: Option<Verifier>,
    /// By the certificate of the connection, where a request carries no credential of its own.
    pub certificates: Option<CertificateRules>,
    /// How many wrong credentials may come from one place.
    pub limits: Limits,
}

/// Where and when a request is.
pub struct Attempt<'a> {
    /// What it carries.
    pub headers: &'a HeaderMap,
    /// Where it comes from.
    pub source: Option<IpAddr>,
    /// Whose certificate its connection was opened with.
    pub peer: Option<&'a Peer>,
    /// The path of its endpoint, as tokens name it.
    pub path: &'a str,
    /// Seconds since 1970.
    pub now: u64,
}

impl Authenticator {
    /// Nobody has to prove anything.
    #[must_use]
    pub fn open() -> Self {
        Self {
            methods: None,
            tenant_header: None,
            is_isolated: false,
            resource: None,
            scopes: scope::Rules::default(),
        }
    }

    /// Whether every caller is anonymous, and no header says more of it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.methods.is_none() && self.tenant_header.is_none()
    }

    /// Whether what a request carries as its credential is looked at: not where nobody has to prove
    /// anything, or the connection alone does.
    #[must_use]
    pub fn reads_credentials(&self) -> bool {
        let methods = self.methods.as_ref();
        methods.is_some_and(|methods| !methods.is_by_certificate_only())
    }

    /// Finds out who is calling. Waits only where a token was signed with a key that is not known yet.
    ///
    /// # Errors
    /// The refusal, where the caller is not believed.
    pub async fn identify(
        &self,
        attempt: &Attempt<'_>,
        throttle: &Throttle,
    ) -> Result<Identity, Refusal> {
        let Some(methods) = &self.methods else {
            return self.unproven(attempt.headers);
        };
        let refusal = match methods.judge(self, attempt, throttle).await {
            Ok(identity) => return Ok(identity),
            Err(refusal) => refusal,
        };
        let Refusal::Unauthenticated(denial) = refusal else {
            return Err(refusal);
        };
        let Some(source) = attempt.source.filter(|_| denial.is_suspect()) else {
            return Err(refusal);
        };
        match throttle.note(source, attempt.now, methods.limits) {
            Some(seconds) => Err(Refusal::AuthThrottled { seconds }),
            None => Err(refusal),
        }
    }

    /// A caller that need not prove anything: a header may say whose client it is.
    fn unproven(&self, headers: &HeaderMap) -> Result<Identity, Refusal> {
        let Some(name) = &self.tenant_header else {
            return Ok(Identity::anonymous());
        };
        let malformed = || Refusal::HeaderMalformed {
            header: name.as_str().to_owned().into(),
        };
        let mut values = headers.get_all(name).iter();
        let (first, second) = (values.next(), values.next());
        if second.is_some() {
            return Err(malformed());
        }
        let Some(value) = first else {
            return Ok(Identity::anonymous());
        };
        let text = value.to_str().map_err(|_| malformed())?.trim();
        let tenant = if *name == AUTHORIZATION {
            of_authorization(text)
        } else {
            text.to_owned()
        };
        if !is_name(&tenant) {
            return Err(malformed());
        }
        Ok(Identity::of_tenant(&tenant))
    }
}

/// The tenant that `Authorization` stands for where nobody verifies it: what a token says of itself, so
/// that it stays the same when the token is renewed, else a digest.
fn of_authorization(value: &str) -> String {
    let token = value
        .split_once(' ')
        .map_or(value, |(_, token)| token.trim());
    let mut parts = token.split('.');
    let claims = (parts.next(), parts.next(), parts.next());
    let said = match claims {
        (Some(_), Some(claims), Some(_)) => URL_SAFE_NO_PAD.decode(claims).ok(),
        _ => None,
    };
    let said = said.and_then(|claims| String::from_utf8(claims).ok());
    let claims = said.as_deref().and_then(Object::read).unwrap_or_default();
    let named = claims.text("tenant_id").or_else(|| claims.text("sub"));
    match named.filter(|name| is_name(name)) {
        Some(name) => name.into_owned(),
        None => URL_SAFE_NO_PAD.encode(Sha256::digest(token)),
    }
}

impl Methods {
    fn is_by_certificate_only(&self) -> bool {
        self.certificates.is_some() && self.jwt.is_none() && self.keys.is_empty()
    }

    fn by_certificate(&self, attempt: &Attempt<'_>) -> Result<Identity, Refusal> {
        let identified = match (&self.certificates, attempt.peer) {
            (Some(rules), Some(peer)) => peer.identify(rules, attempt.now),
            (Some(_), None) => Err(Denial::CertificateMissing),
            (None, _) => Err(Denial::Missing),
        };
        identified.map_err(Refusal::Unauthenticated)
    }

    async fn judge(
        &self,
        authenticator: &Authenticator,
        attempt: &Attempt<'_>,
        throttle: &Throttle,
    ) -> Result<Identity, Refusal> {
        let denied = |denial| Err(Refusal::Unauthenticated(denial));
        if self.is_by_certificate_only() {
            // What else a request carries is not for us.
            return self.by_certificate(attempt);
        }
        let values = |name: &'static str| {
            let values = attempt.headers.get_all(name).iter();
            values.map(http::HeaderValue::as_bytes)
        };
        let credential = match credential::read(values("authorization"), values(API_KEY)) {
            Ok(Some(credential)) => credential,
            Ok(None) if attempt.peer.is_some() => return self.by_certificate(attempt),
            Ok(None) => return denied(Denial::Missing),
            Err(denial) => return denied(denial),
        };
        let is_at_its_limit = || {
            let source = attempt.source?;
            throttle.is_over(source, attempt.now, self.limits)
        };
        if let Some(found) = self.keys.find(credential.text()) {
            // Keys can be guessed: one that was never used from there waits.
            if let Some(seconds) = is_at_its_limit()
                && !found.is_known_from(attempt.source)
            {
                return Err(Refusal::AuthThrottled { seconds });
            }
            return match found.accept(attempt.source, attempt.now) {
                Some(identity) => Ok(identity),
                None => denied(Denial::KeyExpired),
            };
        }
        let (Credential::Bearer(text), Some(jwt)) = (credential, &self.jwt) else {
            return denied(Denial::KeyUnknown);
        };
        // What looks like no token at all was meant to be a key.
        if !self.keys.is_empty() && text.bytes().filter(|byte| *byte == b'.').count() != 2 {
            return denied(Denial::KeyUnknown);
        }
        let resource = authenticator.resource.as_ref();
        let is_own = |audience: &str| {
            resource.is_some_and(|resource| resource.is_audience(audience, attempt.path))
        };
        match jwt.judge(text, attempt.now, is_own) {
            Judged::Granted(identity) => Ok(identity),
            Judged::Denied(denial) => denied(denial),
            Judged::Unknown | Judged::Outdated => {
                Box::pin(jwt.judge_later(text, attempt.now, is_own)).await
            }
        }
    }
}

#[cfg(test)]
mod tests;
