//! Streamable HTTP on one side, a child's pipes on the other.
//!
//! The gateway has validated shapes, headers and versions; what is read here is read to route it.
//! A request's era is decided by its body (E2): one that claims a protocol version in `_meta` is
//! modern and goes to the child that all modern clients share; every other belongs to a session.

mod legacy;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use filters::rpc::parse::{Body, Id, Message, Params};
use http::header::{ALLOW, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use super::Reach;
use super::Spec;
use super::failure::Failure;
use super::link::ticket::Ticket;
use super::link::{Kind, Link, OnDisconnect, Outgoing};
use super::mailbox::Parcel;
use super::meta::{self, Meta};
use super::nursery::Nursery;
use super::payload::Payload;
use super::pool::Pool;
use super::reply::{self, Events, Reply, SESSION_ID};
use super::session::Sessions;
use super::shared::{Era, Shared};

/// A call that has said nothing for this long is answered with a stream, so that the gateway can
/// keep its client's connection alive.
const PROMOTE_AFTER: Duration = Duration::from_secs(10);

/// One server, as HTTP.
#[derive(Debug)]
pub(super) struct Bridge {
    pub(super) spec: Arc<Spec>,
    pub(super) nursery: Nursery,
    pub(super) sessions: Arc<Sessions>,
    /// The child of all modern clients.
    pub(super) modern: Shared,
    /// More children of modern clients, for log messages.
    pub(super) pool: Pool,
    /// The child of all legacy clients, where the server is declared shared.
    pub(super) legacy: Shared,
    is_draining: AtomicBool,
}

/// A refusal and the id of the request it answers.
struct Refused {
    failure: Failure,
    id: Option<Box<str>>,
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self { failure, id: None }
    }
}

/// A request whose era is known.
#[derive(Clone, Copy)]
struct Call<'a> {
    message: &'a Message<'a>,
    id: Id<'a>,
    method: &'a str,
    params: &'a Params<'a>,
    meta: Meta<'a>,
}

impl Bridge {
    pub(super) fn new(nursery: Nursery) -> Self {
        let spec = Arc::clone(&nursery.spec);
        Self {
            sessions: Arc::new(Sessions::new(spec.sessions_max)),
            spec,
            nursery,
            modern: Shared::new(Era::Modern),
            pool: Pool::default(),
            legacy: Shared::new(Era::Legacy),
            is_draining: AtomicBool::new(false),
        }
    }

    /// Takes no new work.
    pub(super) fn drain(&self) {
        self.is_draining.store(true, Ordering::Relaxed);
    }

