//! Who sent a batch, and what the calls in it make stale.

use std::str;
use std::sync::Arc;
use std::time::Instant;

use filters::json::object::Object;
use filters::mcp::method::Method;
use http::HeaderMap;

use crate::gateway::batch::Way;
use crate::gateway::cached::role::{self, Asked, Role};
use crate::gateway::cached::write::Write;
use crate::gateway::exchange::Exchange;
use crate::gateway::fields;
use crate::state::live::Live;
use crate::state::snapshot::Server;

/// Who sent a batch, as far as it matters for what a tool is said to do: some servers show each
/// caller tools of its own.
pub(super) struct Author {
    live: Arc<Live>,
    principal: Arc<str>,
    /// As far as the server gets it.
    credential: Option<String>,
    /// What its session said it can do, JSON text.
    capabilities: String,
}

impl Author {
    pub(super) fn of(headers: &HeaderMap, exchange: &Exchange, way: &Way<'_>) -> Self {
        let caller = fields::caller(headers, exchange);
        let capabilities = way.client.map(|client| &client.opening.capabilities);
        Self {
            live: Arc::clone(&exchange.live),
            principal: Arc::clone(&exchange.subject),
            credential: way.server.remote.credential(&caller),
            capabilities: capabilities.map_or_else(|| "{}".to_owned(), Clone::clone),
        }
    }

    /// What a call of `tool` makes stale; has the server asked where that depends on what it says of
    /// its tools. `text` is the message.
    pub(super) async fn write(&self, server: &Server, tool: &str, text: &[u8]) -> Option<Write> {
        let message = str::from_utf8(text).ok().and_then(Object::read);
        let asked = Asked {
            method: Method::ToolsCall,
            target: Some(tool),
            params: message.as_ref().and_then(|message| message.get("params")),
            // What is not asked for is not looked up: what only keys depend on is left out.
            agreed: None,
            group: None,
            tenant: None,
            isolated: None,
            is_promised: false,
            capabilities: &self.capabilities,
            credential: self.credential.as_deref(),
            principal: &self.principal,
            now: Instant::now(),
        };
        let reach = match role::find(&self.live, server, &asked).await {
            Role::Write(reach) | Role::Guess(reach) => Some(reach),
            Role::Read(read) => read.effects,
            Role::None | Role::Skip => None,
        };
        reach.map(|reach| Write::new(&self.live, server, reach))
    }
}
