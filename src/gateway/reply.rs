//! What the gateway itself says in answer to one message: one document, or a stream of events that
//! ends with the answer.
//!
//! **Invariant:** nothing is sent before there is something to say, so that a refusal can still have
//! a status of its own; an answer is sent once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use filters::acl::screen::Shown;
use filters::cache::task::Said;
use filters::json::outcome::TopLevel;
use filters::refusal::Refusal;
use filters::rpc::parse::Id;
use filters::sse::write;
use http::header::CONTENT_TYPE;
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use pingora_timeout::sleep;

use crate::gateway::batch::entry::Voice;
use crate::gateway::cached::write::Write;
use crate::gateway::exchange::Exchange;
use crate::gateway::guard::{self, Told, Watch};
use crate::gateway::relay::client_gone;
use crate::gateway::screen::Screen;
use crate::gateway::{Ended, answer};
use crate::state::session::Session as Client;
use crate::telemetry::outcome::Status;

/// How long a call may be silent before its answer becomes a stream, so that the client's connection
/// can be kept alive.
const PROMOTE_AFTER: Duration = Duration::from_secs(10);
/// How long a stream may go without being looked at.
const PAUSE_MAX: Duration = Duration::from_secs(3600);

/// Where an answer goes.
pub(super) enum Out<'r> {
    /// To whoever sent the message, as HTTP.
    Http(&'r mut Session),
    /// Onto the one stream of an HTTP+SSE client (2024-11-05).
    Outlet(Arc<Client>),
    /// Into the answer of a batch: only the answer is kept.
    Batch(Vec<String>),
    /// Into the answer of a batch whose entries are served at once.
    Entry(Voice),
}

/// An answer in the making.
pub(super) struct Reply<'r> {
    /// Where it goes.
    pub(super) out: Out<'r>,
    /// The request it belongs to.
    pub(super) exchange: &'r mut Exchange,
    /// What looks at the answer before its client gets it.
    pub(super) watch: Option<Box<Watch>>,
    /// What the call makes stale: gone before its client hears how it ended.
    pub(super) write: Option<Write>,
    /// What of the server's words its client is shown.
    pub(super) screen: Option<Screen>,
    is_open: bool,
    /// A write was begun and not ended: what is written next would stand in its middle.
    is_torn: bool,
    is_held: bool,
    last_write: Instant,
}

/// What ended a wait.
pub(super) enum Wake<T> {
    /// What was waited for.
    Done(T),
    /// The client left.
    Gone,
}

impl<'r> Reply<'r> {
    /// An answer of which nothing was said yet.
    pub(super) fn new(out: Out<'r>, exchange: &'r mut Exchange) -> Self {
        Self {
            out,
            exchange,
            watch: None,
            write: None,
            screen: None,
            is_open: false,
            is_torn: false,
            is_held: false,
            last_write: Instant::now(),
        }
    }

    /// Keeps the head back until the answer is there: it names the session that is opened.
    pub(super) fn hold(&mut self) {
        self.is_held = true;
    }

    /// The HTTP+SSE client whose stream takes what is said.
    pub(super) fn client(&self) -> Option<Arc<Client>> {
        match &self.out {
            Out::Outlet(client) => Some(Arc::clone(client)),
            Out::Http(_) | Out::Batch(_) | Out::Entry(_) => None,
        }
    }

    /// Whether the client can be told something before the answer.
    pub(super) fn has_stream(&self) -> bool {
        !matches!(self.out, Out::Batch(_))
    }

    /// Whether the answer may still be any that HTTP has.
    pub(super) fn is_untold(&self) -> bool {
        !self.is_open && matches!(self.out, Out::Http(_))
    }

    /// Says something before the answer.
    pub(super) async fn event(&mut self, message: &str) -> Result<(), Ended> {
        if self.screen.as_ref().is_some_and(|one| one.hides(message)) {
            return Ok(());
        }
        let told = guard::told(self.watch.as_deref(), message);
        let message = match &told {
            Told::AsItIs => message,
            Told::Becomes(message) => message,
            Told::Hidden => return Ok(()),
        };
        match &mut self.out {
            Out::Http(_) => {
                self.open().await?;
                self.write(write::message(message).into(), false).await
            }
            Out::Outlet(client) => {
                client.outlet.send(message);
                Ok(())
            }
            Out::Batch(_) => Ok(()),
            Out::Entry(voice) => {
                voice.add(message).await;
                Ok(())
            }
        }
    }

    /// Writes an event that is no message.
    pub(super) async fn raw(&mut self, event: String) -> Result<(), Ended> {
        self.open().await?;
        self.write(event.into(), false).await
    }

