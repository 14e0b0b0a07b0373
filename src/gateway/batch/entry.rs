//! One entry of a batch on its way.

use bytes::{Bytes, BytesMut};
use filters::refusal::{Phase, Refusal};
use filters::rpc::parse::{self, Body as Rpc, Id};
use filters::sse::decode::Decoder;
use pingora_timeout::fast_timeout::fast_timeout;
use tokio::sync::mpsc::Sender;

use crate::gateway::batch::{News, Prepared};
use crate::gateway::cached::write::Write;
use crate::upstream::error::Error;
use crate::upstream::head::Content;
use crate::upstream::relay::Body;

/// Largest single answer that goes into an array, in bytes.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Carries one entry, and reports everything its server says.
pub(super) async fn fly(index: usize, prepared: Prepared, news: Sender<News>) {
    let Prepared {
        flight,
        server,
        id,
        write,
    } = prepared;
    let limits = server.cluster.limits;
    let mut entry = Entry {
        index,
        id,
        write,
        news,
    };
    let outcome = fast_timeout(limits.total, entry.run(flight, limits.header, limits.idle)).await;
    let failure = match outcome {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error,
        Err(_) => Error::Timeout(Phase::Total),
    };
    if failure.is_before_sending() {
        entry.write = None;
    }
    tracing::debug!(error = %failure, server.id = %server.id, "Batch entry failed");
    entry.answer_with(&failure.to_refusal(&server.id)).await;
}

struct Entry {
    index: usize,
    /// The JSON text of the id, while its answer is owed.
    id: Option<String>,
    write: Option<Write>,
    news: Sender<News>,
}

impl Entry {
    async fn run(
        &mut self,
        mut flight: crate::upstream::relay::Flight,
        header: std::time::Duration,
        idle: std::time::Duration,
    ) -> Result<(), Error> {
        let head = fast_timeout(header, flight.head()).await;
        let mut head = head.map_err(|_| Error::Timeout(Phase::Header))??;
        let body = flight.into_body(&mut head)?;
        if head.content == Content::EventStream {
            self.stream(body, idle).await?;
        } else {
            let text = collect(body, idle).await?;
            if self.id.is_some() && is_answer(&text) {
                self.answer(text).await;
            }
        }
        if self.id.is_some() {
            return Err(Error::NotHttp("no JSON-RPC answer"));
        }
        Ok(())
    }

    async fn stream(&mut self, mut body: Body, idle: std::time::Duration) -> Result<(), Error> {
        let mut decoder = Decoder::new(ANSWER_BYTES_MAX);
        while let Some(bytes) = next(&mut body, idle).await? {
            decoder.feed(&bytes);
            while let Some(event) = decoder.next_event() {
                let text = event.map_err(|_| Error::NotHttp("an event that is too long"))?;
                if is_answer(text.as_bytes()) {
                    self.answer(text.into()).await;
                } else if !text.is_empty() {
                    self.say(News::Interim(text.into())).await;
                }
            }
        }
        Ok(())
    }

    async fn answer(&mut self, text: Bytes) {
        if let Some(write) = self.write.take() {
            write.settle().await;
        }
        if self.id.take().is_some() {
            self.say(News::Answer(self.index, text)).await;
        }
    }

    async fn answer_with(&mut self, refusal: &Refusal) {
        if let Some(id) = self.id.clone() {
            self.answer(refusal.to_json(Id::from_json(&id)).into())
                .await;
        }
    }

    async fn say(&self, news: News) {
        // Nobody listens any more once the client left.
        if self.news.send(news).await.is_err() {
            tracing::debug!("A batch's client left");
        }
    }
}

fn is_answer(text: &[u8]) -> bool {
    let message = std::str::from_utf8(text)
        .ok()
        .and_then(|text| parse::message(text).ok());
    message.is_some_and(|message| matches!(message.body, Rpc::Response { .. }))
}

async fn collect(mut body: Body, idle: std::time::Duration) -> Result<Bytes, Error> {
    let mut text = BytesMut::new();
    while let Some(bytes) = next(&mut body, idle).await? {
        if text.len() + bytes.len() > ANSWER_BYTES_MAX {
            return Err(Error::NotHttp("an answer too long for a batch"));
        }
        text.extend_from_slice(&bytes);
    }
    Ok(text.freeze())
}

async fn next(body: &mut Body, idle: std::time::Duration) -> Result<Option<Bytes>, Error> {
    fast_timeout(idle, body.next())
        .await
        .map_err(|_| Error::Timeout(Phase::Idle))?
}
