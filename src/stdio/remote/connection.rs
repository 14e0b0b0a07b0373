//! One connection to a server of the HTTP+SSE transport, from its opening to its end.
//!
//! **Invariant:** reading never waits for a client nor for what is being posted, and what is read
//! is bounded: a message longer than a line may be ends the connection.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use filters::sse::decode::{Decoder, Event};
use filters::sse::endpoint::{self, Refused};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use tokio::time::{Instant, timeout, timeout_at};

use super::post::post_all;
use super::{Broken, Postman, Remote};
use crate::stdio::failure::Failure;
use crate::stdio::frame::Line;
use crate::stdio::link::Link;
use crate::stdio::payload::join_lines;
use crate::stdio::reader::{Quota, deliver};
use crate::stdio::tend::{Ended, Halt};

/// How long what was taken from clients may still be posted once the connection is to end.
const LAST_POSTS: Duration = Duration::from_secs(2);

/// An open connection.
pub(in crate::stdio) struct Connection {
    inbound: Inbound,
    postman: Box<dyn Postman>,
    /// Where the server takes messages.
    target: Arc<str>,
}

/// What the server says.
struct Inbound {
    events: BoxStream<'static, Result<Bytes, Broken>>,
    decoder: Decoder,
    message_bytes_max: usize,
}

/// Opens a connection and waits until the server has named its endpoint.
///
/// # Errors
/// Where it does not in time, or names one that must not be used.
pub(in crate::stdio) async fn open(
    remote: &Remote,
    message_bytes_max: usize,
) -> Result<Connection, Broken> {
    let deadline = Instant::now() + remote.connect_timeout;
    let late = |what: &'static str| {
        let limit = remote.connect_timeout.as_millis();
        move |_| Broken::from(format!("did not {what} within {limit} ms"))
    };
    let opened = timeout_at(deadline, remote.carrier.open()).await;
    let opened = opened.map_err(late("open its event stream"))??;
    let mut inbound = Inbound {
        events: opened.events,
        decoder: Decoder::new(message_bytes_max),
        message_bytes_max,
    };
    let reference = timeout_at(deadline, inbound.endpoint()).await;
    let reference = reference.map_err(late("name its endpoint"))??;
    let target = endpoint::resolve(&opened.base, &reference).map_err(|refused| {
        Broken::from(match refused {
            Refused::Foreign => "named an endpoint on another origin, which is refused",
            Refused::Malformed => "named an endpoint that is no URL",
        })
    })?;
    Ok(Connection {
        inbound,
        postman: opened.postman,
        target: target.into(),
    })
}

impl Connection {
    /// Serves it until it breaks or is told to end. Closes the link.
    pub(in crate::stdio) async fn serve(self, link: &Link, halt: &Halt) -> Ended {
        let Self {
            mut inbound,
            postman,
            target,
        } = self;
        let mut posting = std::pin::pin!(post_all(&*postman, &target, &link.outbox));
        let broken = tokio::select! {
            biased;
            failure = halt.told() => {
                link.close(&failure);
                // What was taken from clients before still counts.
                drop(timeout(LAST_POSTS, posting).await);
                return Ended { failure, is_told: true };
            }
            broken = inbound.deliver_to(link) => broken,
            posted = &mut posting => posted.err().unwrap_or_else(|| "was closed".into()),
        };
        let failure = Failure::UpstreamEnded { how: broken.0 };
        link.close(&failure);
        Ended {
            failure,
            is_told: false,
        }
    }
}

impl Inbound {
    /// What the server's `endpoint` event says.
    async fn endpoint(&mut self) -> Result<String, Broken> {
        loop {
            let event = self.next().await?;
            if event.name == endpoint::EVENT {
                return Ok(event.data);
            }
        }
    }

    /// Delivers every message until the stream ends. Gives how it did.
    async fn deliver_to(&mut self, link: &Link) -> Broken {
        let mut quota = Quota::new();
        loop {
            match self.next().await {
                Ok(event) if event.is_message() => {
                    let mut message = event.data.into_bytes();
                    join_lines(&mut message);
                    deliver(link, &Line::Whole(message.into()), &mut quota);
                }
                Ok(_) => {}
                Err(broken) => return broken,
            }
        }
    }

    async fn next(&mut self) -> Result<Event, Broken> {
        loop {
            match self.decoder.next_named() {
                Some(Ok(event)) => return Ok(event),
                Some(Err(_)) => {
                    let max = self.message_bytes_max;
                    return Err(format!("sent a message of more than {max} bytes").into());
                }
                None => {}
            }
            let Some(bytes) = self.events.next().await else {
                return Err("closed its event stream".into());
            };
            self.decoder.feed(&bytes?);
        }
    }
}
