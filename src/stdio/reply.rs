//! What the bridge answers over HTTP: nothing, one JSON message, or a stream of events.
//!
//! **Invariant:** a stream ends with the answer to its request (E23), and a reply that is dropped
//! before its end tells the call that its client has gone.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use super::link::ticket::Ticket;
use super::mailbox::{Mailbox, Parcel};
use super::payload::Payload;

/// The session id's header.
pub(super) const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// A response's body.
#[derive(Debug)]
pub(super) enum Reply {
    /// A message of known length, or none.
    Whole(Payload),
    /// Events as they come.
    Events(Box<Events>),
}

/// An empty response.
pub(super) fn empty(status: StatusCode) -> Response<Reply> {
    let mut response = Response::new(Reply::Whole(Payload::default()));
    *response.status_mut() = status;
    response
}

/// A response with one message.
pub(super) fn json(status: StatusCode, payload: Payload) -> Response<Reply> {
    let mut response = Response::new(Reply::Whole(payload));
    *response.status_mut() = status;
    let value = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, value);
    response
}

/// A response with a stream of events. No event has an id: there is no resuming (E47).
pub(super) fn events(events: Events) -> Response<Reply> {
    let mut response = Response::new(Reply::Events(Box::new(events)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    response
}

/// The events of one stream.
#[derive(Debug)]
pub(super) struct Events {
    mailbox: Arc<Mailbox>,
    /// The call that the stream answers; none for a session's event stream.
    ticket: Option<Ticket>,
    /// Until when the first message must have come.
    deadline: Option<Pin<Box<Sleep>>>,
    /// What is to be written next.
    ready: VecDeque<Bytes>,
    is_over: bool,
}

impl Events {
    /// The stream of a session.
    pub(super) fn of_session(mailbox: Arc<Mailbox>) -> Self {
        Self {
            mailbox,
            ticket: None,
            deadline: None,
            ready: VecDeque::new(),
            is_over: false,
        }
    }

    /// The stream of a call, with what has come already.
    pub(super) fn of_call(ticket: Ticket, first: Option<Payload>) -> Self {
        Self {
            mailbox: Arc::clone(&ticket.mailbox),
            ticket: Some(ticket),
            deadline: None,
            ready: first.into_iter().flat_map(Payload::into_event).collect(),
            is_over: false,
        }
    }

    /// The stream of a call that has not said anything, and must before `deadline`.
    pub(super) fn of_silent_call(ticket: Ticket, deadline: Instant) -> Self {
        let mut events = Self::of_call(ticket, None);
        events.deadline = Some(Box::pin(tokio::time::sleep_until(deadline)));
        events
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Poll::Ready(Some(bytes));
            }
            if self.is_over {
                return Poll::Ready(None);
            }
            match self.mailbox.poll_next(cx) {
                Poll::Ready(Parcel::Event(payload)) => {
                    self.deadline = None;
                    self.ready.extend(payload.into_event());
                }
                Poll::Ready(Parcel::Answer(payload, _)) => {
                    self.ready.extend(payload.into_event());
                    self.finish();
                }
                Poll::Ready(Parcel::End) => self.finish(),
                Poll::Pending => {
                    let Some(deadline) = &mut self.deadline else {
                        return Poll::Pending;
                    };
                    std::task::ready!(deadline.as_mut().poll(cx));
                    self.time_out();
                }
            }
        }
    }

    fn time_out(&mut self) {
        self.is_over = true;
        self.deadline = None;
        if let Some(ticket) = &mut self.ticket {
            let (_, error) = ticket.time_out();
            self.ready.extend(error.into_event());
        }
    }

    fn finish(&mut self) {
        self.is_over = true;
        if let Some(ticket) = &mut self.ticket {
            ticket.settle();
        }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.mailbox.close();
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = match self.get_mut() {
            Self::Whole(payload) => payload.take_part(),
            Self::Events(events) => std::task::ready!(events.poll_ready(cx)),
        };
        Poll::Ready(next.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(payload) => payload.len() == 0,
            Self::Events(events) => events.is_over && events.ready.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(payload) => {
                SizeHint::with_exact(u64::try_from(payload.len()).unwrap_or(u64::MAX))
            }
            Self::Events(_) => SizeHint::default(),
        }
    }
}
