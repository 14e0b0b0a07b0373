//! The header lines of requests to a server: those every request carries, and those of one that the
//! gateway makes itself.

use std::collections::HashSet;

use filters::mcp::header;
use filters::mcp::revision::Era;
use http::{HeaderName, HeaderValue};

/// `Accept` of a request whose answer may come as one document or as a stream.
pub const ACCEPT: &str = "application/json, text/event-stream";

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
            push(&mut fields.lines, name.as_str(), value.as_bytes());
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

/// What of a client's request head goes along with a request that the gateway makes for it.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// `Authorization`, where the server is to have the client's own.
    pub authorization: Option<String>,
    /// Further lines (trace, group), each with its CRLF.
    pub lines: Vec<u8>,
}

impl Caller {
    /// The caller without what belongs to one request only: for what serves many.
    #[must_use]
    pub fn lasting(&self) -> Self {
        Self {
            authorization: self.authorization.clone(),
            lines: Vec::new(),
        }
    }
}

impl Caller {
    /// The caller without what is its own and stands in no key: for what several callers share.
    #[must_use]
    pub fn shared(&self) -> Self {
        let lines = self.lines.split_inclusive(|byte| *byte == b'\n');
        let lines = lines.filter(|line| !line.starts_with(b"baggage:"));
        Self {
            authorization: self.authorization.clone(),
            lines: lines.flatten().copied().collect(),
        }
    }
}

/// The MCP headers of a request that the gateway makes itself.
#[derive(Clone, Copy, Debug)]
pub struct Mcp<'a> {
    /// The era it is made in.
    pub era: Era,
    /// `MCP-Protocol-Version`; absent before a handshake is over.
    pub revision: Option<&'a str>,
    /// The JSON-RPC method; absent for a response, GET and DELETE.
    pub method: Option<&'a str>,
    /// What `Mcp-Name` mirrors, not encoded.
    pub name: Option<&'a str>,
    /// `Mcp-Param-…` and what else begins with `Mcp-`: names and encoded values.
    pub params: &'a [(String, String)],
    /// `Mcp-Session-Id`
    pub session: Option<&'a str>,
    /// `Last-Event-ID`
    pub last_event: Option<&'a str>,
    /// `Accept`, where the client was choosy.
    pub accept: Option<&'a str>,
}

impl Mcp<'_> {
    /// A legacy message without any header of its own.
    pub const BARE: Self = Self {
        era: Era::Legacy,
        revision: None,
        method: None,
        name: None,
        params: &[],
        session: None,
        last_event: None,
        accept: None,
    };
}

/// Writes the lines of a request that the gateway makes itself: its own, `further` ones of the
/// client's, and the configured ones.
#[must_use]
pub fn write(
    fields: &StaticFields,
    authorization: Option<&str>,
    further: &[u8],
    mcp: &Mcp<'_>,
) -> Vec<u8> {
    let mut lines = Vec::with_capacity(384 + fields.lines.len() + further.len());
    let mut put = |name: &str, value: &str| {
        // A line break would begin another header.
        if !fields.sets(name) && value.bytes().all(|byte| byte >= 0x20 && byte != 0x7f) {
            push(&mut lines, name, value.as_bytes());
        }
    };
    put("accept", mcp.accept.unwrap_or(ACCEPT));
    put("content-type", "application/json");
    if let Some(revision) = mcp.revision {
        put(header::PROTOCOL_VERSION, revision);
    }
    // Before a revision is agreed on, the server may be a modern one, which wants it of every POST.
    let is_named = mcp.era == Era::Modern || mcp.revision.is_none();
    if let Some(method) = mcp.method.filter(|_| is_named) {
        put(header::METHOD, method);
    }
    if mcp.era == Era::Modern {
        if let Some(name) = mcp.name {
            put(header::NAME, &filters::mcp::mirror::encode(name));
        }
    } else {
        if let Some(session) = mcp.session {
            put(header::SESSION_ID, session);
        }
        if let Some(id) = mcp.last_event {
            put(header::LAST_EVENT_ID, id);
        }
    }
    for (name, value) in mcp.params {
        put(name, value);
    }
    if let Some(authorization) = authorization {
        put("authorization", authorization);
    }
    lines.extend_from_slice(further);
    lines.extend_from_slice(&fields.lines);
    lines
}

/// Appends one header line.
pub fn push(lines: &mut Vec<u8>, name: &str, value: &[u8]) {
    for part in [name.as_bytes(), b": ", value, b"\r\n"] {
        lines.extend_from_slice(part);
    }
}