    /// Gives the answer, with an HTTP status where nothing was said yet.
    pub(super) async fn answer(&mut self, status: u16, message: String) -> Result<(), Ended> {
        self.hear(message.as_bytes()).await;
        let message = match &self.watch {
            Some(watch) => watch.answer(message, Some(&mut self.exchange.outcome)),
            None => message,
        };
        let (status, message) = self.shown(status, message);
        self.exchange.outcome.status = status_of(message.as_bytes());
        match &mut self.out {
            Out::Http(_) if self.is_open => self.write(write::message(&message).into(), true).await,
            Out::Http(session) => answer::json(session, self.exchange, status, message.into())
                .await
                .map_err(|_| Ended::ClientGone),
            Out::Outlet(client) => {
                client.outlet.answer(message);
                Ok(())
            }
            Out::Batch(answers) => {
                answers.push(message);
                Ok(())
            }
            Out::Entry(voice) => {
                voice.answer(message).await;
                Ok(())
            }
        }
    }

    /// Gives a document as the answer, byte for byte.
    pub(super) async fn document(&mut self, status: u16, text: Bytes) -> Result<(), Ended> {
        if self.is_open || self.watch.is_some() || !matches!(self.out, Out::Http(_)) {
            let text = String::from_utf8_lossy(&text).into_owned();
            return self.answer(status, text).await;
        }
        self.hear(&text).await;
        let (status, text) = self.shown(status, text);
        let Out::Http(session) = &mut self.out else {
            return Ok(());
        };
        self.exchange.outcome.status = status_of(&text);
        answer::json(session, self.exchange, status, text)
            .await
            .map_err(|_| Ended::ClientGone)
    }

    /// Gives what a server said instead of an MCP answer, where [`Self::is_untold`].
    pub(super) async fn page(
        &mut self,
        mut header: Box<ResponseHeader>,
        mut text: Bytes,
    ) -> Result<(), Ended> {
        self.settle(Said::Other).await;
        if !text.is_empty() {
            let said = text.clone();
            (_, text) = self.shown(200, text);
            if said != text {
                let named = header.insert_header(CONTENT_TYPE, "application/json");
                named.map_err(|_| Ended::ClientGone)?;
            }
        }
        if let Some(watch) = &self.watch {
            let page = String::from_utf8_lossy(&text);
            text = watch.page(&page, &mut self.exchange.outcome).into();
        }
        let Out::Http(session) = &mut self.out else {
            return Ok(());
        };
        self.exchange.outcome.status = Status::Error;
        answer::stamp(&mut header, self.exchange).map_err(|_| Ended::ClientGone)?;
        answer::write(session, *header, text)
            .await
            .map_err(|_| Ended::ClientGone)
    }

    /// An answer as its client is shown it, and the status that it goes with.
    fn shown<T: AsRef<[u8]> + From<String>>(&mut self, status: u16, answer: T) -> (u16, T) {
        let Some(screen) = &self.screen else {
            return (status, answer);
        };
        match screen.answer(answer.as_ref()) {
            Shown::AsIs => (status, answer),
            Shown::Changed(text) => (status, text.into()),
            Shown::Hidden | Shown::Unclear => {
                let refusal = screen.refusal();
                self.exchange.outcome.reason = Some(refusal.label());
                let status = refusal.status_in(self.exchange.snapshot.statuses);
                (status, screen.refused().into())
            }
        }
    }

    /// What the call makes stale goes: this message of its server's is the answer.
    pub(super) async fn hear(&mut self, message: &[u8]) {
        if self.write.is_some() {
            self.settle(Said::of(message)).await;
        }
    }

    /// What the call makes stale goes: its server said this.
    pub(super) async fn settle(&mut self, said: Said<'_>) {
        if let Some(write) = self.write.take() {
            write.settle(said).await;
        }
    }

    /// Accepts a message that wants no answer.
    pub(super) async fn accept(&mut self) -> Result<(), Ended> {
        self.exchange.outcome.status = Status::Success;
        let Out::Http(session) = &mut self.out else {
            return Ok(());
        };
        let mut header =
            ResponseHeader::build_no_case(202, Some(4)).map_err(|_| Ended::ClientGone)?;
        answer::stamp(&mut header, self.exchange).map_err(|_| Ended::ClientGone)?;
        answer::write(session, header, Bytes::new())
            .await
            .map_err(|_| Ended::ClientGone)
    }

