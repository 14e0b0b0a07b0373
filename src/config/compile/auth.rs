//! `auth`.

use chrono::{DateTime, NaiveDate};
use filters::identity::certificate::{self, Kind};
use filters::identity::resource::is_scope;
use filters::identity::token::Algorithm;
use filters::identity::{NAME_BYTES_MAX, is_name};
use filters::problem::Problems;
use sha2::{Digest, Sha256};

use crate::config::choice::{AuthMethod, CertificateName};
use crate::config::compile::server::http_url;
use crate::config::model::access::{ApiKey, Auth, Fingerprint, Jwt, OAuth, Throttle};
use crate::config::path::Path;
use crate::config::raw::access as raw;

/// What a key begins with that is written as its digest.
const DIGEST_PREFIX: &str = "sha256:";

/// `auth`.
pub fn compile(raw: Option<&raw::Auth>, problems: &mut Problems) -> Auth {
    let Some(raw) = raw else {
        return Auth::default();
    };
    let has = |method| raw.method.has(method);
    let (keys, tokens) = (has(AuthMethod::ApiKey), has(AuthMethod::Jwt));
    let certificates = has(AuthMethod::Mtls);
    if has(AuthMethod::None) && (keys || tokens || certificates) {
        let message = "`none` cannot stand beside other methods: it would let everybody in";
        problems.error("auth.method", message);
    }
    if !keys && !raw.api_keys.is_empty() {
        let message = if tokens || certificates {
            "have no effect because auth.method does not name api-key"
        } else {
            "have no effect because auth.method is none: everybody may call"
        };
        problems
            .warning("auth.api_keys", message)
            .because_of("auth.method");
    }
    let oauth = raw.oauth.as_ref().map(|raw| oauth(raw, problems));
    if oauth.is_some() && !tokens {
        let message = "has no effect because auth.method does not name jwt: no token is accepted";
        problems
            .warning("auth.oauth", message)
            .because_of("auth.method");
    }
    let jwt = tokens.then(|| jwt(raw, problems)).flatten();
    if let Some(jwt) = &jwt {
        let is_for_somebody =
            oauth.is_some() || raw.audience.is_some() || raw.jwt_audience.is_some();
        warn_about_unchecked(jwt, is_for_somebody, problems);
    }
    Auth {
        api_keys: keys.then(|| api_keys(&raw.api_keys, problems)),
        jwt,
        certificates: certificates.then(|| certificates_of(&raw.mtls, problems)),
        oauth: oauth.filter(|_| tokens),
        throttle: Throttle {
            failures_max: match raw.throttle.max_failures {
                0 => u32::MAX,
                n => n,
            },
            window_seconds: raw.throttle.window_seconds,
        },
    }
}

fn certificates_of(raw: &raw::Mtls, problems: &mut Problems) -> certificate::Rules {
    if raw.client_id_from.is_empty() {
        let message = "must not be empty: something has to name the client";
        problems
            .error("auth.mtls.client_id_from", message)
            .allowed("san-uri, san-dns, san-email, subject-cn, subject-o, subject-ou");
    }
    certificate::Rules {
        client: raw.client_id_from.iter().copied().map(kind).collect(),
        tenant: raw.tenant_from.map(kind),
    }
}

fn kind(name: CertificateName) -> Kind {
    match name {
        CertificateName::SanUri => Kind::Uri,
        CertificateName::SanDns => Kind::Host,
        CertificateName::SanEmail => Kind::Mail,
        CertificateName::SubjectCn => Kind::Common,
        CertificateName::SubjectO => Kind::Organization,
        CertificateName::SubjectOu => Kind::Unit,
    }
}

/// A token that anybody issued, or that was issued for anything, is as good as none.
fn warn_about_unchecked(jwt: &Jwt, is_for_somebody: bool, problems: &mut Problems) {
    if jwt.issuer.is_none() {
        let message = "is not set, so that tokens of any issuer are accepted that its keys verify";
        problems.warning("auth.issuer", message);
    }
    if !is_for_somebody {
        let message = "is not set, so that tokens for any other service are accepted; set it, or \
                       auth.oauth.resource";
        problems.warning("auth.audience", message);
    }
}

fn api_keys(raw: &[raw::ApiKey], problems: &mut Problems) -> Vec<ApiKey> {
    if raw.is_empty() {
        let message = "there are no keys, so no key is accepted";
        problems.warning("auth.api_keys", message);
    }
    let mut keys: Vec<ApiKey> = Vec::new();
    for (index, key) in raw.iter().enumerate() {
        let path = Path::root().key("auth").key("api_keys").index(index);
        let owned = match key {
            raw::ApiKey::Bare(_) => raw::OwnedKey::default(),
            raw::ApiKey::Owned(owned) => owned.clone(),
        };
        let (text, place) = match key {
            raw::ApiKey::Bare(text) => (text, path.clone()),
            raw::ApiKey::Owned(owned) => (&owned.key, path.key("key")),
        };
        let Some(fingerprint) = fingerprint(text, &place, problems) else {
            continue;
        };
        if keys.iter().any(|known| known.fingerprint == fingerprint) {
            problems.error(place, "the same key is listed before");
            continue;
        }
        let written = owned.client_id.filter(|id| !id.is_empty());
        let tenant_id = owned.tenant_id.filter(|id| !id.is_empty());
        check_names(written.iter(), &path.key("client_id"), problems);
        check_names(tenant_id.iter(), &path.key("tenant_id"), problems);
        check_names(owned.roles.iter(), &path.key("roles"), problems);
        check_scopes(&owned.scopes, &path.key("scopes"), problems);
        keys.push(ApiKey {
            fingerprint,
            // A name by position gives nothing away.
            client_id: written.unwrap_or_else(|| format!("key-{}", index.saturating_add(1))),
            tenant_id,
            label: owned.label,
            expires: expires(owned.expires_at.as_deref(), &path, problems),
            roles: owned.roles,
            scopes: owned.scopes,
        });
    }
    keys
}

