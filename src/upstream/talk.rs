//! One request of the gateway's own making and the messages that answer it, whether they come as one
//! JSON document or as a stream of events.
//!
//! **Invariant:** bounded: a message longer than [`MESSAGE_BYTES_MAX`], and an answer that pauses or
//! lasts longer than the server's limits, is an error.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use filters::mcp::header;
use filters::refusal::Phase;
use filters::rpc::parse::{self, Answer, Body};
use filters::sse::decode::Decoder;
use http::HeaderValue;
use http::header::WWW_AUTHENTICATE;
use pingora::http::ResponseHeader;
use pingora_timeout::fast_timeout::fast_timeout;

use crate::upstream::cluster::{Cluster, Limits};
use crate::upstream::error::Error;
use crate::upstream::head::Content;
use crate::upstream::relay::{self, Flight, Request};

/// Longest message that is held in memory, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// An answer as it comes.
pub struct Talk {
    /// The HTTP status.
    pub status: u16,
    /// The session that the answer opened.
    pub session: Option<String>,
    /// What credential the server wants (`WWW-Authenticate`).
    pub challenge: Option<HeaderValue>,
    /// The head of a refusal (4xx, 5xx), ready for the client; nothing of any other answer.
    pub refusal: Option<Box<ResponseHeader>>,
    /// The replica that answers.
    pub replica: usize,
    content: Content,
    body: relay::Body,
    document: Document,
    decoder: Decoder,
    is_over: bool,
    /// It is a document of more than is held in memory, as its head says.
    is_too_long: bool,
    /// A message that was looked at and not taken.
    held: Option<Bytes>,
    limits: Limits,
    deadline: Option<Instant>,
}

/// A document's bytes: mostly one read is all of it.
#[derive(Default)]
struct Document {
    first: Bytes,
    rest: BytesMut,
}

impl Document {
    fn push(&mut self, bytes: Bytes) -> Result<(), Error> {
        if self.first.len() + self.rest.len() + bytes.len() > MESSAGE_BYTES_MAX {
            return Err(Error::TooLong);
        }
        if self.first.is_empty() {
            self.first = bytes;
        } else {
            self.rest.extend_from_slice(&bytes);
        }
        Ok(())
    }

    fn take(&mut self) -> Bytes {
        let first = std::mem::take(&mut self.first);
        if self.rest.is_empty() {
            return first;
        }
        let rest = std::mem::take(&mut self.rest);
        [first.as_ref(), rest.as_ref()].concat().into()
    }
}

/// How long an answer may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// As long as a call of that server.
    Call {
        /// When the call must be over.
        deadline: Instant,
    },
    /// A stream that lives until one side ends it; its head comes as fast as any.
    Listen,
}

/// How a request was answered; JSON text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    /// With a result.
    Result(String),
    /// With a JSON-RPC error: the error object.
    Error(String),
    /// With something else than a JSON-RPC answer, such as a proxy's page.
    Other(String),
}

impl Answered {
    /// Reads a message; nothing where it is no answer.
    #[must_use]
    pub fn of(message: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(message).ok()?;
        let Body::Response { answer, .. } = parse::message(text).ok()?.body else {
            return None;
        };
        Some(match answer {
            Answer::Result(result) => Self::Result(result.get().to_owned()),
            Answer::Error(error) => Self::Error(error.get().to_owned()),
        })
    }
}

impl Talk {
    /// Sends a request and awaits the head of its answer. A dropped talk closes its connection.
    ///
    /// # Errors
    /// Where no replica takes the request or answers it in time.
    pub async fn begin(
        cluster: &Arc<Cluster>,
        request: Request,
        patience: Patience,
    ) -> Result<Self, Error> {
        Self::await_head(
            Flight::for_gateway(Arc::clone(cluster), request),
            cluster.limits,
            patience,
        )
        .await
    }

