//! A client on the official Rust SDK (`rmcp`) that answers what a server asks and keeps what a server sends.
#![expect(
    deprecated,
    reason = "the legacy era is deprecated as a whole, and testing it is the point"
)]

use std::sync::Arc;

use parking_lot::Mutex;
use rmcp::{
    ClientHandler, ErrorData, ServiceError,
    model::{
        CallToolRequestParams, CallToolResult, ClientCapabilities, ClientConfig,
        CreateMessageRequestParams, CreateMessageResult, ElicitRequestParams, ElicitResult,
        Implementation, ListRootsResult, LoggingMessageNotificationParam,
        ProgressNotificationParam, ProtocolVersion, ResourceUpdatedNotificationParam,
    },
    service::{
        ClientLifecycleMode, ClientServiceExt, NotificationContext, RequestContext, RoleClient,
        RunningService,
    },
    transport::StreamableHttpClientTransport,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::within;

/// What the server sent of its own accord, as JSON, in order.
#[derive(Clone)]
pub(crate) struct Inbox {
    arrivals: watch::Sender<usize>,
    events: Arc<Mutex<Vec<(&'static str, Value)>>>,
}

/// A connected client.
pub(crate) struct RustClient {
    pub(crate) service: RunningService<RoleClient, Handler>,
    pub(crate) inbox: Inbox,
}

pub(crate) struct Handler {
    inbox: Inbox,
    able: ClientCapabilities,
}

/// Reads a protocol type from its JSON, which is what the protocol defines.
pub(crate) fn typed<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// What every client here can do.
fn able() -> ClientCapabilities {
    typed(json!({ "sampling": {}, "elicitation": {}, "roots": { "listChanged": true } }))
}

/// How a modern client begins.
fn discover() -> ClientLifecycleMode {
    let preferred_versions = vec![ProtocolVersion::V_2026_07_28];
    ClientLifecycleMode::Discover { preferred_versions }
}

impl Inbox {
    fn new() -> Self {
        Self {
            arrivals: watch::Sender::new(0),
            events: Arc::default(),
        }
    }

    fn push(&self, kind: &'static str, event: Value) {
        self.events.lock().push((kind, event));
        self.arrivals.send_modify(|count| *count += 1);
    }

    /// Everything of one kind so far.
    pub(crate) fn all(&self, kind: &str) -> Vec<Value> {
        let events = self.events.lock();
        let of_kind = events.iter().filter(|(one, _)| *one == kind);
        of_kind.map(|(_, event)| event.clone()).collect()
    }

    /// Waits for the first event of a kind.
    pub(crate) async fn first(&self, kind: &str) -> Value {
        self.first_with(kind, "").await
    }

    /// Waits for the first event of a kind whose JSON has `part` in it.
    pub(crate) async fn first_with(&self, kind: &str, part: &str) -> Value {
        let found = || {
            let mut all = self.all(kind).into_iter();
            all.find(|event| event.to_string().contains(part))
        };
        let mut arrivals = self.arrivals.subscribe();
        within(&format!("a {kind} with {part:?} from the server"), async {
            arrivals.wait_for(|_| found().is_some()).await.unwrap();
        })
        .await;
        found().unwrap()
    }
}

impl ClientHandler for Handler {
    async fn create_message(
        &self,
        params: CreateMessageRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        self.inbox.push("sampling", json!(params));
        let content = json!({ "type": "text", "text": "Paris, says the model" });
        let message = json!({ "role": "assistant", "model": "test-model", "content": content });
        Ok(typed(message))
    }

    async fn list_roots(
        &self,
        _context: RequestContext<RoleClient>,
    ) -> Result<ListRootsResult, ErrorData> {
        Ok(typed(
            json!({ "roots": [{ "uri": "file:///srv/one", "name": "one" }] }),
        ))
    }

    async fn create_elicitation(
        &self,
        params: ElicitRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        self.inbox.push("elicitation", json!(params));
        Ok(typed(
            json!({ "action": "accept", "content": { "name": "Ada" } }),
        ))
    }

    async fn on_progress(
        &self,
        params: ProgressNotificationParam,
        _context: NotificationContext<RoleClient>,
    ) {
        self.inbox.push("progress", json!(params));
    }

    async fn on_logging_message(
        &self,
        params: LoggingMessageNotificationParam,
        _context: NotificationContext<RoleClient>,
    ) {
        self.inbox.push("log message", json!(params));
    }

    async fn on_resource_updated(
        &self,
        params: ResourceUpdatedNotificationParam,
        _context: NotificationContext<RoleClient>,
    ) {
        self.inbox.push("resource update", json!(params));
    }

    fn get_info(&self) -> ClientConfig {
        let maker = Implementation::new("conduit-rust", "1.0.0");
        let mut config = ClientConfig::new(self.able.clone(), maker);
        config.protocol_version = ProtocolVersion::V_2025_11_25;
        config
    }
}

impl RustClient {
    /// Connects with the `initialize` handshake.
    pub(crate) async fn legacy(url: &str) -> Self {
        Self::connect(url, ClientLifecycleMode::Initialize, able()).await
    }

    /// Connects with `server/discover` and speaks 2026-07-28.
    pub(crate) async fn modern(url: &str) -> Self {
        Self::connect(url, discover(), able()).await
    }

    /// As [`Self::modern`], and says that it understands tasks.
    pub(crate) async fn with_tasks(url: &str) -> Self {
        let mut able = able();
        able.extensions = ClientCapabilities::builder()
            .enable_tasks()
            .build()
            .extensions;
        Self::connect(url, discover(), able).await
    }

    async fn connect(url: &str, mode: ClientLifecycleMode, able: ClientCapabilities) -> Self {
        let inbox = Inbox::new();
        let handler = Handler {
            inbox: inbox.clone(),
            able,
        };
        let transport = StreamableHttpClientTransport::from_uri(url);
        let service = within("the Rust client to connect", async {
            handler.serve_with_lifecycle(transport, mode).await
        })
        .await
        .unwrap();
        Self { service, inbox }
    }

    /// Calls a tool; what the server may ask for on the way is answered.
    pub(crate) async fn call(
        &self,
        tool: &'static str,
        arguments: Value,
    ) -> Result<CallToolResult, ServiceError> {
        let params = CallToolRequestParams::new(tool).with_arguments(typed(arguments));
        within(tool, self.service.call_tool(params)).await
    }

    /// The first text of a call's result.
    pub(crate) async fn text(&self, tool: &'static str, arguments: Value) -> String {
        let result = self.call(tool, arguments).await.unwrap();
        let text = result.content.iter().find_map(|block| block.as_text());
        text.unwrap().text.clone()
    }

    /// The progress so far is just this, whatever the order: this SDK hands each notification to a task of its
    /// own, which may even run after the call has returned.
    pub(crate) async fn assert_progress(&self, steps: &[&str]) {
        for step in steps {
            let wanted = format!("\"progress\":{step}");
            self.inbox.first_with("progress", &wanted).await;
        }
        let all = self.inbox.all("progress");
        assert_eq!(all.len(), steps.len(), "{all:?}");
    }

    pub(crate) async fn close(mut self) {
        within("the Rust client to close", self.service.close())
            .await
            .unwrap();
    }
}
