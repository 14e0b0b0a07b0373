//! The side of the client that a server talks to: it answers what is asked and keeps what is sent.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use parking_lot::Mutex;
use rmcp::{
    ClientHandler, ErrorData,
    model::{
        ClientConfig, CreateMessageRequestParams, CreateMessageResult, ElicitRequestParams,
        ElicitResult, Implementation, ListRootsResult, LoggingMessageNotificationParam,
        ProgressNotificationParam, ProtocolVersion, ResourceUpdatedNotificationParam,
    },
    service::{NotificationContext, RequestContext, RoleClient},
};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::peer::{Fault, typed};

/// Everything that arrived, as JSON, in order. Clones share it.
#[derive(Clone)]
pub(crate) struct Inbox {
    arrivals: watch::Sender<usize>,
    events: Arc<Mutex<Vec<(Kind, Value)>>>,
    declining: Arc<AtomicBool>,
}

/// What arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Elicitation,
    Log,
    Progress,
    PromptsChanged,
    ResourcesChanged,
    Sampling,
    ToolsChanged,
    Updated,
}

/// See the module.
pub(crate) struct Host(pub(crate) Inbox);

// === impl Inbox ===

impl Inbox {
    pub(crate) fn new() -> Self {
        Self {
            arrivals: watch::Sender::new(0),
            events: Arc::default(),
            declining: Arc::default(),
        }
    }

    /// Whether elicitations are declined from now on.
    pub(crate) fn decline(&self, declining: bool) {
        self.declining.store(declining, Ordering::Relaxed);
    }

    /// How much has arrived so far.
    pub(crate) fn mark(&self) -> usize {
        self.events.lock().len()
    }

    /// Everything of a kind from `mark` on.
    pub(crate) fn since(&self, mark: usize, kind: Kind) -> Vec<Value> {
        let events = self.events.lock();
        let of_kind = events.iter().skip(mark).filter(|(one, _)| *one == kind);
        of_kind.map(|(_, event)| event.clone()).collect()
    }

    /// Waits until `enough` of what arrived of a kind from `mark` on; what that is.
    pub(crate) async fn wait(
        &self,
        mark: usize,
        kind: Kind,
        enough: impl Fn(&[Value]) -> bool,
    ) -> Result<Vec<Value>, Fault> {
        let mut arrivals = self.arrivals.subscribe();
        arrivals
            .wait_for(|_| enough(&self.since(mark, kind)))
            .await?;
        Ok(self.since(mark, kind))
    }

    fn push(&self, kind: Kind, event: Value) {
        self.events.lock().push((kind, event));
        self.arrivals.send_modify(|count| *count += 1);
    }
}

// === impl Host ===

impl ClientHandler for Host {
    async fn create_message(
        &self,
        params: CreateMessageRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        self.0.push(Kind::Sampling, json!(params));
        let content = json!({ "type": "text", "text": "Paris, says the model" });
        answer(json!({ "role": "assistant", "model": "test-model", "content": content }))
    }

    async fn list_roots(
        &self,
        _: RequestContext<RoleClient>,
    ) -> Result<ListRootsResult, ErrorData> {
        answer(json!({ "roots": [{ "uri": "file:///srv/one", "name": "one" }] }))
    }

    async fn create_elicitation(
        &self,
        params: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        self.0.push(Kind::Elicitation, json!(params));
        if self.0.declining.load(Ordering::Relaxed) {
            return answer(json!({ "action": "decline" }));
        }
        answer(json!({ "action": "accept", "content": { "name": "Ada" } }))
    }

    async fn on_progress(
        &self,
        params: ProgressNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.0.push(Kind::Progress, json!(params));
    }

    async fn on_logging_message(
        &self,
        params: LoggingMessageNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.0.push(Kind::Log, json!(params));
    }

    async fn on_resource_updated(
        &self,
        params: ResourceUpdatedNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.0.push(Kind::Updated, json!(params));
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.0.push(Kind::ToolsChanged, Value::Null);
    }

    async fn on_prompt_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.0.push(Kind::PromptsChanged, Value::Null);
    }

    async fn on_resource_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.0.push(Kind::ResourcesChanged, Value::Null);
    }

    fn get_info(&self) -> ClientConfig {
        let able = json!({ "sampling": {}, "elicitation": {}, "roots": {} });
        let able = typed(able).expect("the capabilities are literal");
        let mut config = ClientConfig::new(able, Implementation::new("conduit-rmcp", "1.0.0"));
        config.protocol_version = ProtocolVersion::V_2025_11_25;
        config
    }
}

fn answer<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, ErrorData> {
    typed(value).map_err(|error| ErrorData::internal_error(error.to_string(), None))
}
