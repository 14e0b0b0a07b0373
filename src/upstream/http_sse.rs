//! Servers of the HTTP+SSE transport (2024-11-05): `GET` opens a stream of events, whose first one
//! names where messages are posted to; every message of the server's comes on that stream.
//!
//! **Invariant:** what is posted goes to the replica that holds the stream.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use filters::refusal::Phase;
use filters::sse::decode::Decoder;
use filters::sse::endpoint::{self, ENDPOINT_BYTES_MAX};
use pingora_timeout::fast_timeout::fast_timeout;

use crate::upstream::cluster::Cluster;
use crate::upstream::error::Error;
use crate::upstream::head::Content;
use crate::upstream::relay::{Body, Flight, Request};

/// Most bytes of an accepted message's answer that are read so that its connection can be used
/// again. What it says means nothing.
const IGNORED_BYTES_MAX: usize = 64 * 1024;
/// How long they may take.
const IGNORED_MAX: Duration = Duration::from_millis(250);

/// An open event stream.
#[derive(Debug)]
pub struct Stream {
    /// Its bytes. Dropped, it is closed.
    pub body: Body,
    /// The replica that sends it.
    pub replica: usize,
}

/// Why there is no event stream.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// There is no answer.
    #[error(transparent)]
    Upstream(#[from] Error),
    /// The answer is no success.
    #[error("answered HTTP {0}")]
    Status(u16),
    /// The answer is no event stream.
    #[error("answered with something that is no event stream")]
    NotEvents,
}

/// Opens an event stream. `fields` are the header lines of the request.
///
/// # Errors
/// [`Unusable`], where the answer is anything but an event stream.
pub async fn open(cluster: &Arc<Cluster>, fields: Vec<u8>) -> Result<Stream, Unusable> {
    let request = Request {
        verb: "GET",
        target: None,
        fields,
        body: Bytes::new(),
        is_repeatable: true,
        session: None,
    };
    let mut flight = Flight::for_gateway(Arc::clone(cluster), request);
    let limit = cluster.limits.connect + cluster.limits.header;
    let head = fast_timeout(limit, flight.head()).await;
    let mut head = head.map_err(|_| Error::Timeout(Phase::Header))??;
    if !head.header.status.is_success() {
        return Err(Unusable::Status(head.header.status.as_u16()));
    }
    if head.content != Content::EventStream {
        return Err(Unusable::NotEvents);
    }
    let body = flight.into_body(&mut head)?;
    let replica = body.replica().index;
    Ok(Stream { body, replica })
}

/// Posts one message to `target` on the replica of that index. Gives the status of the answer, for
/// which there is as much time as for a whole call: some servers answer only when they are done.
///
/// # Errors
/// Where there is no answer.
pub async fn post(
    cluster: &Arc<Cluster>,
    replica: usize,
    target: Arc<str>,
    fields: Vec<u8>,
    message: Bytes,
) -> Result<u16, Error> {
    let request = Request {
        verb: "POST",
        target: Some(target),
        fields,
        body: message,
        is_repeatable: false,
        session: None,
    };
    let mut flight = Flight::for_gateway(Arc::clone(cluster), request).pinned_to(replica);
    let limits = cluster.limits;
    fast_timeout(limits.connect + limits.header, flight.launch())
        .await
        .map_err(|_| Error::Timeout(Phase::Header))??;
    let head = fast_timeout(limits.total, flight.head()).await;
    let mut head = head.map_err(|_| Error::Timeout(Phase::Total))??;
    let status = head.header.status.as_u16();
    let body = flight.into_body(&mut head)?;
    // Where it does not end in time, its connection is closed.
    drop(fast_timeout(IGNORED_MAX, ignore(body)).await);
    Ok(status)
}

async fn ignore(mut body: Body) {
    let mut n_bytes = 0;
    while let Ok(Some(bytes)) = body.next().await {
        n_bytes += bytes.len();
        if n_bytes > IGNORED_BYTES_MAX {
            return;
        }
    }
}

/// Whether a server speaks this transport at its URL: the first event that it sends by itself names
/// an endpoint. Worth asking where it refused `initialize` with 400, 404 or 405. `fields` are the
/// server's static header lines. Takes the time of a connection at most.
pub async fn is_http_sse(cluster: &Arc<Cluster>, fields: &[u8]) -> bool {
    let mut lines = b"accept: text/event-stream\r\n".to_vec();
    lines.extend_from_slice(fields);
    let asked = first_is_endpoint(cluster, lines);
    fast_timeout(cluster.limits.connect, asked)
        .await
        .unwrap_or(false)
}

async fn first_is_endpoint(cluster: &Arc<Cluster>, fields: Vec<u8>) -> bool {
    let Ok(mut stream) = open(cluster, fields).await else {
        return false;
    };
    let mut decoder = Decoder::new(ENDPOINT_BYTES_MAX);
    let mut n_bytes = 0;
    while let Ok(Some(bytes)) = stream.body.next().await {
        decoder.feed(&bytes);
        if let Some(first) = decoder.next_named() {
            return first.is_ok_and(|event| event.name == endpoint::EVENT);
        }
        n_bytes += bytes.len();
        if n_bytes > IGNORED_BYTES_MAX {
            break;
        }
    }
    false
}