    /// Answers one HTTP request.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Response<Reply> {
        let (head, body) = request.into_parts();
        let answered = match head.method {
            _ if self.is_draining.load(Ordering::Relaxed) => Err(Failure::ShuttingDown.into()),
            Method::POST => self.post(&head.headers, body).await,
            Method::GET => self.open_stream(&head.headers).map_err(Refused::from),
            Method::DELETE => self.end_session(&head.headers).map_err(Refused::from),
            _ => Err(Failure::ClientMethod.into()),
        };
        answered.unwrap_or_else(|refused| self.refuse(&refused))
    }

    async fn post(&self, headers: &HeaderMap, body: Incoming) -> Result<Response<Reply>, Refused> {
        let body = self.read(body).await?;
        let text = std::str::from_utf8(&body).map_err(|_| Failure::ClientJson)?;
        let message = meta::message(text).map_err(Failure::from)?;
        let session = headers.get(SESSION_ID);
        match &message.body {
            Body::Request { id, method, params } => {
                let id = *id;
                let with_id = |failure| Refused {
                    failure,
                    id: Some(id.as_json().into()),
                };
                let meta = Meta::of(params).map_err(with_id)?;
                let call = Call {
                    message: &message,
                    id,
                    method,
                    params,
                    meta,
                };
                let answered = if meta.is_modern {
                    self.modern_call(call).await
                } else {
                    self.legacy_call(call, session).await
                };
                answered.map_err(with_id)
            }
            Body::Notification { method, params } => {
                if Meta::of(params)?.is_modern {
                    self.modern_notification(&message, method).await?;
                } else {
                    self.legacy_notification(&message, method, params, session)
                        .await?;
                }
                Ok(reply::empty(StatusCode::ACCEPTED))
            }
            Body::Response { .. } => {
                self.legacy_response(&message, session).await?;
                Ok(reply::empty(StatusCode::ACCEPTED))
            }
        }
    }

    /// The whole body, within the bound of a line.
    async fn read(&self, mut body: Incoming) -> Result<Bytes, Failure> {
        let max = self.spec.line_bytes_max;
        let too_large = Failure::ClientBodyTooLarge { max };
        let announced = body.size_hint().lower();
        if usize::try_from(announced).map_or(true, |bytes| bytes > max) {
            return Err(too_large);
        }
        let mut first = Bytes::new();
        let mut rest = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| Failure::ClientJson)?.into_data() else {
                continue;
            };
            if first.len() + rest.len() + data.len() > max {
                return Err(too_large);
            }
            if first.is_empty() {
                first = data;
                continue;
            }
            if rest.is_empty() {
                rest.extend_from_slice(&first);
            }
            rest.extend_from_slice(&data);
        }
        Ok(if rest.is_empty() {
            first
        } else {
            rest.freeze()
        })
    }

    async fn modern_call(&self, call: Call<'_>) -> Result<Response<Reply>, Failure> {
        self.require_modern()?;
        let up = self.modern.up().await?;
        let kind = if call.method == "subscriptions/listen" {
            Kind::Listen
        } else {
            Kind::Request
        };
        let seat = if kind == Kind::Request && call.meta.wants_log {
            self.pool.seat(&up.link, &self.nursery).await
        } else {
            None
        };
        let link = seat.as_ref().map_or(&up.link, |seat| &seat.link);
        let mut ticket = submit(link, call, kind, 0, OnDisconnect::Cancel).await?;
        ticket.hold(seat);
        Ok(respond(&self.spec, ticket).await.response)
    }

    /// Over HTTP a modern client cancels by closing its request; a posted cancellation would name
    /// an id of another client's for all we know, and is ignored.
    async fn modern_notification(
        &self,
        message: &Message<'_>,
        method: &str,
    ) -> Result<(), Failure> {
        self.require_modern()?;
        if method == "notifications/cancelled" {
            return Ok(());
        }
        self.modern
            .up()
            .await?
            .link
            .send(message.text, &mut [])
            .await
    }

    /// A transport that has only sessions tells so without asking its server.
    fn require_modern(&self) -> Result<(), Failure> {
        match self.spec.reach {
            Reach::Program(_) => Ok(()),
            Reach::Remote(_) => Err(Failure::SessionsOnly),
        }
    }

    fn refuse(&self, refused: &Refused) -> Response<Reply> {
        let failure = &refused.failure;
        let error = failure.to_json(&self.spec.server, refused.id.as_deref());
        let mut response = reply::json(failure.status(), Payload::whole(error.into()));
        let headers = response.headers_mut();
        if let Some(seconds) = failure.retry_after() {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if *failure == Failure::ClientMethod {
            headers.insert(ALLOW, HeaderValue::from_static("POST"));
        }
        response
    }
}

async fn submit(
    link: &Arc<Link>,
    call: Call<'_>,
    kind: Kind,
    session: u64,
    on_disconnect: OnDisconnect,
) -> Result<Ticket, Failure> {
    link.call(Outgoing {
        message: call.message,
        id: call.id,
        progress_token: call.meta.progress_token,
        wants_log: call.meta.wants_log && kind == Kind::Request,
        kind,
        session,
        on_disconnect,
    })
    .await
}

/// A call's response.
struct Answered {
    response: Response<Reply>,
    /// The whole answer, where it came alone; what else follows in the response's stream.
    answer: Option<Payload>,
}

/// Waits for a call's first message, which decides how it is answered: the answer alone is JSON,
/// anything before it makes it a stream.
async fn respond(spec: &Spec, mut ticket: Ticket) -> Answered {
    let now = Instant::now();
    let deadline = now + spec.call_timeout;
    let promotion = deadline.min(now + PROMOTE_AFTER);
    let response = match timeout_at(promotion, ticket.mailbox.next()).await {
        Ok(Parcel::Answer(payload, status)) => {
            ticket.settle();
            return Answered {
                response: reply::json(status, payload.clone()),
                answer: Some(payload),
            };
        }
        Ok(Parcel::Event(payload)) => reply::events(Events::of_call(ticket, Some(payload))),
        Ok(Parcel::End) => {
            ticket.settle();
            reply::events(Events::of_call(ticket, None))
        }
        Err(_) if promotion == deadline => {
            let (failure, error) = ticket.time_out();
            reply::json(failure.status(), error)
        }
        Err(_) => reply::events(Events::of_silent_call(ticket, deadline)),
    };
    Answered {
        response,
        answer: None,
    }
}
