//! One entry of a batch on its way.
//!
//! **Invariant:** what it makes stale is gone before its answer is reported, and what its server
//! tells of changes is taken note of before it is passed on.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use filters::acl::Permit;
use filters::acl::screen::Shown;
use filters::cache::task;
use filters::refusal::{Phase, Refusal};
use filters::rpc::parse::{self, Body as Rpc, Id};
use filters::sse::decode::Decoder;
use pingora_timeout::fast_timeout::fast_timeout;
use tokio::sync::mpsc::Sender;

use crate::gateway::batch::reading::Said;
use crate::gateway::batch::{News, Prepared};
use crate::gateway::cached::write::Write;
use crate::gateway::guard::{self, Asked, Told, Watch};
use crate::gateway::screen::Screen;
use crate::state::snapshot::Server;
use crate::upstream::error::Error;
use crate::upstream::head::Content;
use crate::upstream::relay::{Body, Flight, Request};

/// Largest single answer that goes into an array, in bytes.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Carries one entry, and reports everything its server says.
pub(super) async fn fly(index: usize, prepared: Prepared, news: Sender<News>) {
    let limits = prepared.server.cluster.limits;
    let mut entry = Entry {
        id: prepared.id.clone(),
        server: Arc::clone(&prepared.server),
        write: None,
        watch: prepared.watch.clone(),
        screen: prepared.screen.clone(),
        voice: Voice { index, news },
    };
    let run = entry.run(prepared, limits.header, limits.idle);
    let failure = match fast_timeout(limits.total, run).await {
        Ok(Ok(())) => return entry.settle(task::Said::Other).await,
        Ok(Err(error)) => error,
        Err(_) => Error::Timeout(Phase::Total),
    };
    if failure.is_before_sending() {
        entry.write = None;
    }
    let server = Arc::clone(&entry.server.id);
    tracing::debug!(error = %failure, server.id = %server, "Batch entry failed");
    entry.answer_with(&failure.to_refusal(&server)).await;
}

/// How an entry tells its batch what it has to say.
#[derive(Clone)]
pub(in crate::gateway) struct Voice {
    index: usize,
    news: Sender<News>,
}

impl Voice {
    /// Says something before the answer.
    pub(in crate::gateway) async fn add(&self, message: &str) {
        let text = Bytes::copy_from_slice(message.as_bytes());
        self.say(News::Interim(text)).await;
    }

    /// Gives the answer.
    pub(in crate::gateway) async fn answer(&self, message: String) {
        self.say(News::Answer(self.index, message.into())).await;
    }

    /// Says that the answer is a refusal, which is counted under this label.
    pub(in crate::gateway) async fn refuse(&self, label: &'static str) {
        self.say(News::Refused(label)).await;
    }

    /// Says that there will be no answer.
    pub(in crate::gateway) async fn waive(&self) {
        self.say(News::Waived).await;
    }

    async fn say(&self, news: News) {
        // Nobody listens any more once the client left.
        if self.news.send(news).await.is_err() {
            tracing::debug!("A batch's client left");
        }
    }
}

struct Entry {
    /// The JSON text of the id, while its answer is owed.
    id: Option<String>,
    server: Arc<Server>,
    /// What it makes stale, until that is gone.
    write: Option<Write>,
    /// What looks at what is said.
    watch: Option<Watch>,
    /// What of the server's words is shown.
    screen: Option<Screen>,
    voice: Voice,
}

