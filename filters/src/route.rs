//! Where a request path leads.

/// What a path addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint<'a> {
    /// `/mcp/{server}`: one MCP server.
    Server(&'a str),
    /// `/conduit/…`: the control plane.
    Admin,
    /// Nothing.
    Unknown,
}

impl<'a> Endpoint<'a> {
    /// Resolves a request path, without its query. Ids are compared as sent: a percent-encoded or
    /// dotted path names no server.
    #[must_use]
    pub fn resolve(path: &'a str) -> Self {
        if let Some(server) = path.strip_prefix("/mcp/") {
            return if is_server_id(server) {
                Self::Server(server)
            } else {
                Self::Unknown
            };
        }
        if path == "/conduit" || path.starts_with("/conduit/") {
            return Self::Admin;
        }
        Self::Unknown
    }
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
            "/mcp",
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
    fn the_control_plane_has_its_own_prefix() {
        assert_eq!(Endpoint::resolve("/conduit/health"), Endpoint::Admin);
        assert_eq!(Endpoint::resolve("/conduits"), Endpoint::Unknown);
    }
}
