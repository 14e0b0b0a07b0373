//! A server's credentials, from its configuration.

use std::sync::Arc;

use filters::grant::Authentication;
use filters::mask::Mask;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use pingora::connectors::TransportConnector;

use crate::config::choice::ClientAuthentication;
use crate::config::model::credential::{self as model, ClientSecret};
use crate::config::model::server::{Http, Server};
use crate::upstream::credential::file::{EVERY, File};
use crate::upstream::credential::grant::{Endpoint, Grant, Secret, Spec};
use crate::upstream::credential::{Credential, Credentials, Own, Source};

/// Words of a name that say that what it names is a secret.
const SECRET_WORDS: [&str; 11] = [
    "authorization",
    "auth",
    "bearer",
    "key",
    "apikey",
    "token",
    "secret",
    "password",
    "passwd",
    "cookie",
    "credential",
];

/// The credentials of requests to a server that is reached over the network.
pub(super) fn credentials(
    server: &Server,
    http: &Http,
    transport: &Arc<TransportConnector>,
) -> Credentials {
    let is_static = http.headers.iter().any(|(name, _)| *name == AUTHORIZATION);
    // What stands in the configured headers wins over a client's own.
    if server.forward_authorization && !is_static {
        return Credentials::Callers;
    }
    let secrets = written(http);
    let auth = server.upstream_auth.as_ref();
    let configured = auth.and_then(|auth| auth.credential.as_ref());
    Credentials::Own(Own {
        mask: Mask::of(secrets.iter().map(String::as_str)).map(Arc::new),
        credential: configured
            .map(|configured| Arc::new(credential(server, configured, secrets, transport))),
        is_static,
    })
}

fn credential(
    server: &Server,
    configured: &model::Credential,
    others: Vec<String>,
    transport: &Arc<TransportConnector>,
) -> Credential {
    let id: Arc<str> = server.id.as_str().into();
    match configured {
        model::Credential::Token(token) | model::Credential::Variable { token, .. } => {
            Credential::fixed(id, token.expose().to_owned(), others)
        }
        model::Credential::File(path) => {
            Credential::renewed(id, Source::File(File::new(path.clone(), EVERY)), others)
        }
        model::Credential::Grant(configured) => {
            let grant = Grant::new(spec(configured), Arc::clone(transport));
            Credential::renewed(id, Source::Grant(Box::new(grant)), others)
        }
    }
}

fn spec(grant: &model::Grant) -> Spec {
    Spec {
        endpoint: match &grant.endpoint {
            model::Endpoint::Token(url) => Endpoint::Token(url.clone()),
            model::Endpoint::Issuer(issuer) => Endpoint::Issuer(issuer.clone()),
        },
        client_id: grant.client_id.clone(),
        secret: match &grant.secret {
            ClientSecret::Written(secret) => Secret::Written(secret.expose().to_owned()),
            ClientSecret::File(path) => Secret::File(File::new(path.clone(), EVERY)),
        },
        authentication: match grant.authentication {
            ClientAuthentication::Basic => Authentication::Basic,
            ClientAuthentication::Post => Authentication::Post,
        },
        scopes: grant.scopes.clone(),
        audience: grant.audience.clone(),
        resource: grant.resource.clone(),
    }
}

/// What is secret of a server's headers and URLs, by their names: other values (a region, a version) may
/// well stand in what the server says.
fn written(http: &Http) -> Vec<String> {
    let headers: HeaderMap = http.headers.iter().cloned().collect();
    let values = headers.iter().filter(|(name, _)| is_secret(name.as_str()));
    let mut secrets: Vec<String> = values
        .filter_map(|(_, value)| value.to_str().ok())
        // A scheme is none.
        .map(|value| value.rsplit(' ').next().unwrap_or(value).to_owned())
        .collect();
    let urls = std::iter::once(&http.url).chain(&http.replicas);
    for query in urls.filter_map(|url| url.uri().query()) {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let told = pairs.filter(|(name, _)| is_secret(name));
        secrets.extend(told.map(|(_, value)| value.to_owned()));
    }
    secrets
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.split(['-', '_']).any(|word| {
        let word = word.strip_suffix('s').unwrap_or(word);
        SECRET_WORDS.contains(&word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::config::model::server::Transport;
    use crate::config::source::Source as Text;

    #[test]
    fn what_is_secret_is_told_by_its_name() {
        let text =
            "servers: [{id: a, url: 'http://h/mcp?api_key=of-the-url&page=seventeen', headers: {
            Authorization: Bearer of-the-header, X-API-Key: of-the-key, X-Tokens: of-tokens,
            X-Author: somebody-else, X-Region: eu-central-1, Cookie: a=of-the-cookie}}]";
        let loaded = config::load(&Text::from_text(text)).unwrap();
        let Transport::Http(http) = &loaded.config.servers[0].transport else {
            panic!("http");
        };
        let mut found = written(http);
        found.sort();
        let wanted = [
            "a=of-the-cookie",
            "of-the-header",
            "of-the-key",
            "of-the-url",
            "of-tokens",
        ];
        assert_eq!(found, wanted);
    }
}
