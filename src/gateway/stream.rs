//! Relays an event stream: each event is passed on as soon as it is complete (a large one as it
//! comes), an idle stream is kept alive, and a stream that breaks before its answer ends with one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use filters::refusal::{Phase, Refusal};
use filters::rpc::parse::{self, Body as Rpc, Id};
use filters::sse::decode::Decoder;
use filters::sse::observe::{Answer, Observer};
use filters::sse::write;
use pingora::proxy::Session;
use pingora_timeout::sleep;

use crate::gateway::Ended;
use crate::gateway::aftercare::Aftercare;
use crate::gateway::cached::ear::overhear;
use crate::gateway::cached::heard::Heard;
use crate::gateway::exchange::Exchange;
use crate::gateway::relay::{Kind, NOTHING, broken, client_gone};
use crate::gateway::screen::EVENT_BYTES_MAX;
use crate::telemetry::outcome::Status;
use crate::upstream::error::Error;
use crate::upstream::relay::Body;

/// Longest beginning of an event that is kept back until the event is complete, in bytes.
const HELD_BYTES_MAX: usize = 64 * 1024;

/// What is wrong with an event that does not fit where it has to be read as a whole.
const TOO_LONG: Error = Error::NotHttp("an event that is too long");

/// How long a stream may go without being looked at.
const PAUSE_MAX: Duration = Duration::from_secs(3600);

/// Relays a stream to its end.
pub(super) async fn relay(
    session: &mut Session,
    exchange: &mut Exchange,
    mut body: Body,
    mut care: Aftercare,
) -> Result<(), Ended> {
    if care.write.is_some() {
        care.heard = Heard::stream();
    }
    let mut relay = Relay::new(exchange, &care);
    let acl = Arc::clone(&exchange.snapshot.acl);
    loop {
        let event = tokio::select! {
            biased;
            next = body.next() => Event::Upstream(next),
            () = client_gone(session.as_downstream_mut()) => Event::ClientGone,
            () = exchange.live.draining.cancelled(), if care.kind == Kind::Listen => Event::Draining,
            () = care.retired.cancelled(), if care.kind == Kind::Listen => Event::Draining,
            // What may be heard is decided anew when the client listens anew.
            () = acl.replaced.cancelled(), if care.kind == Kind::Listen => Event::Draining,
            () = sleep(relay.pause()) => Event::Tick,
        };
        let step = match event {
            Event::Upstream(Ok(Some(_))) if care.is_unheard(exchange) => Step::Finish(NOTHING),
            Event::Upstream(Ok(Some(bytes))) => {
                care.hear(&bytes);
                let step = relay.pass(bytes, body.is_done());
                settle(&mut relay, &mut care).await;
                match step {
                    Step::Overflow => relay.overflow(exchange, &care),
                    step @ (Step::Write(_) | Step::Finish(_) | Step::Wait | Step::Break(_)) => step,
                }
            }
            Event::Upstream(Ok(None)) => relay.end(exchange, &care, &Error::ClosedEarly),
            Event::Upstream(Err(error)) => relay.end(exchange, &care, &error),
            Event::Draining => Step::Finish(NOTHING),
            Event::Tick => relay.tick(exchange, &care),
            Event::ClientGone => {
                care.abandon_body(body);
                return Err(Ended::ClientGone);
            }
        };
        if matches!(step, Step::Finish(_) | Step::Break(_)) {
            care.give_up().await;
        }
        let (bytes, is_over) = match step {
            Step::Write(bytes) => (bytes, false),
            Step::Finish(bytes) => (bytes, true),
            Step::Wait => continue,
            Step::Break(error) => return Err(broken(exchange, &error)),
            Step::Overflow => return Err(broken(exchange, &TOO_LONG)),
        };
        if let Some(server) = exchange.snapshot.servers.get(&*care.cluster.server) {
            overhear(server, &bytes);
        }
        let bytes = shown(&care, bytes);
        if session
            .as_downstream_mut()
            .write_response_body(bytes, is_over)
            .await
            .is_err()
        {
            care.abandon_body(body);
            return Err(Ended::ClientGone);
        }
        if is_over {
            relay.conclude(exchange);
            return Ok(());
        }
        if body.is_done() {
            // Its last bytes came together with its end.
            let step = relay.end(exchange, &care, &Error::ClosedEarly);
            care.give_up().await;
            return relay.finish(session, exchange, &care, step).await;
        }
    }
}

