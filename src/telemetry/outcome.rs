//! The one record of a finished request: metrics and the access line are made from it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use filters::cache::status::Status as CacheStatus;
use filters::mcp::method::Method;
use filters::mcp::revision::Era;

/// Everything worth telling about one request.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The HTTP method.
    pub verb: &'static str,
    /// The server that the path names, if it is configured.
    pub server: Option<Arc<str>>,
    /// The era of the message.
    pub era: Option<Era>,
    /// The MCP method.
    pub method: Option<Method>,
    /// The tool, prompt or resource that was asked for, as the client sent it.
    pub target: Option<String>,
    /// The caller.
    pub client: Arc<str>,
    /// Its tenant, if that is known.
    pub tenant: Option<Arc<str>>,
    /// The trace.
    pub trace_id: String,
    /// The replica that answered.
    pub replica: Option<usize>,
    /// The HTTP status of the answer; 0 where none was sent.
    pub http_status: u16,
    /// How it ended.
    pub status: Status,
    /// Why it was refused or broke off: a closed set.
    pub reason: Option<&'static str>,
    /// The guardrail that decided on it, and what it did.
    pub guardrail: Option<(Arc<str>, &'static str)>,
    /// What the operator should know beyond the reason.
    pub error: Option<String>,
    /// Body bytes of the request.
    pub request_bytes: usize,
    /// Body bytes of the answer.
    pub response_bytes: usize,
    /// What the cache did.
    pub cache_status: Option<CacheStatus>,
    /// Whether it waited for what another caller had fetched.
    pub is_collapsed: bool,
    /// From the request's head to the answer's last byte.
    pub duration: Duration,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// With a result, an accepted notification or a stream that ended as it should.
    Success,
    /// With a JSON-RPC error, a refusal or a broken stream.
    Error,
    /// The client left first.
    Cancelled,
}

impl Status {
    /// The label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Error => "error",
            Self::Cancelled => "cancelled",
        }
    }
}

impl Outcome {
    /// A request of which nothing is known yet.
    #[must_use]
    pub fn begin(client: Arc<str>) -> Self {
        Self {
            verb: "",
            server: None,
            era: None,
            method: None,
            target: None,
            client,
            tenant: None,
            trace_id: String::new(),
            replica: None,
            http_status: 0,
            status: Status::Error,
            reason: None,
            guardrail: None,
            error: None,
            request_bytes: 0,
            response_bytes: 0,
            cache_status: None,
            is_collapsed: false,
            duration: Duration::ZERO,
        }
    }

    /// The method's label.
    #[must_use]
    pub fn method_label(&self) -> &'static str {
        self.method.map_or("none", Method::label)
    }

    /// The server's label.
    #[must_use]
    pub fn server_label(&self) -> Cow<'_, str> {
        self.server
            .as_deref()
            .map_or(Cow::Borrowed("_unknown"), Cow::Borrowed)
    }
}
