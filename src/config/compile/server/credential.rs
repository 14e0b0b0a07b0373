//! `servers[].upstream_auth.bearer` and `.oauth`.

use std::path::PathBuf;

use filters::grant::is_token;
use filters::problem::Problems;

use crate::config::compile::auth::check_scopes;
use crate::config::compile::is_loopback;
use crate::config::compile::server::http_url;
use crate::config::model::Secret;
use crate::config::model::credential::{ClientSecret, Credential, Endpoint, Grant};
use crate::config::model::server::Transport;
use crate::config::overrides::VARIABLE_END;
use crate::config::path::Path;
use crate::config::raw;

/// The credential that a server is sent; `path` is that of `upstream_auth`.
pub fn compile(
    raw: &mut raw::server::UpstreamAuth,
    path: &Path,
    problems: &mut Problems,
) -> Option<Credential> {
    let bearer = raw.bearer.take();
    let oauth = raw.oauth.take();
    if bearer.is_some() && oauth.is_some() {
        let message = "cannot stand beside upstream_auth.bearer: both are the Authorization header; \
                       keep one";
        problems.error(path.key("oauth"), message);
    }
    let bearer = bearer.and_then(|raw| token(raw, &path.key("bearer"), problems));
    let oauth = oauth.and_then(|raw| grant(raw, &path.key("oauth"), problems));
    bearer.or_else(|| oauth.map(Credential::Grant))
}

/// Checks what a credential stands beside; `path` is the server's.
pub fn check_beside(transport: &Transport, forwards: bool, path: &Path, problems: &mut Problems) {
    let place = path.key("upstream_auth");
    let headers = match transport {
        Transport::Http(http) | Transport::Sse(http) => &http.headers,
        Transport::Stdio(_) => {
            let message = "needs transport: http or sse; give a program its credential in `env`";
            problems
                .error(place, message)
                .because_of(path.key("transport"));
            return;
        }
    };
    let is_written = |(name, _): &(http::HeaderName, _)| *name == http::header::AUTHORIZATION;
    if forwards {
        let message = "cannot stand beside forward_authorization: both are the Authorization \
                       header; remove one";
        problems
            .error(place.clone(), message)
            .because_of(path.key("forward_authorization"));
    }
    if headers.iter().any(is_written) {
        let message = "cannot stand beside headers.authorization: remove one";
        problems
            .error(place, message)
            .because_of(path.key("headers"));
    }
}

/// Fills in what follows from the server itself.
pub fn complete(credential: &mut Credential, transport: &Transport) {
    let Credential::Grant(grant) = credential else {
        return;
    };
    match (&grant.resource, transport) {
        (None, Transport::Http(http) | Transport::Sse(http)) => {
            let url = http.url.to_string();
            let url = url.split('?').next().unwrap_or_default();
            grant.resource = Some(url.trim_end_matches('/').to_owned());
        }
        (Some(none), _) if none.is_empty() => grant.resource = None,
        (Some(_) | None, _) => {}
    }
}

fn token(raw: raw::credential::Bearer, path: &Path, problems: &mut Problems) -> Option<Credential> {
    let written = [&raw.env, &raw.file, &raw.token];
    if written.into_iter().flatten().count() != 1 {
        let message = "must say where the token comes from: one of `env`, `file` and `token`";
        problems.error(path.clone(), message);
        return None;
    }
    let checked = |token: String, key: &str, problems: &mut Problems| {
        let token = token.trim().to_owned();
        if !is_token(&token) {
            let message =
                "is no token: visible ASCII without spaces, quotes and commas, at most 16 KiB";
            problems.error(path.key(key), message);
            return None;
        }
        Some(Secret::new(token))
    };
    if let Some(env) = raw.env {
        let (name, token) = env.split_once(VARIABLE_END).unwrap_or(("", &env));
        let (name, token) = (name.to_owned(), token.to_owned());
        let token = checked(token, "env", problems)?;
        return Some(Credential::Variable { name, token });
    }
    if let Some(file) = raw.file {
        return named_file(&file, &path.key("file"), problems).map(Credential::File);
    }
    let token = checked(raw.token?, "token", problems)?;
    Some(Credential::Token(token))
}

fn grant(
    raw: raw::credential::ClientCredentials,
    path: &Path,
    problems: &mut Problems,
) -> Option<Grant> {
    if raw.client_id.trim().is_empty() {
        problems.error(path.key("client_id"), "must not be empty");
    }
    check_scopes(&raw.scopes, &path.key("scopes"), problems);
    let endpoint = match (raw.token_url, raw.issuer) {
        (Some(url), None) => {
            secret_goes_to(&url, &path.key("token_url"), problems);
            Some(Endpoint::Token(url.trim().to_owned()))
        }
        (None, Some(issuer)) => {
            let place = path.key("issuer");
            secret_goes_to(&issuer, &place, problems);
            if issuer.contains(['?', '#']) {
                problems.error(place, "must not have a query or fragment");
            }
            Some(Endpoint::Issuer(issuer.trim().to_owned()))
        }
        (None, None) | (Some(_), Some(_)) => {
            let message = "must name the token endpoint: by one of `token_url` and `issuer`";
            problems.error(path.clone(), message);
            None
        }
    };
    let secret = match (raw.client_secret, raw.client_secret_file) {
        (Some(secret), None) if secret.is_empty() => {
            problems.error(path.key("client_secret"), "must not be empty");
            None
        }
        (Some(secret), None) => Some(ClientSecret::Written(Secret::new(secret))),
        (None, Some(file)) => {
            named_file(&file, &path.key("client_secret_file"), problems).map(ClientSecret::File)
        }
        (None, None) | (Some(_), Some(_)) => {
            let message =
                "must hold the secret: in one of `client_secret` and `client_secret_file`";
            problems.error(path.clone(), message);
            None
        }
    };
    let resource = raw.resource.map(|text| text.trim().to_owned());
    if let Some(url) = resource.as_ref().filter(|url| !url.is_empty()) {
        http_url(&path.key("resource"), url, problems);
    }
    Some(Grant {
        endpoint: endpoint?,
        client_id: raw.client_id,
        secret: secret?,
        authentication: raw.client_authentication,
        scopes: raw.scopes,
        audience: raw.audience.filter(|audience| !audience.is_empty()),
        resource,
    })
}

/// Checks a URL that a secret is sent to.
fn secret_goes_to(text: &str, path: &Path, problems: &mut Problems) {
    let Some(url) = http_url(path, text, problems) else {
        return;
    };
    if !url.is_tls() && !is_loopback(url.host()) {
        let message = "is not https: the client secret is sent in the clear";
        problems.warning(path.clone(), message);
    }
}

fn named_file(text: &str, path: &Path, problems: &mut Problems) -> Option<PathBuf> {
    if text.trim().is_empty() {
        problems.error(path.clone(), "must not be empty");
        return None;
    }
    // It may come later: what cannot be read is told while the gateway runs.
    Some(PathBuf::from(text))
}