/// What a call makes stale goes with its answer.
async fn settle(relay: &mut Relay, care: &mut Aftercare) {
    if care.kind == Kind::Listen && care.id.is_none() {
        // Of a call whose own stream broke.
        if relay.observer.take_answer().is_some() {
            care.settle_calls().await;
        }
    } else if relay.observer.answer().is_some() {
        care.settle().await;
    }
}

/// What the client is shown of what the server says.
fn shown(care: &Aftercare, bytes: Bytes) -> Bytes {
    let bytes = match &care.hearing {
        Some(hearing) => hearing.events(&bytes),
        None => bytes,
    };
    match &care.screen {
        Some(screen) => screen.events(bytes),
        None => bytes,
    }
}

enum Event {
    Upstream(Result<Option<Bytes>, Error>),
    ClientGone,
    Draining,
    Tick,
}

/// What to do next.
enum Step {
    Write(Bytes),
    Finish(Bytes),
    Wait,
    Break(Error),
    /// An event that may only be passed on as a whole is too long for that.
    Overflow,
}

/// The state of one stream.
struct Relay {
    observer: Observer,
    /// The beginning of an event that is not complete.
    held: BytesMut,
    /// Events are only passed on as a whole: what is in them may be hidden.
    is_read_whole: bool,
    /// The client has the beginning of an event that is not complete.
    is_torn: bool,
    keep_alive: Option<Duration>,
    last_write: Instant,
    last_read: Instant,
    idle_limit: Option<Duration>,
    deadline: Option<Instant>,
}

impl Relay {
    fn new(exchange: &Exchange, care: &Aftercare) -> Self {
        let now = Instant::now();
        // A stream that a client opened to listen lives for as long as both sides want it to.
        let is_bounded = care.kind != Kind::Listen;
        Self {
            observer: Observer::default(),
            held: BytesMut::new(),
            is_read_whole: care.hearing.is_some() || care.screen.is_some(),
            is_torn: false,
            keep_alive: exchange.snapshot.keep_alive,
            last_write: now,
            last_read: now,
            idle_limit: is_bounded.then_some(care.limits.idle),
            deadline: is_bounded.then_some(care.deadline),
        }
    }

    /// Until when there is nothing to do.
    fn pause(&self) -> Duration {
        let now = Instant::now();
        let mut due = self
            .keep_alive
            .map_or(now + PAUSE_MAX, |every| self.last_write + every);
        if let Some(limit) = self.idle_limit {
            due = due.min(self.last_read + limit);
        }
        if let Some(deadline) = self.deadline {
            due = due.min(deadline);
        }
        // The timer is coarse: a little late is better than a spin.
        due.saturating_duration_since(now) + Duration::from_millis(1)
    }

    fn pass(&mut self, bytes: Bytes, is_done: bool) -> Step {
        self.last_read = Instant::now();
        let complete = self.observer.observe(&bytes);
        let is_whole = self.held.is_empty() && complete == bytes.len();
        if self.is_read_whole && self.rest_bytes(&bytes, complete) > EVENT_BYTES_MAX {
            return Step::Overflow;
        }
        if complete > 0 {
            self.is_torn = false;
        }
        let bytes = if is_whole {
            bytes
        } else {
            self.hold_back(&bytes, complete)
        };
        if bytes.is_empty() {
            return Step::Wait;
        }
        self.last_write = self.last_read;
        if is_done && self.observer.answer().is_some() && self.held.is_empty() {
            Step::Finish(bytes)
        } else {
            Step::Write(bytes)
        }
    }

    /// How much of an event is there that is not complete.
    fn rest_bytes(&self, bytes: &Bytes, complete: usize) -> usize {
        match complete {
            0 => self.held.len() + bytes.len(),
            complete => bytes.len() - complete,
        }
    }

    /// What may only be read as a whole is too long: nothing of it was passed on, so the call can still
    /// be told; who only listens can only be left.
    fn overflow(&mut self, exchange: &mut Exchange, care: &Aftercare) -> Step {
        self.held.clear();
        if care.kind == Kind::Listen {
            return Step::Break(TOO_LONG);
        }
        care.cancel();
        self.end(exchange, care, &TOO_LONG)
    }

    /// Keeps back the event that is not complete yet, so that one that never will be is not seen in
    /// part; a large one is passed on as it comes.
    fn hold_back(&mut self, bytes: &Bytes, complete: usize) -> Bytes {
        let (whole, rest) = bytes.split_at(complete.min(bytes.len()));
        let is_passing = self.is_torn && complete == 0;
        let is_long = self.held.len() + bytes.len() > HELD_BYTES_MAX && !self.is_read_whole;
        if is_passing || is_long {
            self.is_torn = !rest.is_empty();
            let mut passed = std::mem::take(&mut self.held);
            passed.extend_from_slice(bytes);
            return passed.freeze();
        }
        if complete == 0 {
            self.held.extend_from_slice(rest);
            return NOTHING;
        }
        let mut passed = std::mem::replace(&mut self.held, BytesMut::from(rest));
        passed.extend_from_slice(whole);
        passed.freeze()
    }

