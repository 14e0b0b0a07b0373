//! The data plane: Pingora's phases around one ordered pipeline.
//!
//! A request is admitted (`admit`), read (`body`), classified and permitted (`pipeline`), and
//! carried to its server (`relay`), all inside Pingora's `request_filter`. Why not the proxy phase:
//! see `upstream::relay`.
//!
//! **Invariant:** every way out of a request ends in one `Outcome`, counted and logged once.

mod access;
mod admit;
mod aftercare;
mod aggregate;
mod answer;
mod batch;
mod bodiless;
mod body;
mod bridge;
mod cached;
mod control;
mod cors;
mod deliver;
mod dispatch;
mod document;
mod events;
mod exchange;
mod fields;
mod front;
mod guard;
mod handshake;
mod hear;
mod inbound;
pub mod keeper;
mod limits;
mod link;
mod listen;
mod lists;
mod local;
mod locked;
mod pass;
mod passage;
mod patient;
mod pipeline;
mod relay;
mod reply;
pub mod retire;
mod screen;
mod sessions;
mod stream;

use std::sync::Arc;

use async_trait::async_trait;
use filters::refusal::Refusal;
use pingora::modules::http::HttpModules;
use pingora::prelude::HttpPeer;
use pingora::proxy::{FailToProxy, ProxyHttp, Session};
use pingora::{Error, ErrorType};

use crate::gateway::exchange::Exchange;
use crate::state::{ControlPlane, Shared};
use crate::telemetry::outcome::Status;

/// The gateway as a Pingora application.
pub struct Gateway {
    shared: Arc<Shared>,
    control: ControlPlane,
}

/// Why a request ended without the answer it was meant to get.
#[derive(Debug)]
enum Ended {
    /// It is refused; nothing was sent to the client yet.
    Refused {
        /// What the client is told.
        refusal: Refusal,
        /// The JSON text of the id to echo.
        id: Option<String>,
        /// What the operator is told beyond that.
        error: Option<String>,
    },
    /// The client left.
    ClientGone,
    /// The answer broke off after its head was sent.
    Broken {
        /// The label of what happened.
        reason: &'static str,
    },
}

impl Ended {
    /// Names the request that is refused, where nobody did.
    fn with_id(self, echo: Option<String>) -> Self {
        match self {
            Self::Refused {
                refusal,
                id: None,
                error,
            } => Self::Refused {
                refusal,
                id: echo,
                error,
            },
            kept @ (Self::Refused { .. } | Self::ClientGone | Self::Broken { .. }) => kept,
        }
    }
}

impl From<Refusal> for Ended {
    fn from(refusal: Refusal) -> Self {
        Self::Refused {
            refusal,
            id: None,
            error: None,
        }
    }
}

impl Gateway {
    /// A gateway over shared state.
    #[must_use]
    pub fn new(shared: Arc<Shared>, control: ControlPlane) -> Self {
        Self { shared, control }
    }

    async fn end(
        &self,
        session: &mut Session,
        exchange: &mut Exchange,
        ended: Ended,
    ) -> pingora::Result<bool> {
        let cut = |why: &'static str| Error::e_explain(ErrorType::ConnectionClosed, why);
        match ended {
            Ended::Refused { refusal, id, error } => {
                exchange.outcome.error = error;
                answer::refuse(session, exchange, &refusal, id.as_deref()).await?;
                Ok(true)
            }
            Ended::ClientGone => {
                exchange.outcome.status = Status::Cancelled;
                exchange.outcome.reason = Some("client_gone");
                cut("client left")
            }
            Ended::Broken { reason } => {
                exchange.outcome.status = Status::Error;
                exchange.outcome.reason = Some(reason);
                cut("answer broke off")
            }
        }
    }
}

#[async_trait]
impl ProxyHttp for Gateway {
    // Boxed: Pingora moves it from future to future, and each keeps room for it.
    type CTX = Box<Exchange>;

    fn new_ctx(&self) -> Box<Exchange> {
        Box::new(Exchange::begin(Arc::clone(&self.shared)))
    }

    /// None: Pingora's default compresses what comes from an upstream peer, and none of ours does.
    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn request_filter(
        &self,
        session: &mut Session,
        exchange: &mut Box<Exchange>,
    ) -> pingora::Result<bool> {
        match pipeline::serve(session, exchange, &self.control).await {
            Ok(()) => Ok(true),
            Err(ended) => Box::pin(self.end(session, exchange, ended)).await,
        }
    }

    async fn upstream_peer(
        &self,
        _session: &mut Session,
        _exchange: &mut Box<Exchange>,
    ) -> pingora::Result<Box<HttpPeer>> {
        // Never reached: `request_filter` answers every request.
        Error::e_explain(
            ErrorType::InternalError,
            "requests are relayed, not proxied",
        )
    }

    async fn fail_to_proxy(
        &self,
        _session: &mut Session,
        _error: &Error,
        _exchange: &mut Box<Exchange>,
    ) -> FailToProxy {
        // Whatever could be said was said; what is left is to close the connection.
        FailToProxy {
            error_code: 0,
            can_reuse_downstream: false,
        }
    }

    fn suppress_error_log(&self, _session: &Session, _ctx: &Box<Exchange>, _error: &Error) -> bool {
        // The access line tells it.
        true
    }

    fn request_summary(&self, session: &Session, _ctx: &Box<Exchange>) -> String {
        let header = session.req_header();
        format!("{} {}", header.method, header.uri.path())
    }

    async fn logging(
        &self,
        session: &mut Session,
        error: Option<&Error>,
        exchange: &mut Box<Exchange>,
    ) {
        if let Some(written) = session.response_written() {
            exchange.outcome.http_status = written.status.as_u16();
        }
        if exchange.outcome.reason.is_none() && error.is_some() {
            exchange.outcome.status = Status::Cancelled;
            exchange.outcome.reason = Some("client_gone");
        }
        exchange.finish(session.body_bytes_sent());
    }
}
