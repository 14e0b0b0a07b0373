//! Where a request leads: by its path, and on the aggregated endpoint by what it names.

pub mod cursor;
pub mod merge;
pub mod names;
pub mod uri;

use crate::identity::resource::WELL_KNOWN;

/// What a path addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint<'a> {
    /// `/mcp/{server}`: one MCP server.
    Server(&'a str),
    /// `/mcp` (all servers) and `/mcp/profile/{profile}`: several servers as one.
    Profile(&'a str),
    /// The event stream of the HTTP+SSE transport (2024-11-05): `/sse`, `/mcp/{server}/sse`,
    /// `/mcp/profile/{profile}/sse`.
    Events(Scope<'a>),
    /// Where the messages of that transport are posted: `…/message` instead of `…/sse`.
    Messages(Scope<'a>),
    /// `/conduit/…`: the control plane.
    Admin,
    /// `/.well-known/oauth-protected-resource…` (RFC 9728): what follows names the endpoint that is
    /// described.
    Metadata(&'a str),
    /// Nothing.
    Unknown,
}

impl<'a> Endpoint<'a> {
    /// Resolves a request path, without its query. Ids are compared as sent: a percent-encoded or
    /// dotted path names no server.
    #[must_use]
    pub fn resolve(path: &'a str) -> Self {
        if let Some(rest) = path.strip_prefix("/mcp/") {
            let (scope, last) = match rest.rsplit_once('/') {
                Some((scope, last @ ("sse" | "message"))) => (scope, Some(last)),
                Some(_) | None => (rest, None),
            };
            return match (Scope::parse(scope), last) {
                (None, _) => Self::Unknown,
                (Some(scope), Some("sse")) => Self::Events(scope),
                (Some(scope), Some(_)) => Self::Messages(scope),
                (Some(Scope::Server(id)), None) => Self::Server(id),
                (Some(Scope::Profile(id)), None) => Self::Profile(id),
            };
        }
        match path {
            "/mcp" => return Self::Profile(EVERYTHING),
            "/sse" => return Self::Events(Scope::Profile(EVERYTHING)),
            "/message" => return Self::Messages(Scope::Profile(EVERYTHING)),
            _ => {}
        }
        if path == "/conduit" || path.starts_with("/conduit/") {
            return Self::Admin;
        }
        if let Some(rest) = path.strip_prefix(WELL_KNOWN)
            && (rest.is_empty() || rest.starts_with('/'))
        {
            return Self::Metadata(rest);
        }
        Self::Unknown
    }
}

/// The profile of all servers.
pub const EVERYTHING: &str = "default";

/// What an endpoint of the HTTP+SSE transport leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope<'a> {
    /// One server.
    Server(&'a str),
    /// Several servers as one.
    Profile(&'a str),
}

impl<'a> Scope<'a> {
    /// `{server}` or `profile/{profile}`.
    fn parse(text: &'a str) -> Option<Self> {
        match text.strip_prefix("profile/") {
            Some(profile) => is_profile_id(profile).then_some(Self::Profile(profile)),
            None => is_server_id(text).then_some(Self::Server(text)),
        }
    }
}

/// Whether `text` can be a profile's id.
fn is_profile_id(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !text.is_empty() && text.bytes().all(is_plain)
}

/// Whether `text` can be a server's id: ASCII letters, digits and hyphens, as mcp-conduit has it.
#[must_use]
pub fn is_server_id(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_id_names_a_server() {
        assert_eq!(
            Endpoint::resolve("/mcp/git-hub2"),
            Endpoint::Server("git-hub2")
        );
        for path in [
            "/mcp/",
            "/mcp/a/b",
            "/mcp/..",
            "/mcp/%61",
            "/mcp/a%2fb",
            "/",
            "",
        ] {
            assert_eq!(Endpoint::resolve(path), Endpoint::Unknown, "{path}");
        }
    }

    #[test]
    fn several_servers_and_the_old_transport_have_their_paths() {
        let rows = [
            ("/mcp", Endpoint::Profile("default")),
            ("/mcp/profile/dev_1", Endpoint::Profile("dev_1")),
            ("/mcp/profile", Endpoint::Server("profile")),
            ("/mcp/profile/", Endpoint::Unknown),
            ("/mcp/profile/a/b", Endpoint::Unknown),
            ("/sse", Endpoint::Events(Scope::Profile("default"))),
            ("/message", Endpoint::Messages(Scope::Profile("default"))),
            ("/mcp/a/sse", Endpoint::Events(Scope::Server("a"))),
            ("/mcp/a/message", Endpoint::Messages(Scope::Server("a"))),
            ("/mcp/profile/b/sse", Endpoint::Events(Scope::Profile("b"))),
            ("/mcp/sse", Endpoint::Server("sse")),
            ("/mcp//sse", Endpoint::Unknown),
        ];
        for (path, endpoint) in rows {
            assert_eq!(Endpoint::resolve(path), endpoint, "{path}");
        }
    }

    #[test]
    fn metadata_is_asked_for_by_the_path_that_it_describes() {
        let well_known = "/.well-known/oauth-protected-resource";
        let rows = [
            ("", Endpoint::Metadata("")),
            ("/mcp/a", Endpoint::Metadata("/mcp/a")),
            ("s", Endpoint::Unknown),
        ];
        for (rest, endpoint) in rows {
            assert_eq!(Endpoint::resolve(&format!("{well_known}{rest}")), endpoint);
        }
    }

    #[test]
    fn the_control_plane_has_its_own_prefix() {
        assert_eq!(Endpoint::resolve("/conduit/health"), Endpoint::Admin);
        assert_eq!(Endpoint::resolve("/conduits"), Endpoint::Unknown);
    }
}
