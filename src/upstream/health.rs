//! Asks a replica whether it speaks MCP.
//!
//! **Invariant:** a check leaves nothing behind: it asks `server/discover`, which has no session; if
//! it must fall back to `initialize`, it deletes the session that it was given.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use filters::mcp::header;
use filters::rpc::parse::{self, Body as Rpc, Payload};
use pingora::connectors::TransportConnector;
use pingora::lb::Backend;
use pingora::lb::health_check::HealthCheck;
use pingora::{Error as PingoraError, ErrorType};
use pingora_timeout::fast_timeout::fast_timeout;

use crate::upstream::CLIENT_INFO;
use crate::upstream::cluster;
use crate::upstream::connection::Connection;
use crate::upstream::credential::Credential;
use crate::upstream::error::Error;
use crate::upstream::head::{Content, Head};
use crate::upstream::replica::Replica;

/// Most bytes of an answer that are read to judge it.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// How replicas are checked.
#[derive(Clone, Debug)]
pub struct Spec {
    /// For one check, all its requests together.
    pub timeout: Duration,
    /// Failed checks in a row until a replica is unhealthy.
    pub unhealthy_threshold: usize,
    /// Good checks in a row until it is healthy again.
    pub healthy_threshold: usize,
    /// Static header lines of the server, each with its CRLF.
    pub fields: Vec<u8>,
    /// What proves to the server who asks, if there is something.
    pub credential: Option<Arc<Credential>>,
}

/// The check, as Pingora's load balancer runs it.
pub struct McpCheck {
    spec: Spec,
    transport: Arc<TransportConnector>,
    serial: AtomicU64,
}

impl McpCheck {
    /// A check over the shared connector.
    #[must_use]
    pub fn new(spec: Spec, transport: Arc<TransportConnector>) -> Self {
        Self {
            spec,
            transport,
            serial: AtomicU64::new(0),
        }
    }

    async fn probe(&self, replica: &Replica) -> Result<(), Unhealthy> {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let discover = format!(
            r#"{{"jsonrpc":"2.0","id":"conduit-health-{serial}","method":"server/discover","params":{{"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}},"io.modelcontextprotocol/clientInfo":{CLIENT_INFO}}}}}}}"#
        );
        let fields = "mcp-protocol-version: 2026-07-28\r\nmcp-method: server/discover\r\n";
        match self.ask(replica, "POST", fields, &discover).await?.judge() {
            Verdict::Mcp => return Ok(()),
            Verdict::Down(why) => return Err(why),
            Verdict::Unclear => {}
        }
        // A server of before 2026-07-28 that refuses what it does not know without saying so in
        // JSON-RPC: see whether it shakes hands.
        let initialize = format!(
            r#"{{"jsonrpc":"2.0","id":"conduit-health-{serial}","method":"initialize","params":{{"protocolVersion":"2025-11-25","capabilities":{{}},"clientInfo":{{"name":"conduit-health","version":"{}"}}}}}}"#,
            env!("CARGO_PKG_VERSION")
        );
        let answer = self.ask(replica, "POST", "", &initialize).await?;
        if let Some(session) = &answer.session {
            let fields = format!("{}: {session}\r\n", header::SESSION_ID);
            // What it says to that does not matter: it may not support DELETE.
            if let Err(error) = self.ask(replica, "DELETE", &fields, "").await {
                tracing::debug!(%error, "Health check could not end its session");
            }
        }
        match answer.judge() {
            Verdict::Mcp => Ok(()),
            Verdict::Down(why) => Err(why),
            Verdict::Unclear => Err(Unhealthy::NotMcp),
        }
    }

    async fn ask(
        &self,
        replica: &Replica,
        verb: &str,
        fields: &str,
        body: &str,
    ) -> Result<Answer, Unhealthy> {
        let mut connection = replica.connect(&self.transport, self.spec.timeout).await?;
        let address = &replica.address;
        let mut head = format!(
            "{verb} {} HTTP/1.1\r\nhost: {}\r\naccept: application/json, text/event-stream\r\n\
             content-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n{fields}",
            address.path,
            address.authority,
            body.len()
        )
        .into_bytes();
        head.extend_from_slice(&self.spec.fields);
        // A server that is asked without one is there, too.
        if let Some(credential) = &self.spec.credential
            && let Ok(ticket) = credential.ticket().await
        {
            head.extend_from_slice(&ticket.line);
        }
        head.extend_from_slice(b"\r\n");
        connection
            .send(head, &Bytes::copy_from_slice(body.as_bytes()))
            .await
            .map_err(Error::Io)?;
        Answer::read(&mut connection).await.map_err(Unhealthy::from)
    }
}

