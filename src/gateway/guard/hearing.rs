//! What guardrails make of a stream on which a server speaks of its own accord, as its events pass.
//!
//! **Invariant:** what cannot be read as a message is not passed on, and of what stands beside one
//! only ids and times to wait are.

use std::sync::Arc;

use bytes::Bytes;
use filters::rpc::parse::{self, Body};
use filters::sse::blocks;
use filters::sse::decode::Decoder;
use filters::sse::write;
use pingora_timeout::fast_timeout::fast_timeout;

use crate::gateway::guard::{self, Asked, Told, Watch};
use crate::gateway::screen::EVENT_BYTES_MAX;
use crate::state::Shared;
use crate::upstream::relay::{Flight, Request};

/// What looks at the events of such a stream.
pub(in crate::gateway) struct Hearing {
    /// Where the rules are by now.
    pub(in crate::gateway) shared: Arc<Shared>,
    /// Whom the stream is between.
    pub(in crate::gateway) watch: Watch,
    /// The header lines under which the server is told what is refused.
    pub(in crate::gateway) fields: Vec<u8>,
    /// The session with the server, if there is one.
    pub(in crate::gateway) session: Option<String>,
}

impl Hearing {
    /// Whole events, as guardrails let them through. What is not whole does not pass.
    pub(in crate::gateway) fn events(&self, bytes: &[u8]) -> Bytes {
        let snapshot = self.shared.snapshot.load_full();
        let watch = self.watch.clone().under(snapshot);
        let mut kept = Vec::with_capacity(bytes.len());
        for block in blocks::of(bytes).filter(|block| block.is_whole) {
            let begin = kept.len();
            for line in blocks::fields(block.bytes).filter(|line| is_kept(line)) {
                kept.extend_from_slice(line);
            }
            let mut decoder = Decoder::new(EVENT_BYTES_MAX);
            decoder.feed(block.bytes);
            match decoder.next_named() {
                // It says where to go on from.
                Some(Ok(event)) if event.data.is_empty() => kept.extend_from_slice(b"data:\n\n"),
                Some(Ok(event)) if event.is_message() => match self.message(&watch, event.data) {
                    Some(text) => kept.extend_from_slice(write::message(&text).as_bytes()),
                    None => end(&mut kept, begin),
                },
                Some(Ok(_) | Err(_)) | None => end(&mut kept, begin),
            }
        }
        kept.into()
    }

    /// A message as it passes; nothing where it does not.
    fn message(&self, watch: &Watch, text: String) -> Option<String> {
        let message = parse::message(&text).ok()?;
        match &message.body {
            Body::Request { .. } => match guard::asked(Some(watch), &text, None) {
                Asked::AsItIs => Some(text),
                Asked::Becomes(text) => Some(text),
                Asked::Refused(answer) => {
                    self.answer(answer);
                    None
                }
            },
            Body::Notification { .. } => match guard::told(Some(watch), &text) {
                Told::AsItIs => Some(text),
                Told::Becomes(text) => Some(text),
                Told::Hidden => None,
            },
            // Of a call whose own stream broke.
            Body::Response { .. } => Some(watch.answer(text, None)),
        }
    }

    /// Tells the server that its question is refused.
    fn answer(&self, text: String) {
        let (live, cluster) = (&self.watch.live, &self.watch.server.cluster);
        let Ok(place) = Arc::clone(&live.abandoned).try_acquire_owned() else {
            tracing::warn!(server.id = %cluster.server, "Server is not told that its question is refused");
            return;
        };
        let request = Request {
            verb: "POST",
            target: None,
            fields: self.fields.clone(),
            body: text.into(),
            is_repeatable: false,
            session: self.session.clone(),
        };
        let mut flight = Flight::for_gateway(Arc::clone(cluster), request);
        let limits = cluster.limits;
        live.detached.spawn(async move {
            let told = fast_timeout(limits.connect + limits.header, flight.head()).await;
            if !matches!(told, Ok(Ok(_))) {
                tracing::debug!("Server could not be told that its question is refused");
            }
            drop(place);
        });
    }
}

/// Ends an event without data. Where nothing is left of it, the client still sees that there was one:
/// nobody else keeps its connection alive.
fn end(kept: &mut Vec<u8>, begin: usize) {
    if kept.len() == begin {
        kept.extend_from_slice(write::KEEP_ALIVE);
    } else {
        kept.push(b'\n');
    }
}

fn is_kept(line: &[u8]) -> bool {
    line.starts_with(b"id:") || line.starts_with(b"retry:")
}
