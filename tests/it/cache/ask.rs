//! What clients ask, to the byte: numbers and ids are spelled as the test has them.

use crate::support::message::{LEGACY, MODERN, post};
use crate::support::wire::Request;

/// Which era a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Era {
    Modern,
    /// Without a session.
    Legacy,
}

/// One request, without where it goes.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    era: Era,
    /// JSON text.
    id: String,
    method: &'static str,
    target: Option<String>,
    /// Members of the params, JSON text.
    members: Vec<String>,
    capabilities: String,
    /// Members of `_meta`, JSON text.
    meta: Vec<String>,
    headers: Vec<(String, String)>,
}

impl Ask {
    /// A modern request for something that has no name.
    pub(super) fn new(method: &'static str) -> Self {
        Self {
            era: Era::Modern,
            id: "1".into(),
            method,
            target: None,
            members: Vec::new(),
            capabilities: "{}".into(),
            meta: Vec::new(),
            headers: Vec::new(),
        }
    }

    /// For something of this name.
    pub(super) fn named(mut self, name: &str) -> Self {
        self.target = Some(name.to_owned());
        self
    }

    /// One page of a list.
    pub(super) fn page(self, cursor: &str) -> Self {
        self.with(&format!(r#""cursor":"{cursor}""#))
    }

    /// With another member of the params.
    pub(super) fn with(mut self, member: &str) -> Self {
        self.members.push(member.to_owned());
        self
    }

    /// Under an id, JSON text.
    pub(super) fn id(mut self, id: &str) -> Self {
        self.id = id.to_owned();
        self
    }

    /// From a client of another era.
    pub(super) fn legacy(mut self) -> Self {
        self.era = Era::Legacy;
        self
    }

    /// With a client's own credential.
    pub(super) fn by(self, who: &str) -> Self {
        self.header("authorization", &format!("Bearer {who}"))
    }

    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// From a client that can do something, JSON text.
    pub(super) fn able(mut self, capabilities: &str) -> Self {
        self.capabilities = capabilities.to_owned();
        self
    }

    /// With another member of `_meta`.
    pub(super) fn meta(mut self, member: &str) -> Self {
        self.meta.push(member.to_owned());
        self
    }

    pub(super) fn method(&self) -> &str {
        self.method
    }

    pub(super) fn is_modern(&self) -> bool {
        self.era == Era::Modern
    }

    /// The message, JSON text.
    pub(super) fn message(&self) -> String {
        let mut members = self.members.clone();
        if let Some(target) = &self.target {
            let member = match self.method {
                "resources/read" => "uri",
                _ => "name",
            };
            members.insert(0, format!(r#""{member}":"{target}""#));
        }
        let mut meta = self.meta.clone();
        if self.era == Era::Modern {
            let own = "io.modelcontextprotocol";
            meta.push(format!(r#""{own}/protocolVersion":"{MODERN}""#));
            meta.push(format!(
                r#""{own}/clientCapabilities":{}"#,
                self.capabilities
            ));
        }
        if !meta.is_empty() {
            members.push(format!(r#""_meta":{{{}}}"#, meta.join(",")));
        }
        format!(
            r#"{{"jsonrpc":"2.0","id":{},"method":"{}","params":{{{}}}}}"#,
            self.id,
            self.method,
            members.join(",")
        )
    }

    /// The request at a path.
    pub(super) fn request(&self, path: &str) -> Request {
        let request = post(path, self.message());
        let mut request = match self.era {
            Era::Legacy => request.header("mcp-protocol-version", LEGACY),
            Era::Modern => request
                .header("mcp-protocol-version", MODERN)
                .header("mcp-method", self.method),
        };
        if let (Era::Modern, Some(target)) = (self.era, &self.target) {
            request = request.header("mcp-name", target);
        }
        let headers = self.headers.iter();
        headers.fold(request, |request, (name, value)| {
            request.header(name, value)
        })
    }
}

/// A call with these arguments, JSON text.
pub(super) fn call(tool: &str, arguments: &str) -> Ask {
    let ask = Ask {
        target: Some(tool.to_owned()),
        ..Ask::new("tools/call")
    };
    ask.with(&format!(r#""arguments":{arguments}"#))
}

/// The reading of a resource.
pub(super) fn read(uri: &str) -> Ask {
    Ask {
        target: Some(uri.to_owned()),
        ..Ask::new("resources/read")
    }
}
