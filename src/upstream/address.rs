//! Where a replica is: an HTTP URL, or a unix socket.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use http::Uri;

/// A replica's address, split once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// How to connect.
    pub endpoint: Endpoint,
    /// The `Host` header's value.
    pub authority: String,
    /// Path and query of every request.
    pub path: String,
}

/// How to connect to a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// TCP, with TLS on top for `https`.
    Tcp {
        /// A name or an IP address, without brackets.
        host: String,
        /// The port.
        port: u16,
        /// Whether the scheme is `https`.
        tls: bool,
    },
    /// TCP to an address that was looked up and checked before, with TLS on top for `https`.
    Pinned {
        /// The address.
        at: SocketAddr,
        /// The name that it was found by, for TLS.
        host: String,
        /// Whether the scheme is `https`.
        tls: bool,
    },
    /// A unix socket: where a supervisor serves its stdio children.
    Unix(PathBuf),
}

/// Why a URL is no replica's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an http:// or https:// URL with a host")]
pub struct Invalid;

impl Address {
    /// Splits an `http` or `https` URL. User info is never sent and not kept.
    ///
    /// # Errors
    /// [`Invalid`] for any other scheme, or without a host.
    pub fn parse(url: &str) -> Result<Self, Invalid> {
        let uri: Uri = url.parse().map_err(|_| Invalid)?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            Some(_) | None => return Err(Invalid),
        };
        let host = uri.host().filter(|host| !host.is_empty()).ok_or(Invalid)?;
        let port = uri.port_u16();
        let authority = port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Ok(Self {
            endpoint: Endpoint::Tcp {
                host: host.trim_matches(['[', ']']).to_owned(),
                port: port.unwrap_or(if tls { 443 } else { 80 }),
                tls,
            },
            authority,
            path: path.to_owned(),
        })
    }

    /// The address of a supervisor's unix socket.
    #[must_use]
    pub fn unix(socket: &Path) -> Self {
        Self {
            endpoint: Endpoint::Unix(socket.to_owned()),
            authority: "localhost".to_owned(),
            path: "/mcp".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_split_into_what_a_request_needs() {
        let address = Address::parse("https://user:secret@[::1]:8443/mcp?x=1").unwrap();
        let endpoint = Endpoint::Tcp {
            host: "::1".into(),
            port: 8443,
            tls: true,
        };
        assert_eq!(address.endpoint, endpoint);
        assert_eq!(address.authority, "[::1]:8443");
        assert_eq!(address.path, "/mcp?x=1");
    }

    #[test]
    fn ports_and_paths_have_their_defaults() {
        let address = Address::parse("http://example.com").unwrap();
        assert_eq!(address.authority, "example.com");
        assert_eq!(address.path, "/");
        assert!(matches!(
            address.endpoint,
            Endpoint::Tcp {
                port: 80,
                tls: false,
                ..
            }
        ));
    }

    #[test]
    fn other_schemes_and_bare_hosts_are_refused() {
        for url in [
            "ftp://x/",
            "example.com:80",
            "/mcp",
            "http://",
            "http:///mcp",
            "nonsense",
        ] {
            assert_eq!(Address::parse(url), Err(Invalid), "{url}");
        }
    }
}
