//! Tells a rule's URL of what the rule did.
//!
//! **Invariant:** no request waits for it. As many are on their way as `guardrails.webhooks.queue_size`
//! says; of more, the newest are dropped and counted.
//! **Invariant:** a connection goes to the very address that was found to be public, redirects are not
//! followed, and arguments are redacted before they leave.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat, Utc};
use filters::json::redact;
use filters::net::{guard, sign};
use http::Uri;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, USER_AGENT};
use pingora::connectors::TransportConnector;
use pingora::http::RequestHeader;
use pingora::prelude::HttpPeer;
use pingora::protocols::http::v1::client::HttpSession;
use serde_json::{Value, json};

use crate::gateway::guard::watch::Watch;
use crate::state::live::Live;
use crate::state::snapshot::Webhooks;

/// The header that signs one.
const SIGNATURE: &str = "x-conduit-signature";
/// How long is waited before the second attempt; twice as long before each further one.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// What is told.
pub(super) struct Event<'a> {
    pub(super) url: &'a str,
    pub(super) rule: &'a str,
    pub(super) severity: &'static str,
    /// What was done.
    pub(super) action: &'static str,
    pub(super) target: &'a str,
    pub(super) message: String,
    /// What was looked at, JSON text.
    pub(super) value: Option<&'a str>,
}

/// Has an event told, some time.
pub(super) fn tell(watch: &Watch, event: &Event<'_>) {
    let live = Arc::clone(&watch.live);
    let settings = watch.snapshot.webhooks.clone();
    let n_waiting = live.guard.n_webhooks.fetch_add(1, Ordering::AcqRel);
    if n_waiting >= settings.queue_max {
        live.guard.n_webhooks.fetch_sub(1, Ordering::AcqRel);
        live.metrics.guard.count_webhook("dropped");
        return;
    }
    let letter = Letter {
        url: event.url.to_owned(),
        body: body(watch, event).to_string(),
        rule: event.rule.to_owned(),
        settings,
        transport: Arc::clone(&watch.server.cluster.transport),
    };
    let background = live.background.clone();
    background.spawn(async move {
        letter.deliver(&live).await;
        live.guard.n_webhooks.fetch_sub(1, Ordering::AcqRel);
    });
}

/// The event as mcp-conduit has it, with what is secret in its texts left out.
fn body(watch: &Watch, event: &Event<'_>) -> Value {
    let arguments = event.value.and_then(redact::shown);
    let arguments: Value = arguments
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or(Value::Null);
    let now = DateTime::<Utc>::from(SystemTime::now());
    json!({
        "event": format!("guardrail_{}", event.action),
        "rule_name": event.rule,
        "severity": event.severity,
        "client_id": &*watch.client,
        "server_id": &*watch.server.id,
        "tool_name": redact::text(event.target),
        "tool_args": arguments,
        "message": redact::text(&event.message),
        "timestamp": now.to_rfc3339_opts(SecondsFormat::Millis, true),
        "trace_id": watch.trace_id,
    })
}

struct Letter {
    url: String,
    body: String,
    rule: String,
    settings: Webhooks,
    transport: Arc<TransportConnector>,
}

/// Why one was not delivered.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("not a URL")]
    Url,
    #[error("its address is not public")]
    Closed,
    #[error("its name has no address")]
    Unresolved,
    #[error("took too long")]
    Late,
    #[error("cannot be reached")]
    Unreachable(#[source] Box<pingora::Error>),
    #[error("answered {0}")]
    Status(u16),
}

impl Failure {
    /// Whether it may go better another time.
    fn is_passing(&self) -> bool {
        match self {
            Self::Url | Self::Closed => false,
            Self::Unresolved | Self::Late | Self::Unreachable(_) => true,
            Self::Status(status) => *status == 429 || *status >= 500,
        }
    }
}

impl Letter {
    async fn deliver(&self, live: &Live) {
        let mut pause = PAUSE;
        for attempt in 1..=self.settings.attempts_max {
            let sent = tokio::time::timeout(self.settings.timeout, self.send());
            let failure = match sent.await {
                Ok(Ok(())) => return live.metrics.guard.count_webhook("delivered"),
                Ok(Err(failure)) => failure,
                Err(_) => Failure::Late,
            };
            // The URL may be a secret: the rule tells which one it is.
            tracing::warn!(guardrail.rule = %self.rule, attempt, error = %failure, "Webhook was not delivered");
            if !failure.is_passing() || attempt == self.settings.attempts_max {
                break;
            }
            tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
        live.metrics.guard.count_webhook("failed");
    }

    async fn send(&self) -> Result<(), Failure> {
        let uri: Uri = self.url.parse().map_err(|_| Failure::Url)?;
        let host = uri.host().ok_or(Failure::Url)?;
        let is_tls = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let address = self.address(host, port).await?;
        let peer = HttpPeer::new(address, is_tls, bare(host).to_owned());
        let unreachable = Failure::Unreachable;
        let stream = self
            .transport
            .new_stream(&peer)
            .await
            .map_err(unreachable)?;
        let mut session = HttpSession::new(stream);
        let head = self.head(&uri).map_err(unreachable)?;
        let sent = async {
            session.write_request_header(Box::new(head)).await?;
            session.write_body(self.body.as_bytes()).await?;
            session.finish_body().await?;
            session.read_response().await
        };
        sent.await.map_err(unreachable)?;
        match session.get_status().map(|status| status.as_u16()) {
            Some(200..300) => Ok(()),
            Some(status) => Err(Failure::Status(status)),
            None => Err(Failure::Status(0)),
        }
    }

    /// The address that is connected to: the first, if all of them may be.
    async fn address(&self, host: &str, port: u16) -> Result<SocketAddr, Failure> {
        let is_closed = guard::is_metadata(host) && !self.settings.allow_private;
        if is_closed {
            return Err(Failure::Closed);
        }
        let found = tokio::net::lookup_host((bare(host), port)).await;
        let found: Vec<SocketAddr> = found.map_err(|_| Failure::Unresolved)?.collect();
        let may_go = |address: IpAddr| self.settings.allow_private || guard::is_public(address);
        if !found.iter().all(|address| may_go(address.ip())) {
            return Err(Failure::Closed);
        }
        found.into_iter().next().ok_or(Failure::Unresolved)
    }

    fn head(&self, uri: &Uri) -> pingora::Result<RequestHeader> {
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let mut head = RequestHeader::build("POST", path.as_bytes(), Some(6))?;
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        head.insert_header(HOST, authority)?;
        head.insert_header(CONTENT_TYPE, "application/json")?;
        head.insert_header(CONTENT_LENGTH, self.body.len())?;
        head.insert_header(USER_AGENT, concat!("conduit/", env!("CARGO_PKG_VERSION")))?;
        if let Some(secret) = &self.settings.secret {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            let seconds = now.unwrap_or_default().as_secs();
            let signature = sign::signature(secret, seconds, self.body.as_bytes());
            head.insert_header(SIGNATURE, signature)?;
        }
        Ok(head)
    }
}

/// A host without the brackets of an IPv6 address.
fn bare(host: &str) -> &str {
    let inside = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    inside.unwrap_or(host)
}
