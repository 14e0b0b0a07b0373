//! A server's credentials, from its configuration.

use std::sync::Arc;

use filters::grant::Authentication;
use filters::mask::Mask;
use filters::secret;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use pingora::connectors::TransportConnector;

use crate::config::choice::ClientAuthentication;
use crate::config::model::credential::{self as model, ClientSecret};
use crate::config::model::server::{Http, Server, Stdio};
use crate::upstream::credential::file::{EVERY, File};
use crate::upstream::credential::grant::{Endpoint, Grant, Secret, Spec};
use crate::upstream::credential::{Credential, Credentials, Own, Source};

/// The credentials of requests to a server that is reached over the network.
pub(super) fn credentials(
    server: &Server,
    http: &Http,
    transport: &Arc<TransportConnector>,
) -> Credentials {
    let is_replaced = http.headers.iter().any(|(name, _)| *name == AUTHORIZATION);
    // What stands in the configured headers wins over a client's own.
    if server.forward_authorization && !is_replaced {
        return Credentials::Callers;
    }
    let secrets = written(server, http);
    let auth = server.upstream_auth.as_ref();
    let configured = auth.and_then(|auth| auth.credential.as_ref());
    Credentials::Own(Own {
        is_written: !secrets.is_empty(),
        mask: Mask::of(secrets.iter().map(String::as_str)).map(Arc::new),
        credential: configured
            .map(|configured| Arc::new(credential(server, configured, secrets, transport))),
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
fn written(server: &Server, http: &Http) -> Vec<String> {
    let headers: HeaderMap = http.headers.iter().cloned().collect();
    let values = headers
        .iter()
        .filter(|(name, _)| secret::is_named(name.as_str()));
    let values = values.filter_map(|(_, value)| value.to_str().ok());
    // A scheme is none.
    let bare = values.map(|value| value.rsplit(' ').next().unwrap_or(value).to_owned());
    let urls = std::iter::once(&http.url).chain(&http.replicas);
    let of_urls = urls.flat_map(|url| {
        let url = url.to_string();
        let found = secret::of_url(&url).into_iter().map(str::to_owned);
        found.collect::<Vec<_>>()
    });
    bare.chain(of_urls).chain(of_variables(server)).collect()
}

/// Covers what is secret of what a program is started with.
pub(super) fn of_program(server: &Server, program: &Stdio) -> Option<Arc<Mask>> {
    let mut secrets = of_variables(server);
    for (name, value) in &program.env {
        let value = value.expose();
        if secret::is_named(name) {
            secrets.push(value.to_owned());
            // A key of several lines is logged line by line.
            secrets.extend(value.lines().map(str::to_owned));
        }
        if value.contains("://") {
            secrets.extend(secret::of_url(value).into_iter().map(str::to_owned));
        }
    }
    Mask::of(secrets.iter().map(String::as_str)).map(Arc::new)
}

/// What variables whose names say so put into a server's configuration.
fn of_variables(server: &Server) -> Vec<String> {
    let secrets = server.secrets.iter();
    secrets.map(|secret| secret.expose().to_owned()).collect()
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
        let server = &loaded.config.servers[0];
        let Transport::Http(http) = &server.transport else {
            panic!("http");
        };
        let mut found = written(server, http);
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

    #[test]
    fn what_is_secret_of_a_program_is_told_by_its_names_and_those_of_variables() {
        let text =
            "servers: [{id: a, transport: stdio, command: x, args: [--k, '${MY_KEY}'], env: {
            API_TOKEN: of-the-token, REGION: eu-central-1, DB: 'db://u:of-the-url@h/x'}}]";
        let mut source = Text::from_text(text);
        let key = ("MY_KEY".to_owned(), "of-the-key".to_owned());
        source.environment.extend([key]);
        let loaded = config::load(&source).unwrap();
        let server = &loaded.config.servers[0];
        let Transport::Stdio(program) = &server.transport else {
            panic!("stdio");
        };
        let mask = of_program(server, program).unwrap();
        for secret in ["of-the-token", "of-the-url", "of-the-key"] {
            assert!(mask.is_in(secret.as_bytes()), "{secret}");
        }
        assert!(!mask.is_in(b"eu-central-1"));
    }
}
