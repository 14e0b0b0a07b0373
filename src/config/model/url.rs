//! The URL of an upstream, parsed once.

use std::fmt;

use filters::secret;
use http::Uri;
use serde::{Serialize, Serializer};

use crate::config::model::digest;

/// An absolute `http` or `https` URL with a host and without credentials or fragment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HttpUrl(Uri);

/// Why a text is no [`HttpUrl`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not a URL at all.
    #[error("must be an absolute URL, such as http://localhost:3000/mcp")]
    Malformed,
    /// Another scheme.
    #[error("must begin with http:// or https://")]
    Scheme,
    /// `user:password@`.
    #[error("must not contain credentials; put them into `headers`, as Authorization")]
    Credentials,
    /// Port 0 or above 65535.
    #[error("must name a port between 1 and 65535")]
    Port,
}

impl HttpUrl {
    /// Parses a text.
    ///
    /// # Errors
    /// What the text lacks.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        let text = text.split_once('#').map_or(text, |(before, _)| before);
        let (scheme, rest) = text.split_once("://").ok_or(Error::Malformed)?;
        if !(scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")) {
            return Err(Error::Scheme);
        }
        let authority = rest.split(['/', '?']).next().unwrap_or(rest);
        if authority.contains('@') {
            return Err(Error::Credentials);
        }
        let uri: Uri = text.parse().map_err(|_| Error::Malformed)?;
        if uri.host().is_none_or(str::is_empty) {
            return Err(Error::Malformed);
        }
        let port_text = uri.authority().and_then(|authority| {
            authority
                .as_str()
                .rsplit_once(':')
                .map(|(_, port)| port)
                .filter(|port| !port.contains(']'))
        });
        if port_text.is_some_and(|text| text.parse::<u16>().map_or(true, |port| port == 0)) {
            return Err(Error::Port);
        }
        Ok(Self(uri))
    }

    /// The official registry of MCP servers.
    #[must_use]
    pub fn official_registry() -> Self {
        Self(Uri::from_static("https://registry.modelcontextprotocol.io"))
    }

    /// The parsed URL.
    #[must_use]
    pub fn uri(&self) -> &Uri {
        &self.0
    }

    /// The URL as people may be shown it: a query may hold a secret, and so may a path.
    #[must_use]
    pub fn redacted(&self) -> String {
        secret::shown_url(&self.0.to_string())
    }

    /// Whether it is `https`.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }

    /// The host as a connector wants it: a name or an address, an IPv6 one without its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        let host = self.0.host().unwrap_or_default();
        host.strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(host)
    }

    /// The port: the one written, else that of the scheme.
    #[must_use]
    pub fn port(&self) -> u16 {
        let default = if self.is_tls() { 443 } else { 80 };
        self.0.port_u16().unwrap_or(default)
    }

    /// What a `Host` header says: the host, and the port if it was written.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.0
            .authority()
            .map(http::uri::Authority::as_str)
            .unwrap_or_default()
    }

    /// Path and query, at least `/`.
    #[must_use]
    pub fn path_and_query(&self) -> &str {
        self.0
            .path_and_query()
            .map_or("/", http::uri::PathAndQuery::as_str)
    }
}

impl Serialize for HttpUrl {
    /// As a digest: a query may hold a secret.
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&digest(self.0.to_string().as_bytes()))
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_url_are_those_a_connector_needs() {
        let url = HttpUrl::parse("HTTPS://[::1]/mcp?k=v#top").unwrap();
        assert!(url.is_tls());
        assert_eq!((url.host(), url.port()), ("::1", 443));
        assert_eq!(
            (url.authority(), url.path_and_query()),
            ("[::1]", "/mcp?k=v")
        );
        let url = HttpUrl::parse("http://localhost:3000").unwrap();
        assert_eq!(
            (url.host(), url.port(), url.path_and_query()),
            ("localhost", 3000, "/")
        );
    }

    #[test]
    fn what_is_no_upstream_url_is_refused() {
        let error = |text: &str| HttpUrl::parse(text).unwrap_err();
        assert_eq!(error("localhost:3000"), Error::Malformed);
        assert_eq!(error("http://"), Error::Malformed);
        assert_eq!(error("http://a b/"), Error::Malformed);
        assert_eq!(error("ftp://host/"), Error::Scheme);
        assert_eq!(error("http://user:pw@host/"), Error::Credentials);
        assert_eq!(error("http://host:0/"), Error::Port);
        assert_eq!(error("http://host:99999/"), Error::Port);
        assert_eq!(error("http://host:/"), Error::Port);
    }
}