    /// Ends the stream without an answer: the message wants none, or none any more.
    pub(super) async fn finish(&mut self) -> Result<(), Ended> {
        self.exchange.outcome.status = Status::Success;
        match &mut self.out {
            Out::Http(_) => {
                self.open().await?;
                self.write(Bytes::new(), true).await
            }
            Out::Outlet(_) | Out::Batch(_) => Ok(()),
            Out::Entry(voice) => {
                voice.waive().await;
                Ok(())
            }
        }
    }

    /// Refuses: with a status of its own, or as the last event of a stream.
    pub(super) async fn refuse(
        &mut self,
        refusal: Refusal,
        id: Option<&str>,
        error: Option<String>,
    ) -> Result<(), Ended> {
        if !refusal.may_have_been_sent() {
            self.write = None;
        }
        if let Some(write) = self.write.take() {
            write.give_up().await;
        }
        if self.is_untold() {
            return Err(Ended::Refused {
                refusal,
                id: id.map(str::to_owned),
                error,
            });
        }
        self.exchange.forgo(&refusal);
        // These are our own words.
        self.watch = None;
        let text = refusal.to_json_in(self.exchange.outcome.era, id.and_then(Id::from_json));
        self.exchange.outcome.error = error;
        match &mut self.out {
            Out::Http(_) | Out::Outlet(_) => {
                self.exchange.outcome.reason = Some(refusal.label());
            }
            Out::Batch(_) => self.exchange.note_refused(refusal.label()),
            Out::Entry(voice) => voice.refuse(refusal.label()).await,
        }
        let status = refusal.status_in(self.exchange.snapshot.statuses);
        self.answer(status, text).await
    }

    /// Waits for something while the client is watched and its stream kept alive.
    pub(super) async fn wait<T>(
        &mut self,
        work: impl Future<Output = T>,
    ) -> Result<Wake<T>, Ended> {
        let mut work = std::pin::pin!(work);
        loop {
            let pause = self.pause();
            let woken = match &mut self.out {
                Out::Http(session) => tokio::select! {
                    biased;
                    done = work.as_mut() => Some(Wake::Done(done)),
                    () = client_gone(session.as_downstream_mut()) => Some(Wake::Gone),
                    () = sleep(pause) => None,
                },
                Out::Outlet(client) => tokio::select! {
                    biased;
                    done = work.as_mut() => Some(Wake::Done(done)),
                    () = client.over.cancelled() => Some(Wake::Gone),
                },
                Out::Batch(_) | Out::Entry(_) => Some(Wake::Done(work.as_mut().await)),
            };
            if let Some(woken) = woken {
                return Ok(woken);
            }
            self.keep_alive().await?;
        }
    }

    fn pause(&self) -> Duration {
        let every = match (self.is_open, self.exchange.snapshot.keep_alive) {
            (_, None) => PAUSE_MAX,
            (false, Some(_)) if self.is_held => PAUSE_MAX,
            (true, Some(every)) => every,
            (false, Some(every)) => every.min(PROMOTE_AFTER),
        };
        every.saturating_sub(self.last_write.elapsed())
    }

    async fn keep_alive(&mut self) -> Result<(), Ended> {
        if self.pause() > Duration::ZERO {
            return Ok(());
        }
        self.open().await?;
        self.write(Bytes::from_static(write::KEEP_ALIVE), false)
            .await
    }

    /// Begins the stream.
    pub(super) async fn open(&mut self) -> Result<(), Ended> {
        if self.is_open {
            return Ok(());
        }
        self.is_open = true;
        let Out::Http(session) = &mut self.out else {
            return Ok(());
        };
        let header =
            answer::stream_header(session, self.exchange).map_err(|_| Ended::ClientGone)?;
        session
            .as_downstream_mut()
            .write_response_header(Box::new(header))
            .await
            .map_err(|_| Ended::ClientGone)
    }

    async fn write(&mut self, bytes: Bytes, is_last: bool) -> Result<(), Ended> {
        self.last_write = Instant::now();
        let Out::Http(session) = &mut self.out else {
            return Ok(());
        };
        // A write that was given up in the middle leaves nothing to be said after it.
        if std::mem::replace(&mut self.is_torn, true) {
            return Err(Ended::ClientGone);
        }
        let written = session
            .as_downstream_mut()
            .write_response_body(bytes, is_last)
            .await;
        self.is_torn = false;
        written.map_err(|_| Ended::ClientGone)
    }
}

/// How a request ended that was answered so.
fn status_of(message: &[u8]) -> Status {
    let mut seen = TopLevel::default();
    seen.observe(message);
    match seen.is_error() {
        true => Status::Error,
        false => Status::Success,
    }
}
