//! The gateway as an OAuth 2.1 resource server: the canonical URI of each endpoint, its metadata
//! (RFC 9728), and what a client is challenged with (RFC 6750 §3).
//!
//! **Invariant:** each endpoint is a resource of its own. A token for one is none for another, unless the
//! operator names its audience.

use std::borrow::Cow;

use crate::identity::denial::BearerError;
use crate::json::object::{Object, array, quoted};
use crate::route::{EVERYTHING, Endpoint, Scope};

/// Where metadata is found (RFC 9728 §3).
pub const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// What an operator says of the gateway as a resource server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spec {
    /// The URL that clients reach the gateway by: scheme and authority, and a path where a proxy puts
    /// the gateway below one.
    pub base: String,
    /// The issuers of tokens.
    pub authorization_servers: Vec<String>,
    /// The scopes that clients are told of.
    pub scopes_supported: Vec<String>,
    /// The name that people are shown.
    pub name: Option<String>,
    /// Where people read more.
    pub documentation: Option<String>,
}

/// The compiled form of a [`Spec`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    spec: Spec,
    /// Scheme and authority.
    origin: String,
    /// The path that the gateway is below, without a slash at its end.
    prefix: String,
}

impl Resource {
    /// Compiles what an operator says.
    #[must_use]
    pub fn new(spec: Spec) -> Self {
        let base = canonical(&spec.base);
        let authority = base.find("://").map_or(0, |at| at + "://".len());
        let (scheme, rest) = base.split_at_checked(authority).unwrap_or(("", &base));
        let (host, prefix) = match rest.find('/').and_then(|at| rest.split_at_checked(at)) {
            Some((host, prefix)) => (host, prefix),
            None => (rest, ""),
        };
        Self {
            origin: format!("{scheme}{host}"),
            prefix: prefix.to_owned(),
            spec,
        }
    }

    /// The canonical URI of the endpoint at `path`.
    #[must_use]
    pub fn uri(&self, path: &str) -> String {
        format!("{}{}{path}", self.origin, self.prefix)
    }

    /// Where the metadata of the endpoint at `path` is.
    #[must_use]
    pub fn metadata_url(&self, path: &str) -> String {
        format!("{}{WELL_KNOWN}{}{path}", self.origin, self.prefix)
    }

    /// Whether an audience, in canonical form, is the endpoint at `path`.
    #[must_use]
    pub fn is_audience(&self, audience: &str, path: &str) -> bool {
        let rest = audience.strip_prefix(self.origin.as_str());
        let rest = rest.and_then(|rest| rest.strip_prefix(self.prefix.as_str()));
        rest == Some(path)
    }

    /// The path of the endpoint whose metadata is at [`WELL_KNOWN`] followed by `rest`. Without one it
    /// is that of the endpoint of all servers.
    #[must_use]
    pub fn described<'p>(&self, rest: &'p str) -> &'p str {
        match rest.strip_prefix(self.prefix.as_str()).unwrap_or(rest) {
            "" | "/" => "/mcp",
            path => path,
        }
    }

    /// The metadata of the endpoint at `path`, JSON text.
    #[must_use]
    pub fn document(&self, path: &str) -> String {
        let list = |texts: &[String]| array(texts.iter().map(|text| quoted(text)));
        let mut document = Object::default();
        document.set_text("resource", &self.uri(path));
        document.set(
            "authorization_servers",
            list(&self.spec.authorization_servers),
        );
        if !self.spec.scopes_supported.is_empty() {
            document.set("scopes_supported", list(&self.spec.scopes_supported));
        }
        document.set("bearer_methods_supported", r#"["header"]"#);
        if let Some(name) = &self.spec.name {
            document.set_text("resource_name", name);
        }
        if let Some(documentation) = &self.spec.documentation {
            document.set_text("resource_documentation", documentation);
        }
        document.write()
    }
}

/// What `WWW-Authenticate` says. `scopes` are all that are needed, divided by spaces.
#[must_use]
pub fn challenge(
    resource: Option<(&Resource, &str)>,
    error: Option<BearerError>,
    scopes: &str,
) -> String {
    let mut text = "Bearer".to_owned();
    let mut parameter = |name: &str, value: &str| {
        let divider = if text.len() > "Bearer".len() { "," } else { "" };
        // Values are URLs, scopes and names of errors: none holds a quote or a backslash.
        for part in [divider, " ", name, "=\"", value, "\""] {
            text.push_str(part);
        }
    };
    if let Some(error) = error {
        parameter("error", error.name());
    }
    if !scopes.is_empty() {
        parameter("scope", scopes);
    }
    if let Some((resource, path)) = resource {
        parameter("resource_metadata", &resource.metadata_url(path));
    }
    text
}

