//! A connected client, and how the names of one server look at its endpoint.

use std::error::Error;

use rmcp::{
    RoleClient, ServiceError,
    model::CallToolRequestParams,
    service::{ClientLifecycleMode, ClientServiceExt, RunningService},
    transport::StreamableHttpClientTransport,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::host::{Host, Inbox};

/// Why a feature failed.
pub(crate) type Fault = Box<dyn Error + Send + Sync>;

const PAGES_MAX: usize = 100;

/// See the module.
pub(crate) struct Peer {
    pub(crate) service: RunningService<RoleClient, Host>,
    pub(crate) inbox: Inbox,
    name_prefix: String,
    uri_prefix: String,
}

/// The lists that a server has.
#[derive(Clone, Copy)]
pub(crate) enum List {
    Tools,
    Prompts,
    Resources,
    Templates,
}

/// Reads a protocol type from its JSON, which is what the protocol defines.
pub(crate) fn typed<T: DeserializeOwned>(value: Value) -> Result<T, Fault> {
    Ok(serde_json::from_value(value)?)
}

/// The JSON at `path`, or null.
pub(crate) fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    value.pointer(path).unwrap_or(&Value::Null)
}

/// Fails with both sides unless they are equal.
pub(crate) fn check(seen: impl Serialize, wanted: impl Serialize) -> Result<(), Fault> {
    let (seen, wanted) = (json!(seen), json!(wanted));
    if seen == wanted {
        Ok(())
    } else {
        Err(format!("expected {wanted}, got {seen}").into())
    }
}

// === impl Peer ===

impl Peer {
    pub(crate) async fn connect(
        url: &str,
        server: Option<&str>,
        mode: ClientLifecycleMode,
    ) -> Result<Self, Fault> {
        let inbox = Inbox::new();
        let transport = StreamableHttpClientTransport::from_uri(url);
        let service = Host(inbox.clone())
            .serve_with_lifecycle(transport, mode)
            .await?;
        Ok(Self {
            service,
            inbox,
            name_prefix: server.map_or_else(String::new, |server| format!("{server}.")),
            uri_prefix: server.map_or_else(String::new, |server| format!("{server}+")),
        })
    }

    pub(crate) async fn close(mut self) -> Result<(), Fault> {
        self.service.close().await?;
        Ok(())
    }

    pub(crate) fn version(&self) -> String {
        let server = self.service.peer_info();
        server.map_or_else(String::new, |server| server.protocol_version.to_string())
    }

    pub(crate) fn is_modern(&self) -> bool {
        self.version().as_str() >= "2026-07-28"
    }

    pub(crate) fn name(&self, bare: &str) -> String {
        format!("{}{bare}", self.name_prefix)
    }

    pub(crate) fn uri(&self, bare: &str) -> String {
        format!("{}{bare}", self.uri_prefix)
    }

    /// Calls a tool; what the server asks on the way is answered.
    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Result<Value, ServiceError> {
        self.call_with(tool, arguments, json!({})).await
    }

    /// Calls a tool with this `_meta`.
    pub(crate) async fn call_with(
        &self,
        tool: &str,
        arguments: Value,
        meta: Value,
    ) -> Result<Value, ServiceError> {
        let params = json!({ "name": self.name(tool), "arguments": arguments, "_meta": meta });
        let params: CallToolRequestParams =
            serde_json::from_value(params).expect("these are the parameters of a call");
        Ok(json!(self.service.call_tool(params).await?))
    }

    /// Calls a tool and returns the first text of its result.
    pub(crate) async fn text(&self, tool: &str, arguments: Value) -> Result<String, Fault> {
        let result = self.call(tool, arguments).await?;
        let text = at(&result, "/content/0/text").as_str();
        Ok(text.ok_or_else(|| format!("no text: {result}"))?.to_owned())
    }

    pub(crate) async fn read(&self, uri: &str) -> Result<Value, ServiceError> {
        let params = serde_json::from_value(json!({ "uri": uri })).expect("a URI is all it takes");
        Ok(json!(self.service.read_resource(params).await?))
    }

    /// All entries of a list by their bare names, sorted; other servers' entries are left out.
    pub(crate) async fn list(&self, list: List) -> Result<Vec<(String, Value)>, Fault> {
        let mut named = Vec::new();
        let mut cursor = Value::Null;
        for _ in 0..PAGES_MAX {
            let (key, page) = self.page(list, &cursor).await?;
            for entry in page
                .get(key)
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                if let Some(name) = self.bare(list, entry) {
                    named.push((name.to_owned(), entry.clone()));
                }
            }
            cursor = at(&page, "/nextCursor").clone();
            if cursor.is_null() {
                named.sort_by(|(one, _), (two, _)| one.cmp(two));
                return Ok(named);
            }
        }
        Err(format!("more than {PAGES_MAX} pages").into())
    }

    async fn page(&self, list: List, cursor: &Value) -> Result<(&'static str, Value), Fault> {
        let params = if cursor.is_null() {
            None
        } else {
            Some(typed(json!({ "cursor": cursor }))?)
        };
        let service = &self.service;
        Ok(match list {
            List::Tools => ("tools", json!(service.list_tools(params).await?)),
            List::Prompts => ("prompts", json!(service.list_prompts(params).await?)),
            List::Resources => ("resources", json!(service.list_resources(params).await?)),
            List::Templates => (
                "resourceTemplates",
                json!(service.list_resource_templates(params).await?),
            ),
        })
    }

    fn bare<'a>(&self, list: List, entry: &'a Value) -> Option<&'a str> {
        let (key, prefix) = match list {
            List::Tools | List::Prompts => ("name", &self.name_prefix),
            List::Resources => ("uri", &self.uri_prefix),
            List::Templates => ("uriTemplate", &self.uri_prefix),
        };
        entry.get(key)?.as_str()?.strip_prefix(prefix.as_str())
    }
}