    /// Launches `flight` and awaits the head of its answer.
    ///
    /// # Errors
    /// Where no replica takes the request or answers it in time.
    pub async fn await_head(
        mut flight: Flight,
        limits: Limits,
        patience: Patience,
    ) -> Result<Self, Error> {
        let deadline = match patience {
            Patience::Call { deadline } => Some(deadline),
            Patience::Listen => None,
        };
        let left = deadline.map_or(limits.total, |at| {
            at.saturating_duration_since(Instant::now())
        });
        fast_timeout(limits.connect + limits.header, flight.launch())
            .await
            .map_err(|_| Error::Timeout(Phase::Header))??;
        let (limit, phase) = if left < limits.header {
            (left, Phase::Total)
        } else {
            (limits.header, Phase::Header)
        };
        let mut head = fast_timeout(limit, flight.head())
            .await
            .map_err(|_| Error::Timeout(phase))??;
        let body = flight.into_body(&mut head)?;
        let session = head.header.headers.get(header::SESSION_ID);
        let status = head.header.status;
        let is_refusal = status.is_client_error() || status.is_server_error();
        let length = head.content_length.and_then(|it| usize::try_from(it).ok());
        let is_document = head.content != Content::EventStream;
        Ok(Self {
            status: status.as_u16(),
            session: session
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned),
            challenge: head.header.headers.get(WWW_AUTHENTICATE).cloned(),
            refusal: is_refusal.then_some(head.header),
            replica: body.replica().index,
            content: head.content,
            body,
            document: Document::default(),
            decoder: Decoder::new(MESSAGE_BYTES_MAX),
            is_over: false,
            is_too_long: is_document && length.is_some_and(|it| it > MESSAGE_BYTES_MAX),
            held: None,
            limits,
            deadline,
        })
    }

    /// Whether the answer is a stream of events.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        self.content == Content::EventStream
    }

    /// Whether the answer is a JSON document.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.content == Content::Json
    }

    /// The id of the last event: where a stream that broke can be resumed.
    #[must_use]
    pub fn last_event(&self) -> Option<&str> {
        self.decoder.last_id()
    }

    /// How long to wait before it is resumed, where the server said so.
    #[must_use]
    pub fn retry(&self) -> Option<Duration> {
        self.decoder.retry_ms().map(Duration::from_millis)
    }

    /// The next message, or nothing where the answer is over. A document is one message. Cancel-safe.
    ///
    /// # Errors
    /// Where the upstream breaks off, says too much, or takes too long.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        if let Some(held) = self.held.take() {
            return Ok(Some(held));
        }
        loop {
            match self.decoder.next_event() {
                // A priming event has an id and no data.
                Some(Ok(data)) if data.is_empty() => continue,
                Some(Ok(data)) => return Ok(Some(data.into())),
                Some(Err(_)) => return Err(Error::TooLong),
                None => {}
            }
            if self.is_too_long {
                return Err(Error::TooLong);
            }
            if self.is_over {
                let document = self.document.take();
                return Ok((!document.is_empty()).then_some(document));
            }
            let (limit, phase) = self.limit();
            let read = match limit {
                Some(limit) => fast_timeout(limit, self.body.next())
                    .await
                    .map_err(|_| Error::Timeout(phase))?,
                None => self.body.next().await,
            };
            let bytes = read?;
            self.is_over = bytes.is_none() || self.body.is_done();
            let bytes = bytes.unwrap_or_default();
            if self.is_stream() {
                self.decoder.feed(&bytes);
                if self.is_over {
                    // An answer that only its blank line is missing from.
                    self.decoder.feed(b"\n\n");
                }
                continue;
            }
            self.document.push(bytes)?;
            if self.is_over {
                let document = self.document.take();
                return Ok((!document.is_empty()).then_some(document));
            }
        }
    }

    /// The next message of a stream, if it is there already.
    pub fn ready(&mut self) -> Option<Bytes> {
        if let Some(held) = self.held.take() {
            return Some(held);
        }
        loop {
            match self.decoder.next_event()? {
                Ok(data) if data.is_empty() => {}
                Ok(data) => return Some(data.into()),
                Err(_) => return None,
            }
        }
    }

    /// Leaves a message to be read next.
    pub fn put_back(&mut self, message: Bytes) {
        self.held = Some(message);
    }

    /// The whole document, which stays to be read. For short answers such as refusals.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub async fn peek(&mut self) -> Result<Bytes, Error> {
        if self.is_stream() {
            return Ok(Bytes::new());
        }
        let document = self.rest().await?;
        self.document.first = document.clone();
        Ok(document)
    }

    /// Goes on as the stream that `broken` was, after `last_event`.
    pub fn resume_from(&mut self, last_event: String, broken: &Self) {
        self.deadline = broken.deadline;
        self.decoder = Decoder::resumed(MESSAGE_BYTES_MAX, last_event);
    }

    /// Reads up to the answer. What comes before it is given to `aside`.
    ///
    /// # Errors
    /// [`Error::ClosedEarly`] where no answer comes, and as [`Self::next`].
    pub async fn answer(&mut self, mut aside: impl FnMut(Bytes)) -> Result<Answered, Error> {
        let mut other = Bytes::new();
        while let Some(message) = self.next().await? {
            match Answered::of(&message) {
                Some(answered) => return Ok(answered),
                None if self.is_stream() => aside(message),
                None => other = message,
            }
        }
        if self.is_stream() {
            return Err(Error::ClosedEarly);
        }
        Ok(Answered::Other(
            String::from_utf8_lossy(&other).into_owned(),
        ))
    }

    /// Reads the rest as one document, whatever it is.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub async fn rest(&mut self) -> Result<Bytes, Error> {
        Ok(self.next().await?.unwrap_or_default())
    }

    /// Reads to the end and keeps nothing.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub async fn discard(mut self) -> Result<(), Error> {
        while self.next().await?.is_some() {}
        Ok(())
    }

    fn limit(&self) -> (Option<Duration>, Phase) {
        let Some(deadline) = self.deadline else {
            return (None, Phase::Idle);
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left < self.limits.idle {
            (Some(left), Phase::Total)
        } else {
            (Some(self.limits.idle), Phase::Idle)
        }
    }
}
