//! The compiled configuration: everything a request asks, ready to be asked.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use filters::{acl, origin};

use crate::upstream::cluster::Cluster;

/// One configuration, compiled. A request pins one and never looks again.
pub struct Snapshot {
    /// The servers by id.
    pub servers: HashMap<String, Arc<Server>>,
    /// Which `Host`s and `Origin`s are taken.
    pub origin: origin::Rules,
    /// Who may do what.
    pub acl: acl::Rules,
    /// Largest request body, in bytes.
    pub body_bytes_max: usize,
    /// How long a stream may be silent before a comment keeps it alive.
    pub keep_alive: Duration,
}

/// One MCP server.
pub struct Server {
    /// Its id.
    pub id: Arc<str>,
    /// Its replicas.
    pub cluster: Arc<Cluster>,
    /// The headers that every request to it carries.
    pub fields: StaticFields,
    /// Whether the client's `Authorization` goes to it.
    pub forwards_authorization: bool,
    /// What it is reached over.
    pub transport: Transport,
}

/// What a server is reached over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Streamable HTTP.
    Http,
    /// A child process, served by its supervisor over a unix socket.
    Stdio,
}

/// Header lines that are the same for every request to a server.
#[derive(Clone, Debug, Default)]
pub struct StaticFields {
    /// The lines, each with its CRLF.
    pub lines: Vec<u8>,
    names: HashSet<String>,
}

/// Why a configured header cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidField {
    /// Its name is no HTTP token.
    #[error("`{0}` is not a valid header name")]
    Name(String),
    /// Its value has a control character.
    #[error("the value of `{0}` has a control character")]
    Value(String),
    /// The gateway itself sets it.
    #[error("`{0}` is set by the gateway and cannot be configured")]
    Reserved(String),
}

/// What frames a message or names its connection is never configurable.
const RESERVED: [&str; 7] = [
    "connection",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "transfer-encoding",
    "upgrade",
];

impl StaticFields {
    /// Compiles configured headers.
    ///
    /// # Errors
    /// [`InvalidField`] for the first that cannot be sent.
    pub fn compile<'a>(
        headers: impl IntoIterator<Item = (&'a String, &'a String)>,
    ) -> Result<Self, InvalidField> {
        let mut fields = Self::default();
        for (name, value) in headers {
            let lower = name.to_ascii_lowercase();
            if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
                return Err(InvalidField::Name(name.clone()));
            }
            if RESERVED.contains(&lower.as_str()) {
                return Err(InvalidField::Reserved(name.clone()));
            }
            if http::HeaderValue::from_bytes(value.as_bytes()).is_err() {
                return Err(InvalidField::Value(name.clone()));
            }
            for part in [lower.as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                fields.lines.extend_from_slice(part);
            }
            fields.names.insert(lower);
        }
        Ok(fields)
    }

    /// Whether the configuration sets `name` (in lower case): a client's own is then dropped.
    #[must_use]
    pub fn sets(&self, name: &str) -> bool {
        !self.names.is_empty() && self.names.contains(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_would_break_the_message_is_refused() {
        let compile = |name: &str, value: &str| {
            let headers = [(name.to_owned(), value.to_owned())];
            StaticFields::compile(headers.iter().map(|(name, value)| (name, value))).map(|_| ())
        };
        assert_eq!(compile("X-Key", "v"), Ok(()));
        assert_eq!(
            compile("X Key", "v"),
            Err(InvalidField::Name("X Key".into()))
        );
        assert_eq!(
            compile("X-Key", "a\r\nb: c"),
            Err(InvalidField::Value("X-Key".into()))
        );
        assert_eq!(
            compile("Host", "v"),
            Err(InvalidField::Reserved("Host".into()))
        );
    }
}