impl Entry {
    async fn run(
        &mut self,
        prepared: Prepared,
        header: Duration,
        idle: Duration,
    ) -> Result<(), Error> {
        let Some((request, permit)) = self.read(prepared).await else {
            return Ok(());
        };
        let mut flight = Flight::new(Arc::clone(&self.server.cluster), request, permit);
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

    /// Has the cache answer; what is to be sent where it does not.
    async fn read(&mut self, prepared: Prepared) -> Option<(Request, Permit)> {
        let Prepared {
            request,
            permit,
            reading,
            tool,
            author,
            text,
            ..
        } = prepared;
        let Some(reading) = reading else {
            if let Some(tool) = &tool {
                // Nobody waits for how it ends, and it makes stale what it makes stale.
                self.write = author.write(&self.server, tool, &text).await;
            }
            return Some((request, permit));
        };
        let asked = reading.ask(&self.server, permit, self.voice.clone());
        match Box::pin(asked).await {
            Said::Told => self.id = None,
            Said::Refused(refusal) => self.answer_with(&refusal).await,
            Said::Onward(permit, write) => {
                self.write = write;
                return Some((request, permit));
            }
        }
        None
    }

    async fn stream(&mut self, mut body: Body, idle: Duration) -> Result<(), Error> {
        let mut decoder = Decoder::new(ANSWER_BYTES_MAX);
        while let Some(bytes) = next(&mut body, idle).await? {
            decoder.feed(&bytes);
            while let Some(event) = decoder.next_event() {
                let text = event.map_err(|_| Error::NotHttp("an event that is too long"))?;
                if is_answer(text.as_bytes()) {
                    self.answer(text.into()).await;
                } else if !text.is_empty() {
                    self.server.remote.hear(&text);
                    if self.screen.as_ref().is_some_and(|one| one.hides(&text)) {
                        continue;
                    }
                    match guard::asked(self.watch.as_ref(), &text, None) {
                        Asked::AsItIs => self.tell(text).await,
                        Asked::Becomes(text) => self.tell(text).await,
                        // There is no session here in which it could be told.
                        Asked::Refused(_) => {}
                    }
                }
            }
        }
        Ok(())
    }

    async fn answer(&mut self, text: Bytes) {
        self.settle(task::Said::of(&text)).await;
        let text = match &self.watch {
            Some(watch) => {
                let text = String::from_utf8_lossy(&text).into_owned();
                watch.answer(text, None).into()
            }
            None => text,
        };
        if self.id.take().is_some() {
            let text = match &self.screen {
                Some(screen) => shown(screen, text),
                None => text,
            };
            self.voice.say(News::Answer(self.voice.index, text)).await;
        }
    }

    /// The call is over, as far as its effects go.
    async fn settle(&mut self, said: task::Said<'_>) {
        if let Some(write) = self.write.take() {
            write.settle(said).await;
        }
    }

    async fn answer_with(&mut self, refusal: &Refusal) {
        if let Some(write) = self.write.take() {
            write.give_up().await;
        }
        self.voice.refuse(refusal.label()).await;
        if let Some(id) = self.id.clone() {
            self.answer(refusal.to_json(Id::from_json(&id)).into())
                .await;
        }
    }

    /// Passes on what is said before the answer, as guardrails let it through.
    async fn tell(&self, text: String) {
        let text = match guard::told(self.watch.as_ref(), &text) {
            Told::AsItIs => text,
            Told::Becomes(text) => text,
            Told::Hidden => return,
        };
        self.voice.say(News::Interim(text.into())).await;
    }
}

/// An answer as the caller may see it.
fn shown(screen: &Screen, text: Bytes) -> Bytes {
    match screen.answer(&text) {
        Shown::AsIs => text,
        Shown::Changed(text) => text.into(),
        Shown::Hidden | Shown::Unclear => screen.refused().into(),
    }
}

fn is_answer(text: &[u8]) -> bool {
    let message = std::str::from_utf8(text)
        .ok()
        .and_then(|text| parse::message(text).ok());
    message.is_some_and(|message| matches!(message.body, Rpc::Response { .. }))
}

async fn collect(mut body: Body, idle: Duration) -> Result<Bytes, Error> {
    let mut text = BytesMut::new();
    while let Some(bytes) = next(&mut body, idle).await? {
        if text.len() + bytes.len() > ANSWER_BYTES_MAX {
            return Err(Error::NotHttp("an answer too long for a batch"));
        }
        text.extend_from_slice(&bytes);
    }
    Ok(text.freeze())
}

async fn next(body: &mut Body, idle: Duration) -> Result<Option<Bytes>, Error> {
    fast_timeout(idle, body.next())
        .await
        .map_err(|_| Error::Timeout(Phase::Idle))?
}
