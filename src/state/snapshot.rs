//! The compiled configuration: everything a request asks, ready to be asked.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use filters::{acl, origin};
use http::{HeaderName, HeaderValue};

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
    /// How long a stream may be silent before a comment keeps it alive; `None` sends none.
    pub keep_alive: Option<Duration>,
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
}

/// Header lines that are the same for every request to a server.
#[derive(Clone, Debug, Default)]
pub struct StaticFields {
    /// The lines, each with its CRLF.
    pub lines: Vec<u8>,
    names: HashSet<String>,
}

impl StaticFields {
    /// Writes the configured headers as lines.
    #[must_use]
    pub fn compile(headers: &[(HeaderName, HeaderValue)]) -> Self {
        let mut fields = Self::default();
        for (name, value) in headers {
            for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                fields.lines.extend_from_slice(part);
            }
            fields.names.insert(name.as_str().to_owned());
        }
        fields
    }

    /// Whether the configuration sets `name` (in lower case): a client's own is then dropped.
    #[must_use]
    pub fn sets(&self, name: &str) -> bool {
        !self.names.is_empty() && self.names.contains(name)
    }
}