fn fingerprint(text: &str, path: &Path, problems: &mut Problems) -> Option<Fingerprint> {
    if let Some(digits) = text.strip_prefix(DIGEST_PREFIX) {
        let digest = digest(digits);
        if digest.is_none() {
            let message = "must be `sha256:` and 64 hexadecimal digits, or a key";
            problems.error(path.clone(), message);
        }
        return digest;
    }
    if text.trim() != text || text.is_empty() {
        problems.error(
            path.clone(),
            "must not be empty or begin or end with a space",
        );
        return None;
    }
    Some(Fingerprint(Sha256::digest(text).into()))
}

fn digest(digits: &str) -> Option<Fingerprint> {
    let mut bytes = [0; 32];
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    if pairs.len() != bytes.len() || !rest.is_empty() {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        let digit = |digit: &u8| char::from(*digit).to_digit(16);
        *byte = u8::try_from(digit(high)? << 4 | digit(low)?).ok()?;
    }
    Some(Fingerprint(bytes))
}

/// A day ends a key as it begins, in UTC.
fn expires(text: Option<&str>, path: &Path, problems: &mut Problems) -> Option<u64> {
    let text = text?;
    let moment = match DateTime::parse_from_rfc3339(text) {
        Ok(moment) => Some(moment.timestamp()),
        Err(_) => NaiveDate::parse_from_str(text, "%Y-%m-%d")
            .ok()
            .and_then(|day| day.and_hms_opt(0, 0, 0))
            .map(|moment| moment.and_utc().timestamp()),
    };
    let seconds = moment.and_then(|seconds| u64::try_from(seconds).ok());
    if seconds.is_none() {
        let message = "is no date such as 2027-01-31 or 2027-01-31T12:00:00Z";
        problems
            .error(path.key("expires_at"), message)
            .found(format!("{text:?}"));
    }
    seconds
}

fn check_names<'a>(names: impl Iterator<Item = &'a String>, path: &Path, problems: &mut Problems) {
    for name in names.filter(|name| !is_name(name)) {
        let message = format!("must have no control characters and at most {NAME_BYTES_MAX} bytes");
        problems
            .error(path.clone(), message)
            .found(format!("{name:?}"));
    }
}

/// Checks scopes as they are written.
pub fn check_scopes(scopes: &[String], path: &Path, problems: &mut Problems) {
    for (index, scope) in scopes.iter().enumerate() {
        if !is_scope(scope) || !is_name(scope) {
            let message = "is no scope: visible ASCII without spaces, quotes and backslashes";
            problems
                .error(path.index(index), message)
                .found(format!("{scope:?}"));
        }
    }
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
        refresh: std::time::Duration::from_secs(raw.jwks_refresh_seconds.into()),
        cooldown: std::time::Duration::from_secs(raw.jwks_cooldown_seconds.into()),
        issuer,
        audiences: audiences.unwrap_or_default(),
        tenant_claim: raw.tenant_claim.clone(),
        client_claim: raw.client_claim.clone(),
        roles_claim: raw.roles_claim.clone(),
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

/// Signature algorithms of public-key cryptography; the others would make every holder of the
/// verification key a signer.
fn algorithms(raw: Option<&[String]>, problems: &mut Problems) -> Vec<Algorithm> {
    let Some(raw) = raw.filter(|raw| !raw.is_empty()) else {
        return Algorithm::ALL.to_vec();
    };
    let mut algorithms = Vec::new();
    for (index, name) in raw.iter().enumerate() {
        let path = format!("auth.algorithms[{index}]");
        match Algorithm::parse(name) {
            Some(algorithm) => algorithms.push(algorithm),
            None if name == "ES512" && raw.len() > 1 => {
                problems.warning(path, "is not supported: tokens signed so are refused");
            }
            None => {
                let known = Algorithm::ALL.map(Algorithm::name);
                problems
                    .error(path, "is not a public-key signature that is supported")
                    .found(format!("{name:?}"))
                    .allowed(known.join(", "));
            }
        }
    }
    algorithms
}

fn oauth(raw: &raw::OAuth, problems: &mut Problems) -> OAuth {
    let path = Path::root().key("auth").key("oauth");
    let resource = path.key("resource");
    if let Some(url) = http_url(&resource, &raw.resource, problems)
        && url.path_and_query().contains('?')
    {
        problems.error(resource.clone(), "must not have a query");
    }
    if raw.resource.trim_end_matches('/').ends_with("/mcp") {
        let message =
            "ends with /mcp: the endpoints are below it, so that they would be at /mcp/mcp";
        problems.error(resource, message);
    }
    if raw.authorization_servers.is_empty() {
        problems.error(path.key("authorization_servers"), "must not be empty");
    }
    for (index, server) in raw.authorization_servers.iter().enumerate() {
        http_url(
            &path.key("authorization_servers").index(index),
            server,
            problems,
        );
    }
    if let Some(url) = &raw.resource_documentation {
        http_url(&path.key("resource_documentation"), url, problems);
    }
    let supported = raw.scopes_supported.as_deref().unwrap_or_default();
    check_scopes(supported, &path.key("scopes_supported"), problems);
    check_scopes(&raw.required_scopes, &path.key("required_scopes"), problems);
    OAuth {
        resource: raw.resource.trim().to_owned(),
        authorization_servers: raw.authorization_servers.clone(),
        scopes_supported: raw.scopes_supported.clone(),
        required_scopes: raw.required_scopes.clone(),
        name: raw.resource_name.clone(),
        documentation: raw.resource_documentation.clone(),
    }
}