/// Why a replica is not healthy.
#[derive(Debug, thiserror::Error)]
enum Unhealthy {
    #[error("{0}")]
    Upstream(#[from] Error),
    #[error("answered HTTP {0}")]
    Status(u16),
    #[error("answered something that is not MCP")]
    NotMcp,
}

enum Verdict {
    Mcp,
    Down(Unhealthy),
    Unclear,
}

struct Answer {
    status: u16,
    session: Option<String>,
    is_rpc: bool,
}

impl Answer {
    async fn read(connection: &mut Connection) -> Result<Self, Error> {
        let mut head = connection.read_head().await?;
        let status = head.header.status.as_u16();
        let session = head
            .header
            .headers
            .get(header::SESSION_ID)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        let is_rpc = is_rpc(connection, &mut head).await?;
        Ok(Self {
            status,
            session,
            is_rpc,
        })
    }

    fn judge(self) -> Verdict {
        match self.status {
            500.. => Verdict::Down(Unhealthy::Status(self.status)),
            // The server is there; whether our credentials are right is not its health (E51).
            401 | 403 => Verdict::Mcp,
            _ if self.is_rpc => Verdict::Mcp,
            _ => Verdict::Unclear,
        }
    }
}

/// Whether the answer is a JSON-RPC response, as JSON or as an event of a stream.
async fn is_rpc(connection: &mut Connection, head: &mut Head) -> Result<bool, Error> {
    let mut body = Vec::new();
    while let Some(bytes) = connection.read_body(&mut head.framing).await? {
        body.extend_from_slice(&bytes);
        if head.content == Content::EventStream && events(&body).any(is_response) {
            return Ok(true);
        }
        if body.len() > ANSWER_BYTES_MAX {
            return Ok(false);
        }
    }
    Ok(head.content == Content::Json && is_response(&body))
}

fn is_response(text: &[u8]) -> bool {
    matches!(parse::payload(text), Ok(Payload::One(message)) if matches!(message.body, Rpc::Response { .. }))
}

/// The `data` of each line that is one; answers are one line in practice.
fn events(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    body.split(|&byte| byte == b'\n')
        .filter_map(|line| line.strip_prefix(b"data:"))
        .map(<[u8]>::trim_ascii)
}

#[async_trait]
impl HealthCheck for McpCheck {
    async fn check(&self, target: &Backend) -> pingora::Result<()> {
        let Some(replica) = cluster::replica(target) else {
            return PingoraError::e_explain(ErrorType::InternalError, "a member without a replica");
        };
        let started = Instant::now();
        let outcome = fast_timeout(self.spec.timeout, self.probe(replica)).await;
        replica.note_check(started.elapsed());
        match outcome {
            Ok(Ok(())) => Ok(()),
            Ok(Err(why)) => PingoraError::e_explain(ErrorType::ConnectError, why.to_string()),
            Err(_) => PingoraError::e_explain(ErrorType::ConnectTimedout, "no answer in time"),
        }
    }

    async fn health_status_change(&self, target: &Backend, healthy: bool) {
        let summary = self.backend_summary(target);
        if healthy {
            tracing::info!(replica = %summary, "Replica is healthy");
        } else {
            tracing::warn!(replica = %summary, "Replica is unhealthy");
        }
    }

    fn backend_summary(&self, target: &Backend) -> String {
        cluster::replica(target).map_or_else(
            || "unknown".to_owned(),
            |replica| {
                // A query may hold a secret.
                let path = replica.address.path.split('?').next().unwrap_or_default();
                format!("{}{path}", replica.address.authority)
            },
        )
    }

    fn health_threshold(&self, success: bool) -> usize {
        if success {
            self.spec.healthy_threshold
        } else {
            self.spec.unhealthy_threshold
        }
    }
}
