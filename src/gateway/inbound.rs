//! A client's message as what does not simply pass it on works with it: owned, taken apart.

use std::sync::Arc;

use bytes::Bytes;
use filters::json::object::Object;
use filters::mcp::call::Call;
use filters::mcp::method::Method;
use filters::mcp::revision::{Era, Revision};
use filters::rpc::parse::{Answer, Body};

use crate::gateway::exchange::Tenancy;
use crate::state::session::Reply;
use crate::upstream::fields::Caller;

/// One message.
#[derive(Clone)]
pub(super) struct Inbound {
    /// Its era.
    pub(super) era: Era,
    /// Its revision.
    pub(super) revision: Revision,
    /// Its method; [`Method::Other`] for a response.
    pub(super) method: Method,
    /// The method's name.
    pub(super) name: String,
    /// What it is aimed at: a tool, prompt, resource or task.
    pub(super) target: Option<String>,
    /// The whole message.
    pub(super) text: Bytes,
    /// Its params, JSON text.
    pub(super) params: Option<String>,
    /// What kind of message it is.
    pub(super) kind: Kind,
    /// What of the request's head goes along.
    pub(super) caller: Caller,
    /// The client's further `Mcp-*` headers, by name.
    pub(super) mirrored: Vec<(String, String)>,
    /// What else a legacy client said in headers.
    pub(super) bare: Bare,
    /// Who sent it: what tells them from all others.
    pub(super) principal: Arc<str>,
    /// Their tenant.
    pub(super) tenancy: Tenancy,
    /// `X-Conduit-Group`
    pub(super) group: Option<String>,
    /// Guardrails looked at it already.
    pub(super) is_inspected: bool,
    /// Its server refused it once already, as not knowing the session or the era.
    pub(super) is_repeat: bool,
}

/// What a legacy client says in headers: where there is no session, it is all that its server knows of
/// it.
#[derive(Clone, Debug, Default)]
pub(super) struct Bare {
    /// `MCP-Protocol-Version`, if it was there.
    pub(super) version: Option<String>,
    /// `Accept`, where it was choosy.
    pub(super) accept: Option<String>,
}

/// What kind of message it is.
#[derive(Clone)]
pub(super) enum Kind {
    /// Wants an answer to this id, JSON text.
    Request(String),
    /// Wants none.
    Notification,
    /// Answers the request of this id.
    Response(Option<String>, Reply),
}

/// What a modern request says of its client.
#[derive(Clone, Debug, Default)]
pub(super) struct Context {
    /// Its capabilities, JSON text.
    pub(super) capabilities: String,
    /// The level of log messages it wants.
    pub(super) log_level: Option<String>,
    /// Its progress token, JSON text.
    pub(super) progress_token: Option<String>,
}

impl Inbound {
    /// Takes a classified message apart.
    pub(super) fn of(
        call: &Call<'_>,
        text: Bytes,
        caller: Caller,
        mirrored: Vec<(String, String)>,
        principal: Arc<str>,
    ) -> Self {
        let message = Object::read(call.message.text);
        let params = message
            .as_ref()
            .and_then(|message| message.get("params"))
            .map(str::to_owned);
        let kind = match &call.message.body {
            Body::Request { id, .. } => Kind::Request(id.as_json().to_owned()),
            Body::Notification { .. } => Kind::Notification,
            Body::Response { id, answer } => Kind::Response(
                id.map(|id| id.as_json().to_owned()),
                match answer {
                    Answer::Result(result) => Reply::Result(result.get().to_owned()),
                    Answer::Error(error) => Reply::Error(error.get().to_owned()),
                },
            ),
        };
        Self {
            era: call.era,
            revision: call.revision,
            method: call.method,
            name: call.message.method().unwrap_or_default().to_owned(),
            target: call.target.as_ref().map(|target| target.name().to_owned()),
            text,
            params,
            kind,
            caller,
            mirrored,
            bare: Bare::default(),
            principal,
            tenancy: Tenancy::none(),
            group: None,
            is_inspected: false,
            is_repeat: false,
        }
    }

    /// The message, once guardrails looked at it.
    pub(super) fn inspected(mut self) -> Self {
        self.is_inspected = true;
        self
    }

    /// The id to answer; nothing for what wants no answer.
    pub(super) fn id(&self) -> Option<&str> {
        match &self.kind {
            Kind::Request(id) => Some(id),
            Kind::Notification | Kind::Response(..) => None,
        }
    }

    /// The params, `{}` where there are none.
    pub(super) fn params(&self) -> &str {
        self.params.as_deref().unwrap_or("{}")
    }

    /// What a modern request says of its client.
    pub(super) fn context(&self) -> Context {
        let params = Object::read(self.params()).unwrap_or_default();
        let meta = params
            .get("_meta")
            .and_then(Object::read)
            .unwrap_or_default();
        let capabilities = meta.get("io.modelcontextprotocol/clientCapabilities");
        let log_level = meta.text("io.modelcontextprotocol/logLevel");
        Context {
            capabilities: capabilities.unwrap_or("{}").to_owned(),
            log_level: log_level.map(std::borrow::Cow::into_owned),
            progress_token: meta.get("progressToken").map(str::to_owned),
        }
    }
}
