//! A session manager that hangs up on the caller of `test_reconnection` right after the priming
//! event, as a server that wants to be polled does (SEP-1699).
//!
//! The answer waits in the session until the client comes back with `Last-Event-ID`. `rmcp`
//! offers no way for a tool to close its own stream, so the manager does it; everything else goes
//! straight to rmcp's own manager.

use std::sync::Arc;

use futures_util::{Stream, StreamExt};
use rmcp::{
    model::{ClientJsonRpcMessage, ClientRequest, ServerJsonRpcMessage},
    transport::{
        common::server_side_http::ServerSseMessage,
        streamable_http_server::session::{
            EventStore, RestoreOutcome, SessionId, SessionManager, local::LocalSessionManager,
        },
    },
};

const POLLED_TOOL: &str = "test_reconnection";
/// The priming event.
const EVENTS_BEFORE_HANGUP: usize = 1;

type Local = LocalSessionManager;

/// See the module.
#[derive(Default)]
pub(crate) struct Polling(Local);

impl SessionManager for Polling {
    type Error = <Local as SessionManager>::Error;
    type Transport = <Local as SessionManager>::Transport;

    async fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        let events = if calls_polled_tool(&message) {
            EVENTS_BEFORE_HANGUP
        } else {
            usize::MAX
        };
        Ok(self.0.create_stream(id, message).await?.take(events))
    }

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), Self::Error> {
        self.0.create_session().await
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, Self::Error> {
        self.0.initialize_session(id, message).await
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool, Self::Error> {
        self.0.has_session(id).await
    }

    async fn close_session(&self, id: &SessionId) -> Result<(), Self::Error> {
        self.0.close_session(id).await
    }

    async fn accept_message(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<(), Self::Error> {
        self.0.accept_message(id, message).await
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.0.create_standalone_stream(id).await
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Self::Error> {
        self.0.resume(id, last_event_id).await
    }

    async fn restore_session(
        &self,
        id: SessionId,
    ) -> Result<RestoreOutcome<Self::Transport>, Self::Error> {
        self.0.restore_session(id).await
    }

    fn event_store(&self) -> Option<Arc<dyn EventStore>> {
        self.0.event_store()
    }
}

fn calls_polled_tool(message: &ClientJsonRpcMessage) -> bool {
    matches!(
        message,
        ClientJsonRpcMessage::Request(request)
            if matches!(
                &request.request,
                ClientRequest::CallToolRequest(call) if call.params.name == POLLED_TOOL
            )
    )
}
