//! `tenant_isolation` and `auth`.

use filters::problem::Problems;

use crate::config::choice::AuthMethod;
use crate::config::compile::server::http_url;
use crate::config::model::Secret;
use crate::config::model::access::{ApiKey, Auth, Jwt, TenantIsolation};
use crate::config::path::Path;
use crate::config::raw::access as raw;

/// Signature algorithms of public-key cryptography; the others would make every holder of the
/// verification key a signer.
const ALGORITHMS: [&str; 10] = [
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
];

/// `tenant_isolation`, if it is switched on.
pub fn compile_isolation(
    raw: &raw::TenantIsolation,
    problems: &mut Problems,
) -> Option<TenantIsolation> {
    if let Ok(header) = raw.header.parse() {
        return raw.enabled.then_some(TenantIsolation { header });
    }
    problems
        .error("tenant_isolation.header", "is not a header name")
        .found(format!("{:?}", raw.header));
    None
}

/// `auth`.
pub fn compile_auth(raw: Option<&raw::Auth>, problems: &mut Problems) -> Auth {
    let Some(raw) = raw else { return Auth::None };
    match raw.method {
        AuthMethod::None => {
            if !raw.api_keys.is_empty() {
                let message = "have no effect because auth.method is none: everybody may call";
                problems
                    .warning("auth.api_keys", message)
                    .because_of("auth.method");
            }
            Auth::None
        }
        AuthMethod::ApiKey => Auth::ApiKey(api_keys(&raw.api_keys, problems)),
        AuthMethod::Jwt => jwt(raw, problems).map(Auth::Jwt).unwrap_or_default(),
    }
}

fn api_keys(raw: &[raw::ApiKey], problems: &mut Problems) -> Vec<ApiKey> {
    if raw.is_empty() {
        let message = "there are no keys, so every client is refused";
        problems.warning("auth.api_keys", message);
    }
    let mut keys: Vec<ApiKey> = Vec::new();
    for (index, key) in raw.iter().enumerate() {
        let path = Path::root().key("auth").key("api_keys").index(index);
        let (text, path) = match key {
            raw::ApiKey::Bare(text) => (text, path),
            raw::ApiKey::Owned(owned) => (&owned.key, path.key("key")),
        };
        if text.trim() != text || text.is_empty() {
            problems.error(path, "must not be empty or begin or end with a space");
            continue;
        }
        if keys.iter().any(|known| known.key.expose() == text) {
            problems.error(path, "the same key is listed before");
            continue;
        }
        keys.push(ApiKey {
            key: Secret::new(text.clone()),
            client_id: client_id(index, key),
            tenant_id: match key {
                raw::ApiKey::Bare(_) => None,
                raw::ApiKey::Owned(owned) => owned.tenant_id.clone().filter(|id| !id.is_empty()),
            },
        });
    }
    keys
}

/// The client of a key: the one written, else a name by position that gives nothing away.
fn client_id(index: usize, key: &raw::ApiKey) -> String {
    let written = match key {
        raw::ApiKey::Bare(_) => None,
        raw::ApiKey::Owned(owned) => owned.client_id.clone().filter(|id| !id.is_empty()),
    };
    written.unwrap_or_else(|| format!("key-{}", index.saturating_add(1)))
}

fn jwt(raw: &raw::Auth, problems: &mut Problems) -> Option<Jwt> {
    let jwks = agreed(("jwks_url", &raw.jwks_url), ("jwks", &raw.jwks), problems);
    let issuer = agreed(
        ("issuer", &raw.issuer),
        ("jwt_issuer", &raw.jwt_issuer),
        problems,
    );
    let audience = agreed(
        ("audience", &raw.audience),
        ("jwt_audience", &raw.jwt_audience),
        problems,
    );
    let algorithms = algorithms(raw.algorithms.as_deref(), problems);
    let audiences = match audience {
        None => None,
        Some(raw::OneOrMany::One(audience)) => Some(vec![audience]),
        Some(raw::OneOrMany::Many(audiences)) => Some(audiences),
    };
    // Empty would mean "not checked", which nobody writes on purpose.
    if issuer.as_deref() == Some("") {
        problems.error("auth.issuer", "must not be empty");
    }
    if audiences
        .as_ref()
        .is_some_and(|list| list.is_empty() || list.contains(&String::new()))
    {
        problems.error("auth.audience", "must not be empty");
    }
    let Some(jwks) = jwks else {
        problems.error("auth.jwks_url", "is required when auth.method is jwt");
        return None;
    };
    let key = if raw.jwks_url.is_some() {
        "jwks_url"
    } else {
        "jwks"
    };
    let jwks_url = http_url(&Path::root().key("auth").key(key), &jwks, problems)?;
    Some(Jwt {
        jwks_url,
        issuer,
        audiences: audiences.unwrap_or_default(),
        tenant_claim: raw.tenant_claim.clone(),
        client_claim: raw.client_claim.clone(),
        algorithms,
    })
}

/// The value of a field that has two names.
fn agreed<T: Clone + PartialEq>(
    (name, value): (&str, &Option<T>),
    (alias, other): (&str, &Option<T>),
    problems: &mut Problems,
) -> Option<T> {
    if let (Some(value), Some(other)) = (value, other)
        && value != other
    {
        let message = format!("differs from auth.{name}, which means the same; keep one");
        problems.error(format!("auth.{alias}"), message);
    }
    value.clone().or_else(|| other.clone())
}

fn algorithms(raw: Option<&[String]>, problems: &mut Problems) -> Vec<String> {
    let Some(raw) = raw.filter(|raw| !raw.is_empty()) else {
        return ALGORITHMS.map(str::to_owned).to_vec();
    };
    for (index, name) in raw.iter().enumerate() {
        if !ALGORITHMS.contains(&name.as_str()) {
            problems
                .error(
                    format!("auth.algorithms[{index}]"),
                    "is not a public-key signature",
                )
                .found(format!("{name:?}"))
                .allowed(ALGORITHMS.join(", "));
        }
    }
    raw.to_vec()
}
