//! What is asked for several callers, as the first of them asked it.

use std::sync::Arc;

use crate::gateway::dispatch::Dispatch;
use crate::gateway::inbound::Inbound;
use crate::gateway::link::Way;
use crate::state::session::Session as Client;
use crate::state::snapshot::Server;

/// Whose question is asked on behalf of all who want the same.
pub(super) struct Order {
    pub(super) way: Way,
    pub(super) client: Option<Arc<Client>>,
    pub(super) inbound: Inbound,
    pub(super) inner: Option<String>,
}

impl Order {
    /// The question of a message.
    pub(super) fn of(dispatch: &Dispatch<'_>) -> Self {
        let inbound = Inbound {
            caller: dispatch.inbound.caller.shared(),
            ..dispatch.inbound.clone()
        };
        Self {
            way: dispatch.way.clone(),
            client: dispatch.client.map(Arc::clone),
            inbound,
            inner: dispatch.inner.map(str::to_owned),
        }
    }

    /// The message.
    pub(super) fn inbound(&self) -> &Inbound {
        &self.inbound
    }

    /// Whether the session that it was asked in is over.
    pub(super) fn is_over(&self) -> bool {
        let client = self.client.as_ref();
        client.is_some_and(|client| client.over.is_cancelled())
    }

    /// The server.
    pub(super) fn server(&self) -> &Arc<Server> {
        &self.way.server
    }
}