    fn tick(&mut self, exchange: &mut Exchange, care: &Aftercare) -> Step {
        let now = Instant::now();
        let phase = if self.deadline.is_some_and(|deadline| now >= deadline) {
            Some(Phase::Total)
        } else if self
            .idle_limit
            .is_some_and(|limit| now >= self.last_read + limit)
        {
            Some(Phase::Idle)
        } else {
            None
        };
        if let Some(phase) = phase {
            care.cancel();
            return self.end(exchange, care, &Error::Timeout(phase));
        }
        if self
            .keep_alive
            .is_none_or(|every| now < self.last_write + every)
        {
            return Step::Wait;
        }
        self.last_write = now;
        if !self.is_torn {
            Step::Write(Bytes::from_static(write::KEEP_ALIVE))
        } else {
            Step::Wait
        }
    }

    /// The upstream is done, for whatever reason.
    fn end(&mut self, exchange: &mut Exchange, care: &Aftercare, error: &Error) -> Step {
        if self.is_torn {
            return Step::Break(Error::Truncated);
        }
        let last = std::mem::take(&mut self.held);
        if is_answer(&last) {
            // It lacks nothing but its blank line.
            self.observer.observe(b"\n\n");
            return Step::Finish([last.as_ref(), b"\n\n"].concat().into());
        }
        let is_owed = care.id.is_some() && self.observer.answer().is_none();
        if !is_owed {
            return Step::Finish(NOTHING);
        }
        // A stream with event ids can be resumed: its answer may still come, on another stream.
        if self.observer.is_resumable() && !matches!(error, Error::Timeout(_)) {
            let is_clean = matches!(error, Error::ClosedEarly);
            return if is_clean {
                Step::Finish(NOTHING)
            } else {
                Step::Break(Error::Truncated)
            };
        }
        let refusal = if matches!(error, Error::ClosedEarly) {
            Refusal::UpstreamBroken {
                server: care.cluster.server.to_string(),
                what: "ended its stream without answering",
            }
        } else {
            error.to_refusal(&care.cluster.server)
        };
        exchange.outcome.error = Some(error.to_string());
        exchange.outcome.reason = Some(refusal.label());
        let event = write::message(&refusal.to_json(care.id.as_deref().and_then(Id::from_json)));
        self.observer = Observer::default();
        self.observer.observe(event.as_bytes());
        Step::Finish(event.into())
    }

    async fn finish(
        &self,
        session: &mut Session,
        exchange: &mut Exchange,
        care: &Aftercare,
        step: Step,
    ) -> Result<(), Ended> {
        let bytes = match step {
            Step::Write(bytes) | Step::Finish(bytes) => shown(care, bytes),
            Step::Wait => NOTHING,
            Step::Break(error) => return Err(broken(exchange, &error)),
            Step::Overflow => return Err(broken(exchange, &TOO_LONG)),
        };
        let written = session
            .as_downstream_mut()
            .write_response_body(bytes, true)
            .await;
        written.map_err(|_| Ended::ClientGone)?;
        self.conclude(exchange);
        Ok(())
    }

    fn conclude(&self, exchange: &mut Exchange) {
        if self.observer.answer() == Some(Answer::Error) {
            exchange.outcome.status = Status::Error;
        }
    }
}

/// Whether a stream's last bytes are a whole answer that only its blank line is missing from.
fn is_answer(last: &[u8]) -> bool {
    let mut decoder = Decoder::new(HELD_BYTES_MAX);
    decoder.feed(last);
    decoder.feed(b"\n\n");
    let Some(Ok(data)) = decoder.next_event() else {
        return false;
    };
    matches!(parse::message(&data), Ok(message) if matches!(message.body, Rpc::Response { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_answer_is_taken_for_one() {
        assert!(is_answer(
            b"data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}"
        ));
        assert!(is_answer(
            b"id: 1\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n"
        ));
        assert!(!is_answer(
            b"data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{"
        ));
        assert!(!is_answer(
            b"data: {\"jsonrpc\":\"2.0\",\"method\":\"ping\",\"id\":1}"
        ));
        assert!(!is_answer(b""));
    }
}