/// The path of the endpoint that clients take a path to belong to: that of an event stream for the
/// messages that are posted to it. Nothing where MCP is not spoken.
#[must_use]
pub fn path(endpoint: Endpoint<'_>) -> Option<Cow<'_, str>> {
    Some(match endpoint {
        Endpoint::Server(id)
        | Endpoint::Events(Scope::Server(id))
        | Endpoint::Messages(Scope::Server(id)) => format!("/mcp/{id}").into(),
        Endpoint::Profile(EVERYTHING) => "/mcp".into(),
        Endpoint::Events(Scope::Profile(EVERYTHING))
        | Endpoint::Messages(Scope::Profile(EVERYTHING)) => "/sse".into(),
        Endpoint::Profile(id)
        | Endpoint::Events(Scope::Profile(id))
        | Endpoint::Messages(Scope::Profile(id)) => format!("/mcp/profile/{id}").into(),
        Endpoint::Admin | Endpoint::Metadata(_) | Endpoint::Unknown => return None,
    })
}

/// Whether `text` can be a scope (RFC 6749 §3.3).
#[must_use]
pub fn is_scope(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'))
}

/// A resource's URI as it is compared: scheme and authority in small letters, no slash at the end. What
/// is no URI stays as it is.
#[must_use]
pub fn canonical(uri: &str) -> String {
    let Some((scheme, rest)) = uri.split_once("://") else {
        return uri.to_owned();
    };
    let (authority, path) = match rest.find('/').and_then(|at| rest.split_at_checked(at)) {
        Some((authority, path)) => (authority, path.strip_suffix('/').unwrap_or(path)),
        None => (rest, ""),
    };
    format!(
        "{}://{}{path}",
        scheme.to_ascii_lowercase(),
        authority.to_ascii_lowercase()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(base: &str) -> Resource {
        Resource::new(Spec {
            base: base.to_owned(),
            authorization_servers: vec!["https://idp/".to_owned()],
            scopes_supported: vec!["a".to_owned(), "b".to_owned()],
            ..Spec::default()
        })
    }

    #[test]
    fn metadata_is_where_the_well_known_path_is_inserted() {
        let plain = resource("HTTPS://GW.example:8443/");
        assert_eq!(plain.uri("/mcp/a"), "https://gw.example:8443/mcp/a");
        assert_eq!(
            plain.metadata_url("/mcp/a"),
            "https://gw.example:8443/.well-known/oauth-protected-resource/mcp/a"
        );
        let below = resource("https://gw.example/tools/");
        assert_eq!(below.uri("/mcp"), "https://gw.example/tools/mcp");
        assert_eq!(
            below.metadata_url("/mcp"),
            "https://gw.example/.well-known/oauth-protected-resource/tools/mcp"
        );
        assert_eq!(below.described("/tools/mcp/a"), "/mcp/a");
        assert_eq!(below.described("/mcp/a"), "/mcp/a");
        assert_eq!(plain.described(""), "/mcp");
    }

    #[test]
    fn an_audience_is_one_endpoint_and_no_other() {
        let resource = resource("https://gw.example");
        let is_own = |audience: &str| resource.is_audience(&canonical(audience), "/mcp/a");
        for audience in [
            "https://gw.example/mcp/a",
            "https://gw.example/mcp/a/",
            "HTTPS://GW.EXAMPLE/mcp/a",
        ] {
            assert!(is_own(audience), "{audience}");
        }
        for audience in [
            "",
            "https://gw.example",
            "https://gw.example/mcp",
            "https://gw.example/mcp/ab",
            "https://gw.example/mcp/A",
            "https://gw.example/mcp/a//",
            "https://gw.example/mcp/a?x",
            "https://gw.example.evil/mcp/a",
            "http://gw.example/mcp/a",
            "/mcp/a",
        ] {
            assert!(!is_own(audience), "{audience}");
        }
    }

    #[test]
    fn the_document_says_where_tokens_come_from() {
        assert_eq!(
            resource("https://gw").document("/mcp"),
            r#"{"resource":"https://gw/mcp","authorization_servers":["https://idp/"],"scopes_supported":["a","b"],"bearer_methods_supported":["header"]}"#
        );
    }

    #[test]
    fn a_challenge_names_all_that_a_client_needs() {
        let resource = resource("https://gw");
        let at = Some((&resource, "/mcp/a"));
        assert_eq!(challenge(None, None, ""), "Bearer");
        assert_eq!(
            challenge(None, Some(BearerError::InvalidToken), ""),
            r#"Bearer error="invalid_token""#
        );
        assert_eq!(
            challenge(at, Some(BearerError::InsufficientScope), "x y"),
            r#"Bearer error="insufficient_scope", scope="x y", resource_metadata="https://gw/.well-known/oauth-protected-resource/mcp/a""#
        );
    }

    #[test]
    fn messages_belong_to_the_endpoint_of_their_stream() {
        let of = |path: &'static str| super::path(Endpoint::resolve(path)).map(Cow::into_owned);
        let rows = [
            ("/mcp", Some("/mcp")),
            ("/mcp/a", Some("/mcp/a")),
            ("/mcp/profile/p", Some("/mcp/profile/p")),
            ("/mcp/a/sse", Some("/mcp/a")),
            ("/mcp/a/message", Some("/mcp/a")),
            ("/mcp/profile/p/message", Some("/mcp/profile/p")),
            ("/sse", Some("/sse")),
            ("/message", Some("/sse")),
            ("/conduit/health", None),
            ("/nowhere", None),
        ];
        for (from, to) in rows {
            assert_eq!(of(from), to.map(str::to_owned), "{from}");
        }
    }

    #[test]
    fn a_scope_cannot_end_the_parameter_that_it_stands_in() {
        assert!(is_scope("files:read") && is_scope("https://x/y.z"));
        for text in ["", "a b", "a\"b", "a\\b", "é", "a\n"] {
            assert!(!is_scope(text), "{text:?}");
        }
    }
}
