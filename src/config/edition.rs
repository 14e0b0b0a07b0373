//! The edition of a server: a digest of its configuration.
//!
//! **Invariant:** instances of one build with the same configuration of a server agree on its edition;
//! whatever its configuration changes, its secrets included, changes the edition.

use sha2::{Digest, Sha256};

use crate::config::model::server::Server;

/// Set apart from all other digests, and raised where the meaning of a field changes.
const DOMAIN: &[u8] = b"conduit server edition 1\n";

/// The edition of a server.
///
/// # Errors
/// Where a path in its configuration is no text.
pub fn edition(server: &Server) -> Result<[u8; 32], serde_json::Error> {
    let mut hash = Sha256::new();
    hash.update(DOMAIN);
    // Fields are written in the order of their declaration and maps in that of their keys.
    hash.update(serde_json::to_vec(server)?);
    Ok(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, source::Source};

    fn of(server: &str) -> [u8; 32] {
        let text = format!("servers: [{{id: a, {server}}}]");
        let loaded = config::load(&Source::from_text(&text)).unwrap();
        edition(&loaded.config.servers[0]).unwrap()
    }

    #[test]
    fn whatever_a_server_is_configured_with_is_in_its_edition() {
        let variants = [
            "url: 'http://h/mcp'",
            "url: 'http://h/mcp?key=1'",
            "url: 'http://h/mcp?key=2'",
            "url: 'http://h/mcp', headers: {x-key: one}",
            "url: 'http://h/mcp', headers: {x-key: two}",
            "url: 'http://h/mcp', cache: {default_ttl: 5}",
            "transport: sse, url: 'http://h/mcp'",
            "transport: stdio, command: x",
            "transport: stdio, command: x, env: {KEY: one}",
            "transport: stdio, command: x, env: {KEY: two}",
        ];
        let editions: std::collections::HashSet<_> = variants.map(of).into();
        assert_eq!(editions.len(), variants.len());
    }

    #[test]
    fn the_same_configuration_written_otherwise_is_the_same_edition() {
        let one = of("url: 'http://h/mcp', cache: {overrides: {b: {ttl: 1}, a: {ttl: 2}}}");
        let other = of("cache: {overrides: {a: {ttl: 2}, b: {ttl: 1}}}, url: 'http://h/mcp'");
        assert_eq!(one, other);
    }

    #[test]
    fn no_secret_is_written_as_it_is() {
        let text = "servers: [{id: a, transport: stdio, command: x, env: {KEY: hush}}, \
                    {id: b, url: 'http://h/?k=hush', headers: {authorization: hush}}]";
        let loaded = config::load(&Source::from_text(text)).unwrap();
        let written = serde_json::to_string(&loaded.config.servers).unwrap();
        assert!(!written.contains("hush"), "{written}");
    }
}
